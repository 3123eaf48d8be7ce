import { appOriginOf, hostOf, isLoopback, type Website } from "../store/websites.ts"

/**
 * True if pages of `origin` can send events to a website: pages of its domain, subdomains and allowed origins, and of
 * loopback hosts. If a request has no origin, true if the website has no allowed origins.
 */
export function originAllowed(origin: string | null, { domain, allowedOrigins }: Website): boolean {
  if (origin === null) return allowedOrigins.length === 0
  // Most pages have this origin. Parsing an origin takes 2 µs.
  if (origin === `https://${domain}`) return true
  const app = appOriginOf(origin)
  if (app !== undefined) return allowedOrigins.includes(app)
  const host = hostOf(origin)
  if (!host || !origin.includes("://")) return false
  return isLoopback(host) || host === domain || host.endsWith(`.${domain}`) || allowedOrigins.includes(host)
}
