import { RequestError } from "../errors.ts"
import type { Db } from "../store/db/driver.ts"
import type { Registry } from "../store/ingest/registry.ts"
import type { Grant } from "../store/keys.ts"
import type { Login } from "../store/login-sessions.ts"
import { type Share, shareWithToken } from "../store/shares.ts"
import { grantOf } from "../store/users.ts"
import { carriesKey, readKey } from "./key.ts"
import { loginOf } from "./login-session.ts"

/** Whoever makes a request under /v1, and what they may do. */
export interface Caller extends Grant {
  /** In an error: "this key", "your login". */
  kind: "key" | "login" | "share link"
  /** Of the key, the user or the link. */
  id: string
  /** Where the caller is a user. */
  login?: Login
  /** Where it is whoever has a link. */
  share?: Share
}

/** Of the token of a share link. It is no cookie, so that nothing but the page of that link sends it. */
export const shareHeader = "x-databuddy-share"

/** Where callers are looked up. */
export interface Callers {
  registry: Registry
  db: Db
}

/** Each looks at one thing that a request may carry. Gives undefined where it carries none; throws where that is no good. */
const kinds: readonly ((callers: Callers, request: Request, now: number) => Caller | undefined)[] = [
  byKey,
  byShare,
  byLogin,
]

/** Of a request that carries several credentials the first one of `kinds` counts, good or not. Throws what is wrong with it. */
export function callerOf(callers: Callers, request: Request, now: number): Caller {
  for (const kind of kinds) {
    const caller = kind(callers, request, now)
    if (caller) return caller
  }
  throw new RequestError("credential_missing")
}

function byKey({ registry }: Callers, { headers }: Request, now: number): Caller | undefined {
  if (!carriesKey(headers)) return undefined
  const { key, problem = "credential_missing" } = readKey(headers, registry, now)
  if (!key) throw new RequestError(problem)
  const { id, scopes, websites, rateLimit, expiresAt } = key
  return { kind: "key", id, scopes, websites, rateLimit, expiresAt }
}

function byShare({ db }: Callers, { headers }: Request, now: number): Caller | undefined {
  const token = headers.get(shareHeader)
  if (token === null) return undefined
  const share = shareWithToken(db, token, now)
  if (!share) throw new RequestError("share_ended")
  const { id, websiteId, expiresAt } = share
  return {
    kind: "share link",
    id,
    scopes: ["read:reports"],
    websites: [websiteId],
    rateLimit: null,
    expiresAt,
    share,
  }
}

function byLogin({ db }: Callers, request: Request, now: number): Caller | undefined {
  const login = loginOf(db, request, now)
  return login && { kind: "login", id: login.user.id, ...grantOf(login.user), login }
}
