import { describe, expect, test } from "bun:test"
import { RequestError } from "../../src/errors.ts"
import { parseNetworks } from "../../src/http/address.ts"
import { countRejectedBytes, enforceRejectedBytes, RejectedBytes } from "../../src/http/rejected-bytes.ts"
import { type RequestContext, requestContextOf } from "../../src/http/request-context.ts"

const maxBody = 1_000
const trustedProxies = parseNetworks("127.0.0.1") as NonNullable<ReturnType<typeof parseNetworks>>

function budget() {
  const clock = { ms: 5_000 }
  const check = { rejectedBytes: new RejectedBytes(maxBody, () => clock.ms), settings: { trustedProxies } }
  const arrival = (address: string, account?: string): RequestContext => ({
    ...requestContextOf(new Request("http://x/"), { requestIP: () => ({ address }) }),
    account,
  })
  /** Seconds to wait; undefined if the request is accepted. */
  const wait = (address: string, account?: string) => {
    try {
      enforceRejectedBytes(check, arrival(address, account))
      return undefined
    } catch (error) {
      expect(error).toMatchObject({ reason: "too_many_rejected_bytes" })
      return (error as RequestError).retryAfter
    }
  }
  const reject = (
    bytes: number,
    address: string,
    account?: string,
    error: unknown = new RequestError("invalid_json"),
  ) => countRejectedBytes(check, { ...arrival(address, account), bytes }, error)
  return { clock, wait, reject }
}

describe("the budget of rejected bytes", () => {
  test("allows four of the largest bodies a minute per address, and then rejects until there is budget again", () => {
    const { clock, wait, reject } = budget()
    for (let count = 0; count < 3; count++) reject(maxBody, "10.0.0.1")
    expect(wait("10.0.0.1")).toBeUndefined()
    reject(maxBody, "10.0.0.1")
    expect(wait("10.0.0.1")).toBe(5)
    reject(maxBody, "10.0.0.1")
    expect(wait("10.0.0.1")).toBe(20)
    clock.ms += 19_999
    expect(wait("10.0.0.1")).toBe(1)
    clock.ms += 1
    expect(wait("10.0.0.1")).toBeUndefined()
  })

  test("forgets bytes after a minute", () => {
    const { clock, wait, reject } = budget()
    for (let minute = 0; minute < 10; minute++) {
      for (let count = 0; count < 3; count++) reject(maxBody, "10.0.0.1")
      expect(wait("10.0.0.1")).toBeUndefined()
      clock.ms += 60_000
    }
  })

  test("is separate for each address, and an IPv6 /64 is one address", () => {
    const { wait, reject } = budget()
    for (let count = 0; count < 5; count++) reject(maxBody, `2001:db8:1:2::${count}`)
    expect(wait("2001:db8:1:2:ffff::9")).toBe(20)
    expect(wait("2001:db8:1:3::1")).toBeUndefined()
    expect(wait("10.0.0.1")).toBeUndefined()
  })

  test("counts a key and the other senders at its address separately", () => {
    const { wait, reject } = budget()
    for (let count = 0; count < 5; count++) reject(maxBody, "10.0.0.1")
    expect(wait("10.0.0.1", "key k")).toBeUndefined()
    for (let count = 0; count < 33; count++) reject(maxBody, "10.0.0.2", "key k")
    expect(wait("10.0.0.1", "key k")).toBeGreaterThan(0)
    expect(wait("10.0.0.2")).toBeUndefined()
  })

  test("does not count rejections that are not the sender's fault", () => {
    const { wait, reject } = budget()
    const faults = [
      new RequestError("queue_full"),
      new RequestError("rate_limited"),
      new RequestError("too_many_new_names"),
      new RequestError("internal"),
      new Error("x"),
      new DOMException("gone", "AbortError"),
    ]
    for (const fault of faults)
      for (let count = 0; count < 9; count++) reject(maxBody, "10.0.0.1", undefined, fault)
    expect(wait("10.0.0.1")).toBeUndefined()
  })

  test("stays bounded for any number of addresses", () => {
    const { wait, reject } = budget()
    reject(9 * maxBody, "10.0.0.1")
    for (let index = 0; index < 20_000; index++) reject(1, `10.1.${index >> 8}.${index & 255}`)
    expect(wait("10.0.0.1")).toBeUndefined()
  })
})
