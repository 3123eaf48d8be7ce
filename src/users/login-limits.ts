import { createHash } from "node:crypto"
import { RequestError } from "../errors.ts"
import { type Allowance, RateLimiter, rateLimitHeaders } from "../http/rate-limits.ts"

const minute = 60_000
const hour = 3_600_000

/** Maximum number of remembered pairs of an email and an IP address. Each takes up about 100 bytes. */
const maxKnown = 10_000

/**
 * Limits for failed attempts. A successful login refunds its attempt. People in one office can share an IP address, so
 * the limit per address is higher than the one per email and address.
 */
const limits = {
  /** Per minute and address. */
  address: 30,
  /** Per minute, email and address. Nobody mistypes a password more often than this. */
  emailAndAddress: 10,
  /**
   * Per hour and email, in total from all addresses that have not logged in with this email before. Slows down
   * distributed attacks.
   */
  email: 1_000,
} as const

/** A login attempt that is within the limits. */
export interface LoginAttempt {
  /** True if a user with this email has logged in from this address since the server started. */
  isKnown: boolean
  /** The state of the limit with the fewest remaining attempts, for the response headers. */
  allowance: Allowance
  /** Refunds the attempt. Called if the password was correct or was not compared. */
  refund(): void
  /** Remembers that this email has logged in from this address. */
  succeed(): void
}

/**
 * Limits login attempts. If a user has logged in from an address before, only failed attempts from that address can
 * lock the user out there. At any other address, failed attempts from all addresses without such a login count too, up
 * to the limit per email. The limits do not reveal whether a user exists.
 */
export class LoginLimits {
  readonly #perMinute: RateLimiter
  readonly #perHour: RateLimiter
  /** Hashes of emails together with addresses from which their users have logged in. The oldest login comes first. */
  readonly #known = new Set<string>()

  /** `elapsed` returns the time of a monotonic clock in ms. */
  constructor(elapsed: () => number) {
    this.#perMinute = new RateLimiter(elapsed, minute)
    this.#perHour = new RateLimiter(elapsed, hour)
  }

  /** Counts an attempt against every limit. Throws `rate_limited`. */
  begin(email: string, address: string): LoginAttempt {
    // Stores hashes of emails, because hashes have a fixed length and do not reveal who tried to log in.
    const [byEmail, byBoth] = [hashed(email), hashed(`${email}\0${address}`)]
    const isKnown = this.#known.has(byBoth)
    const buckets = [
      { limiter: this.#perMinute, name: address, limit: limits.address },
      { limiter: this.#perMinute, name: byBoth, limit: limits.emailAndAddress },
      ...(isKnown ? [] : [{ limiter: this.#perHour, name: byEmail, limit: limits.email }]),
    ]
    const taken: typeof buckets = []
    const refund = () => {
      for (const { limiter, name, limit } of taken.splice(0)) limiter.refund(name, limit)
    }
    const allowances = buckets.map((bucket) => {
      const allowance = bucket.limiter.take(bucket.name, bucket.limit)
      if (allowance.allowed) taken.push(bucket)
      return allowance
    })
    const rejected = allowances.find(({ allowed }) => !allowed)
    if (rejected) {
      refund()
      throw new RequestError("rate_limited", {
        retryAfter: rejected.reset,
        headers: rateLimitHeaders(rejected),
      })
    }
    const allowance = allowances.reduce((a, b) => (b.remaining < a.remaining ? b : a))
    return { isKnown, allowance, refund, succeed: () => this.#remember(byBoth) }
  }

  #remember(name: string): void {
    this.#known.delete(name)
    const [oldest] = this.#known
    if (oldest !== undefined && this.#known.size >= maxKnown) this.#known.delete(oldest)
    this.#known.add(name)
  }
}

function hashed(text: string): string {
  return createHash("sha256").update(text).digest("base64url")
}
