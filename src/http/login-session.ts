import { RequestError } from "../errors.ts"
import type { Db } from "../store/db/driver.ts"
import { findLogin, type Login, sessionLifetime } from "../store/login-sessions.ts"
import { isTrusted, plain, type TrustedNetworks } from "./address.ts"
import type { RequestContext } from "./request-context.ts"

/** How the address that a browser came to was reached. */
export interface Reached {
  /** Clients speak TLS with this process itself. */
  https: boolean
  settings: { trustedProxies: TrustedNetworks }
}

export const sessionCookie = "databuddy_session"
/**
 * Over HTTPS: browsers take a cookie of this prefix from our own host alone, so that a page of a sibling host cannot set one. Logins
 * of versions that did not use it go on under the plain name until they are renewed.
 */
const secureCookie = `__Host-${sessionCookie}`
/**
 * Cookies of a request that are tried, each a lookup of some 4 µs. A sibling host can set more of the plain name, and browsers keep at
 * most 180 a site.
 */
const mostTried = 200
/** What `newToken` makes; nothing else is looked up. */
const tokenPattern = /^[\w-]{43}$/
/** What our own page sends along with whatever is no mere look. */
export const pageHeader = "x-databuddy-page"

/** The login of a request's cookies; undefined: it has none. Throws `csrf`, and `login_ended`. */
export function loginOf(db: Db, request: Request, now: number): Login | undefined {
  const tokens = tokensIn(request.headers)
  if (tokens.length === 0) return undefined
  requireOwnPage(request)
  for (const token of tokens) {
    const login = tokenPattern.test(token) ? findLogin(db, token, now) : undefined
    if (login) return login
  }
  throw new RequestError("login_ended")
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
  throw new RequestError("csrf")
}

/** Puts the cookie into an answer's headers. `token` undefined: takes it away from the browser. */
export function setCookie(
  headers: Record<string, string>,
  arrival: RequestContext,
  reached: Reached,
  token: string | undefined,
): void {
  const seconds = token === undefined ? 0 : sessionLifetime / 1_000
  const [name, secure] = isSecure(arrival, reached) ? [secureCookie, "; Secure"] : [sessionCookie, ""]
  headers["Set-Cookie"] =
    `${name}=${token ?? ""}; Path=/; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure}`
}

/** The tokens of the request's cookies, those that no other host can have set first. Several of one name come from sibling hosts. */
export function tokensIn(headers: Headers): string[] {
  const cookies =
    headers
      .get("cookie")
      ?.split(";")
      .map((one) => one.trim()) ?? []
  const named = (name: string) =>
    cookies.filter((one) => one.startsWith(`${name}=`)).map((one) => one.slice(name.length + 1))
  return [...named(secureCookie), ...named(sessionCookie)].filter((token) => token !== "").slice(0, mostTried)
}

/** Whether the browser came by HTTPS, to us or to a proxy that is believed. */
function isSecure({ request, peer }: RequestContext, { https, settings }: Reached): boolean {
  if (https) return true
  const forwarded = request.headers.get("x-forwarded-proto")
  return forwarded?.trim().toLowerCase() === "https" && isTrusted(plain(peer()), settings.trustedProxies)
}
