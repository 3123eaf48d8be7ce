import { RequestError } from "../errors.ts"
import { type PageLimit, pagesOf } from "../sections.ts"
import type { Db } from "../store/db/driver.ts"
import type { Registry } from "../store/ingest/registry.ts"
import type { Grant } from "../store/keys.ts"
import type { LoginSession } from "../store/login-sessions.ts"
import { grantOf } from "../store/roles.ts"
import { type Share, shareWithToken } from "../store/shares.ts"
import { hasKey, readKey } from "./key.ts"
import { loginOf } from "./session-cookie.ts"

/** The key, user or share link that makes a request under /v1, and its permissions. */
export interface Caller extends Grant {
  /** Used in error messages, such as "this key" and "your login". */
  kind: "key" | "login" | "share link"
  /** Id of the key, user or share link. */
  id: string
  /** Set if the caller is a user. */
  login?: LoginSession
  /** Set if the caller uses a share link. */
  share?: Share
  /** The pages of the dashboard that the caller is limited to. Absent if there is no such limit. */
  pages?: PageLimit
}

/** Header with the token of a share link. The token is not in a cookie, so that only the link's page sends it. */
export const shareHeader = "x-databuddy-share"

export interface CallerDeps {
  registry: Registry
  db: Db
}

/**
 * One function per kind of credential. Each returns undefined if the request has no credential of its kind, and throws
 * if the credential is invalid.
 */
const authenticators: readonly ((deps: CallerDeps, request: Request, now: number) => Caller | undefined)[] = [
  keyCaller,
  shareCaller,
  loginCaller,
]

/**
 * Returns the caller of a request. If the request has several credentials, uses the first one in the order of
 * `authenticators`. Throws a RequestError with status 401 if there is none, or if it is invalid.
 */
export function callerOf(deps: CallerDeps, request: Request, now: number): Caller {
  for (const authenticate of authenticators) {
    const caller = authenticate(deps, request, now)
    if (caller) return caller
  }
  throw new RequestError("credential_missing")
}

function keyCaller({ registry }: CallerDeps, { headers }: Request, now: number): Caller | undefined {
  if (!hasKey(headers)) return undefined
  const { key, problem = "credential_missing" } = readKey(headers, registry, now)
  if (!key) throw new RequestError(problem)
  const { id, scopes, websites, rateLimit, expiresAt } = key
  return { kind: "key", id, scopes, websites, rateLimit, expiresAt }
}

function shareCaller({ db }: CallerDeps, { headers }: Request, now: number): Caller | undefined {
  const token = headers.get(shareHeader)
  if (token === null) return undefined
  const share = shareWithToken(db, token, now)
  if (!share) throw new RequestError("share_ended")
  const { id, websiteId, page, expiresAt } = share
  return {
    kind: "share link",
    id,
    scopes: ["read:reports"],
    // A link to a board of all websites gives access to the results of its tiles, but to no website.
    websites: websiteId === null ? [] : [websiteId],
    rateLimit: null,
    expiresAt,
    share,
    ...(page === null ? {} : { pages: [page] }),
  }
}

function loginCaller({ db }: CallerDeps, request: Request, now: number): Caller | undefined {
  const login = loginOf(db, request, now)
  if (!login) return undefined
  const { id, sections } = login.user
  const limit = sections === null ? {} : { pages: pagesOf(sections) }
  return { kind: "login", id, ...grantOf(login.user), login, ...limit }
}
