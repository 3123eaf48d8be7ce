import { describe, expect, test } from "bun:test"
import { gzipSync } from "node:zlib"
import { parseNetworks } from "../../src/http/address.ts"
import { BodyBudget, readJson } from "../../src/http/body.ts"
import { isNestedDeeper, LargeBodies } from "../../src/http/large-body.ts"
import { requestContextOf } from "../../src/http/request-context.ts"
import { mulberry32, type Pick, picker } from "../support/random.ts"

const trusted = parseNetworks("127.0.0.1") as NonNullable<ReturnType<typeof parseNetworks>>

describe("nesting is counted outside of strings", () => {
  const cases: [text: string, depth: number][] = [
    ["", 0],
    ["1", 0],
    ["[]", 1],
    ["[[],[[]],{}]", 3],
    ['{"a":{"b":[{"c":1}]}}', 4],
    ['"[[[["', 0],
    ['["\\"[[","\\\\",["\\\\\\"[["]]', 2],
    ['["[[[', 1],
    ['{"\\\\":["]]]]","{{{{"]}', 2],
    ["[[[[", 4],
  ]
  test.each(cases)("%s: %d", (text, depth) => {
    expect(isNestedDeeper(text, depth)).toBe(false)
    if (depth > 0) expect(isNestedDeeper(text, depth - 1)).toBe(true)
  })

  test("for any JSON, it equals the depth of the parsed value", () => {
    const random = picker(mulberry32(7))
    for (let round = 0; round < 2_000; round++) {
      const value = anything(random, 6)
      const text = JSON.stringify(value)
      const depth = depthOf(value)
      expect([text, isNestedDeeper(text, depth)]).toEqual([text, false])
      if (depth > 0) expect([text, isNestedDeeper(text, depth - 1)]).toEqual([text, true])
    }
  })
})

function anything(random: Pick, levels: number): unknown {
  const text = () =>
    Array.from({ length: random.whole(0, 5) }, () => random.of(['"', "\\", "[", "}", "a"])).join("")
  if (levels === 0 || random.chance(0.3)) return random.chance(0.5) ? text() : 1
  const inner = Array.from({ length: random.whole(0, 3) }, () => anything(random, levels - 1))
  return random.chance(0.5) ? inner : Object.fromEntries(inner.map((one, index) => [text() + index, one]))
}

function depthOf(value: unknown): number {
  return typeof value === "object" && value !== null
    ? 1 + Math.max(0, ...Object.values(value).map(depthOf))
    : 0
}

describe("the memory of a large body is freed when its text has been read, even if the body", () => {
  const text = JSON.stringify({ text: "x".repeat(100_000) })
  const random = picker(mulberry32(1))
  const incompressible = JSON.stringify(Array.from({ length: 50_000 }, () => random.whole(0, 1e9)))
  const cases: [
    name: string,
    body: Uint8Array<ArrayBuffer>,
    headers: Record<string, string>,
    error?: string,
  ][] = [
    ["is plain text", Buffer.from(text), {}, ""],
    ["is compressed", gzipSync(incompressible), { "content-encoding": "gzip" }, ""],
    ["is not JSON", Buffer.from(text.slice(1)), {}, "invalid_json"],
    ["is not UTF-8", Buffer.from(text.replace("x", "\xff"), "latin1"), {}, "invalid_utf8"],
    ["is not gzip", Buffer.from(text), { "content-encoding": "gzip" }, "invalid_gzip"],
  ]
  test.each(cases)("%s", async (_, body, headers, error) => {
    const buffer = new Uint8Array(body).buffer
    const request = new Request("http://x/", {
      method: "POST",
      headers: { ...headers, "content-length": String(body.length) },
      body: "",
    })
    Object.assign(request, { arrayBuffer: async () => buffer })
    const deps = {
      bodyBudget: new BodyBudget(1e7),
      largeBodies: new LargeBodies(() => performance.now()),
      settings: { maxBodyBytes: 1e6, trustedProxies: trusted },
    }
    const result = readJson(deps, requestContextOf(request, null))
    if (error !== "") await expect(result).rejects.toMatchObject({ reason: error })
    else expect((await result).size).toBeGreaterThan(65_536)
    expect(buffer.byteLength).toBe(0)
  })
})

test("waiting gzip bodies reserve the memory of their decompressed content, which limits their number", async () => {
  const body = gzipSync(JSON.stringify({ text: "x".repeat(1_500_000) }))
  const deps = {
    bodyBudget: new BodyBudget(6e6),
    largeBodies: new LargeBodies(increasingBy(1_000)),
    settings: { maxBodyBytes: 2e6, trustedProxies: trusted },
  }
  const headers = { "content-encoding": "gzip", "content-length": String(body.length) }
  const requests = Array.from(
    { length: 12 },
    () => new Request("http://x/", { method: "POST", headers, body }),
  )
  const results = await Promise.allSettled(
    requests.map((request) => readJson(deps, requestContextOf(request, null))),
  )
  const rejected = results.flatMap((result) => (result.status === "rejected" ? [result.reason.reason] : []))
  expect(new Set(rejected)).toEqual(new Set(["queue_full"]))
  expect(rejected.length).toBeGreaterThanOrEqual(8)
  expect(rejected.length).toBeLessThan(12)
})

test("twelve large gzip bodies that arrive together are decompressed in different turns of the event loop", async () => {
  const body = gzipSync(JSON.stringify({ text: "x".repeat(1_500_000) }))
  const deps = {
    bodyBudget: new BodyBudget(1e8),
    // Each step takes longer than a time slice.
    largeBodies: new LargeBodies(increasingBy(1_000)),
    settings: { maxBodyBytes: 2e6, trustedProxies: trusted },
  }
  const contexts = Array.from({ length: 12 }, () =>
    requestContextOf(
      new Request("http://x/", {
        method: "POST",
        headers: { "content-encoding": "gzip", "content-length": String(body.length) },
        body,
      }),
      null,
    ),
  )
  let most = 0
  let decompressed = 0
  const count = () => {
    const now = contexts.filter(({ bytes }) => bytes > body.length).length
    most = Math.max(most, now - decompressed)
    decompressed = now
    if (now < contexts.length) setImmediate(count)
  }
  setImmediate(count)
  const results = await Promise.all(contexts.map((context) => readJson(deps, context)))
  expect(results.every(({ isLarge, size }) => isLarge && size > 1_500_000)).toBe(true)
  // The first step of a body can run in the same turn as the last step of another one.
  expect(most).toBeLessThanOrEqual(2)
})

/** A clock that advances by `ms` in each call. */
function increasingBy(ms: number): () => number {
  let now = 0
  return () => (now += ms)
}

describe("the budget of unfinished bodies", () => {
  const mebibyte = 1_048_576
  function open(maxBytes: number) {
    const budget = new BodyBudget(maxBytes)
    const looked: string[] = []
    const reserve = (address: string, size: number) =>
      budget.reserve(
        requestContextOf(new Request("http://x/"), {
          requestIP: () => {
            looked.push(address)
            return { address }
          },
        }),
        trusted,
        size,
      )
    return { reserve, looked }
  }
  const full = expect.objectContaining({ reason: "queue_full" })

  test("allows each address up to a quarter", () => {
    const { reserve } = open(8 * mebibyte)
    const first = [reserve("10.0.0.1", mebibyte), reserve("10.0.0.1", mebibyte)]
    expect(() => reserve("10.0.0.1", 1)).toThrow(full)
    for (const other of ["10.0.0.2", "10.0.0.3", "10.0.0.4"]) {
      reserve(other, mebibyte)
      reserve(other, mebibyte)
    }
    expect(() => reserve("10.0.0.5", 1)).toThrow(full)
    first[0]?.release()
    reserve("10.0.0.5", mebibyte)
    expect(() => reserve("10.0.0.6", 1)).toThrow(full)
  })

  test("counts a small body as at least the overhead of a request", () => {
    const { reserve } = open(4 * mebibyte)
    for (let index = 0; index < 256; index++) reserve("10.0.0.1", 10)
    expect(() => reserve("10.0.0.1", 10)).toThrow(full)
    reserve("10.0.0.2", 10)
  })

  test("counts a body without a length as it grows, and releases everything", () => {
    const { reserve } = open(4 * mebibyte)
    for (let round = 0; round < 3; round++) {
      const grows = reserve("10.0.0.1", 0)
      const other = reserve("10.0.0.1", mebibyte / 2)
      grows.grow(mebibyte / 4)
      expect(() => grows.grow(mebibyte / 2)).toThrow(full)
      grows.release()
      other.release()
    }
  })

  test("accepts the largest body if there is no other, even if the budget is smaller", () => {
    const { reserve } = open(1_024)
    reserve("10.0.0.1", 2 * mebibyte).release()
    reserve("10.0.0.1", 2 * mebibyte)
    expect(() => reserve("10.0.0.2", 1)).toThrow(full)
  })

  test("looks up no addresses while there is enough room for all", () => {
    const { reserve, looked } = open(8 * mebibyte)
    for (let index = 0; index < 100; index++) reserve("10.0.0.1", 10)
    expect(looked).toEqual([])
    reserve("10.0.0.2", 2 * mebibyte)
    expect(looked).toHaveLength(101)
    reserve("10.0.0.3", mebibyte)
    expect(looked).toHaveLength(102)
  })
})
