import { describe, expect, test } from "bun:test"
import { RequestError } from "../../src/errors.ts"
import { enforceRateLimit, RateLimiter } from "../../src/http/rate-limits.ts"

/** A limiter with a clock that only advances when told to. */
function limiterWithClock() {
  const clock = { ms: 1_000_000 }
  return { clock, limiter: new RateLimiter(() => clock.ms) }
}

describe("a limiter", () => {
  test("allows a burst of the limit, then rejects", () => {
    const { limiter } = limiterWithClock()
    const allowances = Array.from({ length: 5 }, () => limiter.take("a", 3))
    expect(allowances.map(({ allowed }) => allowed)).toEqual([true, true, true, false, false])
    expect(allowances.map(({ remaining }) => remaining)).toEqual([2, 1, 0, 0, 0])
    expect(allowances.map(({ reset }) => reset)).toEqual([20, 40, 20, 20, 20])
  })

  test("refills one token at a time", () => {
    const { clock, limiter } = limiterWithClock()
    for (let index = 0; index < 3; index++) limiter.take("a", 3)
    clock.ms += 19_999
    expect(limiter.take("a", 3).allowed).toBe(false)
    clock.ms += 1
    expect(limiter.take("a", 3).allowed).toBe(true)
    expect(limiter.take("a", 3).allowed).toBe(false)
  })

  test("never holds more than the limit", () => {
    const { clock, limiter } = limiterWithClock()
    limiter.take("a", 3)
    clock.ms += 3_600_000
    const allowed = Array.from({ length: 5 }, () => limiter.take("a", 3).allowed)
    expect(allowed).toEqual([true, true, true, false, false])
  })

  test("does not extend the wait of clients that keep retrying", () => {
    const { clock, limiter } = limiterWithClock()
    limiter.take("a", 1)
    for (let ms = 0; ms < 59_990; ms += 10) {
      clock.ms += 10
      expect(limiter.take("a", 1).allowed).toBe(false)
    }
    clock.ms += 20
    expect(limiter.take("a", 1).allowed).toBe(true)
  })

  test("allows the next request after the promised time, for every limit", () => {
    for (let limit = 1; limit <= 1_000; limit++) {
      const { clock, limiter } = limiterWithClock()
      let allowance = limiter.take("a", limit)
      while (allowance.allowed) allowance = limiter.take("a", limit)
      clock.ms += allowance.reset * 1_000
      expect(limiter.take("a", limit).allowed).toBe(true)
    }
  })

  test("counts each name separately", () => {
    const { limiter } = limiterWithClock()
    expect(limiter.take("a", 1).allowed).toBe(true)
    expect(limiter.take("b", 1).allowed).toBe(true)
    expect(limiter.take("a", 1).allowed).toBe(false)
  })

  test("takes the cost of a request, and reports when enough tokens are available again", () => {
    const { clock, limiter } = limiterWithClock()
    expect(limiter.take("a", 60, 50)).toMatchObject({ allowed: true, remaining: 10 })
    expect(limiter.take("a", 60, 30)).toMatchObject({ allowed: false, remaining: 10, reset: 20 })
    expect(limiter.take("a", 60, 10).allowed).toBe(true)
    clock.ms += 30_000
    expect(limiter.take("a", 60, 30).allowed).toBe(true)
  })

  test("takes the whole bucket for a cost above the limit", () => {
    const { clock, limiter } = limiterWithClock()
    expect(limiter.take("a", 60, 120)).toMatchObject({ allowed: true, remaining: 0 })
    expect(limiter.take("a", 60, 1)).toMatchObject({ allowed: false, reset: 1 })
    expect(limiter.take("a", 60, 120)).toMatchObject({ allowed: false, reset: 60 })
    clock.ms += 60_000
    expect(limiter.take("a", 60, 120).allowed).toBe(true)
  })

  test("refunds a token, never above the limit", () => {
    const { limiter } = limiterWithClock()
    limiter.take("a", 2)
    limiter.take("a", 2)
    limiter.refund("a", 2)
    expect(limiter.take("a", 2).allowed).toBe(true)
    expect(limiter.take("a", 2).allowed).toBe(false)
    for (let index = 0; index < 5; index++) limiter.refund("a", 2)
    limiter.refund("never seen", 2)
    const allowed = Array.from({ length: 3 }, () => limiter.take("a", 2).allowed)
    expect(allowed).toEqual([true, true, false])
  })

  test("refills over the given period", () => {
    const clock = { ms: 0 }
    const limiter = new RateLimiter(() => clock.ms, 3_600_000)
    for (let index = 0; index < 60; index++) limiter.take("a", 60)
    expect(limiter.take("a", 60)).toMatchObject({ allowed: false, reset: 60 })
    clock.ms += 60_000
    expect(limiter.take("a", 60).allowed).toBe(true)
    expect(limiter.take("a", 60).allowed).toBe(false)
  })

  test("evicts the least recently used of too many buckets", () => {
    const { limiter } = limiterWithClock()
    limiter.take("old", 1)
    limiter.take("in use", 1)
    for (let index = 0; index < 99_998; index++) limiter.take(`n${index}`, 1)
    limiter.take("in use", 1)
    limiter.take("one more", 1)
    expect(limiter.take("in use", 1).allowed).toBe(false)
    expect(limiter.take("old", 1).allowed).toBe(true)
  })
})

describe("enforceRateLimit", () => {
  const allowance = { limit: 3, remaining: 0, reset: 20 }
  const headers = { "RateLimit-Limit": "3", "RateLimit-Remaining": "0", "RateLimit-Reset": "20" }

  test("sets the RateLimit headers", () => {
    const given: Record<string, string> = {}
    enforceRateLimit({ ...allowance, allowed: true }, given)
    expect(given).toEqual(headers)
  })

  test("rejects a request above the limit with Retry-After", () => {
    const given: Record<string, string> = {}
    try {
      enforceRateLimit({ ...allowance, allowed: false }, given)
      expect.unreachable()
    } catch (error) {
      expect(error).toBeInstanceOf(RequestError)
      expect(error).toMatchObject({ reason: "rate_limited", retryAfter: 20 })
    }
    expect(given).toEqual(headers)
  })
})
