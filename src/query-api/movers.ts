import type { Dimension, Property } from "../query/fields.ts"
import { fields, idFields } from "../query/fields.ts"
import type { MoversSummary, Scope, SkippedField, Values } from "../query/query.ts"
import { span } from "./groups.ts"
import type { NamedMeasure, QuerySpec, QueryType, Row, RunQuery, TypeResult } from "./query-spec.ts"
import { percent } from "./rows.ts"

/** Limits of a movers query. */
export interface MoversLimits {
  /** Maximum number of property keys to check. The most frequent keys are checked. */
  keys: number
  /** Maximum number of values per field in both periods together. A missing value counts as a value. */
  values: number
}

/**
 * Nearly all events have fewer than 50 keys. The values of a field that has more than 1,000 of them are usually IDs, or
 * explain nothing because each has only a tiny share.
 */
const defaultLimits: MoversLimits = { keys: 50, values: 1_000 }

/** Measures whose difference between two periods can be split by value. */
const measures = ["events", "users", "sessions", "profiles", "count", "sum"] as const

/**
 * The fields to check. IDs are omitted because reports never list them, and `query_string` is omitted because it is
 * also a property.
 */
const checkedFields = fields.filter((field) => !idFields.includes(field) && field !== "query_string")

export const moversType = {
  description:
    "Values of any property or field that explain the change in one measure since the previous period, ranked by their share of the difference",
  takes: ["measures", "kinds", "compare"],
  oneMeasure: measures,
  alwaysCompares: true,
  columns: ["field", "value", "…", "difference", "percentage", "expected_percentage", "is_offset"],
  order: undefined,
  rows: (spec, run) => movers(spec, run, defaultLimits),
} as const satisfies QueryType

/** A value of a field, and the measure in each of the two periods for the events that have this value. */
interface Mover {
  field: Dimension
  value: string | null
  now: number
  before: number
}

/**
 * Ranks the values of all fields by how much more of the difference they explain than their share of the previous
 * period predicts.
 */
export function* movers(spec: QuerySpec, run: RunQuery, limits: MoversLimits): Generator<void, TypeResult> {
  const { scope, previous, limit, offset } = spec
  const [measure] = spec.measures
  if (!previous || !measure) throw new Error("movers need one measure and a previous period")
  const periods: Periods = { scope, previous: { ...scope, ...span(previous) }, measure, limits }
  const total = yield* totalOf(periods.scope, measure, run)
  const previousTotal = yield* totalOf(periods.previous, measure, run)
  const properties = yield* propertiesOf(periods, { now: total, before: previousTotal }, run)
  const checked: Dimension[] = []
  const skipped = [...properties.skipped]
  const found: (Mover & { isOffset: boolean })[] = []
  const add = (field: Dimension, values: Mover[] | undefined) => {
    if (!values) skipped.push({ field, reason: "too_many_values" })
    else {
      checked.push(field)
      // A field with only one value explains nothing.
      if (values.length > 1) found.push(...changedOf(values))
    }
  }
  for (const field of checkedFields) add(field, yield* valuesOf(periods, field, run))
  for (const { field, values } of properties.counted) add(field, values)
  for (const field of properties.uncounted) add(field, yield* valuesOf(periods, field, run))
  const difference = total - previousTotal
  const ranked = found.map((mover) => {
    const share = difference === 0 ? 0 : (mover.now - mover.before) / difference
    const expected = shareOf(mover, total, previousTotal)
    const rank = difference === 0 ? Math.abs(mover.now - mover.before) : share - expected
    return { mover, share, expected, rank }
  })
  ranked.sort(
    (a, b) =>
      Number(a.mover.isOffset) - Number(b.mover.isOffset) ||
      b.rank - a.rank ||
      compareMovers(a.mover, b.mover),
  )
  const rows = ranked.slice(offset, offset + limit).map(
    ({ mover: { field, value, now, before, isOffset }, share, expected }): Row => ({
      field,
      value,
      [measure.name]: now,
      difference: now - before,
      percentage: difference === 0 ? null : percent(share, 1),
      expected_percentage: percent(expected, 1),
      is_offset: isOffset,
      previous: { [measure.name]: before },
    }),
  )
  const summary: MoversSummary = { total, previous_total: previousTotal, checked, skipped }
  return { rows, isPage: true, total: ranked.length, movers: summary }
}

/** The two periods, and the measure to compare. */
interface Periods {
  scope: Scope
  previous: Scope
  measure: NamedMeasure
  limits: MoversLimits
}

/**
 * Returns the values of a field whose measure changed. A change is offset if the opposite changes of other values add
 * up to at least half of it, or to at least half of the total in the period in which these values are larger. If a
 * value occurs in both periods, only opposite changes of values that occur in a single period count. For example, when
 * a new release replaces the old one, the changes of both are offset: the releases only replace each other, which
 * explains nothing.
 */
function changedOf(values: readonly Mover[]): (Mover & { isOffset: boolean })[] {
  const changed = values.filter(({ now, before }) => now !== before)
  const isInOnePeriod = ({ now, before }: Mover) => now === 0 || before === 0
  const sumOf = (movers: readonly Mover[], size: (mover: Mover) => number) =>
    movers.reduce((sum, mover) => sum + size(mover), 0)
  const changes = (movers: readonly Mover[]) => ({
    rise: sumOf(movers, ({ now, before }) => Math.max(0, now - before)),
    fall: sumOf(movers, ({ now, before }) => Math.max(0, before - now)),
  })
  const [all, inOnePeriod] = [changes(changed), changes(changed.filter(isInOnePeriod))]
  const [total, previousTotal] = [sumOf(values, ({ now }) => now), sumOf(values, ({ before }) => before)]
  return changed.map((mover) => {
    const difference = mover.now - mover.before
    const { rise, fall } = isInOnePeriod(mover) ? all : inOnePeriod
    const [opposite, base] = difference > 0 ? [fall, previousTotal] : [rise, total]
    return { ...mover, isOffset: opposite > 0 && 2 * opposite >= Math.min(Math.abs(difference), base) }
  })
}

/** Returns the share of the difference that a value would have if all values had changed in the same proportion. */
function shareOf({ now, before }: Mover, total: number, previousTotal: number): number {
  if (previousTotal !== 0) return before / previousTotal
  return total === 0 ? 0 : now / total
}

/** Orders by the size of the difference, largest first, then by field and value. Missing values come last. */
function compareMovers(a: Mover, b: Mover): number {
  const size = ({ now, before }: Mover) => Math.abs(now - before)
  return size(b) - size(a) || compareText(a.field, b.field) || compareText(a.value, b.value)
}

function compareText(a: string | null, b: string | null): number {
  if (a === null || b === null) return Number(a === null) - Number(b === null)
  return a < b ? -1 : Number(a > b)
}

function* totalOf(scope: Scope, { measure }: NamedMeasure, run: RunQuery): Generator<void, number> {
  const { groups } = yield* run({ kind: "groups", scope, by: [], measures: [measure] })
  return first(groups[0]?.values)
}

/** Returns the value of a query's only measure. */
function first(values: Values | undefined): number {
  return values?.[0] ?? 0
}

/** Returns the values of a field in both periods, or undefined if there are too many values. */
function* valuesOf(
  { scope, previous, measure: { measure }, limits }: Periods,
  field: Dimension,
  run: RunQuery,
): Generator<void, Mover[] | undefined> {
  const {
    groups,
    previous: values = [],
    totals,
  } = yield* run({
    kind: "groups",
    scope,
    by: [field],
    measures: [measure],
    page: {
      order: { by: 0 },
      descending: false,
      offset: 0,
      limit: limits.values,
      previous: span(previous),
    },
  })
  if (totals && totals.groups > limits.values) return undefined
  return groups.map(({ by: [value = null], values: current }, index) => ({
    field,
    value,
    now: first(current),
    before: first(values[index]),
  }))
}

interface Properties {
  /** Keys whose values have already been counted. `values` is undefined if there are too many. */
  counted: { field: Property; values: Mover[] | undefined }[]
  /** Keys whose values must still be counted. */
  uncounted: Property[]
  skipped: SkippedField[]
}

/**
 * Returns the properties to check. If the measure is the number of events, a single query per period counts the events
 * by value for all keys that contain no dots.
 */
function* propertiesOf(
  { scope, previous, measure, limits }: Periods,
  totals: { now: number; before: number },
  run: RunQuery,
): Generator<void, Properties> {
  const current = yield* run({ kind: "values", scope, top: 0 })
  const earlier = yield* run({ kind: "values", scope: previous, top: 0 })
  const known = new Map<string, { occurrences: number; cardinality: number }>()
  for (const { key, occurrences, cardinality } of [...current.properties, ...earlier.properties]) {
    const other = known.get(key)
    known.set(key, {
      occurrences: occurrences + (other?.occurrences ?? 0),
      cardinality: Math.max(cardinality, other?.cardinality ?? 0),
    })
  }
  const sorted = [...known].sort(
    ([a, one], [b, other]) => other.occurrences - one.occurrences || compareText(a, b),
  )
  const fieldOf = (key: string): Property => `property.${key}`
  const skipped: SkippedField[] = sorted
    .slice(limits.keys)
    .map(([key]) => ({ field: fieldOf(key), reason: "too_many_properties" }))
  const checked = sorted.slice(0, limits.keys)
  const few = checked.filter(([, { cardinality }]) => cardinality <= limits.values).map(([key]) => key)
  for (const [key, { cardinality }] of checked)
    if (cardinality > limits.values) skipped.push({ field: fieldOf(key), reason: "too_many_values" })
  // A key with dots may also be the path to a nested value, which only a groups query can find.
  const countable = measure.measure === "events" ? few.filter((key) => !key.includes(".")) : []
  const uncounted = few.filter((key) => !countable.includes(key)).map(fieldOf)
  if (countable.length === 0) return { counted: [], uncounted, skipped }
  const keys = countable.length === known.size ? undefined : countable
  const counts = [
    yield* countsOf(scope, keys, limits, run),
    yield* countsOf(previous, keys, limits, run),
  ] as const
  const counted = countable.map((key) => {
    const [now = new Map(), before = new Map()] = [counts[0].get(key), counts[1].get(key)]
    const field = fieldOf(key)
    const values = [...new Set([...now.keys(), ...before.keys()])].map(
      (value): Mover => ({ field, value, now: now.get(value) ?? 0, before: before.get(value) ?? 0 }),
    )
    const missing = (total: number, found: ReadonlyMap<string, number>) =>
      [...found.values()].reduce((rest, count) => rest - count, total)
    const none = { field, value: null, now: missing(totals.now, now), before: missing(totals.before, before) }
    if (none.now > 0 || none.before > 0) values.push(none)
    return { field, values: values.length > limits.values ? undefined : values }
  })
  return { counted, uncounted, skipped }
}

/** Returns the number of events with each value of each key. */
function* countsOf(
  scope: Scope,
  keys: readonly string[] | undefined,
  limits: MoversLimits,
  run: RunQuery,
): Generator<void, Map<string, Map<string, number>>> {
  const { properties } = yield* run({ kind: "values", scope, keys, top: limits.values })
  const counts = new Map<string, Map<string, number>>()
  for (const { key, top } of properties) {
    const keyCounts = counts.get(key) ?? new Map<string, number>()
    counts.set(key, keyCounts)
    // The same key can occur with several event names.
    for (const { text, count } of top) keyCounts.set(text, (keyCounts.get(text) ?? 0) + count)
  }
  return counts
}
