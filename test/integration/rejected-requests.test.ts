import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { adviceFor } from "../../src/admin-api/advice.ts"
import { maxRejectedRequests } from "../../src/http/rejected-requests.ts"
import { openapi } from "../../src/openapi/openapi.ts"
import { type RejectionReason, rejections } from "../../src/rejection-reasons.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// biome-ignore lint/suspicious/noExplicitAny: bodies are only compared
type Json = any

const secret = "s3cr3t"

let app: TestApp
let reader: string

beforeEach(() => {
  app = openApp()
  for (const id of ["mine", "theirs"]) {
    const settings = { domain: `${id}.example`, name: id, allowedOrigins: [], anonymize: "off" as const }
    createWebsite(app.store.db, id, settings, app.clock.now)
  }
  reader = giveKey(app, { scopes: ["read:data"] }).secret
})

afterEach(() => app.close())

/** Sends a body and returns the rejection reason, or null if it was accepted. */
async function send(
  path: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<string | null> {
  const text = typeof body === "string" ? body : JSON.stringify(body)
  const response = await app.send(
    new Request(`http://localhost${path}`, { method: "POST", headers, body: text }),
  )
  return response.headers.get("x-databuddy-reason")
}

async function list(query = "", key: string | null = reader): Promise<{ status: number; body: Json }> {
  const headers: Record<string, string> = key ? { Authorization: `Bearer ${key}` } : {}
  const response = await app.send(new Request(`http://localhost/v1/refusals${query}`, { headers }))
  return { status: response.status, body: await response.json() }
}

const wrongOrigin = { Origin: "https://evil.example" }

test("a rejected request is listed with its names and keys, but without values", async () => {
  const event = { name: "signed_up", properties: { plan: secret, email: secret }, anonymousId: secret }
  expect(await send(`/track?website_id=mine&${secret}`, event, wrongOrigin)).toBe("origin_not_allowed")
  const { status, body } = await list()
  expect(status).toBe(200)
  expect(body).toEqual({
    success: true,
    refusals: [
      {
        time: "2026-08-01T12:00:00.000Z",
        path: "/track",
        websiteId: "mine",
        status: 403,
        reason: "origin_not_allowed",
        events: 1,
        names: ["signed_up"],
        keys: ["plan", "email"],
        origin: "evil.example",
        advice: "If evil.example is yours, add evil.example to the website's allowed origins.",
      },
    ],
    total: 1,
  })
})

const described: [string, string, unknown, object][] = [
  [
    "no JSON",
    "/track?website_id=mine",
    `{"name":"${secret}`,
    { websiteId: "mine", events: null, names: [], keys: [] },
  ],
  ["a body without an event", "/track", 7, { websiteId: null, events: 1, names: [], keys: [] }],
  [
    "a list without valid events",
    "/track",
    [null, [], { name: 5, properties: secret }],
    { events: 3, names: [], keys: [] },
  ],
  [
    "a batch with a repeated name",
    "/track",
    [{ name: "a", properties: { x: 1 } }, { name: "a", properties: { x: 2, y: 3 } }, { name: 9 }],
    { events: 3, names: ["a"], keys: ["x", "y"] },
  ],
  [
    "a batch for several websites",
    "/track",
    [
      { name: "a", websiteId: "mine" },
      { name: "b", websiteId: "theirs" },
    ],
    { websiteId: null, names: ["a", "b"] },
  ],
  [
    "traits",
    "/identify",
    { profileId: secret, websiteId: "mine", traits: { email: secret, plan: [] } },
    { path: "/identify", websiteId: "mine", events: null, names: [], keys: ["email", "plan"] },
  ],
  [
    "half a surrogate pair",
    "/track",
    '{"name":"\\ud800","properties":{"\\udc00x":1}}',
    { names: ["\ufffd"], keys: ["\ufffdx"] },
  ],
  [
    "a large body with many keys",
    "/track",
    `[${`{"name":"a","properties":{${Array.from({ length: 2_000 }, (_, key) => `"k${key}":0`)}}},`.repeat(4)}{}]`,
    { events: 5, names: ["a"], keys: Array.from({ length: 30 }, (_, key) => `k${key}`) },
  ],
  ["__proto__", "/track", '{"name":"a","properties":{"__proto__":1}}', { names: ["a"], keys: ["__proto__"] }],
]
test.each(described)("the list describes %s", async (_, path, sent, expected) => {
  expect(await send(path, sent)).not.toBeNull()
  const { body } = await list()
  expect(body.refusals).toMatchObject([expected])
  expect(JSON.stringify(body)).not.toContain(secret)
})

const origins: [origin: string, advice: string][] = [
  ["https://www.evil.example:8443", "If evil.example is yours, add evil.example to"],
  ["Capacitor://localhost", "If capacitor://localhost is yours, add capacitor://localhost to"],
  ["app://x/y", "Allow the host of the page"],
  ["null", "Allow the host of the page"],
  [`https://${"a".repeat(300)}.example`, "If aaa"],
]
test.each(origins)("the advice for the origin %s says what to allow", async (Origin, advice) => {
  expect(await send("/track?website_id=mine", { name: "a" }, { Origin })).toBe("origin_not_allowed")
  const { refusals: found } = (await list()).body
  expect(found[0].advice).toStartWith(advice)
  expect(found[0].advice.length).toBeLessThan(700)
})

describe("the advice", () => {
  test("has one or two sentences for every rejection reason", async () => {
    const document = JSON.stringify(
      await openapi({
        maxEvents: 1_000,
        maxBodyBytes: 2_097_152,
        rateLimit: 600,
        rateLimitEvents: 50_000,
        rateLimitBytes: 33_554_432,
      }),
    )
    const { paths } = JSON.parse(document)
    const responses = [paths["/track"].post, paths["/identify"].post].flatMap((one) =>
      Object.values(one.responses as Json),
    ) as Json[]
    const reasons = responses.flatMap((one) => one.headers["x-databuddy-reason"]?.schema.enum ?? [])
    expect(new Set(reasons).size).toBeGreaterThan(25)
    for (const reason of new Set<RejectionReason>(reasons)) {
      const text = adviceFor({ reason, fields: [] })
      expect([reason, text]).not.toEqual([reason, `${rejections[reason].message}.`])
      expect(text).toMatch(/^[A-Z][^.]*(\.stringify[^.]*)?\.( [A-Z][^.]*\.)?$/)
    }
  })

  const fields: [string, string, unknown, string][] = [
    ["a field", "/track", { name: "" }, "name must be a string of 1 to 256 characters."],
    [
      "a field of a batch",
      "/track",
      [{ name: "a" }, { name: "b", path: 7 }],
      "1.path must be a string of at most 2048 characters.",
    ],
    [
      "the first three of many fields",
      "/track",
      [{}, {}, {}, {}],
      "0.name must be a string of 1 to 256 characters; 1.name must be a string of 1 to 256 characters; 2.name must be a string of 1 to 256 characters.",
    ],
    [
      "traits",
      "/identify",
      { profileId: "p", websiteId: "mine", traits: { [`t${"x".repeat(100)}`]: [secret] } },
      `traits.t${"x".repeat(56)}… must be a string, number, boolean or null.`,
    ],
  ]
  test.each(fields)("contains %s", async (_, path, sent, words) => {
    await send(path, sent)
    expect((await list()).body.refusals[0].advice).toBe(`Fix the request: ${words}`)
  })

  test("is general if it cannot refer to a field of the body", async () => {
    await send("/track", 7)
    expect((await list()).body.refusals[0].advice).toStartWith("Send a JSON object with the fields listed")
  })
})

test("accepted requests are not listed", async () => {
  const key = giveKey(app, { scopes: ["track:events"] }).secret
  expect(await send("/track", { name: "fine" }, { Authorization: `Bearer ${key}` })).toBeNull()
  expect((await list()).body).toMatchObject({ refusals: [], total: 0 })
})

test("the size of an entry is limited, whatever is sent", async () => {
  const long = "é".repeat(100_000)
  const properties = Object.fromEntries(
    Array.from({ length: 500 }, (_, index) => [`${index}${long.slice(0, 900)}`, 1]),
  )
  const events = Array.from({ length: 900 }, (_, index) => ({
    name: `${index}${long}`.slice(0, 600),
    properties: index ? {} : properties,
  }))
  expect(await send(`/track?website_id=${"w".repeat(1_000)}`, events)).toBe("invalid_shape")
  const [entry] = (await list()).body.refusals
  expect(entry.events).toBe(900)
  expect([entry.names.length, entry.keys.length, entry.websiteId.length]).toEqual([10, 30, 256])
  expect(Math.max(...[...entry.names, ...entry.keys].map((name: string) => name.length))).toBe(65)
})

test("the list contains the last 1,000 requests, newest first", async () => {
  for (let index = 0; index < maxRejectedRequests + 3; index++) await send("/track", [{ name: `n${index}` }])
  const { body } = await list()
  expect(body.total).toBe(maxRejectedRequests)
  expect(body.refusals.map((one: Json) => one.names[0])).toEqual(
    Array.from({ length: maxRejectedRequests }, (_, index) => `n${maxRejectedRequests + 2 - index}`),
  )
})

test("the list can be filtered by website and reason, and limited", async () => {
  await send("/track?website_id=mine", { name: "a" }, wrongOrigin)
  await send("/track?website_id=theirs", { name: "b" }, wrongOrigin)
  await send("/track?website_id=mine", { name: "" })
  const names = async (query: string) => {
    const { body } = await list(query)
    return [body.refusals.map((one: Json) => one.names.join()), body.total]
  }
  expect(await names("?website_id=mine")).toEqual([["", "a"], 2])
  expect(await names("?website_id=mine&reason=origin_not_allowed")).toEqual([["a"], 1])
  expect(await names("?limit=1")).toEqual([[""], 3])
  expect(await names("?website_id=nobody")).toEqual([[], 0])
})

test.each(["?reason=no_such", "?limit=0", "?limit=1001", "?limit=x", "?website=mine", "?website_id="])(
  "%s is rejected with an error that names the parameter",
  async (query) => {
    const { status, body } = await list(query)
    expect([status, body.code]).toEqual([400, "VALIDATION_ERROR"])
    expect(body.errors[0].field).toBe(query.slice(1).split("=")[0])
  },
)

test("a key limited to a website only sees requests for that website", async () => {
  const limited = giveKey(app, { scopes: ["read:data"], websites: ["mine"] }).secret
  await send("/track?website_id=mine", { name: "a" }, wrongOrigin)
  await send("/track?website_id=theirs", { name: "b" }, wrongOrigin)
  await send("/track", [
    { name: "a", websiteId: "mine" },
    { name: "c", websiteId: "theirs" },
  ])
  await send("/track", { name: "d" })
  const { body } = await list("", limited)
  expect(body.total).toBe(1)
  expect(body.refusals.map((one: Json) => one.names)).toEqual([["a"]])
  expect((await list("?website_id=theirs", limited)).status).toBe(403)
  expect((await list("?website_id=mine", limited)).body.total).toBe(1)
})

test("the list requires a key with the scope read:data", async () => {
  expect((await list("", null)).status).toBe(401)
  const { secret } = giveKey(app, { scopes: ["track:events", "manage:websites"] })
  expect((await list("", secret)).status).toBe(403)
})

test("each reason is logged at most once per second, with the number of omitted lines", async () => {
  for (let index = 0; index < 5; index++) await send("/track?website_id=mine", { name: secret }, wrongOrigin)
  await send("/track?website_id=\u202e", { name: "a" })
  app.clock.now += 1_000
  await send("/track?website_id=mine", { name: "a" }, wrongOrigin)
  const lines = app.logged.map((line) => JSON.parse(line))
  const line = { level: "info", message: "refused", path: "/track", request_id: expect.any(String) }
  expect(lines).toEqual([
    { ...line, reason: "origin_not_allowed", status: 403, website: "mine" },
    { ...line, reason: "website_unknown", status: 404 },
    { ...line, reason: "origin_not_allowed", status: 403, website: "mine", more: 4 },
  ])
})
