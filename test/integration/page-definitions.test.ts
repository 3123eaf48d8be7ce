import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { EventKind } from "../../src/event-kinds.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { EventInserter } from "../../src/store/events.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { acquisition, client, pageView } from "../support/page-event.ts"

// Tests each definition in src/query-api/README.md with minimal sessions. The range of the queries is 2026-08-02.

const start = Date.UTC(2026, 7, 2)
const hour = 3_600_000

interface Visit {
  kind?: EventKind
  name?: string
  /** Hours after the start of the range. */
  at?: number
  session?: string | null
  visitor?: string
  path?: string
  /** Seconds on the page that an exit reports. */
  seconds?: number
  domain?: string
  type?: string
  country?: string
}

interface Case {
  definition: string
  events: Visit[]
  parameter: string | object
  filters?: object[]
  rows: object[]
}

const view = (more: Visit = {}): Visit => ({ kind: "page_view", name: "screen_view", ...more })
const exit = (seconds: number, more: Visit = {}): Visit => ({
  kind: "page_exit",
  name: "page_exit",
  seconds,
  ...more,
})
const bounceRate = (rate: number) => [{ bounce_rate: rate }]

const cases: Case[] = [
  {
    definition: "visitors are distinct anonymous ids, and sessions distinct session ids with a page view",
    events: [view(), view(), view({ session: "b" }), exit(4, { session: "without a view" })],
    parameter: "summary_metrics",
    rows: [{ pageviews: 3, unique_visitors: 1, sessions: 2 }],
  },
  {
    definition: "a page view without a session counts as a page view, but not as a session",
    events: [view({ session: null })],
    parameter: "summary_metrics",
    rows: [{ pageviews: 1, unique_visitors: 1, sessions: 0 }],
  },
  ...(
    [
      ["one page view", [view()], 100],
      ["one page view of 9 s", [view(), exit(9)], 100],
      ["one page view of 9.999999 s", [view(), exit(9.999999)], 100],
      ["one page view of 10 s", [view(), exit(10)], 0],
      ["one page view of 10 s in two parts", [view(), exit(9.9), exit(0.1)], 0],
      ["two page views", [view(), view()], 0],
      ["a custom event", [view(), { kind: "custom", name: "bought" }], 0],
      ["an error", [view(), { kind: "error", name: "error" }], 0],
      ["a click on an outgoing link", [view(), { kind: "outgoing_link", name: "outgoing_link" }], 0],
      ["a web vital", [view(), { kind: "web_vital", name: "LCP" }], 100],
      ["a report of engagement", [view(), { kind: "engagement", name: "engagement" }], 100],
    ] as const
  ).map(
    ([what, events, rate]): Case => ({
      definition: `a session with ${what} is ${rate === 0 ? "not a" : "a"} bounce`,
      events: [...events],
      parameter: "summary_metrics",
      rows: bounceRate(rate),
    }),
  ),
  {
    definition:
      "the duration of a session is the sum of the times on its pages, and sessions without a time are left out",
    events: [
      view(),
      exit(20),
      view(),
      exit(30),
      view({ session: "b" }),
      view({ session: "c" }),
      exit(70, { session: "c" }),
    ],
    parameter: "summary_metrics",
    // The nearest-rank median of 50 and 70.
    rows: [{ median_session_duration: 50 }],
  },
  {
    definition: "the duration of a session can have fractions of a second, whose sum is exact",
    events: [view(), exit(0.1), exit(0.2), exit(9.69)],
    parameter: "summary_metrics",
    rows: [{ median_session_duration: 9.99 }],
  },
  {
    definition: "an entry is the first page view of a session",
    events: [view({ path: "/a" }), view({ path: "/b", at: 1 })],
    parameter: "entry_pages",
    rows: [{ name: "/a", pageviews: 1 }],
  },
  {
    definition: "an exit is the last page view of a session in the range",
    events: [view({ path: "/a" }), view({ path: "/b", at: 1 }), view({ path: "/c", at: 25 })],
    parameter: "exit_pages",
    rows: [{ name: "/b", pageviews: 1 }],
  },
  {
    definition: "of two page views with the same timestamp, the one received first is the first",
    events: [view({ path: "/b" }), view({ path: "/a" })],
    parameter: "entry_pages",
    rows: [{ name: "/b", pageviews: 1 }],
  },
  {
    definition: "the source of a session is the one of its first page view, up to 24 hours before the range",
    events: [view({ at: -24, domain: "google.com", type: "search" }), view({ domain: "news.example" })],
    parameter: "traffic_sources",
    rows: [{ name: "google.com", pageviews: 1 }],
  },
  {
    definition: "a page view more than 24 hours before the range has no effect",
    events: [view({ at: -24.001, domain: "google.com", type: "search" }), view({ domain: "news.example" })],
    parameter: "traffic_sources",
    rows: [{ name: "news.example", pageviews: 1 }],
  },
  {
    definition: "a filter by country selects whole sessions by their first page view",
    events: [view({ path: "/a", country: "DE" }), view({ path: "/b", at: 1, country: "FR" })],
    parameter: "top_pages",
    filters: [{ field: "country", op: "eq", value: "DE" }],
    rows: [
      { name: "/a", pageviews: 1 },
      { name: "/b", pageviews: 1 },
    ],
  },
  {
    definition: "a filter by path selects page views",
    events: [view({ path: "/a" }), view({ path: "/b", at: 1 })],
    parameter: "summary_metrics",
    filters: [{ field: "path", op: "eq", value: "/b" }],
    rows: [{ pageviews: 1, sessions: 1, bounce_rate: 0 }],
  },
  {
    definition: "a host that sends visitors from its pages and from its ads counts as two sources",
    events: [
      view({ domain: "google.com", type: "search" }),
      view({ session: "b", domain: "google.com", type: "ad" }),
    ],
    parameter: "traffic_sources",
    rows: [
      { name: "google.com", pageviews: 1, referrer_type: "ad" },
      { name: "google.com", pageviews: 1, referrer_type: "search" },
    ],
  },
  {
    definition:
      "a session counts in the period of its first page view, and a visitor in each period with a page view",
    events: [view(), view({ at: 1 })],
    parameter: { name: "events_by_date", granularity: "hourly", limit: 2 },
    rows: [
      { pageviews: 1, visitors: 1, sessions: 1 },
      { pageviews: 1, visitors: 1, sessions: 0 },
    ],
  },
  {
    definition:
      "the percentage is the share of the page views in all rows, and views without a value are left out",
    events: [view({ country: "DE" }), view({ session: "b", country: "FR" }), view({ session: "c" })],
    parameter: "country",
    rows: [
      { name: "DE", percentage: 50 },
      { name: "FR", percentage: 50 },
    ],
  },
]

let app: TestApp
let key: string

beforeAll(() => {
  app = openApp()
  key = giveKey(app, { scopes: ["read:data"] }).secret
})
afterAll(() => app.close())

/** Stores events for a new website and returns the rows of a query. */
async function rowsOf({ events, parameter, filters = [] }: Case): Promise<object[]> {
  const { db } = app.store
  const settings = { domain: "shop.example", name: "Shop", anonymize: "off" as const, allowedOrigins: [] }
  const { rid, id } = createWebsite(db, crypto.randomUUID(), settings, start)
  app.store.registry.refresh()
  const rows = events.map(({ at = 0, visitor = "ann", session = "a", path = "/", ...event }) =>
    pageView({
      websiteRid: rid,
      kind: event.kind ?? "custom",
      name: event.name ?? "",
      ts: start + at * hour,
      receivedAt: start + 48 * hour,
      anonymousId: visitor,
      sessionId: session === null ? null : `${id} ${session}`,
      path,
      client: client({ country: event.country ?? "" }),
      acquisition: acquisition({
        referrer_domain: event.domain ?? "",
        referrer_type: event.type ?? (event.domain ? "other" : "direct"),
      }),
      keys: event.seconds === undefined ? "[]" : '["time_on_page"]',
      properties: event.seconds === undefined ? "" : String(event.seconds),
    }),
  )
  const inserter = new EventInserter(db, new DailyHash(db, (bytes) => crypto.getRandomValues(bytes)))
  db.transaction(() => inserter.insert(rows)).immediate()
  const response = await app.send(
    new Request(`http://localhost/v1/query?website_id=${id}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}` },
      body: JSON.stringify({
        startDate: "2026-08-02",
        endDate: "2026-08-02",
        parameters: [parameter],
        filters,
      }),
    }),
  )
  const answer = (await response.json()) as { data: { error?: string; data: object[] }[] }
  if (!answer.data?.[0] || answer.data[0].error) throw new Error(JSON.stringify(answer))
  return answer.data[0].data
}

describe("definitions of page views", () => {
  test.each(cases.map((one) => [one.definition, one] as const))("%s", async (_, one) => {
    const rows = await rowsOf(one)
    // Query types with dates have a row for each date, so there can be more rows.
    expect(rows.slice(0, one.rows.length)).toMatchObject(one.rows)
    if (typeof one.parameter === "string") expect(rows).toHaveLength(one.rows.length)
  })
})
