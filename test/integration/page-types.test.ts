import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import type { EventKind } from "../../src/event-kinds.ts"
import { type PageTypeName, pageTypes } from "../../src/query-api/page-types.ts"
import type { AcquisitionContext, ClientContext } from "../../src/store/contexts.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { eventRow } from "../support/event.ts"
import { acquisition, client } from "../support/page-event.ts"

// Tests the rows of each query type for events of pages. All events below are from the four minutes before `now`,
// so they are from the same day.

const now = Date.UTC(2026, 7, 1, 12)
const minutes = (count: number) => new Date(now - count * 60_000).toISOString()

const ann = client({
  country: "DE",
  region: "Bavaria",
  city: "Munich",
  browser_name: "Firefox",
  browser_version: "140",
  os_name: "Linux",
  device_type: "desktop",
  language: "de-DE",
  timezone: "Europe/Berlin",
  screen_resolution: "1920x1080",
})
const ben = client({
  country: "US",
  browser_name: "Safari",
  browser_version: "18",
  os_name: "iOS",
  device_type: "mobile",
})
const search = acquisition({
  referrer: "https://www.google.com/",
  referrer_domain: "google.com",
  referrer_type: "search",
})
const internal = acquisition({
  referrer: "https://shop.example/",
  referrer_domain: "shop.example",
  referrer_type: "internal",
})
const campaign = acquisition({
  referrer_type: "direct",
  utm_source: "news",
  utm_medium: "email",
  utm_campaign: "spring",
  utm_term: "shoes",
  utm_content: "top",
})

interface PageEvent {
  kind: EventKind
  name: string
  /** Minutes before now. */
  ago: number
  person: "ann" | "ben"
  path: string | null
  source?: AcquisitionContext
  place?: ClientContext
  properties?: object
}

const events: PageEvent[] = [
  // Ann comes from a search engine, looks at two pages and buys something.
  { kind: "page_view", name: "screen_view", ago: 4, person: "ann", path: "/", source: search },
  {
    kind: "page_exit",
    name: "page_exit",
    ago: 3,
    person: "ann",
    path: "/",
    properties: { time_on_page: 30 },
  },
  // The referrer and the country of a later page view do not apply to the session.
  {
    kind: "page_view",
    name: "screen_view",
    ago: 3,
    person: "ann",
    path: "/pricing",
    source: internal,
    place: ben,
  },
  {
    kind: "page_exit",
    name: "page_exit",
    ago: 2,
    person: "ann",
    path: "/pricing",
    properties: { time_on_page: 50 },
  },
  { kind: "custom", name: "bought", ago: 2, person: "ann", path: "/pricing" },
  // Ben comes from a newsletter and leaves immediately.
  { kind: "page_view", name: "screen_view", ago: 1, person: "ben", path: "/", source: campaign },
  { kind: "page_exit", name: "page_exit", ago: 1, person: "ben", path: "/", properties: { time_on_page: 4 } },
  ...[100, 300].map(
    (value): PageEvent => ({
      kind: "web_vital",
      name: "LCP",
      ago: 4,
      person: "ann",
      path: "/",
      properties: { value },
    }),
  ),
  { kind: "web_vital", name: "CLS", ago: 1, person: "ben", path: "/", properties: { value: 0.25 } },
  {
    kind: "error",
    name: "error",
    ago: 3,
    person: "ann",
    path: "/pricing",
    properties: {
      message: "x is undefined",
      stack: "at buy (app.js:1:2)",
      filename: "app.js",
      lineno: 1,
      colno: 2,
      error_type: "TypeError",
    },
  },
  {
    kind: "outgoing_link",
    name: "outgoing_link",
    ago: 2,
    person: "ann",
    path: "/",
    properties: { href: "https://docs.example/a", text: "Docs", domain: "docs.example" },
  },
  {
    kind: "engagement",
    name: "engagement",
    ago: 2,
    person: "ann",
    path: "/pricing",
    properties: {
      time_on_page: 50,
      active_time: 25,
      time_to_first_interaction: 900,
      max_scroll_depth: 100,
      interaction_count: 6,
      rage_click_count: 1,
      rage_click_target: "button#buy",
      dead_click_count: 0,
      error_count: 1,
      form_field_count: 3,
      form_submit_count: 0,
      last_form_field: "card",
    },
  },
  {
    kind: "engagement",
    name: "engagement",
    ago: 1,
    person: "ben",
    path: "/",
    properties: {
      time_on_page: 4,
      active_time: 1,
      time_to_first_interaction: 0,
      max_scroll_depth: 10,
      interaction_count: 0,
      rage_click_count: 0,
      dead_click_count: 2,
      dead_click_target: "div.hero",
      error_count: 0,
      form_field_count: 0,
      form_submit_count: 0,
    },
  },
]

function rowOf(
  { kind, name, ago, person, path, source, place, properties = {} }: PageEvent,
  rid: number,
): EventRow {
  const ts = now - ago * 60_000
  return eventRow({
    websiteRid: rid,
    kind,
    name,
    ts,
    receivedAt: ts,
    anonymousId: person,
    sessionId: `session of ${person}`,
    path,
    viaKey: 0,
    client: kind === "custom" ? null : (place ?? (person === "ann" ? ann : ben)),
    acquisition: source ?? null,
    keys: JSON.stringify(Object.keys(properties)),
    properties: JSON.stringify(Object.values(properties)).slice(1, -1),
  })
}

const third = (part: number) => Math.round((10_000 * part) / 3) / 100
/** A row of a query type that counts page views. */
const counted = (name: string, pageviews: number, visitors: number, of = 3) => ({
  name,
  pageviews,
  visitors,
  percentage: Math.round((10_000 * pageviews) / of) / 100,
})
const google = {
  ...counted("google.com", 2, 1, 3),
  referrer: "google.com",
  source: "google.com",
  domain: "google.com",
  referrer_type: "search",
}
const direct = {
  ...counted("Direct", 1, 1),
  referrer: null,
  source: "Direct",
  domain: null,
  referrer_type: "direct",
}
const germany = { ...counted("DE", 2, 1), country_code: "DE", country_name: "Germany" }
const america = { ...counted("US", 1, 1), country_code: "US", country_name: "United States" }
const pages = [counted("/", 2, 2), counted("/pricing", 1, 1)]
const browsers = [counted("Firefox", 2, 1), counted("Safari", 1, 1)]
const systems = [counted("Linux", 2, 1), counted("iOS", 1, 1)]
const lcp = { p50: 100, p75: 300, p90: 300, p95: 300, p99: 300, avg_value: 200, samples: 2 }
const cls = { p50: 0.25, p75: 0.25, p90: 0.25, p95: 0.25, p99: 0.25, avg_value: 0.25, samples: 1 }
const noVitals = { p50_lcp: null, p50_fcp: null, p50_cls: null, p50_inp: null, p50_ttfb: null }

const expected: Record<PageTypeName, object[]> = {
  summary_metrics: [
    {
      pageviews: 3,
      unique_visitors: 2,
      sessions: 2,
      bounce_rate: 50,
      median_session_duration: 4,
      total_events: 14,
    },
  ],
  events_by_date: [
    {
      date: "2026-08-01",
      pageviews: 3,
      visitors: 2,
      sessions: 2,
      bounce_rate: 50,
      median_session_duration: 4,
      pages_per_session: 1.5,
    },
  ],
  today_metrics: [{ pageviews: 3, visitors: 2, sessions: 2 }],
  active_stats: [{ active_users: 2, active_sessions: 2 }],
  top_pages: pages,
  entry_pages: [counted("/", 2, 2, 2)],
  exit_pages: [counted("/", 1, 1, 2), counted("/pricing", 1, 1, 2)],
  page_time_analysis: [
    { name: "/", sessions_with_time: 2, visitors: 2, median_time_on_page: 4, percentage: third(2) },
    { name: "/pricing", sessions_with_time: 1, visitors: 1, median_time_on_page: 50, percentage: third(1) },
  ],
  top_referrers: [{ ...google, percentage: 100 }],
  traffic_sources: [google, direct],
  channels: [counted("search", 2, 1), counted("direct", 1, 1)],
  utm_sources: [counted("news", 1, 1, 1)],
  utm_mediums: [counted("email", 1, 1, 1)],
  utm_campaigns: [counted("spring", 1, 1, 1)],
  utm_terms: [counted("shoes", 1, 1, 1)],
  utm_content: [counted("top", 1, 1, 1)],
  country: [germany, america],
  region: [{ ...counted("Bavaria", 2, 1, 2), country: "Germany" }],
  city: [{ ...counted("Munich", 2, 1, 2), country: "Germany" }],
  device_types: [counted("desktop", 2, 1), counted("mobile", 1, 1)],
  browsers,
  browser_name: browsers,
  browser_versions: [
    { ...counted("Firefox", 2, 1), browser_name: "Firefox", browser_version: "140" },
    { ...counted("Safari", 1, 1), browser_name: "Safari", browser_version: "18" },
  ],
  operating_systems: systems,
  os_name: systems,
  language: [counted("de-DE", 2, 1, 2)],
  timezone: [counted("Europe/Berlin", 2, 1, 2)],
  screen_resolution: [counted("1920x1080", 2, 1, 2)],
  error_types: [{ name: "x is undefined", count: 1, users: 1, last_seen: minutes(3) }],
  errors_by_type: [{ name: "TypeError", count: 1, users: 1, sessions: 1 }],
  errors_by_page: [{ name: "/pricing", errors: 1, users: 1 }],
  error_chart_data: [{ date: "2026-08-01", totalErrors: 1, affectedUsers: 1 }],
  recent_errors: [
    {
      message: "x is undefined",
      stack: "at buy (app.js:1:2)",
      path: "/pricing",
      anonymous_id: "ann",
      session_id: "session of ann",
      timestamp: minutes(3),
      filename: "app.js",
      lineno: 1,
      colno: 2,
      error_type: "TypeError",
      browser: "Firefox",
      os: "Linux",
      device: "desktop",
      country: "DE",
    },
  ],
  vitals_overview: [
    { metric_name: "LCP", ...lcp },
    { metric_name: "CLS", ...cls },
  ],
  vitals_time_series: [
    { date: "2026-08-01", metric_name: "LCP", ...lcp },
    { date: "2026-08-01", metric_name: "CLS", ...cls },
  ],
  vitals_by_page: [
    { metric_name: "LCP", page: "/", ...lcp },
    { metric_name: "CLS", page: "/", ...cls },
  ],
  vitals_by_country: [
    { name: "DE", visitors: 1, ...noVitals, p50_lcp: 100, samples: 2 },
    { name: "US", visitors: 1, ...noVitals, p50_cls: 0.25, samples: 1 },
  ],
  vitals_by_browser: [
    { name: "Firefox", visitors: 1, ...noVitals, p50_lcp: 100, samples: 2 },
    { name: "Safari", visitors: 1, ...noVitals, p50_cls: 0.25, samples: 1 },
  ],
  outbound_links: [
    {
      href: "https://docs.example/a",
      text: "Docs",
      total_clicks: 1,
      unique_users: 1,
      unique_sessions: 1,
      last_clicked: minutes(2),
      percentage: 100,
    },
  ],
  outbound_domains: [
    { domain: "docs.example", total_clicks: 1, unique_users: 1, unique_links: 1, percentage: 100 },
  ],
  realtime_pages: pages,
  realtime_referrers: [{ ...google, percentage: 100 }],
  realtime_countries: [germany, america],
  realtime_feed: events
    .map(({ name, path, person, kind, place, ago }) => {
      const known = kind === "custom" ? undefined : (place ?? (person === "ann" ? ann : ben))
      return {
        event_name: name,
        path,
        anonymous_id: person,
        session_id: `session of ${person}`,
        country: known?.country ?? null,
        browser_name: known?.browser_name ?? null,
        device_type: known?.device_type ?? null,
        timestamp: minutes(ago),
      }
    })
    .toReversed()
    .sort((one, other) => (one.timestamp < other.timestamp ? 1 : one.timestamp > other.timestamp ? -1 : 0)),
  realtime_velocity: [4, 3, 2, 1, 0].map((ago) => {
    const inMinute = events.filter((event) => event.ago === ago)
    return {
      minute: minutes(ago),
      pageviews: inMinute.filter(({ kind }) => kind === "page_view").length,
      events: inMinute.length,
      visitors: new Set(inMinute.map(({ person }) => person)).size,
    }
  }),
  frustration_by_page: [
    {
      name: "/",
      page_views: 1,
      visitors: 1,
      rage_click_rate: 0,
      dead_click_rate: 100,
      error_rate: 0,
      top_rage_click_target: null,
      top_dead_click_target: "div.hero",
    },
    {
      name: "/pricing",
      page_views: 1,
      visitors: 1,
      rage_click_rate: 100,
      dead_click_rate: 0,
      error_rate: 100,
      top_rage_click_target: "button#buy",
      top_dead_click_target: null,
    },
  ],
  engagement_quality_by_page: [
    {
      name: "/",
      page_views: 1,
      avg_time_on_page: 4,
      avg_active_time: 1,
      attention_ratio: 25,
      avg_scroll_depth: 10,
      avg_interactions: 0,
      median_time_to_first_interaction: null,
    },
    {
      name: "/pricing",
      page_views: 1,
      avg_time_on_page: 50,
      avg_active_time: 25,
      attention_ratio: 50,
      avg_scroll_depth: 100,
      avg_interactions: 6,
      median_time_to_first_interaction: 900,
    },
  ],
  scroll_depth_distribution: [
    { depth_range: "0-25%", visitors: 1, sessions: 1, percentage: 50 },
    { depth_range: "25-50%", visitors: 0, sessions: 0, percentage: 0 },
    { depth_range: "50-75%", visitors: 0, sessions: 0, percentage: 0 },
    { depth_range: "75-100%", visitors: 1, sessions: 1, percentage: 50 },
  ],
  form_abandonment_by_page: [
    { name: "/pricing", form_starts: 1, form_submits: 0, abandonment_rate: 100, top_abandoned_field: "card" },
  ],
}

type Row = Record<string, unknown>

let app: TestApp
let ask: (body: object) => Promise<object[]>

beforeAll(() => {
  app = openApp()
  const { db } = app.store
  const settings = { domain: "shop.example", name: "Shop", anonymize: "off" } as const
  const { rid, id } = createWebsite(db, crypto.randomUUID(), { ...settings, allowedOrigins: [] }, now)
  app.store.registry.refresh()
  const rows = events.map((event) => rowOf(event, rid))
  const inserter = new EventInserter(db, new DailyHash(db, (bytes) => crypto.getRandomValues(bytes)))
  db.transaction(() => inserter.insert(rows)).immediate()
  const { secret } = giveKey(app, { scopes: ["read:data"] })
  ask = async (body) => {
    const response = await app.send(
      new Request(`http://localhost/v1/query?website_id=${id}`, {
        method: "POST",
        headers: { authorization: `Bearer ${secret}` },
        body: JSON.stringify({ startDate: "2026-08-01", endDate: "2026-08-01", ...body }),
      }),
    )
    const answer = (await response.json()) as { data: { error?: string; data: object[] }[] }
    if (!answer.data?.[0] || answer.data[0].error) throw new Error(JSON.stringify(answer))
    return answer.data[0].data
  }
})
afterAll(() => app.close())

const names = Object.keys(expected) as PageTypeName[]

describe("a query type for events of pages returns the expected rows:", () => {
  test.each(names)("%s", async (name) => {
    expect(await ask({ parameters: [name] })).toEqual(expected[name])
  })

  test.each(names)("%s has exactly its columns", async (name) => {
    const columns = [...pageTypes[name].columns].sort()
    for (const row of await ask({ parameters: [name] })) expect(Object.keys(row).sort()).toEqual(columns)
  })
})

describe("filters", () => {
  const filtered = (field: string, value: string, parameter: string) =>
    ask({ parameters: [parameter], filters: [{ field, op: "eq", value }] })

  const cases: [name: string, field: string, value: string, type: PageTypeName, rows: object[]][] = [
    [
      "by source select sessions, including their later pages",
      "referrer_domain",
      "google.com",
      "top_pages",
      [counted("/", 1, 1, 2), counted("/pricing", 1, 1, 2)],
    ],
    ["by the source of a later view select nothing", "referrer_domain", "shop.example", "top_pages", []],
    ["by campaign select sessions", "utm_campaign", "spring", "entry_pages", [counted("/", 1, 1, 1)]],
    ["by page select views", "path", "/pricing", "country", [{ ...germany, ...counted("DE", 1, 1, 1) }]],
    ["by country select sessions by their first view", "country", "US", "top_pages", [counted("/", 1, 1, 1)]],
  ]
  test.each(cases)("%s", async (_, field, value, type, rows) => {
    expect(await filtered(field, value, type)).toEqual(rows)
  })
})

describe("a session that began before the range", () => {
  const late = new Date(now - 3.5 * 60_000).toISOString()
  const inRange = (parameter: string) =>
    ask({ parameters: [{ name: parameter, start_date: late, end_date: new Date(now).toISOString() }] })

  test("has the source of its first page view", async () => {
    expect(await inRange("traffic_sources")).toMatchObject([
      { name: "Direct", pageviews: 1 },
      { name: "google.com", pageviews: 1 },
    ])
  })

  test("is not a bounce if it has a single page view in the range", async () => {
    expect(await inRange("summary_metrics")).toMatchObject([{ pageviews: 2, sessions: 2, bounce_rate: 50 }])
  })
})

test.each(["/pricing", "/pricing/", "/pri*"])("the step %s matches the view of /pricing", async (page) => {
  const steps = [{ page: "/" }, { page }]
  expect(await ask({ parameters: [{ name: "funnel", steps }] })).toMatchObject([{ people: 2 }, { people: 1 }])
})

test("a comparison has the values of the previous period, or none", async () => {
  const [summary] = await ask({ parameters: [{ name: "summary_metrics", compare: "previous_period" }] })
  expect(summary).toMatchObject({
    pageviews: 3,
    previous: { pageviews: 0, sessions: 0, median_session_duration: null },
  })
  const [top] = await ask({ parameters: [{ name: "top_pages", compare: "previous_period" }] })
  expect(top).toMatchObject({ name: "/", pageviews: 2, previous: { pageviews: 0, visitors: 0 } })
})

describe("a report without events today has yesterday's values in its comparison:", () => {
  const reports: [name: PageTypeName, label: string][] = [
    ["vitals_by_country", "name"],
    ["vitals_by_browser", "name"],
    ["outbound_domains", "domain"],
    ["frustration_by_page", "name"],
    ["engagement_quality_by_page", "name"],
    ["scroll_depth_distribution", "depth_range"],
    ["form_abandonment_by_page", "name"],
  ]
  test.each(reports)("%s", async (name, label) => {
    const next = { startDate: "2026-08-02", endDate: "2026-08-02" }
    const rows = (await ask({ parameters: [{ name, compare: "previous_period" }], ...next })) as Row[]
    const byLabel = (all: Row[]) => new Map(all.map((row) => [row[label], row]))
    const found = byLabel(rows)
    const yesterday = byLabel(expected[name] as Row[])
    expect([...found.keys()].sort()).toEqual([...yesterday.keys()].sort())
    for (const [key, row] of yesterday) {
      const { [label]: _, percentage: __, ...values } = row
      expect(found.get(key)).toMatchObject({ previous: values })
      const numbers = Object.keys(values).filter((column) => found.get(key)?.[column] !== null)
      for (const column of numbers) expect(found.get(key)?.[column]).toBe(0)
    }
  })

  test("page_time_analysis", async () => {
    const compared = { name: "page_time_analysis", compare: "previous_period" }
    const [top] = await ask({ parameters: [compared] })
    expect(top).toMatchObject({ name: "/", previous: { sessions_with_time: 0, median_time_on_page: null } })
  })
})

test("custom events are not page views, and page views are not custom events", async () => {
  expect(await ask({ parameters: ["custom_events_summary"] })).toMatchObject([{ total_events: 1 }])
})
