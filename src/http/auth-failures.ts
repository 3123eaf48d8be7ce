import { RequestError } from "../errors.ts"
import type { RejectionReason } from "../rejection-reasons.ts"
import type { TrustedNetworks } from "./address.ts"
import { type RateLimiter, rateLimitHeaders } from "./rate-limits.ts"
import { addressOf, type RequestContext } from "./request-context.ts"

export interface AuthFailureDeps {
  /** Counts wrong keys by address. */
  failures: RateLimiter
  settings: { trustedProxies: TrustedNetworks }
}

/**
 * Maximum number of wrong keys per minute from one address. Misconfigured clients stay below this limit, and
 * brute-force attacks are slowed down.
 */
const failuresPerMinute = 60

/** Reasons that count as guesses. A revoked or expired key is not a guess, because it was valid once. */
const guessReasons: ReadonlySet<RejectionReason> = new Set([
  "key_unknown",
  "key_malformed",
  "metrics_token_wrong",
  "registry_secret_wrong",
])

/**
 * Counts a wrong key. Returns the error to respond with: `error` itself, or `too_many_failed_credentials` above the
 * limit. Runs after the key lookup, so a valid key from the same address is never rejected.
 */
export function limitAuthFailures(
  { failures, settings }: AuthFailureDeps,
  context: RequestContext,
  error: unknown,
): unknown {
  if (!(error instanceof RequestError) || !guessReasons.has(error.reason)) return error
  const allowance = failures.take(addressOf(context, settings.trustedProxies), failuresPerMinute)
  if (allowance.allowed) return error
  return new RequestError("too_many_failed_credentials", {
    retryAfter: allowance.reset,
    headers: rateLimitHeaders(allowance),
  })
}
