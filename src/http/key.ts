import { RequestError } from "../errors.ts"
import type { RejectionReason } from "../rejection-reasons.ts"
import type { Registry } from "../store/ingest/registry.ts"
import { type FoundKey, hasScope, type Key, looksLikeKey, type Scope } from "../store/keys.ts"

/** True if the request carries an API key, valid or not. */
export function hasKey(headers: Headers): boolean {
  return headers.has("authorization") || headers.has("x-api-key")
}

/** A valid key, or the reason why the key is invalid. Both are undefined if no key was sent. */
type KeyResult = { key?: FoundKey; problem?: RejectionReason }

/** Reads the key in the headers of a request, and checks whether it is valid. */
export function readKey(headers: Headers, registry: Registry, now: number): KeyResult {
  const authorization = headers.get("authorization")
  const bearer = authorization === null ? {} : readBearer(authorization, registry, now)
  if (bearer.key) return bearer
  const apiKey = headers.get("x-api-key")
  const direct = apiKey === null ? {} : checkKey(apiKey, registry, now)
  if (direct.key) return direct
  return bearer.problem ? bearer : direct
}

/**
 * Reads a key from an Authorization header. Caches valid headers, so that the key of most requests need not be hashed.
 */
function readBearer(header: string, registry: Registry, now: number): KeyResult {
  const known = registry.keyOfHeader(header)
  if (known && !keyProblem(known, now)) return { key: known }
  const result = checkKey(/^bearer +(.+)$/i.exec(header)?.[1] ?? "", registry, now)
  if (result.key) registry.rememberHeader(header, result.key)
  return result
}

function checkKey(sent: string, registry: Registry, now: number): KeyResult {
  const secret = sent.trim()
  if (!looksLikeKey(secret)) return { problem: "key_malformed" }
  const found = findKey(secret, registry, now)
  return found.key || !registry.recheck() ? found : findKey(secret, registry, now)
}

function findKey(secret: string, registry: Registry, now: number): KeyResult {
  const key = registry.key(secret)
  if (!key) return { problem: "key_unknown" }
  const problem = keyProblem(key, now)
  return problem ? { problem } : { key }
}

function keyProblem(key: FoundKey, now: number): RejectionReason | undefined {
  if (key.revokedAt !== null) return "key_revoked"
  if (key.disabledAt !== null) return "key_disabled"
  if (key.expiresAt === null || key.expiresAt > now) return undefined
  // After the overlap period of a rotation, the previous secret causes the same error as if there had been no overlap.
  return key.isPrevious ? "key_unknown" : "key_expired"
}

/** Throws `scope_missing` if `scopes` does not include the scope. `kind` names the credential in the error. */
export function requireScope({ scopes }: Pick<Key, "scopes">, scope: Scope, kind = "key"): void {
  if (!hasScope(scopes, scope)) {
    throw new RequestError("scope_missing", { detail: `this ${kind} does not have the scope ${scope}` })
  }
}
