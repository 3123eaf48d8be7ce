import { Refusal } from "../errors.ts"
import type { Db } from "../store/native.ts"
import { findLogin, type Login, sessionLifetime } from "../store/sessions.ts"
import { isTrusted, plain, type TrustedNetworks } from "./address.ts"
import type { Arrival } from "./arrival.ts"

/** How the address that a browser came to was reached. */
export interface Reached {
  /** Clients speak TLS with this process itself. */
  https: boolean
  settings: { trustedProxies: TrustedNetworks }
}

export const sessionCookie = "databuddy_session"
/** What our own page sends along with whatever is no mere look. */
export const pageHeader = "x-databuddy-page"

/** The login of a request's cookie; undefined: it has none. Throws `csrf`, and `login_ended`. */
export function loginOf(db: Db, request: Request, now: number): Login | undefined {
  const token = tokenIn(request.headers)
  if (token === undefined) return undefined
  requireOwnPage(request)
  const login = findLogin(db, token, now)
  if (!login) throw new Refusal("login_ended")
  return login
}

/**
 * A browser sends the cookie with whatever a page of another origin makes it send. Such a page can set no header of ours: that
 * takes CORS, of which /v1 has none. Browsers that say where a request comes from are believed too. Throws `csrf`.
 */
export function requireOwnPage({ method, headers }: Request): void {
  const site = headers.get("sec-fetch-site")
  const looksOnly = method === "GET" || method === "HEAD"
  const isOwn = site === null || site === "same-origin" || site === "none"
  if (isOwn && (looksOnly || headers.get(pageHeader) === "1")) return
  throw new Refusal("csrf")
}

/** Puts the cookie into an answer's headers. `token` undefined: takes it away from the browser. */
export function setCookie(
  headers: Record<string, string>,
  arrival: Arrival,
  reached: Reached,
  token: string | undefined,
): void {
  const seconds = token === undefined ? 0 : sessionLifetime / 1_000
  const secure = isSecure(arrival, reached) ? "; Secure" : ""
  headers["Set-Cookie"] =
    `${sessionCookie}=${token ?? ""}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure}`
}

/** The token of the request's cookie. */
export function tokenIn(headers: Headers): string | undefined {
  const cookies = headers.get("cookie")?.split(";") ?? []
  const start = `${sessionCookie}=`
  const ours = cookies.map((one) => one.trim()).find((one) => one.startsWith(start))
  return ours?.slice(start.length) || undefined
}

/** Whether the browser came by HTTPS, to us or to a proxy that is believed. */
function isSecure({ request, peer }: Arrival, { https, settings }: Reached): boolean {
  if (https) return true
  const forwarded = request.headers.get("x-forwarded-proto")
  return forwarded?.trim().toLowerCase() === "https" && isTrusted(plain(peer()), settings.trustedProxies)
}
