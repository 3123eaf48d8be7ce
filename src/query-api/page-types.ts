import { eventKinds } from "../event-kinds.ts"
import type { Dimension } from "../query/fields.ts"
import type { GroupKey } from "../query/query.ts"
import { eventRows } from "./events.ts"
import { groupsType, last } from "./groups.ts"
import {
  above,
  engagementQuality,
  formAbandonment,
  frustration,
  outboundDomains,
  recentErrors,
  scrollDepths,
  totalEvents,
  value,
  velocity,
  vitalsBy,
} from "./page-reports.ts"
import type { QueryType, Row } from "./query-spec.ts"
import { type Range, readRange } from "./range.ts"
import { fieldTrafficType, trafficTotalsType, trafficType } from "./traffic-types.ts"

/** Maximum age of the events in real-time reports, in ms. */
const realtime = 300_000

const lastMinutes = (_zone: string, now: number): Range => ({
  from: now - realtime,
  to: now + 1,
  days: undefined,
})
/** Returns the range of the current minute and the four minutes before it. */
const fiveMinutes = (_zone: string, now: number): Range => {
  const minute = 60_000
  return { from: Math.floor(now / minute) * minute - 4 * minute, to: now + 1, days: undefined }
}
const today = (zone: string, now: number): Range => readRange({ preset: "today" }, zone, now)

/** Columns and the measures they show. */
const visitors = { column: "visitors", measure: "users" } as const
const affected = { column: "users", measure: "users" } as const
const affectedSessions = { column: "sessions", measure: "sessions" } as const
const count = { column: "count", measure: "events" } as const
const vitalMeasures = [
  ...(["p50", "p75", "p90", "p95", "p99"] as const).map((what) => ({
    column: what,
    measure: { what, of: value },
  })),
  { column: "avg_value", measure: { what: "avg", of: value } },
  { column: "samples", measure: { what: "count", of: value } },
] as const
const byMetric = { column: "metric_name", dimension: "event_name" } as const
const byPage = { column: "name", dimension: "path" } as const

const regionNames = new Intl.DisplayNames("en", { type: "region", fallback: "code" })

function countryName(code: string | null | undefined): string | null {
  // Imported data may contain text that is not a country code. It is shown unchanged.
  return code == null ? null : /^[A-Z]{2}$/.test(code) ? (regionNames.of(code) ?? code) : code
}

const countryLabels = ([country]: GroupKey): Row => ({
  country_code: country ?? null,
  country_name: countryName(country),
})

const sourceFields: readonly Dimension[] = ["referrer_domain", "referrer_type"]
/** Returns the name of a source that has no referrer. Campaign parameters can identify it as an ad nevertheless. */
const unreferred = ([, type]: GroupKey) => (type === "ad" ? "Ad" : "Direct")
const sourceLabels = ([domain = null, type]: GroupKey): Row => ({
  referrer: domain,
  source: domain ?? unreferred([domain, type ?? null]),
  domain,
  referrer_type: type ?? "direct",
})
const sourceColumns = ["referrer", "source", "domain", "referrer_type"]
const isInternal = ([, type]: GroupKey) => type === "internal"

function topPages(description: string, range?: QueryType["range"]): QueryType {
  return { ...fieldTrafficType(description, "path", "each"), ...(range ? { range } : {}) }
}

function referrers(description: string, range?: QueryType["range"]): QueryType {
  return trafficType({
    description,
    by: { view: "first", fields: sourceFields },
    labels: sourceLabels,
    labelColumns: sourceColumns,
    isExcluded: isInternal,
    ...(range ? { range } : {}),
  })
}

function countries(description: string, range?: QueryType["range"]): QueryType {
  return trafficType({
    description,
    by: { view: "first", fields: ["country"] },
    labels: countryLabels,
    labelColumns: ["country_code", "country_name"],
    ...(range ? { range } : {}),
  })
}

/** Defines a query type that reports page views by region or city, with a column for the country. */
function places(description: string, field: "region" | "city"): QueryType {
  return trafficType({
    description,
    by: { view: "first", fields: [field, "country"] },
    labels: ([, country]) => ({ country: countryName(country) }),
    labelColumns: ["country"],
  })
}

/** The kind of engagement reports. Each page view sends one report, and another each time the page is hidden. */
const engagement = ["engagement"] as const

const feedColumns = [
  "event_name",
  "path",
  "anonymous_id",
  "session_id",
  "country",
  "browser_name",
  "device_type",
  "timestamp",
]

/** Query types for page views, vitals, errors, links and engagement. */
export const pageTypes = {
  summary_metrics: trafficTotalsType({
    description: "Page views, visitors, sessions, and events of all kinds",
    columns: ["pageviews", "unique_visitors", "sessions", "bounce_rate", "median_session_duration"],
    more: totalEvents,
  }),
  events_by_date: trafficTotalsType({
    description: "Page views, visitors and sessions over time",
    columns: [
      "pageviews",
      "visitors",
      "sessions",
      "bounce_rate",
      "median_session_duration",
      "pages_per_session",
    ],
    byTime: true,
  }),
  today_metrics: trafficTotalsType({
    description: "Page views, visitors and sessions today",
    columns: ["pageviews", "visitors", "sessions"],
    range: today,
  }),
  active_stats: groupsType({
    description: "Visitors and sessions with at least one event in the last five minutes",
    kinds: eventKinds,
    takes: [],
    by: [],
    measures: [
      { column: "active_users", measure: "users" },
      { column: "active_sessions", measure: "sessions" },
    ],
    range: lastMinutes,
  }),
  top_pages: topPages("Page views by page"),
  entry_pages: fieldTrafficType(
    "Sessions by their first page; the column pageviews counts entries",
    "path",
    "first",
  ),
  exit_pages: fieldTrafficType(
    "Sessions by their last page; the column pageviews counts exits",
    "path",
    "last",
  ),
  page_time_analysis: groupsType({
    description: "Seconds on a page, for visits of 1 s to 1 hour",
    kinds: ["page_exit"],
    takes: ["compare"],
    by: [byPage],
    present: "path",
    filters: [above("property.time_on_page", 1), { field: "property.time_on_page", op: "lt", value: 3_600 }],
    measures: [
      { column: "sessions_with_time", measure: "sessions" },
      visitors,
      { column: "median_time_on_page", measure: { what: "p50", of: "property.time_on_page" } },
    ],
    share: "percentage",
  }),
  top_referrers: referrers("Page views by the session's referrer, excluding direct and internal traffic"),
  traffic_sources: trafficType({
    description: "Page views by the session's source, including Direct",
    by: { view: "first", fields: sourceFields },
    labels: sourceLabels,
    labelColumns: sourceColumns,
    missing: unreferred,
    isExcluded: isInternal,
  }),
  channels: fieldTrafficType("Page views by the session's type of source", "referrer_type"),
  utm_sources: fieldTrafficType("Page views by the session's utm_source", "utm_source"),
  utm_mediums: fieldTrafficType("Page views by the session's utm_medium", "utm_medium"),
  utm_campaigns: fieldTrafficType("Page views by the session's utm_campaign", "utm_campaign"),
  utm_terms: fieldTrafficType("Page views by the session's utm_term", "utm_term"),
  utm_content: fieldTrafficType("Page views by the session's utm_content", "utm_content"),
  country: countries("Page views by country"),
  region: places("Page views by region", "region"),
  city: places("Page views by city", "city"),
  device_types: fieldTrafficType("Page views by type of device: desktop, mobile or tablet", "device_type"),
  browsers: fieldTrafficType("Page views by browser", "browser_name"),
  browser_name: fieldTrafficType("Page views by browser", "browser_name"),
  browser_versions: trafficType({
    description: "Page views by browser and version",
    by: { view: "first", fields: ["browser_name", "browser_version"] },
    labels: ([browser_name = null, browser_version = null]) => ({ browser_name, browser_version }),
    labelColumns: ["browser_name", "browser_version"],
  }),
  operating_systems: fieldTrafficType("Page views by operating system", "os_name"),
  os_name: fieldTrafficType("Page views by operating system", "os_name"),
  language: fieldTrafficType("Page views by language", "language"),
  timezone: fieldTrafficType("Page views by time zone", "timezone"),
  screen_resolution: fieldTrafficType("Page views by screen resolution", "screen_resolution"),
  error_types: groupsType({
    description: "Errors by message",
    kinds: ["error"],
    takes: ["compare"],
    by: [{ column: "name", dimension: "property.message" }],
    present: "property.message",
    measures: [count, affected, { column: "last_seen", measure: last.measure }],
  }),
  errors_by_type: groupsType({
    description: "Errors by type, such as TypeError",
    kinds: ["error"],
    takes: ["compare"],
    by: [{ column: "name", dimension: "property.error_type" }],
    measures: [count, affected, affectedSessions],
  }),
  errors_by_page: groupsType({
    description: "Errors by page",
    kinds: ["error"],
    takes: ["compare"],
    by: [byPage],
    measures: [{ column: "errors", measure: "events" }, affected],
  }),
  error_chart_data: groupsType({
    description: "Errors over time",
    kinds: ["error"],
    takes: ["granularity", "compare"],
    byTime: "daily",
    by: [],
    measures: [
      { column: "totalErrors", measure: "events" },
      { column: "affectedUsers", measure: "users" },
    ],
  }),
  recent_errors: {
    description: "Individual errors, newest first; use meta.nextCursor to get the next page",
    kinds: ["error"],
    needsReadData: true,
    takes: ["cursor"],
    columns: [
      "message",
      "stack",
      "path",
      "anonymous_id",
      "session_id",
      "timestamp",
      "filename",
      "lineno",
      "colno",
      "error_type",
      "browser",
      "os",
      "device",
      "country",
    ],
    order: undefined,
    rows: recentErrors,
  },
  vitals_overview: groupsType({
    description: "Percentiles of each web vital, in ms (CLS: a ratio)",
    kinds: ["web_vital"],
    takes: ["compare"],
    by: [byMetric],
    measures: vitalMeasures,
  }),
  vitals_time_series: groupsType({
    description: "Percentiles of each web vital over time",
    kinds: ["web_vital"],
    takes: ["granularity", "compare"],
    byTime: "daily",
    by: [byMetric],
    measures: vitalMeasures,
  }),
  vitals_by_page: groupsType({
    description: "Percentiles of each web vital by page",
    kinds: ["web_vital"],
    takes: ["compare"],
    by: [byMetric, { column: "page", dimension: "path" }],
    measures: vitalMeasures,
  }),
  vitals_by_country: vitalsBy("Medians of the web vitals by country", "country"),
  vitals_by_browser: vitalsBy("Medians of the web vitals by browser", "browser_name"),
  outbound_links: groupsType({
    description: "Clicks on links to other websites",
    kinds: ["outgoing_link"],
    takes: ["compare"],
    by: [
      { column: "href", dimension: "property.href" },
      { column: "text", dimension: "property.text" },
    ],
    present: "property.href",
    measures: [
      { column: "total_clicks", measure: "events" },
      { column: "unique_users", measure: "users" },
      { column: "unique_sessions", measure: "sessions" },
      { column: "last_clicked", measure: last.measure },
    ],
    share: "percentage",
  }),
  outbound_domains: {
    description: "Clicks on links to other websites, by host",
    kinds: ["outgoing_link"],
    order: {
      by: "total_clicks",
      order: "desc",
      others: ["domain", "unique_users", "unique_links", "percentage"],
    },
    ...outboundDomains,
  },
  realtime_pages: topPages("Page views by page in the last five minutes", lastMinutes),
  realtime_referrers: referrers("Page views by referrer in the last five minutes", lastMinutes),
  realtime_countries: countries("Page views by country in the last five minutes", lastMinutes),
  realtime_feed: {
    description: "Individual events of all kinds from the last five minutes, newest first",
    kinds: eventKinds,
    needsReadData: true,
    takes: ["cursor"],
    columns: feedColumns,
    order: undefined,
    range: lastMinutes,
    *rows(spec, run) {
      const { rows, ...paging } = yield* eventRows(spec, run, spec.scope)
      const cells = (row: Row) =>
        Object.fromEntries(feedColumns.map((column) => [column, row[column] ?? null]))
      return { ...paging, rows: rows.map(cells) }
    },
  },
  realtime_velocity: {
    description: "Page views, events and visitors in each of the last five minutes",
    kinds: eventKinds,
    takes: [],
    columns: ["minute", "pageviews", "events", "visitors"],
    order: undefined,
    range: fiveMinutes,
    rows: velocity,
  },
  frustration_by_page: {
    description:
      "Percentage of page views with rage clicks, dead clicks and errors, and the controls that were clicked",
    kinds: engagement,
    order: {
      by: "page_views",
      order: "desc",
      others: ["name", "visitors", "rage_click_rate", "dead_click_rate", "error_rate"],
    },
    ...frustration,
  },
  engagement_quality_by_page: {
    description: "Time on page, attention, scroll depth and interactions of page views",
    kinds: engagement,
    order: {
      by: "page_views",
      order: "desc",
      others: [
        "name",
        "avg_time_on_page",
        "avg_active_time",
        "attention_ratio",
        "avg_scroll_depth",
        "avg_interactions",
      ],
    },
    ...engagementQuality,
  },
  scroll_depth_distribution: {
    description: "Page views by scroll depth",
    kinds: engagement,
    order: undefined,
    ...scrollDepths,
  },
  form_abandonment_by_page: {
    description: "Sessions that started a form on a page, and sessions that submitted one",
    kinds: engagement,
    order: { by: "form_starts", order: "desc", others: ["name", "form_submits", "abandonment_rate"] },
    ...formAbandonment,
  },
} as const satisfies Record<string, QueryType>

export type PageTypeName = keyof typeof pageTypes
