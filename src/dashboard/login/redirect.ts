import { staysBelow } from "../../saved/path.ts"

/**
 * The path to open after the login, from the login page's `to` parameter. Undefined unless it is a page of this
 * dashboard, because anyone can craft a link to the login page.
 */
export function redirectPath(to: string | null, origin: string): string | undefined {
  if (to === null || !URL.canParse(to, origin)) return undefined
  const url = new URL(to, origin)
  const isOurs = url.origin === origin && /^\/(w|settings)\//.test(url.pathname)
  const path = url.pathname + url.search
  return isOurs && staysBelow(path) ? path : undefined
}

/** Path of the login page, which opens `path` after the login. */
export function loginPath(path: string): string {
  return path === "/" ? "/login" : `/login?to=${encodeURIComponent(path)}`
}
