import { RequestError } from "../errors.ts"

/** The result of a rate limit check. The fields correspond to the RateLimit headers. */
export interface Allowance {
  allowed: boolean
  /** Number of requests per period, which is a minute by default. */
  limit: number
  remaining: number
  /** Seconds until the next request is allowed if none remain. Otherwise, seconds until the bucket is full. */
  reset: number
}

interface Bucket {
  tokens: number
  /** Time of the last refill, in ms. */
  refilledAt: number
}

const minute = 60_000
/**
 * Maximum number of buckets in memory. Each takes 150 bytes, so all of them take at most 15 MB. The least recently used
 * bucket is evicted first.
 */
const maxBuckets = 100_000

/** Token buckets by name. A bucket holds `limit` tokens and refills within a period, by default a minute. */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>()

  /** `elapsed`: monotonic clock, in ms. `period`: how long it takes to refill an empty bucket, in ms. */
  constructor(
    private readonly elapsed: () => number,
    private readonly period = minute,
  ) {}

  /** Takes `cost` tokens, or the whole bucket if the cost exceeds `limit`. Takes none if there are not enough. */
  take(name: string, limit: number, cost = 1): Allowance {
    const now = this.elapsed()
    this.#evictFull(now)
    const bucket = this.#refilled(name, limit, now)
    const needed = Math.min(cost, limit)
    const allowed = bucket.tokens >= needed
    if (allowed) bucket.tokens -= needed
    this.#buckets.delete(name)
    if (this.#buckets.size >= maxBuckets) this.#buckets.delete(this.#buckets.keys().next().value as string)
    this.#buckets.set(name, bucket)
    return this.#allowance(bucket, limit, allowed, needed)
  }

  /** Puts one token back. Used for a request that must not count. */
  refund(name: string, limit: number): void {
    const bucket = this.#buckets.get(name)
    if (bucket) bucket.tokens = Math.min(limit, bucket.tokens + 1)
  }

  /**
   * Removes buckets that have not been used for a period. They are full again, so removing them makes no difference.
   * The map is ordered by last use.
   */
  #evictFull(now: number): void {
    const cutoff = now - this.period
    for (const [name, bucket] of this.#buckets) {
      if (bucket.refilledAt > cutoff) return
      this.#buckets.delete(name)
    }
  }

  #refilled(name: string, limit: number, now: number): Bucket {
    const bucket = this.#buckets.get(name)
    if (!bucket) return { tokens: limit, refilledAt: now }
    const refill = ((now - bucket.refilledAt) * limit) / this.period
    return { tokens: Math.min(limit, bucket.tokens + refill), refilledAt: now }
  }

  #allowance({ tokens }: Bucket, limit: number, allowed: boolean, needed: number): Allowance {
    const missing = tokens < needed ? needed - tokens : limit - tokens
    return {
      allowed,
      limit,
      remaining: Math.floor(tokens),
      reset: Math.ceil((missing * this.period) / limit / 1000),
    }
  }
}

/** Returns the RateLimit headers of a response. */
export function rateLimitHeaders({ limit, remaining, reset }: Allowance): Record<string, string> {
  return {
    "RateLimit-Limit": String(limit),
    "RateLimit-Remaining": String(remaining),
    "RateLimit-Reset": String(reset),
  }
}

/** Adds the RateLimit headers to `headers`. Throws `rate_limited` if the request is not allowed. */
export function enforceRateLimit(allowance: Allowance, headers: Record<string, string>): void {
  Object.assign(headers, rateLimitHeaders(allowance))
  if (!allowance.allowed) throw new RequestError("rate_limited", { retryAfter: allowance.reset })
}
