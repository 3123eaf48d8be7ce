import { fields } from "../query/query.ts"
import { funnel, goals, paths, retention } from "./behaviour.ts"
import { eventRows } from "./events.ts"
import { first, last, names, ofGroups, pages, sessions, total, users } from "./groups.ts"
import { classified, discover, numbers, ofValues } from "./properties.ts"
import type { QueryType } from "./query-spec.ts"
import { iso, percent, wrong } from "./rows.ts"
import { defaultLimit, type TypeConfig } from "./schema.ts"

/** Values of one property key that are listed. */
const maxValues = 10_000

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
  count: "Events with this value; of numbers: events with a number",
  total: "Events with a value for the key; of goals and conversions: those who could have",
  cardinality: "Distinct values of the key",
  unique_values: "Distinct values of the key",
  occurrences: "Events with a value for the key",
  rank: "From 1, the most frequent value of the key first",
  total_count: "Events with a value for the key",
  coverage_ratio: "Share of the name's events that have the key, 0 to 1",
  avg_length: "Characters of the distinct values' text",
  max_length: "Characters of the longest value's text",
  is_numeric: "All values are numbers, or text in decimal form without a leading zero",
  is_boolean: "All values are true or false",
  is_date_like: "All values look like dates (ISO 8601)",
  is_url_like: "All values look like http or https addresses",
  inferred_type: "boolean, number, date, url or string: the first that all values are",
  render_strategy:
    "How to show it: toggle (boolean), histogram (numbers of more than 20 values), timeline (dates), links (addresses), bars (at most 20 values), top_list (at most 1,000, or values that repeat), samples (the rest)",
  sample_values: "The most frequent values",
  totals: "Of the name: total_events, unique_users, unique_sessions, first_occurrence, last_occurrence",
  top_values: "The most frequent values with their count",
  min: "The lowest number",
  max: "The highest number",
  avg: "The mean of the numbers",
  sum: "All numbers together",
  p50: "The median, by nearest rank",
  p95: "What 95 % of the numbers are not above, by nearest rank",
  bins: "Stretches side by side, {from, to, count}; `to` belongs to the next one, in the last one to itself",
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
const whose = ["anonymousId", "profileId"] as const
const eventColumns = [
  "event_name",
  "namespace",
  "path",
  "source",
  "properties",
  "anonymous_id",
  "session_id",
  "profile_id",
  "website_id",
  "crawler",
  "timestamp",
]

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
    columns: eventColumns,
    order: undefined,
    rows: (ask, put) => eventRows(ask, put, ask.scope),
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
  custom_events_property_numbers: {
    description:
      "The numbers of each property that has some, and how they spread: at most `top` bins of equal width between round bounds",
    takes: ["top"],
    top: 20,
    columns: ["event_name", "property_key", "count", "min", "max", "avg", "sum", "p50", "p95", "bins"],
    order: {
      by: "event_name",
      order: "asc",
      besides: ["count", "min", "max", "avg", "sum", "p50", "p95"],
    },
    ties: ["property_key"],
    rows: numbers,
  },
  custom_events_discovery: {
    description: "What there is: each event name with its totals, its property keys and their values",
    takes: ["top"],
    columns: ["event_name", "totals", "property_key", "unique_values", "top_values"],
    order: { by: "event_name", order: "asc", besides: ["unique_values"] },
    rows: discover,
  },
  events: ofGroups({
    description: "Events by any fields, with any measures, over time or not",
    takes: ["by", "measures", ...whose, ...trendOptions],
    byTime: "asked",
    by: ["by"],
    measures: "measures",
  }),
  funnel: {
    description:
      "How many went through some events in their order within a window, the best attempt of each; broken down by the value of the first step",
    takes: ["steps", "window", "unit", "by", "compare"],
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
    *rows({ scope, limit, offset }, put) {
      const answer = yield* put({ kind: "sessions", scope, limit, offset })
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
    *rows({ scope, limit, offset }, put) {
      const answer = yield* put({ kind: "people", scope, limit, offset })
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
    takes: [...whose, "cursor"],
    columns: eventColumns,
    order: undefined,
    rows: (ask, put) => eventRows(ask, put, ask.scope),
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
