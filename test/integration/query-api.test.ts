import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { idFields } from "../../src/query/fields.ts"
import type { QueryType } from "../../src/query-api/query-spec.ts"
import { types } from "../../src/query-api/query-types.ts"
import { EventFollower, type FollowedEvent, followedEventJson } from "../../src/store/event-follower.ts"
import type { KeyGrant } from "../../src/store/keys.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// Tests how requests are turned into queries and results into rows. The results of the engine are tested elsewhere.

const shop = "11111111-1111-4111-8111-111111111111"
const blog = "22222222-2222-4222-8222-222222222222"
/** Returns a time in 2026. The app's clock is set to 2026-08-01T12:00Z, a Saturday. */
const at = (day: string, time = "10:00") => `2026-${day}T${time}:00.000Z`

const events = [
  { name: "seen", anonymousId: "ann", sessionId: "s1", path: "/", timestamp: at("07-30") },
  { name: "seen", anonymousId: "bob", sessionId: "s2", path: "/a", timestamp: at("07-31") },
  {
    name: "bought",
    anonymousId: "ann",
    sessionId: "s1",
    timestamp: at("07-31"),
    properties: { plan: "pro", cart: { total: 30 } },
  },
  {
    name: "bought",
    anonymousId: "bob",
    sessionId: "s2",
    timestamp: at("08-01"),
    properties: { plan: "free", cart: { total: 5 } },
  },
  { name: "seen", anonymousId: "cid", timestamp: at("08-01", "11:00") },
  // Before all ranges except those of the tests about these events.
  ...[12, 40, 12, "40", null].map((price) => ({
    name: "priced",
    timestamp: at("05-05"),
    properties: { price, plan: "pro" },
  })),
  ...Array.from({ length: 200 }, (_, index) => ({
    name: "sent",
    timestamp: at("04-05"),
    properties: { zip: String(9_900 + index).padStart(5, "0") },
  })),
]

/** Values and their numeric equivalents. */
const spellings: [string | number | boolean, number?][] = [
  [5, 5],
  ["5", 5],
  ["-3", -3],
  ["19.90", 19.9],
  ["0", 0],
  ["-0.5", -0.5],
  [9_007_199_254_740_994, 9_007_199_254_740_994],
  ["9007199254740993"],
  ["01129"],
  ["00.5"],
  ["1e5"],
  ["+1"],
  [" 1 "],
  ["0x10"],
  ["Infinity"],
  ["NaN"],
  ["1_000"],
  ["1,000"],
  [".5"],
  ["5."],
  ["-"],
  ["٣"],
  ["2026-11-24"],
  ["true"],
  [true],
]

/** 09:30 in Berlin on each day around the days on which the clocks change. */
const mornings = [
  ...["2026-03-27T08:30Z", "2026-03-28T08:30Z", "2026-03-29T07:30Z", "2026-03-30T07:30Z"],
  ...["2025-10-24T07:30Z", "2025-10-25T07:30Z", "2025-10-26T08:30Z", "2025-10-27T08:30Z"],
]

let app: TestApp
const keys: Record<string, string> = {}

beforeAll(async () => {
  app = openApp()
  const { db } = app.store
  for (const id of [shop, blog]) {
    const settings = { domain: "example.com", name: "", allowedOrigins: [], anonymize: "off" as const }
    createWebsite(db, id, settings, 0)
  }
  const grants: Record<string, Partial<KeyGrant>> = {
    all: {},
    blogOnly: { websites: [blog] },
    sender: { scopes: ["track:events"] },
    slow: { rateLimit: 1 },
    reports: { scopes: ["read:reports"] },
  }
  for (const [name, grant] of Object.entries(grants)) keys[name] = giveKey(app, grant).secret
  await call(
    "/track",
    [
      ...events,
      ...spellings.map(([value]) => ({
        name: `spelled ${typeof value} ${value}`,
        timestamp: at("04-04"),
        properties: { value },
      })),
    ].map((event) => ({ ...event, websiteId: shop })),
  )
  await call("/track", { name: "own", properties: { plan: "own" } })
  await call(
    "/track",
    mornings.map((timestamp) => ({ name: "opened", anonymousId: "ann", timestamp, websiteId: blog })),
  )
})
afterAll(() => app.close())

async function call(path: string, body?: unknown, key = "all") {
  const response = await app.send(
    new Request(`http://localhost${path}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { authorization: `Bearer ${keys[key] ?? key}`, "content-type": "application/json" },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    }),
  )
  // biome-ignore lint/suspicious/noExplicitAny: tests check different parts of the response
  return { status: response.status, headers: response.headers, body: (await response.json()) as any }
}

const ask = (parameter: unknown, query: object = {}, website = shop) =>
  call(`/v1/query?website_id=${website}`, { parameters: [parameter], preset: "last_7d", ...query })

async function rows(parameter: unknown, query: object = {}, website = shop) {
  const { body } = await ask(parameter, query, website)
  expect(body.data[0].error).toBeUndefined()
  return body.data[0].data
}

describe("rows", () => {
  const cases: [string, unknown, object, unknown][] = [
    [
      "of names have their percentage and their first and last times",
      "custom_events",
      {},
      [
        {
          name: "seen",
          total_events: 3,
          unique_users: 3,
          unique_sessions: 2,
          last_occurrence: at("08-01", "11:00"),
          first_occurrence: at("07-30"),
          events_with_properties: 0,
          percentage: 60,
        },
        {
          name: "bought",
          total_events: 2,
          unique_users: 2,
          unique_sessions: 2,
          last_occurrence: at("08-01"),
          first_occurrence: at("07-31"),
          events_with_properties: 2,
          percentage: 40,
        },
      ],
    ],
    [
      "of paths leave out events without a path, and ties are sorted by name",
      "custom_events_by_path",
      {},
      [
        { name: "/", total_events: 1, unique_event_types: 1, unique_users: 1 },
        { name: "/a", total_events: 1, unique_event_types: 1, unique_users: 1 },
      ],
    ],
    [
      "of properties can be filtered by a nested number",
      { name: "custom_event_properties", filters: [{ field: "property.cart.total", op: "gt", value: 20 }] },
      {},
      [
        { name: "bought", property_key: "cart", property_value: '{"total":30}', count: 1 },
        { name: "bought", property_key: "plan", property_value: "pro", count: 1 },
      ],
    ],
    [
      "of a property key contain only that key",
      "custom_events_property_top_values",
      { filters: [{ field: "property_key", op: "eq", value: "plan" }] },
      [
        {
          event_name: "bought",
          property_key: "plan",
          property_value: "free",
          count: 1,
          total: 2,
          percentage: 50,
          rank: 1,
        },
        {
          event_name: "bought",
          property_key: "plan",
          property_value: "pro",
          count: 1,
          total: 2,
          percentage: 50,
          rank: 2,
        },
      ],
    ],
    [
      "of a property's numbers have their distribution, not counting other values",
      { name: "custom_events_property_numbers", top: 5, start_date: "2026-05-05", end_date: "2026-05-05" },
      { preset: undefined },
      [
        {
          event_name: "priced",
          property_key: "price",
          count: 4,
          min: 12,
          max: 40,
          avg: 104 / 4,
          sum: 104,
          p50: 12,
          p95: 40,
          bins: [
            { from: 10, to: 20, count: 2 },
            { from: 20, to: 30, count: 0 },
            { from: 30, to: 40, count: 2 },
          ],
        },
      ],
    ],
    [
      "of events have any measures by any fields",
      { name: "events", by: ["property.plan"], measures: ["events", "sum:property.cart.total"] },
      { sortBy: "sum:property.cart.total", filters: [{ field: "event_name", op: "eq", value: "bought" }] },
      [
        { "property.plan": "pro", events: 1, "sum:property.cart.total": 30 },
        { "property.plan": "free", events: 1, "sum:property.cart.total": 5 },
      ],
    ],
    [
      "of goals have percentages of people",
      { name: "goals", steps: ["bought", { filters: [{ field: "path", op: "eq", value: "/a" }] }] },
      {},
      [
        { goal: "bought", completions: 2, converted: 2, total: 3, conversion_rate: 66.67 },
        { goal: null, completions: 1, converted: 1, total: 3, conversion_rate: 33.33 },
      ],
    ],
    [
      "of a funnel are the steps",
      { name: "funnel", steps: ["seen", "bought"], window: "1d" },
      {},
      [
        {
          step: 1,
          event_name: "seen",
          people: 3,
          conversion_rate: 100,
          step_conversion_rate: 100,
          median_ms: null,
        },
        {
          step: 2,
          event_name: "bought",
          people: 2,
          conversion_rate: 66.67,
          step_conversion_rate: 66.67,
          median_ms: 86_400_000,
        },
      ],
    ],
    [
      "of a funnel can be compared with the previous period",
      { name: "funnel", steps: ["seen", "bought"], compare: "previous_period" },
      { startDate: "2026-07-31T11:00Z", endDate: "2026-08-01T12:00Z", preset: undefined },
      [
        {
          step: 1,
          event_name: "seen",
          people: 1,
          conversion_rate: 100,
          step_conversion_rate: 100,
          median_ms: null,
          previous: { people: 2, conversion_rate: 100, step_conversion_rate: 100, median_ms: null },
        },
        {
          step: 2,
          event_name: "bought",
          people: 0,
          conversion_rate: 0,
          step_conversion_rate: 0,
          median_ms: null,
          previous: { people: 1, conversion_rate: 50, step_conversion_rate: 50, median_ms: 86_400_000 },
        },
      ],
    ],
    [
      "of a funnel by a field are compared with those of the same value, which may be empty",
      { name: "funnel", steps: ["seen", "bought"], by: ["path"], compare: "previous_period" },
      { startDate: "2026-07-30", endDate: "2026-07-31", preset: undefined },
      [
        ["/", "seen", 1, 100, 100, null],
        ["/", "bought", 1, 100, 100, 86_400_000],
        ["/a", "seen", 1, 100, 100, null],
        ["/a", "bought", 0, 0, 0, null],
      ].map(([path, event_name, people, conversion_rate, step_conversion_rate, median_ms], index) => ({
        path,
        step: 1 + (index % 2),
        event_name,
        people,
        conversion_rate,
        step_conversion_rate,
        median_ms,
        previous: { people: 0, conversion_rate: 0, step_conversion_rate: 0, median_ms: null },
      })),
    ],
    [
      "of retention have a cohort and a later period",
      { name: "retention", steps: ["seen", "bought"], granularity: "daily" },
      { startDate: "2026-07-30", preset: undefined },
      [
        { date: "2026-07-30", people: 1, period: 0, returned: 0, percentage: 0 },
        { date: "2026-07-30", people: 1, period: 1, returned: 1, percentage: 100 },
        { date: "2026-07-30", people: 1, period: 2, returned: 0, percentage: 0 },
        { date: "2026-07-31", people: 1, period: 0, returned: 0, percentage: 0 },
        { date: "2026-07-31", people: 1, period: 1, returned: 1, percentage: 100 },
        { date: "2026-08-01", people: 1, period: 0, returned: 0, percentage: 0 },
      ],
    ],
    [
      "of paths are the events before and after",
      { name: "paths", steps: ["bought"], before: 1, after: 1 },
      {},
      [
        { place: -1, event_name: "seen", page: null, sessions: 2, percentage: 100 },
        { place: 1, event_name: null, page: null, sessions: 2, percentage: 100 },
      ],
    ],
    [
      "of people can be searched",
      { name: "people", search: "b" },
      {},
      [
        {
          anonymous_id: "bob",
          profile_id: null,
          events: 2,
          sessions: 1,
          first_seen: at("07-31"),
          last_seen: at("08-01"),
        },
      ],
    ],
    [
      "of sessions have their first and latest event",
      "sessions",
      { limit: 1 },
      [
        {
          session_id: "s2",
          anonymous_id: "bob",
          profile_id: null,
          events: 2,
          first_event: "seen",
          last_event: "bought",
          started_at: at("07-31"),
          ended_at: at("08-01"),
          duration_ms: 86_400_000,
        },
      ],
    ],
    [
      "are compared with the same number of days before the range",
      "custom_events_summary",
      { preset: "today", compare: "previous_period" },
      [
        {
          total_events: 2,
          unique_event_types: 2,
          unique_users: 2,
          unique_sessions: 1,
          unique_pages: 0,
          previous: {
            total_events: 2,
            unique_event_types: 2,
            unique_users: 2,
            unique_sessions: 2,
            unique_pages: 1,
          },
        },
      ],
    ],
  ]
  test.each(cases)("%s", async (_, parameter, query, expected) => {
    expect(await rows(parameter, query)).toEqual(expected as never)
  })

  const settings: [sentence: string, day: string, hours: number, compared: number][] = [
    ["an hour is skipped", "2026-03-29", 23, 23],
    ["an hour was skipped the day before", "2026-03-30", 24, 23],
    ["an hour is repeated", "2025-10-26", 25, 24],
    ["an hour was repeated the day before", "2025-10-27", 24, 24],
    ["nothing changes", "2026-03-28", 24, 24],
  ]
  test.each(settings)("of hours are compared by local time if %s", async (_, day, hours, compared) => {
    const query = {
      preset: undefined,
      startDate: day,
      endDate: day,
      timeZone: "Europe/Berlin",
      granularity: "hourly",
      compare: "previous_period",
    }
    const trend = await rows("custom_events_trends", query, blog)
    const goals = await rows({ name: "goals", steps: ["opened"] }, query, blog)
    expect([trend.length, goals.length]).toEqual([hours, hours])
    const clock = ({ date }: { date: string }) => date.slice(11, 16)
    const pairs = trend.filter((row: { previous: unknown }) => row.previous)
    expect(pairs.length).toBe(compared)
    expect(pairs.map((row: { previous: { date: string } }) => clock(row.previous))).toEqual(pairs.map(clock))
    const dates = pairs.map((row: { previous: { date: string } }) => row.previous.date)
    expect(new Set(dates).size).toBe(dates.length)
    for (const list of [trend, goals]) {
      const busy = list.filter((row: { total_events?: number; completions?: number }) =>
        Boolean(row.total_events ?? row.completions),
      )
      expect(busy.map(clock)).toEqual(["09:00"])
      expect(busy[0].previous.total_events ?? busy[0].previous.completions).toBe(1)
      const all = list.flatMap(
        ({ previous }: { previous: { total_events?: number; total?: number } | null }) =>
          previous ? [previous.total_events ?? previous.total ?? 0] : [],
      )
      expect(all.reduce((sum: number, one: number) => sum + one, 0)).toBe(1)
    }
  })

  test("of today are compared with yesterday up to the same time of day, for every query type", async () => {
    const query = { preset: "today", compare: "previous_period" }
    const counted = async () => {
      const [summary] = await rows("custom_events_summary", query)
      const [goal] = await rows({ name: "goals", steps: ["bought"] }, query)
      const [funnel] = await rows({ name: "funnel", steps: ["seen", "bought"], ...query })
      const hours = await rows("custom_events_trends", { ...query, granularity: "hourly" })
      const compared = hours.filter((row: { previous: unknown }) => row.previous)
      const byHour = compared.flatMap(({ previous }: { previous: { total_events: number } }, hour: number) =>
        previous.total_events > 0 ? [[hour, previous.total_events]] : [],
      )
      const values = [summary.previous.total_events, goal.previous.total, funnel.previous.people]
      return [...values, byHour, compared.length]
    }
    const { now } = app.clock
    try {
      expect(await counted()).toEqual([2, 2, 1, [[10, 2]], 13])
      // Yesterday's events were an hour later in the day than now.
      app.clock.now = Date.parse(at("08-01", "09:00"))
      expect(await counted()).toEqual([0, 0, 0, [], 10])
    } finally {
      app.clock.now = now
    }
  })

  test("of a trend have all dates, whatever the limit is", async () => {
    const trend = await rows("custom_events_trends", { limit: 1 })
    expect(trend.map((row: { date: string; total_events: number }) => [row.date, row.total_events])).toEqual([
      ["2026-07-26", 0],
      ["2026-07-27", 0],
      ["2026-07-28", 0],
      ["2026-07-29", 0],
      ["2026-07-30", 1],
      ["2026-07-31", 2],
      ["2026-08-01", 2],
    ])
  })

  test("of a trend are days in the time zone", async () => {
    const trend = await rows("custom_events_trends", { timeZone: "Pacific/Auckland", preset: "today" })
    expect(trend).toMatchObject([{ date: "2026-08-02", total_events: 0 }])
  })

  test("of a trend by name cover the most frequent names and include zeros", async () => {
    const trend = await rows("custom_events_trends_by_event", {
      limit: 1,
      startDate: "2026-07-30",
      preset: undefined,
    })
    expect(trend).toEqual([
      { date: "2026-07-30", event_name: "seen", total_events: 1 },
      { date: "2026-07-31", event_name: "seen", total_events: 1 },
      { date: "2026-08-01", event_name: "seen", total_events: 1 },
    ])
  })

  test("of recent events have the same fields as events in the stream", async () => {
    const [row] = await rows("custom_events_recent", { limit: 1 })
    const followed = new EventFollower(app.store.db).between(0, 1_000).at(-1) as FollowedEvent
    expect(Object.keys(row).sort()).toEqual(Object.keys(followedEventJson(followed)).sort())
    expect(row).toMatchObject({ website_id: shop, profile_id: null, crawler: false })
  })

  test("of recent events continue after the cursor", async () => {
    const names: string[] = []
    let cursor: string | undefined
    for (let page = 0; page < 3; page++) {
      const { body } = await ask(
        { name: "custom_events_recent", ...(cursor ? { cursor } : {}) },
        { limit: 2 },
      )
      names.push(...body.data[0].data.map((row: { event_name: string }) => row.event_name))
      cursor = body.data[0].meta.nextCursor
    }
    // If two events have the same time, the one that was received later comes first.
    expect(names).toEqual(["seen", "bought", "bought", "seen", "seen"])
    expect(cursor).toBeNull()
    expect((await rows("custom_events_recent", { limit: 2, page: 2 })).length).toBe(2)
  })

  test("of one person are that person's events", async () => {
    const own = await rows({ name: "person", anonymousId: "bob" })
    expect(own.map((row: { event_name: string }) => row.event_name)).toEqual(["bought", "seen"])
  })

  test("can cover events without a website, or all events that a key can read", async () => {
    expect(await rows("custom_events_summary", {}, "none")).toMatchObject([{ total_events: 1 }])
    expect(await rows("custom_events_summary", {}, "all")).toMatchObject([{ total_events: 6 }])
  })

  test("of properties distinguish types of values", async () => {
    const found = await rows("custom_events_property_classification")
    expect(found).toMatchObject([
      { property_key: "cart", cardinality: 2, total_count: 2, coverage_ratio: 1, inferred_type: "string" },
      { property_key: "plan", avg_length: 3.5, max_length: 4, render_strategy: "bars" },
    ])
  })

  test.each(spellings.map(([value, number = null]) => [value, number] as const))(
    "treat %p as a number everywhere or nowhere",
    async (value, number) => {
      const query = { preset: undefined, startDate: "2026-04-04", endDate: "2026-04-04" }
      const filters = [{ field: "event_name", op: "eq", value: `spelled ${typeof value} ${value}` }]
      const measures = ["count", "sum", "min", "p95"].map((what) => `${what}:property.value`)
      const { body } = await ask("custom_events_property_classification", {
        ...query,
        filters,
        parameters: [
          "custom_events_property_classification",
          "custom_events_property_numbers",
          { name: "events", measures },
          {
            name: "events",
            measures: ["events"],
            filters: [{ field: "property.value", op: "lte", value: 1e300 }],
          },
        ],
      })
      const [[classified], [spread], [measured], [fitting]] = body.data.map(
        ({ data }: { data: object[] }) => data,
      )
      const isNumber = number !== null
      expect(classified).toMatchObject({
        is_numeric: isNumber,
        numbers_as_text: isNumber && typeof value === "string" ? 1 : 0,
        cardinality: 1,
      })
      expect(classified.inferred_type === "number").toBe(isNumber)
      expect([spread?.count, spread?.sum, spread?.bins.length > 0]).toEqual(
        isNumber ? [1, number, true] : [undefined, undefined, false],
      )
      expect(Object.values(measured)).toEqual(isNumber ? [1, number, number, number] : [0, null, null, null])
      expect(fitting).toEqual({ events: isNumber ? 1 : 0 })
    },
  )

  test("distinguish numbers that were sent as text from other numbers", async () => {
    const query = { preset: undefined, startDate: "2026-05-05", endDate: "2026-05-05" }
    const found = await rows("custom_events_property_classification", query)
    const price = found.find((row: { property_key: string }) => row.property_key === "price")
    // 12 and 40 as numbers, and 40 as text.
    expect(price).toMatchObject({
      cardinality: 2,
      is_numeric: true,
      numbers_as_text: 1,
    })
  })

  test("of ZIP codes are text, even though some have no leading zero", async () => {
    const query = { preset: undefined, startDate: "2026-04-05", endDate: "2026-04-05" }
    const [classified] = await rows("custom_events_property_classification", query)
    expect(classified).toMatchObject({
      cardinality: 200,
      is_numeric: false,
      inferred_type: "string",
      render_strategy: "top_list",
    })
  })

  test("of a discovery list the names and property keys that exist", async () => {
    const found = await rows("custom_events_discovery")
    expect(found.map((row: Record<string, unknown>) => [row.event_name, row.property_key])).toEqual([
      ["bought", "cart"],
      ["bought", "plan"],
      ["seen", null],
    ])
    expect(found[1]).toMatchObject({ totals: { total_events: 2, unique_users: 2 }, unique_values: 2 })
  })
})

describe("a response", () => {
  test("has Databuddy's format", async () => {
    const { body } = await ask({ name: "custom_events", id: "mine" }, { id: "q", limit: 1 })
    expect(body).toMatchObject({
      success: true,
      queryId: "q",
      data: [{ parameter: "mine", success: true, data: [{ name: "seen" }], meta: { total: 2 } }],
      meta: { parameters: ["mine"], total_parameters: 1, page: 1, limit: 1, filters_applied: 0 },
    })
    const { source, rows_read, ms } = body.data[0].meta
    expect([typeof source, typeof rows_read, typeof ms]).toEqual(["string", "number", "number"])
  })

  test("contains the period that a query is compared with, if any", async () => {
    const { body } = await call(`/v1/query?website_id=${shop}`, {
      parameters: [
        { name: "custom_events_summary", compare: "previous_period" },
        { name: "funnel", steps: ["seen", "bought"], compare: "previous_period", preset: "yesterday" },
        "custom_events_summary",
      ],
      preset: "today",
    })
    const previous = body.data.map((entry: { meta: { previous?: object } }) => entry.meta.previous)
    expect(previous).toEqual([
      { from: at("07-31", "00:00"), to: "2026-07-31T12:00:00.001Z" },
      { from: at("07-30", "00:00"), to: at("07-31", "00:00") },
      undefined,
    ])
  })

  test("to a batch has a result for each query", async () => {
    const { body } = await call(`/v1/query?website_id=${shop}`, [
      { id: "a", parameters: ["custom_events_summary"] },
      { id: "b", parameters: ["nope"] },
    ])
    expect(body).toMatchObject({ success: true, batch: true, results: [{ queryId: "a" }, { queryId: "b" }] })
    expect(body.results[1].data[0].success).toBe(false)
  })

  test("has no more results after results with more than 100,000 rows", async () => {
    const trend = { name: "custom_events_trends", granularity: "hourly" }
    const range = { startDate: "2020-01-01", endDate: "2026-08-01" }
    const { body } = await call(`/v1/query?website_id=${shop}`, [
      { ...range, parameters: [trend, trend, "custom_events_summary"] },
      { ...range, parameters: ["custom_events_summary"] },
    ])
    const [[first, second, third], [last]] = body.results.map(({ data }: { data: unknown[] }) => data)
    expect([first.success, second.success]).toEqual([true, true])
    expect(first.data.length + second.data.length).toBeGreaterThan(100_000)
    for (const late of [third, last]) {
      expect(late).toMatchObject({ success: false, data: [] })
      expect(late.error).toStartWith("earlier parameters already returned 100000 or more rows")
    }
  })

  const failing: [unknown, string][] = [
    ["nope", "unknown type nope"],
    [{ name: "funnel" }, "funnel needs steps"],
    [{ name: "custom_events", steps: ["a"] }, "custom_events does not take steps"],
    [{ name: "custom_events", by: ["event_name", "path"], sortBy: "nope" }, "custom_events can be sorted by"],
    [{ name: "custom_events_trends", granularity: "minute", preset: "last_30d" }, "granularity minute"],
    [{ name: "custom_events", sortBy: "users" }, "custom_events can be sorted by total_events"],
    [{ name: "custom_events_recent", limit: 10_000, page: 12 }, "page and limit skip more than 100000"],
    [{ name: "custom_events", start_date: "2026-02-30" }, "start_date must be a valid date and time"],
    [{ name: "person" }, "person needs anonymousId or profileId"],
    [{ name: "custom_events_recent", cursor: "x" }, "cursor must be"],
    [{ name: "goals", steps: ["a"], window: "1h" }, "goals does not take window"],
  ]
  test.each(failing)(
    "has an error for %p, and results for the other parameters",
    async (parameter, error) => {
      const { status, body } = await call(`/v1/query?website_id=${shop}`, {
        parameters: [parameter, "custom_events_summary"],
      })
      expect(status).toBe(200)
      expect(body.data[0]).toMatchObject({ success: false, data: [] })
      expect(body.data[0].error).toStartWith(error)
      expect(body.data[1].success).toBe(true)
    },
  )
})

describe("a request", () => {
  test("gets an error for each invalid field", async () => {
    const { status, body } = await ask(
      { name: "custom_events", nope: 1, by: ["nope"] },
      {
        preset: "someday",
        limit: 0,
        filters: [
          { field: "path", op: "in", value: "x" },
          { field: "path", op: "gt", value: "x" },
        ],
      },
    )
    expect(status).toBe(400)
    expect(body).toMatchObject({ success: false, code: "VALIDATION_ERROR", requestId: expect.any(String) })
    const fields = body.errors.map((one: { field: string }) => one.field)
    expect(fields.sort()).toEqual(["limit", "parameters.0.by.0", "parameters.0.nope", "preset"])
    const values = await ask("custom_events", {
      timeZone: "Nowhere",
      filters: [{ field: "path", op: "in", value: "x" }],
    })
    expect(values.body.errors).toEqual([
      { field: "timeZone", message: "must be a time zone, such as Europe/Berlin" },
      { field: "filters.0.value", message: "must be a list for the operator in" },
    ])
  })

  const body = { parameters: ["custom_events"] }
  const refused: [string, string, unknown, string, number, string][] = [
    ["without a website", "/v1/query", body, "all", 400, "MISSING_PROJECT_ID"],
    ["for an unknown website", "/v1/query?website_id=x", body, "all", 403, "ACCESS_DENIED"],
    ["for another website", `/v1/query?website_id=${shop}`, body, "blogOnly", 403, "ACCESS_DENIED"],
    [
      "for events without a website with a limited key",
      "/v1/query?website_id=none",
      body,
      "blogOnly",
      403,
      "ACCESS_DENIED",
    ],
    ["without the scope", `/v1/query?website_id=${shop}`, body, "sender", 403, "ACCESS_DENIED"],
    ["without a key", `/v1/query?website_id=${shop}`, body, "dbdy_", 401, "AUTH_REQUIRED"],
    ["with nonsense", `/v1/query?website_id=${shop}`, 7, "all", 400, "VALIDATION_ERROR"],
    ["without a query", `/v1/query?website_id=${shop}`, [], "all", 400, "VALIDATION_ERROR"],
    [
      "for a stream of another website",
      `/v1/events/stream?website_id=${shop}`,
      undefined,
      "blogOnly",
      403,
      "ACCESS_DENIED",
    ],
  ]
  test.each(refused)("%s is rejected", async (_, path, sent, key, status, code) => {
    const answer = await call(path, sent, key)
    expect([answer.status, answer.body.code]).toEqual([status, code])
  })

  test("counts towards the rate limit of its key", async () => {
    expect((await call("/v1/query/websites", undefined, "slow")).headers.get("ratelimit-remaining")).toBe("0")
    expect((await call("/v1/query/websites", undefined, "slow")).body.code).toBe("RATE_LIMITED")
  })
})

describe("keys and values in a report of properties can be used as filters:", () => {
  const day = { start_date: "2026-03-01", end_date: "2026-03-01" }
  const listed: Record<string, Record<string, string>> = {
    "an empty key": { "": "x" },
    "keys with dots": { ".": "a", "a.": "b", "a..b": "c" },
    "the longest key": { ["k".repeat(128)]: "x" },
    "the longest value": { v: "x".repeat(32_768 - '{"v":""}'.length) },
    "an empty value": { v: "" },
  }
  for (const [what, properties] of Object.entries(listed)) {
    test(what, async () => {
      const sent = { name: what, timestamp: at("03-01"), properties, websiteId: shop }
      expect((await call("/track", sent)).status).toBe(200)
      const filters = [{ field: "event_name", op: "eq", value: what }]
      const all = await rows({ name: "custom_event_properties", filters, ...day })
      expect(all).toHaveLength(Object.keys(properties).length)
      for (const { property_key, property_value } of all) {
        const field = `property.${property_key}`
        const own = [...filters, { field, op: "eq", value: property_value }]
        const parameter = { name: "events", by: [field], measures: ["events"], filters: own, ...day }
        expect(await rows(parameter)).toEqual([{ [field]: property_value, events: 1 }])
      }
    })
  }
})

test("a limited key sees its websites", async () => {
  const { body } = await call("/v1/query/websites", undefined, "blogOnly")
  expect(body).toMatchObject({ success: true, total: 1, websites: [{ id: blog, isPublic: false }] })
  expect((await call("/v1/query/websites")).body.total).toBe(2)
})

test("the types are listed with their parameters", async () => {
  const { body } = await call("/v1/query/types")
  expect(body.types).toContain("custom_events_trends_by_event")
  expect(body.configs.custom_events.meta).toMatchObject({ takes: ["by", "compare"], needs: [] })
})

describe("the scope read:reports", () => {
  const single = (name: string) => `${name} returns individual events or people and needs the scope read:data`
  const named = (field: string) =>
    `${field} identifies people; by and filters can only use it with the scope read:data`
  const ofField = (field: string) => [{ field, op: "exists", value: true }]
  const withheld: [string, object, string][] = [
    ["single events", { name: "custom_events_recent" }, single("custom_events_recent")],
    ["sessions", { name: "sessions" }, single("sessions")],
    ["people", { name: "people" }, single("people")],
    ["a search for people", { name: "people", search: "an" }, single("people")],
    ["a person", { name: "person", anonymousId: "ann" }, single("person")],
    ["counts by person", { name: "events", by: ["path", "anonymous_id"] }, named("anonymous_id")],
    ["names by session", { name: "custom_events", by: ["session_id"] }, named("session_id")],
    ["counts for a profile", { name: "events", filters: ofField("profile_id") }, named("profile_id")],
    [
      "a funnel with a step for one person",
      { name: "funnel", steps: ["seen", { name: "bought", filters: ofField("anonymous_id") }] },
      named("anonymous_id"),
    ],
  ]
  test.each(withheld)("does not show %s, and only that parameter fails", async (_, parameter, error) => {
    const body = { parameters: [parameter, "custom_events_summary"], preset: "last_7d" }
    const answer = await call(`/v1/query?website_id=${shop}`, body, "reports")
    expect(answer.status).toBe(200)
    expect(answer.body.data).toMatchObject([
      { success: false, error, data: [] },
      { success: true, data: [{ total_events: 5 }] },
    ])
  })

  test("fails all parameters of a query that filters by person", async () => {
    const body = { parameters: ["custom_events", "custom_events_summary"], filters: ofField("anonymous_id") }
    const answer = await call(`/v1/query?website_id=${shop}`, body, "reports")
    const errors = answer.body.data.map((one: { error: string }) => one.error)
    expect(errors).toEqual([named("anonymous_id"), named("anonymous_id")])
  })

  const needs: Record<string, object> = {
    funnel: { steps: ["seen", "bought"] },
    retention: { steps: ["seen", "bought"] },
    paths: { steps: ["seen"] },
    goals: { steps: ["bought"] },
    person: { anonymousId: "ann" },
  }
  test("shows all other types as read:data does, without columns that identify people", async () => {
    for (const [name, type] of Object.entries<QueryType>(types)) {
      const body = { parameters: [{ name, ...needs[name] }], preset: "last_7d" }
      const [all, reports] = await Promise.all(
        ["all", "reports"].map((key) => call(`/v1/query?website_id=${shop}`, body, key)),
      )
      expect([name, all?.body.data[0].error]).toEqual([name, undefined])
      const [withReports, withData] = [reports?.body.data[0], all?.body.data[0]]
      if (type.needsReadData) expect([name, withReports.error]).toEqual([name, single(name)])
      else {
        expect([name, withReports.data]).toEqual([name, withData.data])
        expect(type.columns.filter((one) => idFields.some((field) => field === one))).toEqual([])
      }
    }
  })

  test("lists types and websites, but cannot open the event stream", async () => {
    expect((await call("/v1/query/types", undefined, "reports")).status).toBe(200)
    expect((await call("/v1/query/websites", undefined, "reports")).body.total).toBe(2)
    for (const path of ["/v1/events/stream?website_id=all", "/v1/export", "/v1/refusals"]) {
      const answer = await call(path, undefined, "reports")
      expect([answer.status, answer.body.error]).toEqual([403, "this key does not have the scope read:data"])
    }
  })
})
