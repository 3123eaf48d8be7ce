import { actionKinds, eventKinds } from "../event-kinds.ts"
import { fields } from "../query/fields.ts"
import { funnel, goals, paths, retention } from "./behaviour.ts"
import { eventRows } from "./events.ts"
import { first, groupsType, last, names, pages, sessions, total, users } from "./groups.ts"
import { moversType } from "./movers.ts"
import { pageColumnMeanings } from "./page-columns.ts"
import { pageTypes } from "./page-types.ts"
import { peopleTypes } from "./people-types.ts"
import { classify, discover, numbers, valuesType } from "./properties.ts"
import type { QueryType } from "./query-spec.ts"
import type { TypeConfig } from "./response-schema.ts"
import { changeColumns, invalidParameter, percent } from "./rows.ts"
import { defaultLimit } from "./schema.ts"

/** Maximum number of values per property key. */
const maxValues = 10_000

/** Descriptions of columns. The API documentation shows them. */
export const columnMeanings: Record<string, string> = {
  ...pageColumnMeanings,
  name: "The event's name; for page views and errors, the value by which events are counted",
  event_name: "The event's name",
  total_events: "Events",
  unique_users: "Distinct anonymous IDs",
  unique_sessions: "Distinct session IDs",
  unique_event_types: "Distinct event names",
  unique_pages: "Distinct paths",
  last_occurrence: "The latest event, ISO 8601 in UTC",
  first_occurrence: "The earliest event, ISO 8601 in UTC",
  events_with_properties: "Events with at least one property",
  percentage:
    "Share in percent, with two decimal places; for movers, the share of the total difference, or null if there is none",
  date: "Start of the interval in the time zone: 2026-11-24, or 2026-11-24T13:30:00+05:30 for hours and minutes",
  property_key: "A top-level key of the properties",
  property_value: "The value: a string unchanged, any other value as JSON",
  count: "Events with this value; for numbers: events with a number",
  total: "Events with a value for the key; for goals, all people, sessions or profiles",
  cardinality: "Distinct values of the key",
  unique_values: "Distinct values of the key",
  occurrences: "Events with a value for the key",
  rank: "Rank of the value by frequency; 1 is the most frequent value of the key",
  total_count: "Events with a value for the key",
  coverage_ratio: "Fraction of the events with this name that have the key, from 0 to 1",
  avg_length: "Average length of the distinct values, in characters",
  max_length: "Length of the longest value, in characters",
  is_numeric: "All values are numbers, or text in decimal form without a leading zero",
  numbers_as_text: 'Distinct values that are numbers sent as text, such as "29.00"',
  is_boolean: "All values are true or false",
  is_date_like: "All values look like dates (ISO 8601)",
  is_url_like: "All values look like http or https URLs",
  inferred_type: "The first of boolean, number, date, url and string that fits all values",
  render_strategy:
    "Suggested display: toggle (boolean), histogram (numbers with more than 20 values), timeline (dates), links (URLs), bars (at most 20 values), top_list (at most 1,000 values, or values that repeat), samples (everything else)",
  sample_values: "The most frequent values",
  totals:
    "Totals for the event name: total_events, unique_users, unique_sessions, first_occurrence, last_occurrence",
  top_values: "The most frequent values with their counts",
  min: "The lowest number",
  max: "The highest number",
  avg: "The mean of the numbers",
  sum: "The sum of the numbers",
  p50: "The median, by nearest rank",
  p75: "The 75th percentile, by nearest rank",
  p90: "The 90th percentile, by nearest rank",
  p95: "The 95th percentile, by nearest rank",
  p99: "The 99th percentile, by nearest rank",
  bins: "Adjacent bins {from, to, count}; `to` is exclusive, except in the last bin",
  namespace: "The event's namespace",
  path: "The event's path",
  source: "The event's source",
  properties: "The event's properties, an object",
  anonymous_id: "The visitor",
  session_id: "The session",
  profile_id: "The profile of an identified person",
  timestamp: "When the event happened, ISO 8601 in UTC",
  step: "Number of the step, starting at 1",
  people: "People who reached the step or are in the cohort",
  conversion_rate: "Percentage of the people at the first step, or of all people",
  step_conversion_rate: "Percentage of the people at the previous step",
  median_ms: "Median time since the previous step, in ms",
  goal: "Name of the goal's event",
  completions: "Events that match the goal",
  converted: "People or sessions with at least one completion",
  period: "Number of periods after the first event",
  returned: "People in the cohort who returned in this period",
  field: "The field or property",
  value: "The value of the field, as text for properties; null for events without the field",
  difference: "The measure in the range minus the measure in the previous period",
  expected_percentage:
    "Share of the total difference, in percent, that the value would have if all values had changed in the same proportion",
  is_offset:
    "True if opposite changes of other values make up for the change, as when a new release replaces the old one; such a change explains nothing, so these rows come last",
  place: "Position before (negative) or after the event",
  sessions: "Sessions",
  events: "Events",
  first_event: "Name of the first event in the range",
  last_event: "Name of the latest event",
  started_at: "The first event in the range, ISO 8601 in UTC",
  ended_at: "The latest event, ISO 8601 in UTC",
  duration_ms: "Time from the first to the latest event, in ms",
  first_seen: "The first event in the range, ISO 8601 in UTC",
  last_seen: "The latest event, ISO 8601 in UTC",
}

const trendOptions = ["granularity", "compare"] as const
const personOptions = ["anonymousId", "profileId"] as const
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

/** All query types. This table is their only definition: the parser and the limits read everything from here. */
export const types = {
  custom_events: groupsType({
    description: "Events by name and optional fields",
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
  custom_event_properties: valuesType({
    description: "Property values, most frequent first",
    columns: ["name", "property_key", "property_value", "count"],
    top: ({ offset, limit }) => {
      if (offset + limit <= maxValues) return offset + limit
      throw invalidParameter(
        `page and limit reach beyond ${maxValues} values: add a filter on event_name or property_key`,
      )
    },
    order: { by: "count", order: "desc", others: [] },
    rows: (property) =>
      property.top.map(({ text, count }) => ({
        name: property.name,
        property_key: property.key,
        property_value: text,
        count,
      })),
  }),
  custom_events_by_path: groupsType({
    description: "Events by path, excluding events without a path",
    takes: ["compare"],
    by: [{ column: "name", dimension: "path" }],
    present: "path",
    measures: [total, names, users],
  }),
  custom_events_trends: groupsType({
    description: "Events over time",
    takes: trendOptions,
    byTime: "daily",
    by: [],
    measures: [total, names, users, sessions, pages],
  }),
  custom_events_trends_by_event: groupsType({
    description: "Events over time for the most frequent names, up to the limit",
    takes: trendOptions,
    byTime: "daily",
    by: [{ column: "event_name", dimension: "event_name" }],
    measures: [total],
  }),
  custom_events_summary: groupsType({
    description: "Totals of all events",
    takes: ["compare"],
    by: [],
    measures: [total, names, users, sessions, pages],
  }),
  custom_events_property_cardinality: valuesType({
    description: "Number of distinct values per property",
    columns: ["event_name", "property_key", "unique_values", "occurrences"],
    top: () => 0,
    order: { by: "occurrences", order: "desc", others: ["unique_values"] },
    rows: (property) => [
      {
        event_name: property.name,
        property_key: property.key,
        unique_values: property.cardinality,
        occurrences: property.occurrences,
      },
    ],
  }),
  custom_events_recent: {
    description: "Individual events, newest first; use meta.nextCursor to get the next page",
    needsReadData: true,
    takes: ["cursor", "kinds"],
    columns: eventColumns,
    order: undefined,
    rows: (spec, run) => eventRows(spec, run, spec.scope),
  },
  custom_events_property_classification: valuesType({
    description: "Type of the values of each property",
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
      "numbers_as_text",
      "is_boolean",
      "is_date_like",
      "is_url_like",
      "inferred_type",
      "render_strategy",
      "sample_values",
    ],
    order: { by: "total_count", order: "desc", others: ["cardinality", "coverage_ratio"] },
    rows: (property) => [classify(property)],
  }),
  custom_events_property_top_values: valuesType({
    description: "Most frequent values of each property",
    takes: ["top"],
    columns: ["event_name", "property_key", "property_value", "count", "total", "percentage", "rank"],
    order: { by: "event_name", order: "asc", others: ["count", "percentage"] },
    tieBreakers: ["property_key", "rank"],
    rows: (property) =>
      property.top.map(({ text, count }, index) => ({
        event_name: property.name,
        property_key: property.key,
        property_value: text,
        count,
        total: property.occurrences,
        percentage: percent(count, property.occurrences),
        rank: index + 1,
      })),
  }),
  custom_events_property_distribution: valuesType({
    description: "Number of events for each value of a property, for properties with at most `top` values",
    takes: ["top"],
    columns: ["event_name", "property_key", "property_value", "count", "total", "percentage", "cardinality"],
    order: { by: "event_name", order: "asc", others: ["count", "percentage"] },
    tieBreakers: ["property_key", "-count", "property_value"],
    rows: (property, { top }) =>
      property.cardinality > top
        ? []
        : property.top.map(({ text, count }) => ({
            event_name: property.name,
            property_key: property.key,
            property_value: text,
            count,
            total: property.occurrences,
            percentage: percent(count, property.occurrences),
            cardinality: property.cardinality,
          })),
  }),
  custom_events_property_numbers: {
    description:
      "Statistics and histogram of numeric properties, with at most `top` bins of equal width and round bounds",
    takes: ["top"],
    defaultTop: 20,
    columns: ["event_name", "property_key", "count", "min", "max", "avg", "sum", "p50", "p95", "bins"],
    order: {
      by: "event_name",
      order: "asc",
      others: ["count", "min", "max", "avg", "sum", "p50", "p95"],
    },
    tieBreakers: ["property_key"],
    rows: numbers,
  },
  custom_events_discovery: {
    description: "Catalog of event names with their totals, property keys and values",
    takes: ["top"],
    columns: ["event_name", "totals", "property_key", "unique_values", "top_values"],
    order: { by: "event_name", order: "asc", others: ["unique_values"] },
    rows: discover,
  },
  events: groupsType({
    description: "Any measures of events, by any fields, optionally over time",
    takes: ["by", "measures", "kinds", ...personOptions, ...trendOptions],
    kinds: "person",
    oneOf: { options: personOptions, required: false },
    byTime: "optional",
    by: ["by"],
    measures: "measures",
  }),
  funnel: {
    description:
      "People who completed a sequence of events within a time window (best attempt per person); breakdowns use the value at the first step",
    kinds: actionKinds,
    takes: ["steps", "window", "unit", "by", "compare"],
    needs: ["steps"],
    steps: [2, 10],
    maxBy: 1,
    columns: ["…", "step", "event_name", "people", "conversion_rate", "step_conversion_rate", "median_ms"],
    order: undefined,
    rows: funnel,
  },
  retention: {
    description:
      "People who came back: cohorts by the time of the first event (first step), and how many people had the return event (second step) in each later period",
    kinds: actionKinds,
    takes: ["steps", "unit", "granularity"],
    steps: [2, 2],
    granularities: ["daily", "weekly", "monthly"],
    defaultGranularity: "weekly",
    columns: ["date", "people", "period", "returned", "percentage"],
    order: undefined,
    rows: retention,
  },
  paths: {
    description:
      "Events before and after an event in the same session, with page views by page; an event_name of null marks the start or end of the session",
    kinds: actionKinds,
    takes: ["steps", "before", "after"],
    needs: ["steps"],
    steps: [1, 1],
    columns: ["place", "event_name", "page", "sessions", "percentage"],
    order: undefined,
    rows: paths,
  },
  goals: {
    description: "Share of people, sessions or profiles with an event, optionally over time",
    kinds: actionKinds,
    takes: ["steps", "unit", ...trendOptions],
    needs: ["steps"],
    steps: [1, 10],
    hasAllDates: true,
    columns: ["goal", "date", "completions", "converted", "total", "conversion_rate"],
    order: undefined,
    rows: goals,
  },
  movers: moversType,
  ...peopleTypes,
  person: {
    description:
      "Events of one person, newest first; needs anonymousId or profileId; use meta.nextCursor to get the next page",
    kinds: eventKinds,
    needsReadData: true,
    takes: [...personOptions, "cursor"],
    oneOf: { options: personOptions, required: true },
    columns: eventColumns,
    order: undefined,
    rows: (spec, run) => eventRows(spec, run, spec.scope),
  },
  ...pageTypes,
} as const satisfies Record<string, QueryType>

export type TypeName = keyof typeof types

export function typeOf(name: string): QueryType | undefined {
  // The type assertion is needed because `Object.hasOwn` does not narrow `name`.
  return Object.hasOwn(types, name) ? types[name as TypeName] : undefined
}

/** Returns a query type in the format of GET /v1/query/types. */
export function configOf({ description, columns, takes, needs = [], order }: QueryType): TypeConfig {
  const change = takes.includes("compare") && order?.by !== "date" ? changeColumns : []
  const sortBy = order ? [...new Set([order.by, ...order.others, ...change])] : []
  return {
    allowedFilters: [...fields, "property_key", "property.*"],
    customizable: true,
    defaultLimit,
    meta: { description, outputFields: [...columns], takes: [...takes], needs: [...needs], sortBy },
  }
}
