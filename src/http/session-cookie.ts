import { RequestError } from "../errors.ts"
import type { Db } from "../store/db/driver.ts"
import { findLoginSession, type LoginSession, loginSessionLifetime } from "../store/login-sessions.ts"
import { isTrustedProxy, normalizeAddress, type TrustedNetworks } from "./address.ts"
import type { RequestContext } from "./request-context.ts"

/** Settings that determine where browsers send the session cookie and whether it is `Secure`. */
export interface CookieDeps {
  /** True if this process terminates TLS. */
  https: boolean
  settings: { trustedProxies: TrustedNetworks; basePath: string }
}

export const sessionCookie = "databuddy_session"
/**
 * Name of the cookie over HTTPS. Browsers accept the prefix `__Host-` only from the host itself, so a sibling host
 * (another subdomain of the same domain) cannot set the cookie. The cookies of older versions keep the plain name until
 * their login sessions are renewed.
 */
const hostCookie = `__Host-${sessionCookie}`
/**
 * Name of the cookie over HTTPS with --base-path. Browsers accept `__Host-` only with the path /, and would send that
 * cookie to every other application on the host. Hiding the cookie from those applications matters more than preventing
 * sibling hosts from setting it.
 */
const pathCookie = `__Secure-${sessionCookie}`
/**
 * Maximum number of session cookies to look up for a request. A lookup takes 4 µs. A sibling host can set many cookies
 * with the plain name. Browsers store at most 180 per site.
 */
const maxTokens = 200
/** Format of tokens created by `newToken`. Other values are not looked up. */
const tokenPattern = /^[\w-]{43}$/
/** The dashboard sends this header with every request that changes something. */
export const pageHeader = "x-databuddy-page"

/**
 * Returns the login session of a request, or undefined if there is no session cookie. Throws `csrf` or `login_ended`.
 */
export function loginOf(db: Db, request: Request, now: number): LoginSession | undefined {
  const tokens = sessionTokensOf(request.headers)
  if (tokens.length === 0) return undefined
  requireSameOrigin(request)
  const login = findLogin(db, tokens, now)
  if (login) return login
  throw new RequestError("login_ended")
}

/**
 * Returns the login session for a page navigation, or undefined if there is no valid session. The navigation may come
 * from a link on another site, so the caller must not let that site observe whether the session affects the response.
 */
export function loginForNavigation(db: Db, { headers }: Request, now: number): LoginSession | undefined {
  return findLogin(db, sessionTokensOf(headers), now)
}

function findLogin(db: Db, tokens: readonly string[], now: number): LoginSession | undefined {
  for (const token of tokens) {
    const login = tokenPattern.test(token) ? findLoginSession(db, token, now) : undefined
    if (login) return login
  }
  return undefined
}

/**
 * Rejects cross-site requests, because browsers attach the cookie to them. A page of another origin cannot set
 * `x-databuddy-page`, because that requires CORS, which /v1 does not allow. Also checks `Sec-Fetch-Site` if the browser
 * sends it. Throws `csrf`.
 */
export function requireSameOrigin({ method, headers }: Request): void {
  const site = headers.get("sec-fetch-site")
  const isRead = method === "GET" || method === "HEAD"
  const isSameOrigin = site === null || site === "same-origin" || site === "none"
  if (isSameOrigin && (isRead || headers.get(pageHeader) === "1")) return
  throw new RequestError("csrf")
}

/** Adds the session cookie to response headers. An undefined `token` deletes the cookie. */
export function setSessionCookie(
  headers: Record<string, string>,
  context: RequestContext,
  deps: CookieDeps,
  token: string | undefined,
): void {
  const seconds = token === undefined ? 0 : loginSessionLifetime / 1_000
  const { basePath } = deps.settings
  const [name, secure] = isSecure(context, deps)
    ? [secureCookieName(basePath), "; Secure"]
    : [sessionCookie, ""]
  headers["Set-Cookie"] =
    `${name}=${token ?? ""}; Path=${basePath || "/"}; Max-Age=${seconds}; HttpOnly; SameSite=Lax${secure}`
}

/** Returns the name of the session cookie over HTTPS. */
export function secureCookieName(basePath: string): string {
  return basePath === "" ? hostCookie : pathCookie
}

/**
 * Returns the session tokens in the cookies of a request. Tokens from cookies that a sibling host cannot set come
 * first.
 */
export function sessionTokensOf(headers: Headers): string[] {
  const cookies =
    headers
      .get("cookie")
      ?.split(";")
      .map((cookie) => cookie.trim()) ?? []
  const valuesOf = (name: string) =>
    cookies.filter((cookie) => cookie.startsWith(`${name}=`)).map((cookie) => cookie.slice(name.length + 1))
  return [hostCookie, pathCookie, sessionCookie]
    .flatMap(valuesOf)
    .filter((token) => token !== "")
    .slice(0, maxTokens)
}

/** True if the browser uses HTTPS to connect to this process or to a trusted proxy. */
function isSecure({ request, peer }: RequestContext, { https, settings }: CookieDeps): boolean {
  if (https) return true
  const forwarded = request.headers.get("x-forwarded-proto")
  return (
    forwarded?.trim().toLowerCase() === "https" &&
    isTrustedProxy(normalizeAddress(peer()), settings.trustedProxies)
  )
}
