import { type Reason, RequestError } from "../errors.ts"
import type { Registry } from "../store/ingest/registry.ts"
import { allows, type Key, looksLikeKey, type Scope } from "../store/keys.ts"

export function carriesKey(headers: Headers): boolean {
  return headers.has("authorization") || headers.has("x-api-key")
}

/** The key of a request, or why the one that it sent is none. Both undefined: it sent none. */
export function readKey(headers: Headers, registry: Registry, now: number): { key?: Key; problem?: Reason } {
  const authorization = headers.get("authorization")
  const bearer =
    authorization === null ? {} : examine(/^bearer +(.+)$/i.exec(authorization)?.[1] ?? "", registry, now)
  if (bearer.key) return bearer
  const apiKey = headers.get("x-api-key")
  const direct = apiKey === null ? {} : examine(apiKey, registry, now)
  if (direct.key) return direct
  return bearer.problem ? bearer : direct
}

function examine(sent: string, registry: Registry, now: number): { key?: Key; problem?: Reason } {
  const secret = sent.trim()
  if (!looksLikeKey(secret)) return { problem: "key_malformed" }
  const found = lookUp(secret, registry, now)
  return found.key || !registry.lookAgain() ? found : lookUp(secret, registry, now)
}

function lookUp(secret: string, registry: Registry, now: number): { key?: Key; problem?: Reason } {
  const key = registry.key(secret)
  if (!key) return { problem: "key_unknown" }
  const problem = keyProblem(key, now)
  return problem ? { problem } : { key }
}

function keyProblem(key: Key, now: number): Reason | undefined {
  if (key.revokedAt !== null) return "key_revoked"
  if (key.disabledAt !== null) return "key_disabled"
  if (key.expiresAt !== null && key.expiresAt <= now) return "key_expired"
  return undefined
}

/** Throws `scope_missing`. `kind`: what has the scopes, in words. */
export function requireScope({ scopes }: Pick<Key, "scopes">, scope: Scope, kind = "key"): void {
  if (!allows(scopes, scope)) {
    throw new RequestError("scope_missing", { detail: `this ${kind} does not have the scope ${scope}` })
  }
}
