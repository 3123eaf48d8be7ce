import { type Reason, RequestError } from "../errors.ts"
import type { TrustedNetworks } from "./address.ts"
import { type RateLimiter, rateLimitHeaders } from "./rate-limits.ts"
import { addressOf, type RequestContext } from "./request-context.ts"

/** What the limit of wrong keys works with. */
export interface AuthFailures {
  /** Wrong keys by address. */
  failures: RateLimiter
  settings: { trustedProxies: TrustedNetworks }
}

/** Wrong keys a minute from one address before it is told to wait: a mistake repeats, a search for keys is slowed. */
const failuresPerMinute = 60

/** A revoked or expired key was a real one: only keys that never were count as guesses. */
const guesses: ReadonlySet<Reason> = new Set(["key_unknown", "key_malformed", "metrics_token_wrong"])

/**
 * The error to answer with: `error` itself, or `too_many_failed_credentials` where it is of one wrong key too many. Called once the key
 * was looked up and is wrong, so that a right one from the same address is never refused for it.
 */
export function limitGuesses(
  { failures, settings }: AuthFailures,
  arrival: RequestContext,
  error: unknown,
): unknown {
  if (!(error instanceof RequestError) || !guesses.has(error.reason)) return error
  const allowance = failures.take(addressOf(arrival, settings.trustedProxies), failuresPerMinute)
  if (allowance.allowed) return error
  return new RequestError("too_many_failed_credentials", {
    retryAfter: allowance.reset,
    headers: rateLimitHeaders(allowance),
  })
}
