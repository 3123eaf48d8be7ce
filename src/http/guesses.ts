import { type Reason, Refusal } from "../errors.ts"
import type { TrustedNetworks } from "./address.ts"
import { type Arrival, addressOf } from "./arrival.ts"
import { carriesKey } from "./key.ts"
import { type Limiter, rateLimitHeaders } from "./limits.ts"

/** What the limit of failed credentials works with. */
export interface Guard {
  /** Wrong keys by address. */
  failures: Limiter
  settings: { trustedProxies: TrustedNetworks }
}

/** Wrong keys a minute from one address before it is told to wait: a mistake repeats, a search for keys is slowed. */
const failedCredentialLimit = 60

/** Throws `too_many_failed_credentials`, whatever key the request carries this time. */
export function refuseGuessers(guard: Guard, arrival: Arrival): void {
  if (guard.failures.isIdle() || !carriesKey(arrival.request.headers)) return
  const allowance = guard.failures.look(
    addressOf(arrival, guard.settings.trustedProxies),
    failedCredentialLimit,
  )
  if (allowance.allowed) return
  throw new Refusal("too_many_failed_credentials", {
    retryAfter: allowance.reset,
    headers: rateLimitHeaders(allowance),
  })
}

/** A revoked or expired key was a real one: only keys that never were count as guesses. */
const guesses: ReadonlySet<Reason> = new Set(["key_unknown", "key_malformed", "metrics_token_wrong"])

export function countFailure(guard: Guard, arrival: Arrival, error: unknown): void {
  if (!(error instanceof Refusal) || !guesses.has(error.reason)) return
  guard.failures.take(addressOf(arrival, guard.settings.trustedProxies), failedCredentialLimit)
}
