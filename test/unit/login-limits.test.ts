import { describe, expect, test } from "bun:test"
import type { RequestError } from "../../src/errors.ts"
import { LoginLimits } from "../../src/users/login-limits.ts"
import { PasswordHasher } from "../../src/users/password-hash.ts"

const owner = "ada@example.com"
const home = "10.0.0.1"

function limitsWithClock() {
  const clock = { ms: 0 }
  const limits = new LoginLimits(() => clock.ms)
  const isTaken = (email: string, address: string) => {
    try {
      limits.begin(email, address)
      return true
    } catch (error) {
      expect(error).toMatchObject({ reason: "rate_limited", retryAfter: expect.any(Number) })
      return false
    }
  }
  const logIn = (email: string, address: string) => {
    const attempt = limits.begin(email, address)
    attempt.refund()
    attempt.succeed()
  }
  return { clock, limits, isTaken, logIn }
}

describe("the owner of an email", () => {
  const floods: [string, number, (n: number) => string][] = [
    ["one other address", 500, () => "10.9.9.9"],
    ["fifty other addresses", 900, (n) => `10.9.9.${n % 50}`],
  ]
  test.each(floods)("is not locked out by wrong passwords from %s", (_, count, addressOf) => {
    const { isTaken } = limitsWithClock()
    for (let n = 0; n < count; n++) isTaken(owner, addressOf(n))
    expect(isTaken(owner, home)).toBe(true)
  })

  test("is not locked out at an address where they have logged in before by any number of other addresses", () => {
    const { isTaken, logIn } = limitsWithClock()
    logIn(owner, home)
    for (let n = 0; n < 3_000; n++) isTaken(owner, `10.8.${n >> 8}.${n & 255}`)
    expect(isTaken(owner, "10.7.7.7")).toBe(false)
    expect(isTaken(owner, home)).toBe(true)
    expect(isTaken("eve@example.com", "10.7.7.7")).toBe(true)
  })
})

test("an attack from many addresses gets a thousand attempts an hour, whether the user exists or not", () => {
  const { clock, isTaken } = limitsWithClock()
  let taken = 0
  for (let n = 0; n < 3_000; n++) if (isTaken("nobody@example.com", `10.8.${n >> 8}.${n & 255}`)) taken++
  expect(taken).toBe(1_000)
  clock.ms += 3_600_000
  expect(isTaken("nobody@example.com", home)).toBe(true)
})

test("a limit that rejects an attempt takes no tokens from the other limits", () => {
  const { isTaken } = limitsWithClock()
  for (let n = 0; n < 500; n++) isTaken(owner, home)
  // Ten of the address's thirty attempts are used up.
  for (let n = 0; n < 20; n++) expect(isTaken(`user${n}@example.com`, home)).toBe(true)
  expect(isTaken("user20@example.com", home)).toBe(false)
})

test("users at known addresses are served while unknown addresses fill the slots", async () => {
  const passwords = new PasswordHasher({ memoryCost: 8, timeCost: 1 })
  const strangers = Array.from({ length: 40 }, (_, n) =>
    passwords
      .verify("wrong password", null, { address: `10.9.9.${n % 10}`, isKnown: false })
      .catch(({ reason }: RequestError) => reason),
  )
  const known = await passwords.verify("wrong password", null, { address: home, isKnown: true })
  expect(known).toBe(false)
  expect((await Promise.all(strangers)).filter((one) => one === "rate_limited").length).toBeGreaterThan(20)
})

test("a hash has the minimum cost that OWASP recommends for Argon2id", async () => {
  const hash = await new PasswordHasher().hash("a long pass phrase")
  expect(hash).toStartWith("$argon2id$v=19$m=19456,t=2,p=1$")
})

test("one address cannot use all slots", async () => {
  const passwords = new PasswordHasher({ memoryCost: 8, timeCost: 1 })
  const flood = Array.from({ length: 40 }, () =>
    passwords
      .verify("wrong password", null, { address: "10.9.9.9", isKnown: false })
      .catch(({ reason }: RequestError) => reason),
  )
  expect(await passwords.verify("wrong password", null, { address: home, isKnown: false })).toBe(false)
  expect((await Promise.all(flood)).filter((one) => one === "rate_limited")).toHaveLength(34)
})
