import { RequestError } from "../errors.ts"

/** What a limit said of one request; the fields are those of the RateLimit headers. */
export interface Allowance {
  allowed: boolean
  /** Requests a minute, or in another period. */
  limit: number
  remaining: number
  /** Seconds until one more is allowed, if none is left; else until all are. */
  reset: number
}

interface Bucket {
  tokens: number
  /** ms */
  at: number
}

const minute = 60_000
/** Names that are remembered, at some 150 bytes each: 15 MB for any number of senders. The longest unseen goes first. */
const maxBuckets = 100_000

/** Token buckets: each name may do `limit` things at once, and gets them back over a minute, or another period. */
export class RateLimiter {
  readonly #buckets = new Map<string, Bucket>()

  /** `elapsed`: ms of a clock that is never set. `period`: ms over which an empty bucket fills. */
  constructor(
    private readonly elapsed: () => number,
    private readonly period = minute,
  ) {}

  /** `cost`: of so many things at once. What is more than the limit takes all of it. */
  take(name: string, limit: number, cost = 1): Allowance {
    this.#forgetFull()
    const bucket = this.#refilled(name, limit)
    const needed = Math.min(cost, limit)
    const allowed = bucket.tokens >= needed
    if (allowed) bucket.tokens -= needed
    this.#buckets.delete(name)
    if (this.#buckets.size >= maxBuckets) this.#buckets.delete(this.#buckets.keys().next().value as string)
    this.#buckets.set(name, bucket)
    return this.#allowance(bucket, limit, allowed, needed)
  }

  /** Takes back what was taken for nothing. */
  giveBack(name: string, limit: number): void {
    const bucket = this.#buckets.get(name)
    if (bucket) bucket.tokens = Math.min(limit, bucket.tokens + 1)
  }

  /** After its period every bucket is full again, as one that was never seen. The map is in the order of the last taking. */
  #forgetFull(): void {
    const before = this.elapsed() - this.period
    for (const [name, bucket] of this.#buckets) {
      if (bucket.at > before) return
      this.#buckets.delete(name)
    }
  }

  #refilled(name: string, limit: number): Bucket {
    const now = this.elapsed()
    const known = this.#buckets.get(name)
    if (!known) return { tokens: limit, at: now }
    return { tokens: Math.min(limit, known.tokens + ((now - known.at) * limit) / this.period), at: now }
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

export function rateLimitHeaders({ limit, remaining, reset }: Allowance): Record<string, string> {
  return {
    "RateLimit-Limit": String(limit),
    "RateLimit-Remaining": String(remaining),
    "RateLimit-Reset": String(reset),
  }
}

/** Puts what a limit said into the answer's headers. Throws `rate_limited` where it said no. */
export function enforceRateLimit(allowance: Allowance, headers: Record<string, string>): void {
  Object.assign(headers, rateLimitHeaders(allowance))
  if (!allowance.allowed) throw new RequestError("rate_limited", { retryAfter: allowance.reset })
}
