import { Refusal } from "../errors.ts"
import type { Grant } from "../store/keys.ts"
import type { Db } from "../store/native.ts"
import type { Registry } from "../store/registry.ts"
import type { Login } from "../store/sessions.ts"
import { grantOf } from "../store/users.ts"
import { carriesKey, readKey } from "./key.ts"
import { loginOf } from "./login.ts"

/** Whoever makes a request under /v1, and what they may do. */
export interface Caller extends Grant {
  /** In an error: "this key", "your login". */
  kind: "key" | "login"
  /** Of the key, or the user. */
  id: string
  /** Where the caller is a user. */
  login?: Login
}

/** Where callers are looked up. */
export interface Callers {
  registry: Registry
  db: Db
}

/** Each looks at one thing that a request may carry. Gives undefined where it carries none; throws where that is no good. */
const kinds: readonly ((callers: Callers, request: Request, now: number) => Caller | undefined)[] = [
  byKey,
  byLogin,
]

/** Of a request that carries several credentials the first one of `kinds` counts, good or not. Throws what is wrong with it. */
export function callerOf(callers: Callers, request: Request, now: number): Caller {
  for (const kind of kinds) {
    const caller = kind(callers, request, now)
    if (caller) return caller
  }
  throw new Refusal("credential_missing")
}

function byKey({ registry }: Callers, { headers }: Request, now: number): Caller | undefined {
  if (!carriesKey(headers)) return undefined
  const { key, problem = "credential_missing" } = readKey(headers, registry, now)
  if (!key) throw new Refusal(problem)
  const { id, scopes, websites, rateLimit, expiresAt } = key
  return { kind: "key", id, scopes, websites, rateLimit, expiresAt }
}

function byLogin({ db }: Callers, request: Request, now: number): Caller | undefined {
  const login = loginOf(db, request, now)
  return login && { kind: "login", id: login.user.id, ...grantOf(login.user), login }
}
