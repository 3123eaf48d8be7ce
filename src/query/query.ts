import type { IdKind } from "../columns/batch.ts"
import type { StoredEvent } from "../columns/row-reader.ts"
import type { EventKind } from "../event-kinds.ts"
import { acquisitionFields, clientFields } from "../store/contexts.ts"
import type { Condition } from "./operators.ts"

/**
 * The queries and their results. HTTP and the command line translate their own parameters into these types. Only the
 * engine knows whether a result comes from column blocks or from rows.
 */

const withoutIds = <Name extends string>(names: readonly Name[]) =>
  // Object.fromEntries loses the types of the keys.
  Object.fromEntries(names.map((name) => [name, undefined])) as Record<Name, undefined>

/**
 * Fields of an event, with the kind of dictionary ids for fields that hold ids. All except `event_name` and `kind` can
 * be missing.
 */
export const idKinds = {
  event_name: undefined,
  kind: undefined,
  namespace: undefined,
  source: undefined,
  path: undefined,
  /** The property `query_string`. */
  query_string: undefined,
  profile_id: "profiles",
  anonymous_id: "visitors",
  session_id: "sessions",
  website_id: undefined,
  ...withoutIds(clientFields),
  ...withoutIds(acquisitionFields),
} as const satisfies Record<string, IdKind | undefined>

export type Field = keyof typeof idKinds

export const fields = Object.keys(idKinds) as Field[]

/** Fields whose value is the same for all events of a batch. */
export const batchFields = ["event_name", "kind", "website_id"] as const satisfies readonly Field[]

export type BatchField = (typeof batchFields)[number]

export function isBatchField(field: string): field is BatchField {
  // By its type, `includes` accepts only elements of the array.
  return (batchFields as readonly string[]).includes(field)
}

/** Fields that identify visitors, sessions and profiles. No report lists them as dimensions. */
export const idFields: readonly Field[] = fields.filter((field) => idKinds[field])

/**
 * `property.plan`, nested `property.cart.total`, in an array `property.items.0.sku`. At each depth a key that contains
 * the dots takes precedence over a nested one. A JSON null counts as missing.
 */
export type Property = `property.${string}`

export type Dimension = Field | Property

/**
 * Operators with a number operand are true only if the value is a number (see `numberOf`). All others compare text: a
 * string unchanged, any other value as JSON. A negation (`ne`, `not_contains` …) is true if the operator that it
 * negates is false, including where the value is missing; all others are false there. `exists` takes true or false.
 * `property_key` tests the top-level keys of the properties and is true if one of them matches; its negations are true
 * if no key matches the negated operator.
 */
export interface Filter extends Condition {
  /**
   * Only with `eq`: `profile`: the events of the profile with the id `value`, as src/store/identity-resolution.ts
   * defines them; `page`: the page views whose path matches `value`, in which each `*` stands for any text.
   */
  field: Dimension | "property_key" | "profile" | "page"
  /**
   * Set by the engine for `profile`: by website (rid), the anonymous ids whose events without a profile id belong to
   * the profile.
   */
  linked?: readonly (readonly [website: number, anonymousIds: readonly string[]])[]
}

/** The events of a query: those that match every filter. */
export interface Scope {
  /** Rids; 0 stands for events without a website. */
  websites: readonly number[]
  /** Unix ms. */
  from: number
  /** Unix ms, exclusive. */
  to: number
  /** IANA time zone. Hours, days, weeks and months follow its local time. */
  zone: string
  filters: readonly Filter[]
  /** Includes events of crawlers. */
  crawlers: boolean
  /** Only events of these kinds, in the order of `eventKinds`, because the list is part of cache keys. */
  kinds: readonly EventKind[]
}

export const granularities = ["minute", "hourly", "daily", "weekly", "monthly"] as const
export type Granularity = (typeof granularities)[number]

/**
 * `users`, `sessions`, `profiles`, `pages`: distinct anonymous ids, session ids, profile ids, paths. `event_types`:
 * distinct event names. `with_properties`: events with at least one property. `first`, `last`: Unix ms. Measures of a
 * property use only its numeric values (see `numberOf`); p50, p75, p90, p95 and p99 are nearest-rank percentiles.
 * Without a number they are null, and `count` is 0.
 */
export type Measure = CountMeasure | { what: PropertyMeasure; of: Property }

/** The measures if there are no events. */
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

/** The measures of a property if it has no numbers. */
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

/** Measures of events, grouped by dimensions and optionally by time. */
export interface GroupsQuery {
  kind: "groups"
  scope: Scope
  by: readonly Dimension[]
  granularity?: Granularity | undefined
  measures: readonly Measure[]
  /** Only these groups. */
  only?: readonly GroupKey[] | undefined
  /** A page of the sorted groups. Only without granularity. */
  page?: GroupsPage | undefined
}

export interface GroupsPage {
  /**
   * An index into `by` or into `measures`. `change`, `weightedChange`: the change of a measure since `previous`, see
   * `relativeChange` and `weightedChange`. Missing values come last in both directions. Ties are sorted by the measure
   * in `previous` (or for changes, by the difference) in the same direction, then by their dimensions.
   */
  order: { by: number } | { measure: number } | { change: number } | { weightedChange: number }
  descending: boolean
  /**
   * Also lists the groups of this period. If a group has no events in one of the two periods, its values there are
   * those for no events.
   */
  previous?: Pick<Scope, "from" | "to"> | undefined
  offset: number
  limit: number
}

/** One value per dimension; null: missing. Properties are text: see `Filter`. */
export type GroupKey = readonly (string | null)[]

export interface Group {
  by: GroupKey
  /** Index into `buckets`; 0 without granularity. */
  bucket: number
  /** In the order of the measures. */
  values: (number | null)[]
}

/** A period in local time, clipped to the range of the query. Both in Unix ms, `to` exclusive. */
export interface Bucket {
  from: number
  to: number
  /**
   * `2026-11-24` for days, weeks (their Monday) and months (their first day); `2026-11-24T13:30:00+05:30` for hours and
   * minutes.
   */
  label: string
}

export interface GroupsResult {
  /** Groups with events; sorted only if the query has a page. Without dimensions and granularity, always one group. */
  groups: Group[]
  /** All buckets of the range, including empty ones; one bucket without granularity. */
  buckets: Bucket[]
  /** Over all pages: the number of groups, and the sum of their first measure. */
  totals?: { groups: number; sum: number }
  /** If the page has a previous period: the values of each group there, in the order of `groups`. */
  previous?: Values[]
}

/** The values of a group, in the order of the measures. */
export type Values = readonly (number | null)[]

/** The property keys of each event name, and their values. */
export interface ValuesQuery {
  kind: "values"
  scope: Scope
  /** Top-level keys; undefined: all. */
  keys?: readonly string[] | undefined
  /** Maximum values of a key to list, most frequent first, ties ordered by their text. */
  top: number
  /** Maximum number of bins of the histogram of numeric values; undefined: no numbers. */
  bins?: number | undefined
}

export interface PropertyValues {
  name: string
  key: string
  /** Events in scope with this name. */
  events: number
  /** Events that have a value for the key. */
  occurrences: number
  /** Distinct values (as text, see `Filter`). */
  cardinality: number
  /** Distinct values that are numbers (see `numberOf`), booleans, dates (ISO 8601), http(s) URLs. */
  numeric: number
  boolean: number
  date: number
  url: number
  /** Distinct values that are numbers sent as text: "29.00". */
  numericTexts: number
  /** UTF-16 units of the text of the distinct values. */
  totalLength: number
  maxLength: number
  top: { text: string; count: number }[]
  /** Statistics of the numeric values (see `numberOf`); undefined if there are none. */
  numbers?: PropertyNumbers
}

/** A bin of a histogram. `to` is exclusive, except in the last bin. */
export interface Bin {
  from: number
  to: number
  count: number
}

/** p50 and p95 are nearest-rank percentiles. */
export interface PropertyNumbers {
  /** Events with a number. */
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

/** Individual events, newest first; events of the same ms in reverse order of arrival. */
export interface EventsQuery {
  kind: "events"
  scope: Scope
  limit: number
  offset: number
  /** Continues after this event of the previous page. */
  after?: { ts: number; id: number } | undefined
}

export interface EventsResult {
  events: ListedEvent[]
}

/** `websiteId`: null for an event without a website. */
export type ListedEvent = StoredEvent & { websiteId: string | null }

/**
 * The unit that funnels and retention count. A profile includes the events of its linked anonymous ids: see
 * src/store/identity-resolution.ts.
 */
export type Unit = "anonymous_id" | "session_id" | "profile_id"

/** An event with its own filters in addition to those of the scope. Without a name and a page: any event. */
export interface Step {
  /** The name of a custom event. */
  name?: string | undefined
  /** A page view whose path matches; each `*` stands for any text. Not together with `name`. */
  page?: string | undefined
  filters: readonly Filter[]
}

/** The filters that an event must match to be a step. */
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
 * Counts the units that complete the steps in order within `window` ms. Any first step starts an attempt, and the best
 * attempt of a unit counts (windowFunnel of ClickHouse, default mode). An event is at most one step of an attempt.
 * Events of the same ms are processed in order of arrival, the steps of one event from the last to the first. Each step
 * keeps the latest attempt, as windowFunnel does.
 */
export interface FunnelQuery {
  kind: "funnel"
  scope: Scope
  steps: readonly Step[]
  /** ms from the first step to the last, inclusive. */
  window: number
  unit: Unit
  /**
   * A unit counts under the value at the first step of its best attempt. If several attempts got equally far, the first
   * one counts as the best.
   */
  by?: Dimension | undefined
}

export interface FunnelResult {
  /** Sorted by the units of the first step, descending, then by value. Without `by`, one group with the value null. */
  groups: { by: string | null; steps: FunnelStep[] }[]
}

export interface FunnelStep {
  /** Units that reached the step. */
  units: number
  /**
   * Median ms from the previous step (nearest rank) in the best attempts that reached this step; null for the first
   * step and without units.
   */
  median: number | null
}

/**
 * Cohorts: the units with their first start event in the same period, and how many of them have a return event in later
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
   * One per bucket. `returned[k]`: units of the cohort with a return event k periods later; 0 is the period of the
   * cohort.
   */
  cohorts: { size: number; returned: number[] }[]
}

/**
 * The events before (negative positions) and after an event in the same session. The events of a session are ordered by
 * time, then by arrival (row id). All reports use this order to decide which event is the first or the latest.
 */
export interface PathsQuery {
  kind: "paths"
  scope: Scope
  event: Step
  /** Number of positions before and after, each 0 to 5. */
  before: number
  after: number
}

export interface PathsResult {
  /** Sessions with the event. Only its first occurrence in a session counts. */
  sessions: number
  /**
   * Sorted by position, then by count, descending, then by name, then by page. The name null, which sorts first, counts
   * the sessions that start or end there; they are not counted at positions further away. `page`: the path of page
   * views ("": they have none); null for other events.
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
  /** All buckets of the range; one bucket without granularity. */
  buckets: Bucket[]
  /** Distinct units in each bucket. */
  units: number[]
}

/**
 * Counts page views, and the visitors and sessions that have them. Filters by a context field (country, referrer …)
 * select sessions by their first view; other filters select views. Of two views of a session in the same ms, the one
 * that arrived first is the first.
 */
export interface TrafficQuery {
  kind: "traffic"
  /** Its kinds must be `trafficKinds`; with `by`, page views are enough. */
  scope: Scope
  /**
   * Groups by fields of each view, or of the first or the last view of its session. Not together with `granularity`.
   */
  by?: { view: "each" | "first" | "last"; fields: readonly Dimension[] } | undefined
  /** Groups views by time, and sessions by the time of their first view. */
  granularity?: Granularity | undefined
}

/** The kinds that a traffic query reads: page views, and those that show whether a session ended after one view. */
export const trafficKinds = [
  "custom",
  "page_view",
  "page_exit",
  "outgoing_link",
  "error",
] as const satisfies readonly EventKind[]

export interface TrafficGroup {
  /** The values of the fields of `by`; null: the field is missing. */
  by: GroupKey
  /** Index into `buckets`. */
  bucket: number
  views: number
  /** Distinct anonymous ids. */
  visitors: number
  sessions: number
  /** Sessions with a single view, shorter than 10 s, without another event. 0 with `by`. */
  bounces: number
  /**
   * Median of the seconds that the pages of a session were open, over sessions where this is known; null if there are
   * none, and with `by`.
   */
  medianDuration: number | null
}

export interface TrafficResult {
  /** All buckets of the range; one bucket without granularity. */
  buckets: Bucket[]
  /** Groups that have views, in no particular order. */
  groups: TrafficGroup[]
}

/**
 * A count in a report, used to list the units that it includes. The range and the websites of `query` are those of the
 * list, and each event in its scope is in the scope of the list.
 */
export type ReportCount =
  | {
      query: FunnelQuery
      /** Index of a step: the units that reached it, or those whose best attempt ended there. */
      step: number
      isDropOff: boolean
      /** With `by`: only the units under this value. */
      value?: string | null | undefined
    }
  | {
      query: RetentionQuery
      /** Index of a bucket: the units of its cohort. */
      cohort: number
      /** Only units with a return event this many periods later. */
      period?: number | undefined
    }

/** Sessions, ordered by their latest event, newest first; sessions with the same ms by their ids. */
export interface SessionsQuery {
  kind: "sessions"
  scope: Scope
  /** Only the sessions included in this count of a report on sessions. */
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
    /** Unix ms */
    first: number
    last: number
    firstEvent: string
    lastEvent: string
  }[]
}

/** Anonymous ids, ordered by their latest event, newest first; ids with the same ms by their text. */
export interface VisitorsQuery {
  kind: "visitors"
  scope: Scope
  /** Only the visitors included in this count of a report; profiles, if the report counts profiles. */
  of?: ReportCount | undefined
  limit: number
  offset: number
}

export interface VisitorsResult {
  total: number
  visitors: {
    /** For a profile: from its latest event with an anonymous id. */
    anonymousId: string | null
    /** For a visitor: from its latest event with a profile id; otherwise the profile that the id was linked to last. */
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

/** The result of each kind of query. */
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

/** The coverage of a movers query. Part of the response. */
export interface MoversSummary {
  /** The measure of all events, in the range and in the previous period. */
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

/** The sources of a result, and the amount of data read for it. */
export interface QueryStatistics {
  /**
   * Joined by `+`. `kept`: cached aggregates of earlier queries; `counts`: the counts that a block stores for each
   * quarter of an hour; `blocks`: column blocks; `rows`: event rows; `clickhouse`: the cluster.
   */
  source: string
  /** With `clickhouse`: events up to this id come from the cluster, later ones from rows. */
  watermark?: number
  /** Events in the blocks that were read. */
  blockEvents: number
  /** Event rows that were read. */
  rows: number
  ms: number
}

export type { StoredEvent }
