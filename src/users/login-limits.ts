import { createHash } from "node:crypto"
import { RequestError } from "../errors.ts"
import { type Allowance, RateLimiter, rateLimitHeaders } from "../http/rate-limits.ts"

const minute = 60_000
const hour = 3_600_000

/** Addresses, each with the email of who logged in from there, that are remembered, at some 100 bytes each. */
const maxKnown = 10_000

/** Wrong passwords that are taken; a right one gives back what it took. An office shares an address. */
const limits = {
  /** From one address, a minute. */
  address: 30,
  /** For one email from one address, a minute: nobody mistypes a password ten times a minute. */
  emailAndAddress: 10,
  /** For one email from all addresses together from which nobody has logged in with it, an hour: a search with many addresses. */
  email: 1_000,
} as const

/** What a try to log in is allowed. */
export interface LoginAttempt {
  /** Somebody has logged in with this email from this address since the start. */
  isKnown: boolean
  /** Of the strictest of the limits. */
  allowance: Allowance
  /** The password was right, or was not compared. */
  giveBack(): void
  /** Remembers the address as one from which this person logs in. */
  succeed(): void
}

/**
 * How often a password may be tried. What others send from elsewhere never keeps the owner of an email from logging in where they have
 * logged in before, and hardly elsewhere. Whether a user with the email exists makes no difference to any of it.
 */
export class LoginLimits {
  readonly #perMinute: RateLimiter
  readonly #perHour: RateLimiter
  /** In the order of the last login. */
  readonly #known = new Set<string>()

  /** `elapsed`: ms of a clock that is never set. */
  constructor(elapsed: () => number) {
    this.#perMinute = new RateLimiter(elapsed, minute)
    this.#perHour = new RateLimiter(elapsed, hour)
  }

  /** Takes one from each limit. Throws `rate_limited`. */
  begin(email: string, address: string): LoginAttempt {
    // What outsiders choose is kept as a hash: it has one length, and nobody can read who tried to log in.
    const [byEmail, byBoth] = [hashed(email), hashed(`${email}\0${address}`)]
    const isKnown = this.#known.has(byBoth)
    const buckets: [limiter: RateLimiter, name: string, limit: number][] = [
      [this.#perMinute, address, limits.address],
      [this.#perMinute, byBoth, limits.emailAndAddress],
      ...(isKnown ? [] : [[this.#perHour, byEmail, limits.email] as [RateLimiter, string, number]]),
    ]
    const taken: typeof buckets = []
    const giveBack = () => {
      for (const [limiter, name, limit] of taken.splice(0)) limiter.giveBack(name, limit)
    }
    const allowances = buckets.map(([limiter, name, limit]) => {
      const allowance = limiter.take(name, limit)
      if (allowance.allowed) taken.push([limiter, name, limit])
      return allowance
    })
    const refused = allowances.find(({ allowed }) => !allowed)
    if (refused) {
      giveBack()
      throw new RequestError("rate_limited", {
        retryAfter: refused.reset,
        headers: rateLimitHeaders(refused),
      })
    }
    const [allowance] = allowances.sort((one, other) => one.remaining - other.remaining)
    return { isKnown, allowance: allowance as Allowance, giveBack, succeed: () => this.#remember(byBoth) }
  }

  #remember(name: string): void {
    this.#known.delete(name)
    if (this.#known.size >= maxKnown) this.#known.delete(this.#known.values().next().value as string)
    this.#known.add(name)
  }
}

function hashed(text: string): string {
  return createHash("sha256").update(text).digest("base64url")
}
