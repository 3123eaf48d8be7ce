import { isoOrNull } from "../iso.ts"
import { predicateOf, requiredTexts } from "../query/operators.ts"
import type { PropertyValues } from "../query/query.ts"
import { first, last, sessions, total, users } from "./groups.ts"
import type { QuerySpec, QueryType, Row, RunQuery, Sort, TypeResult } from "./query-spec.ts"
import { roundTo } from "./rows.ts"
import type { Option } from "./schema.ts"

interface ValuesDefinition {
  description: string
  takes?: readonly Option[]
  columns: readonly string[]
  /** Returns the number of values to read per key. The default is the value of the option `top`. */
  top?: (spec: QuerySpec) => number
  order: Sort & { others: readonly string[] }
  tieBreakers?: readonly string[]
  rows: (property: PropertyValues, spec: QuerySpec) => Row[]
}

/** Defines a query type that reports on property keys and their values. */
export function valuesType(definition: ValuesDefinition): QueryType {
  const { description, takes = [], columns, order, tieBreakers, rows } = definition
  return {
    description,
    takes,
    columns,
    order,
    tieBreakers,
    *rows(spec, run) {
      const properties = yield* propertiesOf(spec, run, definition.top?.(spec) ?? spec.top)
      return { rows: properties.flatMap((property) => rows(property, spec)) }
    },
  }
}

/** Reads property values. A filter on `property_key` not only selects events, but also limits the returned keys. */
function* propertiesOf(
  spec: QuerySpec,
  run: RunQuery,
  top: number,
  bins?: number,
): Generator<void, PropertyValues[]> {
  const keyFilters = spec.scope.filters.filter(({ field }) => field === "property_key")
  const keys = keyFilters.map(requiredTexts).find((texts) => texts !== undefined)
  const { properties } = yield* run({ kind: "values", scope: spec.scope, keys, top, bins })
  return properties.filter(({ key }) => keyFilters.every((filter) => predicateOf(filter)(key, key)))
}

/** Maximum number of distinct values to display as bars, and to display as a list of the most frequent values. */
const maxBars = 20
const maxListed = 1_000

/** Infers the type of a property's values and how to display them. */
export function classify(property: PropertyValues): Row {
  const { cardinality, occurrences } = property
  const isAll = (count: number) => cardinality > 0 && count === cardinality
  const isBoolean = isAll(property.boolean)
  const isNumber = isAll(property.numeric)
  const isDate = isAll(property.date)
  const isUrl = isAll(property.url)
  const inferred = isBoolean ? "boolean" : isNumber ? "number" : isDate ? "date" : isUrl ? "url" : "string"
  return {
    event_name: property.name,
    property_key: property.key,
    cardinality,
    total_count: occurrences,
    coverage_ratio: property.events === 0 ? 0 : roundTo(occurrences / property.events, 4),
    avg_length: cardinality === 0 ? 0 : roundTo(property.totalLength / cardinality, 2),
    max_length: property.maxLength,
    is_numeric: isNumber,
    numbers_as_text: property.numericTexts,
    is_boolean: isBoolean,
    is_date_like: isDate,
    is_url_like: isUrl,
    inferred_type: inferred,
    render_strategy: strategyOf(inferred, cardinality, occurrences),
    sample_values: property.top.map(({ text }) => text),
  }
}

function strategyOf(inferred: string, cardinality: number, occurrences: number): string {
  if (inferred === "boolean") return "toggle"
  if (inferred === "date") return "timeline"
  if (inferred === "url") return "links"
  if (cardinality <= maxBars) return "bars"
  if (inferred === "number") return "histogram"
  // If nearly every event has a different value, counts are meaningless.
  return cardinality <= maxListed || occurrences >= 2 * cardinality ? "top_list" : "samples"
}

export function* numbers(spec: QuerySpec, run: RunQuery): Generator<void, TypeResult> {
  const properties = yield* propertiesOf(spec, run, 0, spec.top)
  const rows = properties.flatMap(({ name, key, numbers }): Row[] => {
    if (!numbers) return []
    const { count, min, max, sum, p50, p95, bins } = numbers
    return [{ event_name: name, property_key: key, count, min, max, avg: sum / count, sum, p50, p95, bins }]
  })
  return { rows }
}

export function* discover(spec: QuerySpec, run: RunQuery): Generator<void, TypeResult> {
  const measures = [total, users, sessions, first, last]
  const { groups } = yield* run({
    kind: "groups",
    scope: spec.scope,
    by: ["event_name"],
    measures: measures.map(({ measure }) => measure),
  })
  const properties = Map.groupBy(yield* propertiesOf(spec, run, spec.top), ({ name }) => name)
  const rows = groups.flatMap(
    ({ by: [name = null], values: [events, people, visits, firstAt, lastAt] }): Row[] => {
      const totals = {
        total_events: events,
        unique_users: people,
        unique_sessions: visits,
        first_occurrence: isoOrNull(firstAt ?? null),
        last_occurrence: isoOrNull(lastAt ?? null),
      }
      const keys = properties.get(name ?? "") ?? []
      if (keys.length === 0) {
        return [{ event_name: name, totals, property_key: null, unique_values: 0, top_values: [] }]
      }
      return keys.map((property) => ({
        event_name: name,
        totals,
        property_key: property.key,
        unique_values: property.cardinality,
        top_values: property.top.map(({ text, count }) => ({ value: text, count })),
      }))
    },
  )
  return { rows }
}
