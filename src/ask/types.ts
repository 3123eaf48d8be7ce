import { Refusal } from "../errors.ts"
import type {
  Bucket,
  Dimension,
  Filter,
  Granularity,
  Group,
  GroupsAnswer,
  Measure,
  PropertyValues,
  Scope,
  Step,
  StoredEvent,
} from "../query/question.ts"
import type { Ask, Made, Put, Row, Sort } from "./ask.ts"
import { defaultLimit, fields, type Option, type TypeConfig } from "./schema.ts"

/** Rows of one answer that have all dates whatever the limit says; some 10 MB of JSON. */
const maxRows = 100_000
/** Events that are passed over to get to a page: each is looked at, and a cursor leads there at once. */
const maxPassed = 100_000
/** Values of one property key that are listed. */
const maxValues = 10_000

export interface QueryType {
  description: string
  /** What it may be given beside a range, filters, limit, page and sortBy. */
  takes: readonly Option[]
  /** What of it must be given. */
  needs?: readonly Option[]
  /** Its rows are single events, sessions or people, which no report shows. */
  singles?: true
  /** How many steps it may be given. */
  steps?: readonly [least: number, most: number]
  /** The columns of its rows, in their order; those of `by` and `measures` come instead of `…`. */
  columns: readonly string[]
  /** What rows are ordered by where nobody says, and what besides they can be; undefined: by the engine alone. */
  order: (Sort & { besides: readonly string[] }) | undefined
  /** Columns that rows of the same place in that order are ordered by; `-` before a name: downwards. Left out: all texts. */
  ties?: readonly string[] | undefined
  /** The dates where nobody says; left out: none. */
  dated?: Granularity | undefined
  rows: (ask: Ask, put: Put) => Promise<Made>
}

/** What the columns hold, for people. */
export const columnMeanings: Record<string, string> = {
  name: "The event's name",
  event_name: "The event's name",
  total_events: "Events",
  unique_users: "Distinct anonymous ids",
  unique_sessions: "Distinct session ids",
  unique_event_types: "Distinct event names",
  unique_pages: "Distinct paths",
  last_occurrence: "The latest event, ISO 8601 in UTC",
  first_occurrence: "The earliest event, ISO 8601 in UTC",
  events_with_properties: "Events with at least one property",
  percentage: "Its share, in percent, to two decimals",
  date: "Begin of the time, of the zone's clocks: 2026-11-24, or 2026-11-24T13:30:00+05:30 for hours and minutes",
  property_key: "A top-level key of the properties",
  property_value: "The value; what is no text as JSON",
  count: "Events with this value",
  total: "Events with a value for the key; of goals and conversions: those who could have",
  cardinality: "Distinct values of the key",
  unique_values: "Distinct values of the key",
  occurrences: "Events with a value for the key",
  rank: "From 1, the most frequent value of the key first",
  total_count: "Events with a value for the key",
  coverage_ratio: "Share of the name's events that have the key, 0 to 1",
  avg_length: "Characters of the distinct values' text",
  max_length: "Characters of the longest value's text",
  is_numeric: "All values look like numbers",
  is_boolean: "All values are true or false",
  is_date_like: "All values look like dates (ISO 8601)",
  is_url_like: "All values look like http or https addresses",
  inferred_type: "boolean, number, date, url or string: the first that all values look like",
  render_strategy:
    "How to show it: toggle (boolean), histogram (numbers of more than 20 values), timeline (dates), links (addresses), bars (at most 20 values), top_list (at most 1,000, or values that repeat), samples (the rest)",
  sample_values: "The most frequent values",
  totals: "Of the name: total_events, unique_users, unique_sessions, first_occurrence, last_occurrence",
  top_values: "The most frequent values with their count",
  namespace: "The event's namespace",
  path: "The event's path",
  source: "The event's source",
  properties: "The event's properties, an object",
  anonymous_id: "The visitor",
  session_id: "The session",
  profile_id: "The identified user",
  timestamp: "When it happened, ISO 8601 in UTC",
  step: "From 1",
  people: "How many reached the step, or are in the cohort",
  conversion_rate: "Percent of those of the first step, or of all",
  step_conversion_rate: "Percent of those of the step before",
  median_ms: "Median time from the step before, in ms",
  goal: "The goal's event",
  completions: "Events that are the goal",
  converted: "People or sessions with such an event",
  period: "Periods after the first one",
  returned: "Of them, those who came back in this period",
  place: "Before the event (negative) or after it",
  sessions: "Sessions",
  events: "Events",
  first_event: "Name of the first event in the range",
  last_event: "Name of the latest event",
  started_at: "The first event in the range, ISO 8601 in UTC",
  ended_at: "The latest event, ISO 8601 in UTC",
  duration_ms: "From the first to the latest event",
  first_seen: "The first event in the range, ISO 8601 in UTC",
  last_seen: "The latest event, ISO 8601 in UTC",
}

const trendOptions = ["granularity", "compare"] as const
const byDate = { by: "date", order: "asc", besides: [] } as const
const eventColumns = ["event_name", "namespace", "path", "source", "properties", "anonymous_id", "session_id"]

const total = { column: "total_events", measure: "events" } as const
const users = { column: "unique_users", measure: "users" } as const
const sessions = { column: "unique_sessions", measure: "sessions" } as const
const names = { column: "unique_event_types", measure: "event_types" } as const
const pages = { column: "unique_pages", measure: "pages" } as const
const first = { column: "first_occurrence", measure: "first" } as const
const last = { column: "last_occurrence", measure: "last" } as const

/** Everything that can be asked for, by its name. */
export const types = {
  custom_events: ofGroups({
    description: "Events by name, and by further fields",
    takes: ["by", "compare"],
    by: [{ column: "name", dimension: "event_name" }, "by"],
    measures: [
      total,
      users,
      sessions,
      last,
      first,
      { column: "events_with_properties", measure: "with_properties" },
    ],
    share: "percentage",
  }),
  custom_event_properties: ofValues({
    description: "The values of the events' properties, the most frequent first",
    columns: ["name", "property_key", "property_value", "count"],
    top: ({ offset, limit }) => {
      if (offset + limit <= maxValues) return offset + limit
      throw wrong(`page and limit reach beyond ${maxValues} values: filter by event_name or property_key`)
    },
    order: { by: "count", order: "desc", besides: [] },
    rows: (one) =>
      one.top.map(({ text, count }) => ({
        name: one.name,
        property_key: one.key,
        property_value: text,
        count,
      })),
  }),
  custom_events_by_path: ofGroups({
    description: "Events by path; those without one are left out",
    takes: ["compare"],
    by: [{ column: "name", dimension: "path" }],
    present: "path",
    measures: [total, names, users],
  }),
  custom_events_trends: ofGroups({
    description: "Events over time",
    takes: trendOptions,
    byTime: "daily",
    by: [],
    measures: [total, names, users, sessions, pages],
  }),
  custom_events_trends_by_event: ofGroups({
    description: "Events over time, for each of the most frequent names, as many as the limit says",
    takes: trendOptions,
    byTime: "daily",
    by: [{ column: "event_name", dimension: "event_name" }],
    measures: [total],
  }),
  custom_events_summary: ofGroups({
    description: "All events together",
    takes: ["compare"],
    by: [],
    measures: [total, names, users, sessions, pages],
  }),
  custom_events_property_cardinality: ofValues({
    description: "How many values the events' properties have",
    columns: ["event_name", "property_key", "unique_values", "occurrences"],
    top: () => 0,
    order: { by: "occurrences", order: "desc", besides: ["unique_values"] },
    rows: (one) => [
      {
        event_name: one.name,
        property_key: one.key,
        unique_values: one.cardinality,
        occurrences: one.occurrences,
      },
    ],
  }),
  custom_events_recent: {
    description: "Single events, the newest first; meta.nextCursor leads on",
    singles: true,
    takes: ["cursor"],
    columns: [...eventColumns, "timestamp"],
    order: undefined,
    rows: async (ask, put) => eventRows(ask, put, ask.scope, shortEvent),
  },
  custom_events_property_classification: ofValues({
    description: "What kind of values the events' properties have",
    takes: ["top"],
    columns: [
      "event_name",
      "property_key",
      "cardinality",
      "total_count",
      "coverage_ratio",
      "avg_length",
      "max_length",
      "is_numeric",
      "is_boolean",
      "is_date_like",
      "is_url_like",
      "inferred_type",
      "render_strategy",
      "sample_values",
    ],
    order: { by: "total_count", order: "desc", besides: ["cardinality", "coverage_ratio"] },
    rows: (one) => [classified(one)],
  }),
  custom_events_property_top_values: ofValues({
    description: "The most frequent values of each property",
    takes: ["top"],
    columns: ["event_name", "property_key", "property_value", "count", "total", "percentage", "rank"],
    order: { by: "event_name", order: "asc", besides: ["count", "percentage"] },
    ties: ["property_key", "rank"],
    rows: (one) =>
      one.top.map(({ text, count }, index) => ({
        event_name: one.name,
        property_key: one.key,
        property_value: text,
        count,
        total: one.occurrences,
        percentage: percent(count, one.occurrences),
        rank: index + 1,
      })),
  }),
  custom_events_property_distribution: ofValues({
    description: "How the events spread over the values of each property: those of at most `top` values",
    takes: ["top"],
    columns: ["event_name", "property_key", "property_value", "count", "total", "percentage", "cardinality"],
    order: { by: "event_name", order: "asc", besides: ["count", "percentage"] },
    ties: ["property_key", "-count", "property_value"],
    rows: (one, { top }) =>
      one.cardinality > top
        ? []
        : one.top.map(({ text, count }) => ({
            event_name: one.name,
            property_key: one.key,
            property_value: text,
            count,
            total: one.occurrences,
            percentage: percent(count, one.occurrences),
            cardinality: one.cardinality,
          })),
  }),
  custom_events_discovery: {
    description: "What there is: each event name with its totals, its property keys and their values",
    takes: ["top"],
    columns: ["event_name", "totals", "property_key", "unique_values", "top_values"],
    order: { by: "event_name", order: "asc", besides: ["unique_values"] },
    rows: discover,
  },
  events: ofGroups({
    description: "Events by any fields, with any measures, over time or not",
    takes: ["by", "measures", ...trendOptions],
    byTime: "asked",
    by: ["by"],
    measures: "measures",
  }),
  funnel: {
    description:
      "How many went through some events in their order within a window, the best attempt of each; broken down by the value of the first step",
    takes: ["steps", "window", "unit", "by"],
    needs: ["steps"],
    steps: [2, 10],
    columns: ["…", "step", "event_name", "people", "conversion_rate", "step_conversion_rate", "median_ms"],
    order: undefined,
    rows: funnel,
  },
  retention: {
    description:
      "Who came back: people by the time of their first event (the first of two steps), and in which later times they had the second",
    takes: ["steps", "unit", "granularity"],
    steps: [2, 2],
    dated: "weekly",
    columns: ["date", "people", "period", "returned", "percentage"],
    order: undefined,
    rows: retention,
  },
  paths: {
    description:
      "What came before and after an event in its session; an event_name of null: there the session began or ended",
    takes: ["steps", "before", "after"],
    needs: ["steps"],
    steps: [1, 1],
    columns: ["place", "event_name", "sessions", "percentage"],
    order: undefined,
    rows: paths,
  },
  goals: {
    description: "The share of people, sessions or profiles that had an event, over time where asked",
    takes: ["steps", "unit", ...trendOptions],
    needs: ["steps"],
    steps: [1, 10],
    columns: ["goal", "date", "completions", "converted", "total", "conversion_rate"],
    order: undefined,
    rows: goals,
  },
  sessions: {
    description: "Sessions, the one with the latest event first",
    singles: true,
    takes: [],
    columns: [
      "session_id",
      "anonymous_id",
      "profile_id",
      "events",
      "first_event",
      "last_event",
      "started_at",
      "ended_at",
      "duration_ms",
    ],
    order: undefined,
    rows: async ({ scope, limit, offset }, put) => {
      const answer = await put({ kind: "sessions", scope, limit, offset })
      const rows = answer.sessions.map((one) => ({
        session_id: one.sessionId,
        anonymous_id: one.anonymousId,
        profile_id: one.profileId,
        events: one.events,
        first_event: one.firstEvent,
        last_event: one.lastEvent,
        started_at: iso(one.first),
        ended_at: iso(one.last),
        duration_ms: one.last - one.first,
      }))
      return { rows, total: answer.total }
    },
  },
  people: {
    description: "People (anonymous ids), the one seen last first",
    singles: true,
    takes: ["search"],
    columns: ["anonymous_id", "profile_id", "events", "sessions", "first_seen", "last_seen"],
    order: undefined,
    rows: async ({ scope, limit, offset }, put) => {
      const answer = await put({ kind: "people", scope, limit, offset })
      const rows = answer.people.map((one) => ({
        anonymous_id: one.anonymousId,
        profile_id: one.profileId,
        events: one.events,
        sessions: one.sessions,
        first_seen: iso(one.first),
        last_seen: iso(one.last),
      }))
      return { rows, total: answer.total }
    },
  },
  person: {
    description:
      "One person's events, the newest first: give anonymousId or profileId; meta.nextCursor leads on",
    singles: true,
    takes: ["anonymousId", "profileId", "cursor"],
    columns: [...eventColumns, "profile_id", "timestamp"],
    order: undefined,
    rows: async (ask, put) => eventRows(ask, put, ask.scope, fullEvent),
  },
} as const satisfies Record<string, QueryType>

export type TypeName = keyof typeof types

export function typeOf(name: string): QueryType | undefined {
  return Object.hasOwn(types, name) ? types[name as TypeName] : undefined
}

/** A type as GET /v1/query/types shows it. */
export function configOf({ description, columns, takes, needs = [], order }: QueryType): TypeConfig {
  const sortBy = order ? [...new Set([order.by, ...order.besides])] : []
  return {
    allowedFilters: [...fields, "property_key", "property.*"],
    customizable: true,
    defaultLimit,
    meta: { description, outputFields: [...columns], takes: [...takes], needs: [...needs], sortBy },
  }
}

interface GroupsSpec {
  description: string
  takes: readonly Option[]
  /** In which dates where nobody says; `asked`: none then. Left out: never. */
  byTime?: "daily" | "asked"
  /** Columns of dimensions; `by`: those that were asked for. */
  by: readonly ({ column: string; dimension: Dimension } | "by")[]
  measures: readonly { column: string; measure: Measure }[] | "measures"
  /** The column with each row's share of the first measure. */
  share?: string
  /** Events without this field are left out. */
  present?: Dimension
}

/** A type that is measures of events, by fields and dates. */
function ofGroups(spec: GroupsSpec): QueryType {
  const { description, takes, byTime, by, measures, share } = spec
  const dimensions = by.map((one) => (one === "by" ? "…" : one.column))
  const measured = measures === "measures" ? ["…"] : measures.map(({ column }) => column)
  const dated = byTime === undefined ? [] : ["date"]
  const known = [...measured, ...dimensions].filter((one) => one !== "…")
  return {
    description,
    takes,
    columns: [...dated, ...dimensions, ...measured, ...(share ? [share] : [])],
    dated: byTime === "daily" ? "daily" : undefined,
    order:
      byTime === "daily"
        ? byDate
        : { by: measured[0] ?? "", order: "desc", besides: [...known, ...(share ? [share] : []), "…"] },
    rows: (ask, put) => groupRows(spec, ask, put),
  }
}

/** Of a measure where there is no event. */
function nothing(measure: Measure): 0 | null {
  if (typeof measure === "object") return measure.what === "count" ? 0 : null
  return measure === "first" || measure === "last" ? null : 0
}

async function groupRows(spec: GroupsSpec, ask: Ask, put: Put): Promise<Made> {
  const by = spec.by.flatMap((one) =>
    one === "by" ? ask.by.map((dimension) => ({ column: dimension as string, dimension })) : [one],
  )
  const measures =
    spec.measures === "measures"
      ? ask.measures.map(({ name, measure }) => ({ column: name, measure }))
      : spec.measures
  const granularity = spec.byTime === undefined ? undefined : ask.granularity
  const ofScope = (scope: Scope) =>
    put({
      kind: "groups",
      scope: spec.present ? withFilters(scope, [present(spec.present)]) : scope,
      by: by.map(({ dimension }) => dimension),
      granularity,
      measures: measures.map(({ measure }) => measure),
    })
  const answer = await ofScope(ask.scope)
  const before = ask.previous && (await ofScope({ ...ask.scope, ...span(ask.previous) }))
  const chosen =
    granularity && by.length > 0
      ? await topGroups(answer, ask, measures[0]?.measure ?? "events", (measure) =>
          put({
            kind: "groups",
            scope: ask.scope,
            by: by.map(({ dimension }) => dimension),
            measures: [measure],
          }),
        )
      : undefined
  const cells = (values: readonly (number | null)[] | undefined): Row =>
    Object.fromEntries(
      measures.map(({ column, measure }, index) => {
        const value = values?.[index] ?? nothing(measure)
        const isTime = measure === "first" || measure === "last"
        return [column, isTime && value !== null ? iso(value) : value]
      }),
    )
  const found = byPlace(answer)
  const foundBefore = before && byPlace(before)
  const labels = (bucket: number, buckets: readonly Bucket[]): Row =>
    granularity ? { date: buckets[bucket]?.label ?? null } : {}
  const row = (values: readonly (string | null)[], bucket: number): Row => {
    const group = found.get(placeOf(values, bucket))
    const dims = Object.fromEntries(by.map(({ column }, index) => [column, values[index] ?? null]))
    const made: Row = { ...labels(bucket, answer.buckets), ...dims, ...cells(group?.values) }
    if (before && foundBefore) {
      const hasBucket = bucket < before.buckets.length
      made.previous = hasBucket
        ? {
            ...labels(bucket, before.buckets),
            ...cells(foundBefore.get(placeOf(values, bucket))?.values),
          }
        : null
    }
    return made
  }
  if (!granularity) {
    const rows = answer.groups.map((group) => row(group.by, 0))
    return { rows: spec.share ? withShare(rows, measures[0]?.column ?? "", spec.share) : rows }
  }
  const groups = chosen ?? [[]]
  requireRows(groups.length * answer.buckets.length)
  const places = answer.buckets.map((_, bucket) => bucket)
  if (ask.sort?.order === "desc") places.reverse()
  return { rows: places.flatMap((bucket) => groups.map((values) => row(values, bucket))), isCut: true }
}

/** As many groups as the limit says: those with most of the first measure, ties in the order of their values. */
async function topGroups(
  answer: GroupsAnswer,
  { limit, offset }: Ask,
  measure: Measure,
  put: (measure: Measure) => Promise<GroupsAnswer>,
): Promise<(string | null)[][]> {
  const isAdditive =
    measure === "events" ||
    measure === "with_properties" ||
    (typeof measure === "object" && (measure.what === "count" || measure.what === "sum"))
  const totals = new Map<string, { by: (string | null)[]; value: number | null }>()
  for (const { by, values } of isAdditive ? answer.groups : (await put(measure)).groups) {
    const place = placeOf(by, 0)
    const known = totals.get(place)
    const value = values[0] ?? null
    if (!known) totals.set(place, { by, value })
    else if (value !== null) known.value = (known.value ?? 0) + value
  }
  return [...totals.values()]
    .sort((a, b) => compareValues(a.value, b.value, true) || compareLists(a.by, b.by))
    .slice(offset, offset + limit)
    .map(({ by }) => by)
}

function byPlace({ groups }: GroupsAnswer): Map<string, Group> {
  return new Map(groups.map((group) => [placeOf(group.by, group.bucket), group]))
}

function placeOf(by: readonly (string | null)[], bucket: number): string {
  return by.length === 0 ? String(bucket) : JSON.stringify([bucket, ...by])
}

function withShare(rows: Row[], column: string, share: string): Row[] {
  const all = rows.reduce((sum, row) => sum + Number(row[column]), 0)
  return rows.map(({ previous, ...row }) => ({
    ...row,
    [share]: percent(Number(row[column]), all),
    ...(previous === undefined ? {} : { previous }),
  }))
}

function requireRows(count: number): void {
  if (count <= maxRows) return
  throw wrong(
    `this would be ${count} rows, and at most ${maxRows} are given: take a coarser granularity, a shorter range or a lower limit`,
  )
}

interface ValuesSpec {
  description: string
  takes?: readonly Option[]
  columns: readonly string[]
  /** Values of a key that the engine lists; left out: as many as `top` says. */
  top?: (ask: Ask) => number
  order: Sort & { besides: readonly string[] }
  ties?: readonly string[]
  rows: (one: PropertyValues, ask: Ask) => Row[]
}

/** A type about property keys and their values. */
function ofValues(spec: ValuesSpec): QueryType {
  const { description, takes = [], columns, order, ties, rows } = spec
  return {
    description,
    takes,
    columns,
    order,
    ties,
    rows: async (ask, put) => {
      const found = await propertiesOf(ask, put, spec.top?.(ask) ?? ask.top)
      return { rows: found.flatMap((one) => rows(one, ask)) }
    },
  }
}

/** A filter on property_key is about which keys are shown too, not only about which events count. */
async function propertiesOf(ask: Ask, put: Put, top: number): Promise<PropertyValues[]> {
  const ofKeys = ask.scope.filters.filter(({ field }) => field === "property_key")
  const named = ofKeys.find(({ op }) => op === "eq" || op === "in")
  const keys = named && [named.value].flat().map(String)
  const { properties } = await put({ kind: "values", scope: ask.scope, keys, top })
  return properties.filter(({ key }) => ofKeys.every((filter) => fits(key, filter)))
}

function fits(key: string, { op, value }: Filter): boolean {
  const values = [value].flat().map(String)
  const text = values[0] ?? ""
  switch (op) {
    case "eq":
    case "in":
      return values.includes(key)
    case "ne":
    case "not_in":
      return !values.includes(key)
    case "contains":
      return key.includes(text)
    case "not_contains":
      return !key.includes(text)
    case "starts_with":
      return key.startsWith(text)
    default:
      return true
  }
}

/** At most so many values are shown one by one, and so many in a list of the most frequent. */
const fewValues = 20
const someValues = 1_000

function classified(one: PropertyValues): Row {
  const { cardinality, occurrences } = one
  const all = (count: number) => cardinality > 0 && count === cardinality
  const [isBoolean, isNumber, isDate, isUrl] = [
    all(one.boolean),
    all(one.numeric),
    all(one.date),
    all(one.url),
  ]
  const inferred = isBoolean ? "boolean" : isNumber ? "number" : isDate ? "date" : isUrl ? "url" : "string"
  return {
    event_name: one.name,
    property_key: one.key,
    cardinality,
    total_count: occurrences,
    coverage_ratio: one.events === 0 ? 0 : rounded(occurrences / one.events, 4),
    avg_length: cardinality === 0 ? 0 : rounded(one.totalLength / cardinality, 2),
    max_length: one.maxLength,
    is_numeric: isNumber,
    is_boolean: isBoolean,
    is_date_like: isDate,
    is_url_like: isUrl,
    inferred_type: inferred,
    render_strategy: strategyOf(inferred, cardinality, occurrences),
    sample_values: one.top.map(({ text }) => text),
  }
}

function strategyOf(inferred: string, cardinality: number, occurrences: number): string {
  if (inferred === "boolean") return "toggle"
  if (inferred === "date") return "timeline"
  if (inferred === "url") return "links"
  if (cardinality <= fewValues) return "bars"
  if (inferred === "number") return "histogram"
  // A value that each event has for itself tells nothing by its count.
  return cardinality <= someValues || occurrences >= 2 * cardinality ? "top_list" : "samples"
}

async function discover(ask: Ask, put: Put): Promise<Made> {
  const measured = [total, users, sessions, first, last]
  const { groups } = await put({
    kind: "groups",
    scope: ask.scope,
    by: ["event_name"],
    measures: measured.map(({ measure }) => measure),
  })
  const properties = Map.groupBy(await propertiesOf(ask, put, ask.top), ({ name }) => name)
  const rows = groups.flatMap(
    ({ by: [name = null], values: [events, people, visits, begin, end] }): Row[] => {
      const totals = {
        total_events: events,
        unique_users: people,
        unique_sessions: visits,
        first_occurrence: isoOrNull(begin),
        last_occurrence: isoOrNull(end),
      }
      const keys = properties.get(name ?? "") ?? []
      if (keys.length === 0) {
        return [{ event_name: name, totals, property_key: null, unique_values: 0, top_values: [] }]
      }
      return keys.map((one) => ({
        event_name: name,
        totals,
        property_key: one.key,
        unique_values: one.cardinality,
        top_values: one.top.map(({ text, count }) => ({ value: text, count })),
      }))
    },
  )
  return { rows }
}

async function eventRows(
  ask: Ask,
  put: Put,
  scope: Scope,
  shown: (event: StoredEvent) => Row,
): Promise<Made> {
  const { limit, offset, cursor } = ask
  if (offset > maxPassed) {
    throw wrong(`page and limit pass over more than ${maxPassed} events: go on with cursor, meta.nextCursor`)
  }
  const { events } = await put({ kind: "events", scope, limit, offset: cursor ? 0 : offset, after: cursor })
  const end = events.length < limit ? undefined : events.at(-1)
  return { rows: events.map(shown), nextCursor: end ? cursorText(end) : null }
}

function shortEvent(event: StoredEvent): Row {
  return {
    event_name: event.name,
    namespace: event.namespace,
    path: event.path,
    source: event.source,
    properties: event.properties === null ? {} : JSON.parse(event.properties),
    anonymous_id: event.anonymousId,
    session_id: event.sessionId,
    timestamp: iso(event.ts),
  }
}

function fullEvent(event: StoredEvent): Row {
  const { timestamp, ...row } = shortEvent(event)
  return { ...row, profile_id: event.profileId, timestamp }
}

function cursorText({ ts, id }: { ts: number; id: number }): string {
  return Buffer.from(`${ts}.${id}`).toString("base64url")
}

/** What `cursorText` made; undefined: it did not make this. */
export function readCursor(text: string): { ts: number; id: number } | undefined {
  const [, ts, id] = /^(-?\d{1,15})\.(\d{1,15})$/.exec(Buffer.from(text, "base64url").toString()) ?? []
  return ts === undefined ? undefined : { ts: Number(ts), id: Number(id) }
}

async function funnel(ask: Ask, put: Put): Promise<Made> {
  const { scope, steps, window, unit, by, limit, offset } = ask
  const [dimension] = by
  const { groups } = await put({ kind: "funnel", scope, steps, window, unit, by: dimension })
  const rows = groups.slice(offset, offset + limit).flatMap((group) =>
    group.steps.map(({ people, median }, index) => ({
      ...(dimension === undefined ? {} : { [dimension]: group.by }),
      step: index + 1,
      event_name: steps[index]?.name ?? null,
      people,
      conversion_rate: percent(people, group.steps[0]?.people ?? 0),
      step_conversion_rate: percent(people, group.steps[Math.max(0, index - 1)]?.people ?? 0),
      median_ms: median,
    })),
  )
  return { rows }
}

const anyStep: Step = { filters: [] }

async function retention(ask: Ask, put: Put): Promise<Made> {
  const { scope, steps, unit, granularity = "weekly" } = ask
  if (granularity === "minute" || granularity === "hourly") {
    throw wrong("granularity must be daily, weekly or monthly for retention")
  }
  const [start = anyStep, comeBack = start] = steps
  const { buckets, cohorts } = await put({ kind: "retention", scope, start, comeBack, granularity, unit })
  requireRows((buckets.length * (buckets.length + 1)) / 2)
  const rows = cohorts.flatMap(({ size, returned }, cohort) =>
    returned.map((count, period) => ({
      date: buckets[cohort]?.label ?? null,
      people: size,
      period,
      returned: count,
      percentage: percent(count, size),
    })),
  )
  return { rows }
}

async function paths({ scope, steps, before, after }: Ask, put: Put): Promise<Made> {
  const [event = anyStep] = steps
  const answer = await put({ kind: "paths", scope, event, before, after })
  const rows = answer.places.map(({ place, name, count }) => ({
    place,
    event_name: name,
    sessions: count,
    percentage: percent(count, answer.sessions),
  }))
  return { rows }
}

async function goals(ask: Ask, put: Put): Promise<Made> {
  const { scope, granularity, steps, previous } = ask
  const measure = { anonymous_id: "users", session_id: "sessions", profile_id: "profiles" } as const
  const ofScope = (scope: Scope) =>
    put({ kind: "groups", scope, by: [], granularity, measures: [measure[ask.unit], "events"] })
  const valuesOf = async (range: Pick<Scope, "from" | "to">, step: Step, all: GroupsAnswer) => {
    const own = [...step.filters, ...(step.name === undefined ? [] : [named(step.name)])]
    const found = byPlace(await ofScope(withFilters({ ...scope, ...range }, own)))
    const everybody = byPlace(all)
    return all.buckets.map(({ label }, bucket) => {
      const [converted, completions] = found.get(String(bucket))?.values ?? []
      const [whole] = everybody.get(String(bucket))?.values ?? []
      return {
        ...(granularity ? { date: label } : {}),
        completions: completions ?? 0,
        converted: converted ?? 0,
        total: whole ?? 0,
        conversion_rate: percent(converted ?? 0, whole ?? 0),
      }
    })
  }
  const all = await ofScope(scope)
  const allBefore = previous && (await ofScope({ ...scope, ...span(previous) }))
  requireRows(steps.length * all.buckets.length)
  const rows: Row[] = []
  for (const step of steps) {
    const now = await valuesOf(span(scope), step, all)
    const before = previous && allBefore && (await valuesOf(span(previous), step, allBefore))
    now.forEach((values, bucket) => {
      const row: Row = { goal: step.name ?? null, ...values }
      if (before) row.previous = before[bucket] ?? null
      rows.push(row)
    })
  }
  return { rows }
}

function named(name: string): Filter {
  return { field: "event_name", op: "eq", value: name }
}

function present(field: Dimension): Filter {
  return { field, op: "exists", value: true }
}

function withFilters(scope: Scope, filters: readonly Filter[]): Scope {
  return { ...scope, filters: [...scope.filters, ...filters] }
}

function span({ from, to }: Pick<Scope, "from" | "to">): Pick<Scope, "from" | "to"> {
  return { from, to }
}

/** What is wrong with one parameter. */
export function wrong(detail: string): Refusal {
  return new Refusal("invalid_shape", { detail })
}

export function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : rounded((100 * part) / whole, 2)
}

function rounded(value: number, decimals: number): number {
  const factor = 10 ** decimals
  return Math.round(value * factor) / factor
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

function isoOrNull(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : iso(ms)
}

/** Numbers by size, texts by their UTF-16 units; what is missing comes last, whichever way. */
function compareValues(a: unknown, b: unknown, isDown = false): number {
  if (a === b) return 0
  if (a === null || a === undefined) return 1
  if (b === null || b === undefined) return -1
  return (a as number | string) < (b as number | string) === isDown ? 1 : -1
}

function compareLists(a: readonly unknown[], b: readonly unknown[]): number {
  for (const [index, value] of a.entries()) {
    const order = compareValues(value, b[index])
    if (order !== 0) return order
  }
  return 0
}

/** By columns, one after another; `-` before a name: downwards. */
export function rowOrder(columns: readonly string[]): (a: Row, b: Row) => number {
  // There may be 200,000 rows, and the thread takes events too.
  const keys = columns.map((column) => ({ name: column.replace(/^-/, ""), isDown: column.startsWith("-") }))
  return (a, b) => {
    for (const { name, isDown } of keys) {
      const order = compareValues(a[name], b[name], isDown)
      if (order !== 0) return order
    }
    return 0
  }
}
