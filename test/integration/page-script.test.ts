import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test"
import { RequestCounts } from "../../src/metrics/requests.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// Tests the page script's endpoints with several requests: quotas, limits, and the rejected requests that owners see.

let app: TestApp

const settings = { domain: "a.example", name: "a", allowedOrigins: [], anonymize: "off" as const }
const view = { eventId: "v", name: "screen_view", path: "https://a.example/pricing" }
const custom = (index: number | string) => ({
  eventId: `c${index}`,
  name: `made_up_${index}`,
  path: "https://a.example/",
  properties: { secret: "s3cr3t" },
})
const customs = (count: number, from = 0) => Array.from({ length: count }, (_, index) => custom(from + index))

function open(...options: Parameters<typeof openApp>): void {
  app = openApp(...options)
  createWebsite(app.store.db, "w", settings, app.clock.now)
}
beforeEach(() => open())
afterEach(() => app.close())

interface Answer {
  status: number
  headers: Headers
  text: string
}

async function send(path: string, body?: unknown, headers: Record<string, string> = {}): Promise<Answer> {
  const sent = body === undefined ? { headers } : { method: "POST", headers, body: JSON.stringify(body) }
  const response = await app.send(new Request(`http://localhost${path}`, sent))
  return { status: response.status, headers: response.headers, text: await response.text() }
}
const stored = () => app.store.db.prepare("select event_id from events order by id").pluck().all()

/** Uses up the day's quota of new names except for `left` names. */
async function useUpNames(left: number): Promise<void> {
  for (let from = 0; from < 1_000 - left; from += 100) {
    expect((await send("/batch?client_id=w", customs(Math.min(100, 1_000 - left - from), from))).status).toBe(
      200,
    )
  }
}

describe("the pixel in a plain image", () => {
  const pixel = "/px.jpg?client_id=w&eventId=p&name=screen_view&path=https://shop.example/"
  const cases: [name: string, headers: Record<string, string>, stored: string[]][] = [
    ["is stored with a Referer of the website", { referer: "https://www.a.example/page" }, ["p"]],
    ["is rejected with a Referer of another website", { referer: "https://evil.test/" }, []],
    [
      "is rejected with the Origin of another website, whatever the Referer is",
      { origin: "https://evil.test", referer: "https://a.example/" },
      [],
    ],
  ]
  test.each(cases)("%s", async (_, headers, events) => {
    expect((await send(pixel, undefined, headers)).status).toBe(200)
    expect(stored()).toEqual(events)
  })
})

describe("new names", () => {
  test("of custom events beyond the quota are invalid items in a batch, and page views and known names are stored", async () => {
    await useUpNames(1)
    const before = stored().length
    const { status, text } = await send("/batch?client_id=w", [
      view,
      ...customs(2, 5_000),
      { ...custom(0), eventId: "known" },
    ])
    expect(status).toBe(200)
    const { results, ...summary } = JSON.parse(text)
    expect(summary).toEqual({
      status: "partial",
      batch: true,
      processed: 4,
      batched: { track: 2, outgoing_link: 0 },
    })
    expect(results[1]).toEqual({
      status: "error",
      message: "Too many new event names",
      code: "TOO_MANY_NEW_NAMES",
      errors: [],
      eventType: "track",
      eventId: "c5000",
    })
    expect(stored().slice(before)).toEqual(["v", "known"])
    expect(await rejected()).toMatchObject([{ path: "/batch", reason: "too_many_new_names", events: 2 }])
  })

  for (const [path, body] of [
    ["/", custom("x")],
    ["/events", [{ eventName: "x" }]],
  ] as const) {
    test(`of ${path} beyond the quota are rejected`, async () => {
      await useUpNames(0)
      const before = stored().length
      const { status, headers } = await send(`${path}?client_id=w`, body)
      expect([status, headers.get("x-databuddy-reason")]).toEqual([429, "too_many_new_names"])
      expect((await send(`/?client_id=w`, view)).status).toBe(200)
      expect(stored()).toHaveLength(before + 1)
    })
  }

  test("in the pixel beyond the quota lead to a 429 with Retry-After", async () => {
    await useUpNames(0)
    const { status, headers } = await send("/px.jpg?client_id=w&eventId=p&name=new&path=https://a.example/")
    expect([status, headers.get("retry-after")]).toEqual([429, "5"])
  })
})

describe("limits", () => {
  beforeEach(async () => {
    await app.close()
    open((deps) => ({
      settings: { ...deps.settings, rateLimit: 10, rateLimitEvents: 100, rateLimitBytes: 100_000 },
    }))
  })

  test("count the items of a batch, valid or not", async () => {
    expect((await send("/batch?client_id=w", Array(60).fill(5))).status).toBe(200)
    const { status, headers } = await send("/batch?client_id=w", Array(60).fill(5))
    expect([status, headers.get("x-databuddy-reason")]).toEqual([429, "rate_limited"])
    expect((await send("/batch?client_id=w", Array(30).fill(view))).status).toBe(200)
  })

  test("count bytes", async () => {
    const large = [{ ...view, pad: "x".repeat(60_000) }]
    expect((await send("/batch?client_id=w", large)).status).toBe(200)
    expect((await send("/batch?client_id=w", large)).status).toBe(429)
  })

  test("are shared by all paths and by unknown websites", async () => {
    for (let index = 0; index < 10; index++)
      expect((await send(`/vitals?client_id=${index}`, [])).status).toBe(400)
    expect((await send("/errors?client_id=none", [])).status).toBe(429)
    expect((await send("/errors?client_id=w", [])).status).toBe(200)
  })

  test("lead to a 429 without an image for the pixel", async () => {
    const pixel = "/px.jpg?client_id=w&type=web_vitals&metricName=LCP&metricValue=1&path=/"
    for (let index = 0; index < 10; index++)
      expect((await send(pixel)).headers.get("content-type")).toBe("image/gif")
    const { status, headers, text } = await send(pixel)
    expect([status, headers.get("retry-after"), text]).toEqual([
      429,
      "5",
      '{"status":"error","message":"Rate limit exceeded"}',
    ])
    expect(stored()).toHaveLength(10)
  })
})

test("an address that only sends invalid batches is blocked for a while", async () => {
  const body = [5, "x".repeat(900_000)]
  const reasons: (string | null)[] = []
  for (let index = 0; index < 12; index++) {
    reasons.push((await send("/batch?client_id=w", body)).headers.get("x-databuddy-reason"))
  }
  expect(reasons[0]).toBeNull()
  expect(reasons.at(-1)).toBe("too_many_rejected_bytes")
})

async function rejected(): Promise<Record<string, unknown>[]> {
  const headers = { authorization: `Bearer ${giveKey(app, { scopes: ["read:data"] }).secret}` }
  const { text } = await send("/v1/refusals", undefined, headers)
  return JSON.parse(text).refusals
}

describe("the owner sees rejected requests, with advice and without values", () => {
  const cases: [
    what: string,
    path: string,
    body: unknown,
    expected: object,
    headers?: Record<string, string>,
  ][] = [
    [
      "a vital",
      "/vitals?client_id=w",
      [{ metricName: "LCP", metricValue: "s3cr3t", path: "/" }],
      {
        path: "/vitals",
        websiteId: "w",
        reason: "invalid_shape",
        events: 1,
        names: ["LCP"],
        advice: "Fix the request: 0.metricValue must be a number from 0 to 3600000.",
      },
    ],
    [
      "an event in the older format",
      "/events?client_id=w",
      [{ eventName: "signed_up", properties: { plan: "s3cr3t" }, path: 5 }],
      { path: "/events", names: ["signed_up"], keys: ["plan"] },
    ],
    [
      "an invalid item in a batch with valid items",
      "/batch?client_id=w",
      [view, { ...custom(1), path: "s3cr3t" }, { ...view, eventId: "v2" }],
      {
        path: "/batch",
        websiteId: "w",
        reason: "invalid_shape",
        events: 1,
        names: ["made_up_1"],
        keys: ["secret"],
        advice: "Fix the request: 1.path must be an absolute http or https URL.",
      },
    ],
    [
      "a pixel",
      "/px.jpg?client_id=w&name=screen_view&properties[plan]=s3cr3t",
      undefined,
      { path: "/px.jpg", websiteId: "w", events: 1, names: ["screen_view"], keys: ["plan"] },
    ],
    [
      "a request without a website",
      "/errors",
      [{ message: "s3cr3t", path: "/" }],
      {
        path: "/errors",
        websiteId: null,
        reason: "client_id_missing",
        advice: expect.stringContaining("data-client-id"),
      },
    ],
    [
      "a website in the header",
      "/errors",
      [],
      { websiteId: "none", reason: "client_id_unknown" },
      { "databuddy-client-id": "none" },
    ],
    [
      "an origin",
      "/?client_id=w",
      view,
      {
        path: "/",
        reason: "origin_not_allowed",
        advice: "If evil.test is yours, add evil.test to the website's allowed origins.",
      },
      { origin: "https://evil.test" },
    ],
    [
      "a visit by an AI agent",
      "/ai-traffic",
      { websiteId: "w", host: "evil.test", path: "/s3cr3t", userAgent: "s3cr3t" },
      { path: "/ai-traffic", websiteId: "w", reason: "host_not_allowed", events: null },
    ],
    [
      "an identify",
      "/identify?client_id=w",
      { profileId: "s3cr3t", traits: { email: "s3cr3t", plan: [] } },
      { path: "/identify", websiteId: "w", reason: "invalid_shape", keys: ["email", "plan"] },
    ],
  ]
  for (const [what, path, body, expected, headers] of cases) {
    test(what, async () => {
      await send(path, body, headers)
      const list = await rejected()
      expect(list).toMatchObject([expected])
      expect(JSON.stringify(list)).not.toContain("s3cr3t")
    })
  }
})

test("requests are counted by route, whatever their path and prefix are", async () => {
  await app.close()
  const requests = new RequestCounts()
  open(() => ({ requests }), { ingestPath: "/e" })
  for (const path of ["/vitals", "/e/vitals", "/e/nothing", "/x/vitals"])
    await send(`${path}?client_id=w`, [])
  const counts = requests.counts()
  expect(
    Object.fromEntries([...counts].map(([route, statuses]) => [route, Object.fromEntries(statuses)])),
  ).toEqual({
    "POST /vitals": { 200: 2 },
    "other other": { 404: 2 },
  })
})

test("the client is looked up once per request, not once per item", async () => {
  await app.close()
  let lookups = 0
  open(({ clients }) => {
    const { sender } = clients
    spyOn(clients, "sender").mockImplementation((context) => {
      lookups++
      return sender.call(clients, context)
    })
    return {}
  })
  await send("/batch?client_id=w", [view, { ...view, eventId: "v2" }, { ...view, eventId: "v3" }])
  expect(lookups).toBe(1)
  expect(stored()).toHaveLength(3)
})
