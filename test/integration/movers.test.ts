import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { Row } from "../../src/query-api/query-spec.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// The query type `movers` lists the values that explain the change of a measure. test/fuzz/movers.test.ts compares its
// rows with a reference.

const range = { startDate: "2026-07-20", endDate: "2026-07-26" }

interface Sent {
  count: number
  /** Day of July 2026. */
  day: number
  browser: string
  plan: string
}

/** Uploads from Safari almost stop in the second week, while the proportion of the plans does not change. */
const uploads: Sent[] = [
  { count: 60, day: 14, browser: "Safari", plan: "pro" },
  { count: 60, day: 15, browser: "Safari", plan: "free" },
  { count: 20, day: 16, browser: "Firefox", plan: "pro" },
  { count: 20, day: 17, browser: "Firefox", plan: "free" },
  { count: 2, day: 21, browser: "Safari", plan: "pro" },
  { count: 2, day: 22, browser: "Safari", plan: "free" },
  { count: 20, day: 23, browser: "Firefox", plan: "pro" },
  { count: 19, day: 24, browser: "Firefox", plan: "free" },
]

let app: TestApp
let key: string

async function ask(parameter: object, scopes?: string): Promise<{ data: Row[]; meta: Row; error?: string }> {
  const response = await app.send(
    new Request("http://localhost/v1/query?website_id=all", {
      method: "POST",
      headers: { authorization: `Bearer ${scopes ?? key}` },
      body: JSON.stringify({ parameters: [{ name: "movers", ...parameter }], ...range }),
    }),
  )
  const { data } = (await response.json()) as { data: { data: Row[]; meta: Row; error?: string }[] }
  return data[0] ?? { data: [], meta: {} }
}

beforeAll(async () => {
  app = openApp()
  key = giveKey(app).secret
  const events = uploads.flatMap(({ count, day, browser, plan }) =>
    Array.from({ length: count }, (_, index) => ({
      name: "upload_done",
      anonymousId: `visitor ${index}`,
      timestamp: `2026-07-${day}T10:00:00.000Z`,
      properties: { browser, plan, version: "1.2", bytes: index, upload: `${day} ${browser} ${index}` },
    })),
  )
  const response = await app.send(
    new Request("http://localhost/track", {
      method: "POST",
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify(events),
    }),
  )
  expect(response.status).toBe(200)
})

afterAll(() => app.close())

const upload = { filters: [{ field: "event_name", op: "eq", value: "upload_done" }] }

test("the value that explains the difference comes before values that are only frequent", async () => {
  const { data, meta } = await ask({ ...upload, limit: 1_000 })
  expect(data[0]).toEqual({
    field: "property.browser",
    value: "Safari",
    events: 4,
    difference: -116,
    percentage: 99.15,
    expected_percentage: 75,
    is_offset: false,
    previous: { events: 120 },
  })
  expect(data.filter(({ is_offset }) => !is_offset).at(-1)).toMatchObject({
    field: "property.browser",
    value: "Firefox",
    difference: -1,
  })
  const { checked, ...summary } = meta.movers as { checked: string[] }
  expect(summary).toEqual({ total: 43, previous_total: 160, skipped: [] })
  expect(checked).toContain("property.browser")
  expect(checked).toContain("country")
  expect(meta.previous).toEqual({ from: "2026-07-13T00:00:00.000Z", to: "2026-07-20T00:00:00.000Z" })
})

/** Number of events by value in the previous and the current period. `rows` are the sorted values; `!` means offset. */
const offsets: {
  name: string
  values: Record<string, [before: number, now: number]>
  rows: string[]
}[] = [
  {
    name: "a release that replaces another one comes last, and so does the other one",
    values: { "v2.7": [40, 0], "v2.8": [0, 44] },
    rows: ["!v2.8", "!v2.7"],
  },
  {
    name: "a release that began during the range, before which the other one was in use",
    values: { "v2.7": [40, 6], "v2.8": [0, 24] },
    rows: ["!v2.7", "!v2.8"],
  },
  {
    name: "a release that replaces one with much fewer events",
    values: { "v2.7": [10, 2], "v2.8": [0, 60] },
    rows: ["!v2.8", "!v2.7"],
  },
  {
    name: "a release that replaces one with many more events",
    values: { "v2.7": [60, 1], "v2.8": [0, 10] },
    rows: ["!v2.7", "!v2.8"],
  },
  {
    name: "a value that is gone explains a decrease if nothing takes its place",
    values: { Safari: [40, 0], Firefox: [20, 22] },
    rows: ["Safari", "!Firefox"],
  },
  {
    name: "a new value explains an increase if nothing made room for it",
    values: { timeout: [20, 15], checksum: [0, 30] },
    rows: ["checksum", "!timeout"],
  },
  {
    name: "a new value that others make up for by half",
    values: { small: [20, 10], large: [0, 20] },
    rows: ["!large", "!small"],
  },
  {
    name: "a new value that others make up for by less than half",
    values: { small: [20, 11], large: [0, 20] },
    rows: ["large", "!small"],
  },
  {
    name: "values in both periods are not offset, even if they change in opposite directions",
    values: { Safari: [40, 4], Firefox: [20, 50] },
    rows: ["Safari", "Firefox"],
  },
]
test.each(offsets)("$name", async ({ name, values, rows }) => {
  const events = Object.entries(values).flatMap(([value, counts]) =>
    counts.flatMap((count, index) =>
      Array.from({ length: count }, (_, visitor) => ({
        name,
        anonymousId: `${value} ${visitor}`,
        timestamp: `2026-07-${14 + 7 * index}T10:00:00.000Z`,
        properties: { version: value },
      })),
    ),
  )
  const { status } = await app.send(
    new Request("http://localhost/track", {
      method: "POST",
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify(events),
    }),
  )
  expect(status).toBe(200)
  for (const measures of [["events"], ["users"]]) {
    const { data } = await ask({ measures, filters: [{ field: "event_name", op: "eq", value: name }] })
    expect(data.map(({ value, is_offset }) => `${is_offset ? "!" : ""}${value}`)).toEqual(rows)
  }
})

test("a field with only one value has no rows, because it explains nothing", async () => {
  const { data } = await ask(upload)
  expect(data.filter(({ field }) => field === "property.version" || field === "event_name")).toEqual([])
})

test.each([
  ["users", 20, 60],
  ["sum:property.bytes", 363, 3920],
  ["count:property.bytes", 43, 160],
])("measures %s", async (measure, total, previous) => {
  const { data, meta } = await ask({ ...upload, measures: [measure] })
  expect(meta.movers).toMatchObject({ total, previous_total: previous })
  expect(data.find(({ value }) => value === "Safari")).toHaveProperty([measure])
})

test("a property with more than 1,000 values is skipped, and listed in meta", async () => {
  const events = Array.from({ length: 1_001 }, (_, index) => ({
    name: "numbered",
    timestamp: "2026-07-21T10:00:00.000Z",
    properties: { order: `order ${index}` },
  }))
  const sent = await app.send(
    new Request("http://localhost/track", {
      method: "POST",
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify(events.slice(0, 1_000)),
    }),
  )
  expect(sent.status).toBe(200)
  const numbered = { filters: [{ field: "event_name", op: "eq", value: "numbered" }] }
  expect((await ask(numbered)).meta.movers).toMatchObject({ skipped: [] })
  await app.send(
    new Request("http://localhost/track", {
      method: "POST",
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify(events.slice(1_000)),
    }),
  )
  for (const measures of [undefined, ["users"]]) {
    const { meta } = await ask({ ...numbered, measures })
    expect(meta.movers).toMatchObject({ skipped: [{ field: "property.order", reason: "too_many_values" }] })
  }
})

test("rows are limited and paged", async () => {
  const all = await ask({ ...upload, limit: 1_000 })
  const page = await ask({ ...upload, limit: 2, page: 2 })
  expect(page.data).toEqual(all.data.slice(2, 4))
  expect(page.meta.total).toBe(all.data.length)
})

describe("only one measure of a supported type can be compared:", () => {
  const rejected = "measures must be one of events, users, sessions, profiles, count or sum for movers"
  test.each([
    [["first"], rejected],
    [["avg:property.bytes"], rejected],
    [["events", "users"], rejected],
  ])("%p is rejected", async (measures, error) => {
    expect((await ask({ measures })).error).toContain(error)
  })
})

test("a key that can only read reports gets rows, but no ids of people", async () => {
  const { secret } = giveKey(app, { scopes: ["read:reports"] })
  const { data, meta } = await ask(upload, secret)
  expect(data.length).toBeGreaterThan(0)
  const { checked } = meta.movers as { checked: string[] }
  expect(checked.filter((field) => field.endsWith("_id"))).toEqual(["website_id"])
})
