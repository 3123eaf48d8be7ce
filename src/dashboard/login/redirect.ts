import { staysBelow } from "../../saved/path.ts"

/**
 * Where one wanted to go before the login, as the login's address says it. Only to an address of the dashboard, whatever
 * somebody wrote into a link: undefined where it is none.
 */
export function wantedPath(to: string | null, origin: string): string | undefined {
  if (to === null || !URL.canParse(to, origin)) return undefined
  const url = new URL(to, origin)
  const isOurs = url.origin === origin && /^\/(w|settings)\//.test(url.pathname)
  const path = url.pathname + url.search
  return isOurs && staysBelow(path) ? path : undefined
}

/** The login's address, for somebody who wants to go to `path`. */
export function loginPath(path: string): string {
  return path === "/" ? "/login" : `/login?to=${encodeURIComponent(path)}`
}
