import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { CallerQueue, defaultQueueLimits, type QueueLimits } from "../../src/query/engine/caller-queue.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { threadMs, timeEventLoop } from "../support/event-loop.ts"

// Tests that one request and one caller can only use a limited part of the query thread, so that other callers do not
// have to wait.

const shop = "11111111-1111-4111-8111-111111111111"

let app: TestApp
let key = ""
let link = ""

/** Opens the app with a key and a share link. */
async function open(changes: Parameters<typeof openApp>[0] = () => ({})): Promise<void> {
  app = openApp(changes)
  const { db } = app.store
  createWebsite(db, shop, { domain: "example.com", name: "", allowedOrigins: [], anonymize: "off" }, 0)
  key = giveKey(app).secret
  const share = { name: "board", path: "events", expiresAt: null }
  const made = await json(await send(`/v1/shares?website_id=${shop}`, share))
  link = made.link.slice("/share/".length)
}

function send(path: string, body: unknown, more: { shared?: boolean; signal?: AbortSignal } = {}) {
  const credential = more.shared ? { "x-databuddy-share": link } : { authorization: `Bearer ${key}` }
  return app.send(
    new Request(`http://localhost${path}`, {
      method: "POST",
      headers: { ...credential, "content-type": "application/json" },
      body: JSON.stringify(body),
      ...(more.signal ? { signal: more.signal } : {}),
    }),
  )
}

const query = (body: unknown, more?: Parameters<typeof send>[2]) =>
  send(`/v1/query?website_id=${shop}`, body, more)

// biome-ignore lint/suspicious/noExplicitAny: the tests check different parts of it.
const json = async (response: Response): Promise<any> => response.json()

const nine = [
  "events",
  "users",
  "sessions",
  "profiles",
  "pages",
  "event_types",
  "with_properties",
  "first",
  "last",
]
const minutes = { name: "events", measures: nine, granularity: "minute" }

describe("a response", () => {
  beforeAll(async () => {
    await open()
    const events = Array.from({ length: 3_000 }, (_, index) => ({
      name: `event "${index % 7}" ü`,
      websiteId: shop,
      anonymousId: `visitor ${index}`,
      properties: { item: `item ${index}`, text: "ä\u2028\\" },
    }))
    for (let at = 0; at < events.length; at += 1_000) {
      expect((await send("/track", events.slice(at, at + 1_000))).status).toBe(200)
    }
  })
  afterAll(() => app.close())

  const bodies: [string, unknown][] = [
    ["one small query", { id: 'a "query"', parameters: ["custom_events_summary", "nope"] }],
    ["nothing found", { parameters: [{ name: "custom_events_recent", preset: "yesterday" }] }],
    [
      "several queries",
      [
        { parameters: ["custom_events", { name: "events", id: "ü", by: ["property.text"] }] },
        { id: "b", parameters: ["custom_events_recent", "custom_events_discovery"], limit: 500 },
      ],
    ],
    ["many rows", { parameters: [{ ...minutes, preset: "last_3d" }, "custom_events_recent"], limit: 3_000 }],
  ]
  test.each(bodies)("to %s is the same JSON as JSON.stringify creates", async (_, body) => {
    const response = await query(body)
    const text = await response.text()
    const value = JSON.parse(text)
    expect(JSON.stringify(value)).toBe(text)
    expect(Object.keys(value)).toEqual(
      Array.isArray(body)
        ? ["success", "batch", "results"]
        : ["success", ...("id" in (body as object) ? ["queryId"] : []), "data", "meta"],
    )
  })

  test("has the fields of a parameter in the documented order", async () => {
    const { data } = await json(await query({ parameters: ["custom_events", "nope"] }))
    expect(Object.keys(data[0])).toEqual(["parameter", "success", "data", "meta"])
    expect(Object.keys(data[0].meta)).toEqual([
      "source",
      "rows_read",
      "block_events",
      "ms",
      "from",
      "to",
      "total",
    ])
    expect(Object.keys(data[1])).toEqual(["parameter", "success", "error", "data"])
  })

  test("to 200 parameters with different ranges has the rows of each", async () => {
    const parameters = Array.from({ length: 50 }, (_, index) => ({
      name: "custom_events_summary",
      start_date: `${2001 + (index % 20)}-03-10`,
      end_date: `${2001 + (index % 20)}-03-11`,
      compare: "previous_period",
    }))
    const some = { parameters, timeZone: "America/New_York" }
    const { results } = await json(await query([some, some, some, some]))
    const succeeded = results.map(
      ({ data }: { data: { success: boolean }[] }) => data.filter(({ success }) => success).length,
    )
    expect(succeeded).toEqual([50, 50, 50, 50])
  })

  test("does not block the event loop for as long as JSON.stringify would", async () => {
    const trend = { name: "custom_events_trends", granularity: "hourly" }
    const body = { startDate: "2020-03-01", endDate: "2026-08-01", parameters: [trend, trend] }
    const gaps: number[] = []
    const stringified: number[] = []
    const isShorter = () => Math.min(...gaps) < Math.max(20, Math.min(...stringified))
    // The best of several runs counts, because the machine may be busy with something else.
    for (let round = 0; round < 20 && !isShorter(); round++) {
      const chunks: Uint8Array[] = []
      const { longest } = await timeEventLoop(async () => {
        // Decoding 10 MB at once would also block the event loop, but this is the client's work.
        for await (const chunk of (await query(body)).body ?? []) chunks.push(chunk)
      })
      gaps.push(longest)
      const value = JSON.parse(Buffer.concat(chunks).toString())
      expect(value.data[1].data.length).toBeGreaterThan(50_000)
      const since = threadMs()
      JSON.stringify(value)
      stringified.push(threadMs() - since)
    }
    expect(isShorter()).toBe(true)
  })
})

describe("a request", () => {
  beforeAll(() => open())
  afterAll(() => app.close())

  const tooMany: [string, boolean, unknown, string][] = [
    [
      "a share link, in one query",
      true,
      Array(2).fill({ parameters: Array(26).fill("custom_events") }),
      "the body has 52 parameters, but this caller can send at most 50",
    ],
    [
      "a share link, in twenty queries",
      true,
      Array(20).fill({ parameters: Array(3).fill(minutes), preset: "last_1h" }),
      "the body has 60 parameters, but this caller can send at most 50",
    ],
    [
      "a key",
      false,
      Array(5).fill({ parameters: Array(41).fill("custom_events") }),
      "the body has 205 parameters, but this caller can send at most 200",
    ],
  ]
  test.each(tooMany)("with too many parameters from %s is rejected", async (_, shared, body, error) => {
    const response = await query(body, { shared })
    expect(response.status).toBe(400)
    expect(await json(response)).toMatchObject({ success: false, code: "VALIDATION_ERROR" })
    expect((await json(await query(body, { shared }))).error).toStartWith(error)
  })

  test("through a share link is rejected if its body is larger than any query needs", async () => {
    const statusOf = async (size: number, shared: boolean) =>
      (await query({ parameters: ["custom_events"], unknown: "x".repeat(size) }, { shared })).status
    // A body that is small enough to be read is rejected because of its unknown field.
    expect(await statusOf(65_000, true)).toBe(400)
    expect(await statusOf(65_537, true)).toBe(413)
    expect(await statusOf(65_537, false)).toBe(400)
  })

  test("gets no more values than its caller is allowed, and other parameters succeed", async () => {
    const days = { ...minutes, preset: "last_5d" }
    const parameters = [days, days, "custom_events_summary"]
    const succeeded = (body: { data: { success: boolean }[] }) => body.data.map(({ success }) => success)
    const shared = await json(await query({ parameters }, { shared: true }))
    expect(succeeded(shared)).toEqual([true, false, true])
    expect(shared.data[1].error).toStartWith("this parameter would exceed the ")
    expect(succeeded(await json(await query({ parameters })))).toEqual([true, true, true])
  })

  test("through a share link gets no further results after 20,000 rows", async () => {
    const trend = { name: "events", measures: ["events"], granularity: "hourly" }
    const range = { startDate: "2024-01-01", endDate: "2026-08-01" }
    const { data } = await json(
      await query({ ...range, parameters: [trend, "custom_events"] }, { shared: true }),
    )
    expect(data[0].data.length).toBeGreaterThan(20_000)
    expect(data[1].error).toStartWith("earlier parameters already returned 20000 or more rows")
  })
})

describe("concurrent queries", () => {
  const running: (() => void)[] = []
  const limits: QueueLimits = { ...defaultQueueLimits, running: 3, runningPerCaller: 1, waitingPerCaller: 2 }
  const queue = new CallerQueue(limits)

  beforeAll(() =>
    open(({ queryEngine: asker }) => ({
      queryEngine: {
        ...asker,
        responseBytes: asker.responseBytes,
        run: asker.run.bind(asker),
        admit: queue.run.bind(queue),
        // Queries with a key run until the test ends them.
        render: async (ask, room, timeshare, signal) => {
          if (!timeshare.caller.startsWith("share"))
            await new Promise<void>((resolve) => running.push(resolve))
          return asker.render(ask, room, timeshare, signal)
        },
      },
    })),
  )
  afterAll(() => app.close())

  test("of one caller are rejected with 429 above a limit, and other callers do not wait for them", async () => {
    const own = Array.from({ length: 3 }, () => query({ parameters: ["custom_events_summary"] }))
    await Bun.sleep(1)
    const refused = await query({ parameters: ["custom_events_summary"] })
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "2"])
    expect(await json(refused)).toMatchObject({ success: false, code: "RATE_LIMITED" })
    const light = await query({ parameters: ["custom_events_summary"] }, { shared: true })
    expect((await json(light)).data[0].success).toBe(true)
    for (let ended = 0; ended < own.length; ended++) {
      while (running.length === 0) await Bun.sleep(1)
      running.shift()?.()
    }
    expect((await Promise.all(own)).map(({ status }) => status)).toEqual([200, 200, 200])
  })

  test("of a disconnected client leave the queue and never start", async () => {
    const first = query({ parameters: ["custom_events_summary"] })
    const client = new AbortController()
    const waiting = [1, 2].map(() =>
      query({ parameters: ["custom_events_summary"] }, { signal: client.signal }),
    )
    await Bun.sleep(1)
    expect((await query({ parameters: ["custom_events_summary"] })).status).toBe(429)
    client.abort()
    const next = query({ parameters: ["custom_events_summary"] })
    for (let ended = 0; ended < 2; ended++) {
      while (running.length === 0) await Bun.sleep(1)
      running.shift()?.()
    }
    expect([(await first).status, (await next).status, running.length]).toEqual([200, 200, 0])
    await Promise.allSettled(waiting)
  })
})
