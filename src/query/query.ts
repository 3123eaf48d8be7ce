import type { StoredEvent } from "../columns/row-reader.ts"
import type { EventKind } from "../event-kinds.ts"
import type { Dimension, Property } from "./fields.ts"
import type { Condition } from "./operators.ts"

/**
 * Queries and their results. The HTTP routes and the command line convert their parameters to these types. Only the
 * engine knows whether a result comes from column blocks or from rows.
 */

/**
 * Operators with a number operand only match values that are numbers (see `numberOf`). All other operators compare
 * values as text: a string unchanged, any other value as JSON. A negation (`ne`, `not_contains` …) matches whenever the
 * operator it negates does not match, including when the value is missing. All other operators require a value.
 * `exists` takes true or false. `property_key` tests the top-level keys of the properties and matches if at least one
 * key matches. A negation matches if no key matches the negated operator.
 */
export interface Filter extends Condition {
  /**
   * `profile` and `page` only work with `eq`. `profile` selects the events of the profile with the ID `value`, as
   * defined in src/store/identity-resolution.ts. `page` selects page views whose path matches `value`, in which each
   * `*` matches any text.
   */
  field: Dimension | "property_key" | "profile" | "page"
  /**
   * Set by the engine for `profile`: for each website (rid), the anonymous IDs whose events without a profile ID belong
   * to the profile.
   */
  linked?: readonly (readonly [website: number, anonymousIds: readonly string[]])[]
}

/** Selects the events of a query by website, time, kind and filters. An event must match every filter. */
export interface Scope {
  /** Row IDs of websites. 0 stands for events without a website. */
  websites: readonly number[]
  /** Start of the range in Unix ms. */
  from: number
  /** End of the range in Unix ms, exclusive. */
  to: number
  /** IANA time zone that defines hours, days, weeks and months. */
  zone: string
  filters: readonly Filter[]
  /** True to include events from crawlers. */
  crawlers: boolean
  /**
   * Only includes events of these kinds. Must be in the order of `eventKinds`, because the list is part of cache keys.
   */
  kinds: readonly EventKind[]
}

export const granularities = ["minute", "hourly", "daily", "weekly", "monthly"] as const
export type Granularity = (typeof granularities)[number]

/**
 * `users`, `sessions`, `profiles` and `pages` count distinct anonymous IDs, session IDs, profile IDs and paths.
 * `event_types` counts distinct event names. `with_properties` counts events with at least one property. `first` and
 * `last` are in Unix ms. Measures of a property only use its numeric values (see `numberOf`). p50, p75, p90, p95 and
 * p99 are nearest-rank percentiles. If the property has no numbers, its measures are null, except that `count` is 0.
 */
export type Measure = CountMeasure | { what: PropertyMeasure; of: Property }

/** The value of each measure if there are no events. */
export const emptyMeasures = {
  events: 0,
  users: 0,
  sessions: 0,
  profiles: 0,
  pages: 0,
  event_types: 0,
  with_properties: 0,
  first: null,
  last: null,
} as const
export type CountMeasure = keyof typeof emptyMeasures
export const countMeasures = Object.keys(emptyMeasures) as CountMeasure[]

/** The value of each property measure if the property has no numbers. */
export const emptyPropertyMeasures = {
  count: 0,
  sum: null,
  avg: null,
  min: null,
  max: null,
  p50: null,
  p75: null,
  p90: null,
  p95: null,
  p99: null,
} as const
export type PropertyMeasure = keyof typeof emptyPropertyMeasures
export const propertyMeasures = Object.keys(emptyPropertyMeasures) as PropertyMeasure[]

/** Computes measures of events, grouped by dimensions and optionally by time. */
export interface GroupsQuery {
  kind: "groups"
  scope: Scope
  by: readonly Dimension[]
  granularity?: Granularity | undefined
  measures: readonly Measure[]
  /** Computes only these groups. */
  only?: readonly GroupKey[] | undefined
  /** Returns one page of the sorted groups. Requires a query without granularity. */
  page?: GroupsPage | undefined
}

export interface GroupsPage {
  /**
   * What to sort by: an index into `by` or `measures`. `change` and `weightedChange` sort by the change of a measure
   * since `previous`, computed by the functions `relativeChange` and `weightedChange`. Missing values come last in
   * either direction. Ties are sorted in the same direction by the measure in `previous` or, for changes, by the
   * difference between the two periods. Remaining ties are sorted by dimensions, in ascending order.
   */
  order: { by: number } | { measure: number } | { change: number } | { weightedChange: number }
  descending: boolean
  /**
   * Also includes the groups of this period. If a group has no events in one of the two periods, its values for that
   * period are those of `emptyMeasures` and `emptyPropertyMeasures`.
   */
  previous?: Pick<Scope, "from" | "to"> | undefined
  offset: number
  limit: number
}

/** One value per dimension, or null if the value is missing. Properties are compared as text (see `Filter`). */
export type GroupKey = readonly (string | null)[]

export interface Group {
  by: GroupKey
  /** Index into `buckets`. 0 if the query has no granularity. */
  bucket: number
  /** Values in the order of the measures. */
  values: (number | null)[]
}

/** A period in local time, clipped to the range of the query. `from` and `to` are in Unix ms, and `to` is exclusive. */
export interface Bucket {
  from: number
  to: number
  /**
   * `2026-11-24` for days, weeks (their Monday) and months (their first day), and `2026-11-24T13:30:00+05:30` for hours
   * and minutes.
   */
  label: string
}

export interface GroupsResult {
  /**
   * Groups with events. They are sorted only if the query has a page. Without dimensions and granularity, there is
   * always exactly one group.
   */
  groups: Group[]
  /** All buckets in the range, including empty ones. Without granularity, there is one bucket. */
  buckets: Bucket[]
  /** The number of groups on all pages, and the sum of their first measure. */
  totals?: { groups: number; sum: number }
  /**
   * The values of each group in the previous period of the page, in the order of `groups`. Absent if the page has no
   * previous period.
   */
  previous?: Values[]
}

/** The values of a group, in the order of the measures. */
export type Values = readonly (number | null)[]

/** For each event name, lists the property keys of its events and the values of these keys. */
export interface ValuesQuery {
  kind: "values"
  scope: Scope
  /** Top-level keys, or undefined for all keys. */
  keys?: readonly string[] | undefined
  /**
   * Maximum number of values to list per key. The most frequent values come first, and equally frequent values are
   * sorted as strings.
   */
  top: number
  /** Maximum number of bins in the histogram of numeric values. If undefined, no statistics of numbers are computed. */
  bins?: number | undefined
}

export interface PropertyValues {
  name: string
  key: string
  /** Number of events with this name in the scope. */
  events: number
  /** Number of events that have a value for the key. */
  occurrences: number
  /** Number of distinct values, compared as text (see `Filter`). */
  cardinality: number
  /** Number of distinct values of each type: numbers (see `numberOf`), booleans, dates (ISO 8601) and http(s) URLs. */
  numeric: number
  boolean: number
  date: number
  url: number
  /** Number of distinct values that are numbers sent as text, such as "29.00". */
  numericTexts: number
  /** Total length of the distinct values as text, in UTF-16 code units. */
  totalLength: number
  maxLength: number
  top: { text: string; count: number }[]
  /** Statistics of the numeric values (see `numberOf`). Undefined if there are none. */
  numbers?: PropertyNumbers
}

/** A bin of a histogram. `to` is exclusive except in the last bin. */
export interface Bin {
  from: number
  to: number
  count: number
}

/** p50 and p95 are nearest-rank percentiles. */
export interface PropertyNumbers {
  /** Number of events with a number. */
  count: number
  min: number
  max: number
  sum: number
  p50: number
  p95: number
  bins: Bin[]
}

export interface ValuesResult {
  properties: PropertyValues[]
}

/** Lists individual events, newest first. Events in the same ms are in reverse order of arrival. */
export interface EventsQuery {
  kind: "events"
  scope: Scope
  limit: number
  offset: number
  /** Continues after this event, the last one on the previous page. */
  after?: { ts: number; id: number } | undefined
}

export interface EventsResult {
  events: ListedEvent[]
}

/** `websiteId` is null for events without a website. */
export type ListedEvent = StoredEvent & { websiteId: string | null }

/**
 * What funnels and retention reports count. A profile includes the events of its linked anonymous IDs (see
 * src/store/identity-resolution.ts).
 */
export type Unit = "anonymous_id" | "session_id" | "profile_id"

/**
 * Describes an event. Its filters apply in addition to those of the scope. If neither a name nor a page is set, events
 * only have to match the filters.
 */
export interface Step {
  /** Name of a custom event. */
  name?: string | undefined
  /** Matches page views by path. Each `*` matches any text. Cannot be combined with `name`. */
  page?: string | undefined
  filters: readonly Filter[]
}

/** Returns the filters that an event must match to count as the step. */
export function stepFilters({ name, page, filters }: Step): Filter[] {
  const stepFilters: Filter[] = []
  if (name !== undefined) {
    stepFilters.push(
      { field: "event_name", op: "eq", value: name },
      { field: "kind", op: "eq", value: "custom" },
    )
  }
  if (page !== undefined) stepFilters.push({ field: "page", op: "eq", value: page })
  return [...stepFilters, ...filters]
}

/**
 * Counts the units that complete the steps in order within `window` ms. Every event that matches the first step starts
 * an attempt, and the best attempt of a unit counts (like ClickHouse's windowFunnel in its default mode). Within an
 * attempt, an event counts as at most one step. Events in the same ms are processed in order of arrival. The steps that
 * an event matches are processed from last to first. Like windowFunnel, each step keeps only the latest attempt that
 * reached it.
 */
export interface FunnelQuery {
  kind: "funnel"
  scope: Scope
  steps: readonly Step[]
  /** Maximum time from the first to the last step, inclusive, in ms. */
  window: number
  unit: Unit
  /**
   * Groups units by the value of this dimension at the first step of their best attempt. If several attempts reached
   * the same furthest step, the one that reached it first is the best.
   */
  by?: Dimension | undefined
}

export interface FunnelResult {
  /**
   * Sorted by the number of units at the first step in descending order, then by value. Without `by`, there is one
   * group with the value null.
   */
  groups: { by: string | null; steps: FunnelStep[] }[]
}

export interface FunnelStep {
  /** Number of units that reached the step. */
  units: number
  /**
   * Median ms since the previous step (nearest rank), over the best attempts that reached this step. Null for the first
   * step, and for a step that no unit reached.
   */
  median: number | null
}

/**
 * Groups units into cohorts by the period of their first start event, and counts how many have a return event in later
 * periods.
 */
export interface RetentionQuery {
  kind: "retention"
  scope: Scope
  startEvent: Step
  returnEvent: Step
  granularity: "daily" | "weekly" | "monthly"
  unit: Unit
}

export interface RetentionResult {
  buckets: Bucket[]
  /**
   * One cohort per bucket. `returned[k]` is the number of units in the cohort with a return event k periods later.
   * `returned[0]` is for the cohort's own period.
   */
  cohorts: { size: number; returned: number[] }[]
}

/**
 * Lists the events before (negative positions) and after an event in the same session. The events of a session are
 * ordered by time, then by arrival (row ID). All reports use this order to find first and latest events.
 */
export interface PathsQuery {
  kind: "paths"
  scope: Scope
  event: Step
  /** Number of positions before and after the event, each from 0 to 5. */
  before: number
  after: number
}

export interface PathsResult {
  /** Number of sessions with the event. Positions are relative to its first occurrence in a session. */
  sessions: number
  /**
   * Sorted by position, then by count in descending order, then by name, then by page. An entry with the name null,
   * which sorts before other names, counts the sessions that have no event at this position because they start after it
   * or end before it. Such sessions are not counted at positions further away. `page` is the path of page views ("" if
   * they have none), and null for other events.
   */
  positions: { position: number; name: string | null; page: string | null; count: number }[]
}

/** Counts the units that have events. */
export interface ReachQuery {
  kind: "reach"
  scope: Scope
  granularity?: Granularity | undefined
  unit: Unit
}

export interface ReachResult {
  /** All buckets in the range. Without granularity, there is one bucket. */
  buckets: Bucket[]
  /** Number of distinct units in each bucket. */
  units: number[]
}

/**
 * Counts page views, and the visitors and sessions with page views. Filters on a context field (country, referrer …)
 * select sessions by their first view. Other filters select views. If two views of a session are in the same ms, the
 * one that arrived first counts as the first.
 */
export interface TrafficQuery {
  kind: "traffic"
  /** The scope's kinds must be `trafficKinds`. If `by` is set, the kind `page_view` is enough. */
  scope: Scope
  /**
   * Groups by fields of each view, or of the first or last view of its session. Cannot be combined with `granularity`.
   */
  by?: { view: "each" | "first" | "last"; fields: readonly Dimension[] } | undefined
  /** Groups views by time, and sessions by the time of their first view. */
  granularity?: Granularity | undefined
}

/** The kinds that a traffic query reads: page views, and the kinds that determine whether a session is a bounce. */
export const trafficKinds = [
  "custom",
  "page_view",
  "page_exit",
  "outgoing_link",
  "error",
] as const satisfies readonly EventKind[]

export interface TrafficGroup {
  /** The values of the fields in `by`. Null if a field is missing. */
  by: GroupKey
  /** Index into `buckets`. */
  bucket: number
  views: number
  /** Number of distinct anonymous IDs. */
  visitors: number
  sessions: number
  /**
   * Number of sessions that have a single view and no other events, and that last less than 10 s. Always 0 if the query
   * has `by`.
   */
  bounces: number
  /**
   * Median number of seconds that the pages of a session were open, over the sessions for which this is known. Null if
   * there are no such sessions, or if the query has `by`.
   */
  medianDuration: number | null
}

export interface TrafficResult {
  /** All buckets in the range. Without granularity, there is one bucket. */
  buckets: Bucket[]
  /** Groups with views, in no particular order. */
  groups: TrafficGroup[]
}

/**
 * Identifies a number in a report, so that the units behind it can be listed. `query` must have the same range and
 * websites as the list, and every event in the scope of `query` must be in the scope of the list.
 */
export type ReportCount =
  | {
      query: FunnelQuery
      /**
       * Index of a step. Selects the units that reached the step or, if `isDropOff` is true, the units whose best
       * attempt ended there.
       */
      step: number
      isDropOff: boolean
      /** Only selects the units that the report counts under this value of `by`. */
      value?: string | null | undefined
    }
  | {
      query: RetentionQuery
      /** Index of a bucket. Selects the units of its cohort. */
      cohort: number
      /** Only selects units with a return event this many periods later. */
      period?: number | undefined
    }

/**
 * Lists sessions by their latest event, newest first. Sessions whose latest events are in the same ms are sorted by ID.
 */
export interface SessionsQuery {
  kind: "sessions"
  scope: Scope
  /** Only lists the sessions behind this number in a report. The report's unit must be `session_id`. */
  of?: ReportCount | undefined
  limit: number
  offset: number
}

export interface SessionsResult {
  total: number
  sessions: {
    sessionId: string
    anonymousId: string | null
    profileId: string | null
    events: number
    /** Times of the first and the latest event, in Unix ms. */
    first: number
    last: number
    firstEvent: string
    lastEvent: string
  }[]
}

/**
 * Lists anonymous IDs by their latest event, newest first. Anonymous IDs whose latest events are in the same ms are
 * sorted as strings.
 */
export interface VisitorsQuery {
  kind: "visitors"
  scope: Scope
  /** Only lists the visitors behind this number in a report, or the profiles if the report's unit is `profile_id`. */
  of?: ReportCount | undefined
  limit: number
  offset: number
}

export interface VisitorsResult {
  total: number
  visitors: {
    /** The anonymous ID of a profile is taken from the profile's latest event that has one. */
    anonymousId: string | null
    /**
     * The profile ID of a visitor is taken from the visitor's latest event that has one. If there is no such event, it
     * is the profile to which the anonymous ID was last linked.
     */
    profileId: string | null
    events: number
    sessions: number
    first: number
    last: number
  }[]
}

export type Query =
  | GroupsQuery
  | ValuesQuery
  | EventsQuery
  | FunnelQuery
  | RetentionQuery
  | PathsQuery
  | ReachQuery
  | SessionsQuery
  | TrafficQuery
  | VisitorsQuery

/** Maps each kind of query to its result. */
export interface QueryResults {
  groups: GroupsResult
  values: ValuesResult
  events: EventsResult
  funnel: FunnelResult
  retention: RetentionResult
  paths: PathsResult
  reach: ReachResult
  sessions: SessionsResult
  traffic: TrafficResult
  visitors: VisitorsResult
}

export type ResultOf<Q extends Query> = QueryResults[Q["kind"]]

/** What a movers query covered. Part of the response. */
export interface MoversSummary {
  /** The value of the measure for all events in the range. `previous_total` is the value for the previous period. */
  total: number
  previous_total: number
  /** Fields whose values were all compared. */
  checked: string[]
  skipped: SkippedField[]
}

export interface SkippedField {
  field: string
  reason: "too_many_values" | "too_many_properties"
}

/** How far another node has shipped its events to the cluster. */
export interface NodeWatermark {
  node: number
  watermark: number
  /** Time of the node's last shipment, in Unix ms. */
  shippedAt: number
}

/** Where a result came from, and how much data was read to compute it. */
export interface QueryStatistics {
  /**
   * One or more sources, joined by `+`. `kept`: aggregates cached by earlier queries. `counts`: the counts that blocks
   * store for each quarter of an hour. `blocks`: column blocks. `rows`: event rows. `clickhouse`: the cluster.
   */
  source: string
  /**
   * If the source includes `clickhouse`, events up to this ID come from the cluster, and later events come from rows.
   */
  watermark?: number
  /** If the source includes `clickhouse`, the other nodes whose events are included up to their watermarks. */
  nodes?: readonly NodeWatermark[]
  /** Number of events in the blocks that were read. */
  blockEvents: number
  /** Number of event rows that were read. */
  rows: number
  ms: number
}

export type { StoredEvent }
