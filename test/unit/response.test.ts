import { describe, expect, test } from "bun:test"
import type { QueryAnswer } from "../../src/query-api/execute.ts"
import { type JsonRows, Outbox, queryResponse } from "../../src/query-api/response.ts"

const chunkBytes = 100_000

interface Answer {
  answer: QueryAnswer<JsonRows>
  /** Number of bytes that were reported as released. */
  released: () => number
  /** Number of bytes in chunks that have not been freed. */
  held: () => number
}

/** An answer that has `chunks` chunks. */
function answerOf(chunks: number): Answer {
  let released = 0
  const data = {
    chunks: Array.from({ length: chunks }, () => new Uint8Array(chunkBytes).fill(32)),
    release: (bytes: number) => {
      released += bytes
    },
  }
  const range = { from: "", to: "" }
  const meta = { source: "blocks", rows_read: 0, block_events: 0, ms: 0, ...range }
  return {
    answer: {
      data: [{ parameter: "a", success: true, data, meta }],
      meta: { parameters: ["a"], total_parameters: 1, page: 1, limit: 1, filters_applied: 0 },
    },
    released: () => released,
    held: () => data.chunks.reduce((sum, { length }) => sum + length, 0),
  }
}

function responseOf(chunks: number, outbox = new Outbox(() => 1e9), signal = new AbortController().signal) {
  const { answer, ...memory } = answerOf(chunks)
  const response = queryResponse([answer], false, {}, outbox, signal)
  return { response, ...memory }
}

describe("the memory of a response", () => {
  test("is released as the client reads it, a chunk at a time", async () => {
    const { response, released } = responseOf(10)
    expect(released()).toBe(0)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    for (let size = 0; size < 3 * chunkBytes; ) size += (await reader.read()).value?.length ?? 0
    expect(released()).toBeGreaterThanOrEqual(3 * chunkBytes)
    expect(released()).toBeLessThan(6 * chunkBytes)
    for (let done = false; !done; ) done = (await reader.read()).done
    expect(released()).toBe(10 * chunkBytes)
  })

  test("is released when the client stops reading", async () => {
    const { response, released, held } = responseOf(10)
    const reader = (response.body as ReadableStream<Uint8Array>).getReader()
    await reader.read()
    await reader.cancel()
    expect(released()).toBe(10 * chunkBytes)
    // Chunks that were read belong to the reader.
    expect(held()).toBeLessThanOrEqual(2 * chunkBytes)
  })

  test("is released when the client disconnects before it reads", () => {
    const client = new AbortController()
    const { released, held } = responseOf(10, undefined, client.signal)
    client.abort()
    expect([released(), held()]).toEqual([10 * chunkBytes, 0])
  })

  test("is released immediately if the response is sent in one piece", async () => {
    const { response, released, held } = responseOf(1)
    expect([released(), held()]).toEqual([chunkBytes, 0])
    expect((await response.bytes()).length).toBeGreaterThan(chunkBytes)
  })
})

test("if clients read too slowly, the oldest response is aborted, never the newest", async () => {
  const outbox = new Outbox(() => 15 * chunkBytes)
  const slow = responseOf(10, outbox)
  const next = responseOf(10, outbox)
  expect([slow.released(), next.released()]).toEqual([10 * chunkBytes, 0])
  await expect(slow.response.text()).rejects.toThrow("too slowly")
  expect((await next.response.text()).length).toBeGreaterThan(10 * chunkBytes)
  const large = responseOf(20, outbox)
  expect((await large.response.text()).length).toBeGreaterThan(20 * chunkBytes)
})
