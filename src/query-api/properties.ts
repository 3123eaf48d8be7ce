import { requiredTexts, testOf } from "../query/operators.ts"
import type { PropertyValues } from "../query/query.ts"
import { first, last, sessions, total, users } from "./groups.ts"
import type { QuerySpec, QueryType, Row, RunQuery, Sort, TypeResult } from "./query-spec.ts"
import { isoOrNull, rounded } from "./rows.ts"
import type { Option } from "./schema.ts"

interface ValuesSpec {
  description: string
  takes?: readonly Option[]
  columns: readonly string[]
  /** Values of a key that the engine lists; left out: as many as `top` says. */
  top?: (ask: QuerySpec) => number
  order: Sort & { besides: readonly string[] }
  ties?: readonly string[]
  rows: (one: PropertyValues, ask: QuerySpec) => Row[]
}

/** A type about property keys and their values. */
export function ofValues(spec: ValuesSpec): QueryType {
  const { description, takes = [], columns, order, ties, rows } = spec
  return {
    description,
    takes,
    columns,
    order,
    ties,
    *rows(ask, put) {
      const found = yield* propertiesOf(ask, put, spec.top?.(ask) ?? ask.top)
      return { rows: found.flatMap((one) => rows(one, ask)) }
    },
  }
}

/** A filter on property_key is about which keys are shown too, not only about which events count. */
function* propertiesOf(
  ask: QuerySpec,
  put: RunQuery,
  top: number,
  bins?: number,
): Generator<void, PropertyValues[]> {
  const ofKeys = ask.scope.filters.filter(({ field }) => field === "property_key")
  const keys = ofKeys.map(requiredTexts).find((texts) => texts !== undefined)
  const { properties } = yield* put({ kind: "values", scope: ask.scope, keys, top, bins })
  return properties.filter(({ key }) => ofKeys.every((filter) => testOf(filter)(key, key)))
}

/** At most so many values are shown one by one, and so many in a list of the most frequent. */
const fewValues = 20
const someValues = 1_000

export function classified(one: PropertyValues): Row {
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

export function* numbers(ask: QuerySpec, put: RunQuery): Generator<void, TypeResult> {
  const found = yield* propertiesOf(ask, put, 0, ask.top)
  const rows = found.flatMap(({ name, key, numbers }): Row[] => {
    if (!numbers) return []
    const { count, min, max, sum, p50, p95, bins } = numbers
    return [{ event_name: name, property_key: key, count, min, max, avg: sum / count, sum, p50, p95, bins }]
  })
  return { rows }
}

export function* discover(ask: QuerySpec, put: RunQuery): Generator<void, TypeResult> {
  const measured = [total, users, sessions, first, last]
  const { groups } = yield* put({
    kind: "groups",
    scope: ask.scope,
    by: ["event_name"],
    measures: measured.map(({ measure }) => measure),
  })
  const properties = Map.groupBy(yield* propertiesOf(ask, put, ask.top), ({ name }) => name)
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
