import type { IdKind } from "../columns/batch.ts"
import type { StoredEvent } from "../columns/row-reader.ts"
import type { Condition } from "./operators.ts"

/**
 * What can be asked of the stored events, and what the answers hold. Whoever asks (HTTP, the command line) turns its own
 * form into one of these; nobody but the engine knows whether an answer comes from column blocks or from rows.
 */

/** Fields of an event itself, and of those that hold ids which. All but `event_name` can be missing. */
export const idKinds = {
  event_name: undefined,
  namespace: undefined,
  source: undefined,
  path: undefined,
  profile_id: "profiles",
  anonymous_id: "visitors",
  session_id: "sessions",
  website_id: undefined,
} as const satisfies Record<string, IdKind | undefined>

export type Field = keyof typeof idKinds

export const fields = Object.keys(idKinds) as Field[]

/** Those that tell people apart: no report names them. */
export const personFields: readonly Field[] = fields.filter((field) => idKinds[field])

/**
 * `property.plan`, nested `property.cart.total`, in an array `property.items.0.sku`. A key that is written exactly so, dots included,
 * goes before a nested one, at each depth. A JSON null is as good as missing.
 */
export type Property = `property.${string}`

export type Dimension = Field | Property

/**
 * Operators that take a number compare numbers: they are true only where the event's value is a number (see `numberOf`). All others compare text:
 * a string as it is, any other value as JSON. A negation (`ne`, `not_contains` …) is true wherever its opposite is not, so also where
 * the value is missing; all others are false there. `exists` takes true or false. `property_key` compares each top-level key of the
 * properties, and is true where one of them fits (a negation: where none does what it denies).
 */
export interface Filter extends Condition {
  /** `profile`: the events of the profile that `value` names, as src/store/person.ts defines them; with `eq` alone. */
  field: Dimension | "property_key" | "profile"
  /** Of `profile`, filled in by the engine: by website (rid) the anonymous ids whose events without a profile are the profile's. */
  linked?: readonly (readonly [website: number, anonymousIds: readonly string[]])[]
}

/** Which events a question is about: those that fit every filter. */
export interface Scope {
  /** Rids; 0 is the owner's own events, without a website. */
  websites: readonly number[]
  /** Unix ms. */
  from: number
  /** Unix ms, exclusive. */
  to: number
  /** IANA name; days, weeks and hours are those of its clocks. */
  zone: string
  filters: readonly Filter[]
  /** Count marked crawlers too. */
  crawlers: boolean
}

export const granularities = ["minute", "hourly", "daily", "weekly", "monthly"] as const
export type Granularity = (typeof granularities)[number]

/**
 * `users`, `sessions`, `profiles`, `pages`: distinct anonymous ids, session ids, profile ids, paths. `event_types`: distinct
 * names. `with_properties`: events that have at least one property. `first`, `last`: Unix ms. Of a property: only
 * values that are numbers (see `numberOf`) count; p50 and p95 by nearest rank; null where there is none (count: 0).
 */
export type Measure = CountMeasure | { what: PropertyMeasure; of: Property }

/** What a measure is where there is no event. */
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

/** The same of a property's numbers. */
export const emptyPropertyMeasures = {
  count: 0,
  sum: null,
  avg: null,
  min: null,
  max: null,
  p50: null,
  p95: null,
} as const
export type PropertyMeasure = keyof typeof emptyPropertyMeasures
export const propertyMeasures = Object.keys(emptyPropertyMeasures) as PropertyMeasure[]

/** Measures of events, by dimensions and, where asked, by time. */
export interface GroupsQuery {
  kind: "groups"
  scope: Scope
  by: readonly Dimension[]
  granularity?: Granularity | undefined
  measures: readonly Measure[]
  /** Of these groups alone, by their dimensions. */
  only?: readonly By[] | undefined
  /** Some of the groups in an order; without granularity. */
  page?: GroupsPage | undefined
}

export interface GroupsPage {
  /** A place in `by` or in `measures`. What is missing comes last, whichever way; ties in the order of their dimensions. */
  order: { by: number } | { measure: number }
  down: boolean
  offset: number
  limit: number
}

/** One value a dimension; null: missing. Properties as text, see `Filter`. */
export type By = readonly (string | null)[]

export interface Group {
  by: By
  /** Index into `buckets`; 0 where no granularity was asked for. */
  bucket: number
  /** In the order of the measures. */
  values: (number | null)[]
}

/** A stretch of time of the asked zone's clocks. Both Unix ms, `to` exclusive; cut at the range that was asked for. */
export interface Bucket {
  from: number
  to: number
  /** `2026-11-24` for days, weeks (their Monday) and months (their first); `2026-11-24T13:30:00+05:30` for hours and minutes. */
  label: string
}

export interface GroupsResult {
  /** Only groups with events, in no order but that of a page. Without dimensions and granularity always one group. */
  groups: Group[]
  /** All buckets of the range, also the empty ones; one where no granularity was asked for. */
  buckets: Bucket[]
  /** Where a page was asked for: how many groups there are, and their first measure added up. */
  all?: { groups: number; sum: number }
}

/** Property keys of each event name and their values. */
export interface ValuesQuery {
  kind: "values"
  scope: Scope
  /** Top-level keys; undefined: all. */
  keys?: readonly string[] | undefined
  /** Values of a key to list, the most frequent first, ties in the order of their text. */
  top: number
  /** Tell of the numbers, too, with at most so many bins; left out: do not. */
  bins?: number | undefined
}

export interface PropertyValues {
  name: string
  key: string
  /** Events of that name in scope. */
  events: number
  /** Of them, those with a value for the key. */
  occurrences: number
  /** Distinct values (as text, see `Filter`). */
  cardinality: number
  /** Of the distinct values, those that are numbers (see `numberOf`), booleans, dates (ISO 8601), http(s) addresses. */
  numeric: number
  boolean: number
  date: number
  url: number
  /** UTF-16 units of the distinct values' text. */
  totalLength: number
  maxLength: number
  top: { text: string; count: number }[]
  /** Of the values that are numbers (see `numberOf`), where there are any. */
  numbers?: PropertyNumbers
}

/** A bin of a histogram: `from` up to, but without, `to`; the last one holds `to` as well. */
export interface Bin {
  from: number
  to: number
  count: number
}

/** p50 and p95 by nearest rank. */
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

/** Single events, the newest first, those of the same time in the reverse order of receipt. */
export interface EventsQuery {
  kind: "events"
  scope: Scope
  limit: number
  offset: number
  /** Go on after this event of an earlier answer: its time and id. */
  after?: { ts: number; id: number } | undefined
}

export interface EventsResult {
  events: ListedEvent[]
}

/** `websiteId`: null for the owner's own events. */
export type ListedEvent = StoredEvent & { websiteId: string | null }

/** Who or what is followed through a funnel or over weeks. A profile with the events of its linked anonymous ids: see src/store/person.ts. */
export type Unit = "anonymous_id" | "session_id" | "profile_id"

/** An event with filters of its own beside those of the scope. Without a name: any event. */
export interface Step {
  name?: string | undefined
  filters: readonly Filter[]
}

/**
 * Steps in their order within `window` ms of the first one; any first step opens a window, and a unit's best attempt counts
 * (ClickHouse's windowFunnel, default mode). One event is one step at most of an attempt. Events of the same ms are taken in the order of
 * receipt; the steps of one event from the last to the first. For each step the latest attempt is kept, as windowFunnel does.
 */
export interface FunnelQuery {
  kind: "funnel"
  scope: Scope
  steps: readonly Step[]
  /** ms from the first step to the last, inclusive. */
  window: number
  unit: Unit
  /** A unit counts under the value of its first step in the attempt that got furthest (the first to get there). */
  by?: Dimension | undefined
}

export interface FunnelResult {
  /** Ordered by the people of the first step, most first, then by value; without `by` one with the value null. */
  groups: { by: string | null; steps: FunnelStep[] }[]
}

export interface FunnelStep {
  /** Units that reached it. */
  people: number
  /** ms from the step before, nearest-rank median over the units that reached it in their best attempt; null for the first step and where none did. */
  median: number | null
}

/** Units whose first `start` in the range falls in a period, and in which later periods they did `comeBack`. */
export interface RetentionQuery {
  kind: "retention"
  scope: Scope
  start: Step
  comeBack: Step
  granularity: "daily" | "weekly" | "monthly"
  unit: Unit
}

export interface RetentionResult {
  buckets: Bucket[]
  /** One a bucket. `returned[k]`: units of the cohort with a `comeBack` k periods later; k = 0 is its own period. */
  cohorts: { size: number; returned: number[] }[]
}

/**
 * What came before (negative places) and after an event in the same session, step by step. The events of a session are in the order
 * of time, then of receipt (row id); so everywhere where one has to be the first or the newest.
 */
export interface PathsQuery {
  kind: "paths"
  scope: Scope
  event: Step
  /** Places to look before and after, each 0 to 5. */
  before: number
  after: number
}

export interface PathsResult {
  /** Occurrences of the event in a session: for each session its first one. */
  sessions: number
  /** Ordered by place, then count, most first, then name. name null: the session began or ended there; counted once, not at the places beyond, and before the names of as many. */
  places: { place: number; name: string | null; count: number }[]
}

/** How many units have events. */
export interface ReachQuestion {
  kind: "reach"
  scope: Scope
  granularity?: Granularity | undefined
  unit: Unit
}

export interface ReachAnswer {
  /** All of the range; one where no granularity was asked for. */
  buckets: Bucket[]
  /** Of each bucket, distinct ones. */
  units: number[]
}

/** Sessions, the one with the latest event first, those of the same ms in the order of their ids. */
export interface SessionsQuery {
  kind: "sessions"
  scope: Scope
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

/** People: anonymous ids, the one seen last first, those of the same ms in the order of their ids. */
export interface VisitorsQuery {
  kind: "people"
  scope: Scope
  limit: number
  offset: number
}

export interface VisitorsResult {
  total: number
  people: {
    anonymousId: string
    /** Of the person's newest event that has one; else the one that the id was linked to last. */
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
  | ReachQuestion
  | SessionsQuery
  | VisitorsQuery

/** The answer to a question, by its kind. */
export interface QueryResults {
  groups: GroupsResult
  values: ValuesResult
  events: EventsResult
  funnel: FunnelResult
  retention: RetentionResult
  paths: PathsResult
  reach: ReachAnswer
  sessions: SessionsResult
  people: VisitorsResult
}

export type ResultOf<Asked extends Query> = QueryResults[Asked["kind"]]

/** How an answer was come by. */
export interface QueryStatistics {
  /**
   * `kept`: what was counted for earlier questions; `counts`: numbers kept a quarter of an hour; `blocks`: column blocks;
   * `rows`: event rows; joined by `+`.
   */
  source: string
  /** Events looked at in blocks, and rows read. */
  blockEvents: number
  rows: number
  ms: number
}

export type { StoredEvent }
