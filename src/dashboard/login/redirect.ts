import { staysBelow } from "../../saved/path.ts"

/**
 * Returns the path to open after the login, from the login page's `to` parameter. Returns undefined unless it is a page
 * of this dashboard, because anyone can craft a link to the login page that would redirect elsewhere.
 */
export function redirectPath(to: string | null, origin: string): string | undefined {
  if (to === null || !URL.canParse(to, origin)) return undefined
  const url = new URL(to, origin)
  const isOurs = url.origin === origin && /^\/(w|settings)\//.test(url.pathname)
  const path = url.pathname + url.search
  return isOurs && staysBelow(path) ? path : undefined
}

/** Returns the path of the login page, with a parameter that makes it open `path` after the login. */
export function loginPath(path: string): string {
  return path === "/" ? "/login" : `/login?to=${encodeURIComponent(path)}`
}
