import { iso } from "../iso.ts"
import type { Dimension } from "../query/fields.ts"
import {
  type Bucket,
  emptyMeasures,
  emptyPropertyMeasures,
  type Filter,
  type Group,
  type GroupKey,
  type GroupsPage,
  type GroupsQuery,
  type GroupsResult,
  type Measure,
  type Scope,
  type Values,
} from "../query/query.ts"
import { pairBuckets } from "./comparison.ts"
import type { QuerySpec, QueryType, Row, RunQuery, TypeResult } from "./query-spec.ts"
import { isChangeColumn, percent, requireRows } from "./rows.ts"
import type { Option } from "./schema.ts"

/** Measures and the names of their columns. */
export const total = { column: "total_events", measure: "events" } as const
export const users = { column: "unique_users", measure: "users" } as const
export const sessions = { column: "unique_sessions", measure: "sessions" } as const
export const names = { column: "unique_event_types", measure: "event_types" } as const
export const pages = { column: "unique_pages", measure: "pages" } as const
export const first = { column: "first_occurrence", measure: "first" } as const
export const last = { column: "last_occurrence", measure: "last" } as const

const byDate = { by: "date", order: "asc", others: [] } as const

interface GroupsDefinition {
  description: string
  takes: readonly Option[]
  kinds?: QueryType["kinds"]
  oneOf?: QueryType["oneOf"]
  /**
   * Default granularity, or `optional` to break rows down by time only if the request has a granularity. If `byTime` is
   * absent, rows are never broken down by time.
   */
  byTime?: "daily" | "optional"
  /** Dimensions and their columns. `"by"` stands for the fields that the request lists in `by`. */
  by: readonly ({ column: string; dimension: Dimension } | "by")[]
  measures: readonly { column: string; measure: Measure }[] | "measures"
  /** The column for each row's share of the first measure. */
  share?: string
  /** Excludes events that lack this field. */
  present?: Dimension
  /** Applied in addition to the filters of the query. */
  filters?: readonly Filter[]
  range?: QueryType["range"]
}

/** Defines a query type that groups events by fields and dates and computes measures. */
export function groupsType(definition: GroupsDefinition): QueryType {
  const { description, takes, kinds, oneOf, byTime, by, measures, share, range } = definition
  const dimensions = by.map((entry) => (entry === "by" ? "…" : entry.column))
  const measureColumns = measures === "measures" ? ["…"] : measures.map(({ column }) => column)
  const dateColumns = byTime === undefined ? [] : ["date"]
  const known = [...measureColumns, ...dimensions].filter((column) => column !== "…")
  return {
    description,
    takes,
    ...(kinds ? { kinds } : {}),
    ...(oneOf ? { oneOf } : {}),
    ...(range ? { range } : {}),
    columns: [...dateColumns, ...dimensions, ...measureColumns, ...(share ? [share] : [])],
    hasAllDates: byTime !== undefined,
    defaultGranularity: byTime === "daily" ? "daily" : undefined,
    order:
      byTime === "daily"
        ? byDate
        : { by: measureColumns[0] ?? "", order: "desc", others: [...known, ...(share ? [share] : []), "…"] },
    ...(measures === "measures" ? { sortsBy: sortColumns } : {}),
    rows: (spec, run) => groupRows(definition, spec, run),
  }
}

/**
 * Returns the allowed sort columns: the first measure, which is the default, then the fields and the other measures. If
 * there is a granularity, returns only the date.
 */
function sortColumns({
  by,
  measures,
  granularity,
}: Pick<QuerySpec, "by" | "measures" | "granularity">): string[] {
  const names = measures.map(({ name }) => name)
  return granularity ? ["date"] : [...new Set([...names.slice(0, 1), ...by, ...names])]
}

/** Returns the value of a measure if there are no events. */
function emptyValue(measure: Measure): 0 | null {
  return typeof measure === "object" ? emptyPropertyMeasures[measure.what] : emptyMeasures[measure]
}

function* groupRows(
  definition: GroupsDefinition,
  spec: QuerySpec,
  run: RunQuery,
): Generator<void, TypeResult> {
  const by = definition.by.flatMap((entry) =>
    entry === "by" ? spec.by.map((dimension) => ({ column: dimension as string, dimension })) : [entry],
  )
  const measures =
    definition.measures === "measures"
      ? spec.measures.map(({ name, measure }) => ({ column: name, measure }))
      : definition.measures
  const granularity = definition.byTime === undefined ? undefined : spec.granularity
  const scope = withFilters(spec.scope, [
    ...(definition.present ? [present(definition.present)] : []),
    ...(definition.filters ?? []),
  ])
  const query: GroupsQuery = {
    kind: "groups",
    scope,
    by: by.map(({ dimension }) => dimension),
    granularity,
    measures: measures.map(({ measure }) => measure),
  }
  const { limit, offset, previous } = spec
  // A comparison includes every group that occurs in at least one of the two periods.
  const range = previous && span(previous)
  const cells = (values: Values | undefined): Row =>
    Object.fromEntries(
      measures.map(({ column, measure }, index) => {
        const value = values?.[index] ?? emptyValue(measure)
        const isTime = measure === "first" || measure === "last"
        return [column, isTime && value !== null ? iso(value) : value]
      }),
    )
  const fieldsOf = (values: GroupKey): Row =>
    Object.fromEntries(by.map(({ column }, index) => [column, values[index] ?? null]))
  if (by.length > 0 && !granularity) {
    const result = yield* run({
      ...query,
      page: { ...orderOf(spec, by, measures), limit, offset, previous: range },
    })
    const { groups: total = 0, sum = 0 } = result.totals ?? {}
    const column = measures[0]?.column ?? ""
    const rows = result.groups.map((group, index): Row => {
      const measured = cells(group.values)
      return {
        ...fieldsOf(group.by),
        ...measured,
        ...(definition.share ? { [definition.share]: percent(Number(measured[column]), sum) } : {}),
        ...(result.previous ? { previous: cells(result.previous[index]) } : {}),
      }
    })
    return { rows, isPage: true, total }
  }
  const page =
    by.length === 0
      ? undefined
      : yield* run({
          ...query,
          granularity: undefined,
          measures: query.measures.slice(0, 1),
          page: { order: { measure: 0 }, descending: true, limit, offset, previous: range },
        })
  const only = page?.groups.map((group) => group.by)
  const result = yield* run({ ...query, only })
  const comparison = range && (yield* run({ ...query, scope: { ...scope, ...range }, only }))
  const groups = groupsByKey(result)
  const previousGroups = comparison && groupsByKey(comparison)
  const pairs =
    comparison &&
    previous &&
    (granularity ? pairBuckets(previous, granularity, result.buckets, comparison.buckets) : [0])
  const labels = (bucket: number, buckets: readonly Bucket[]): Row =>
    granularity ? { date: buckets[bucket]?.label ?? null } : {}
  const rowOf = (values: GroupKey, bucket: number): Row => {
    const group = groups.get(groupKey(values, bucket))
    const row: Row = { ...labels(bucket, result.buckets), ...fieldsOf(values), ...cells(group?.values) }
    if (comparison && previousGroups && pairs) {
      const pair = pairs[bucket]
      row.previous =
        pair === undefined
          ? null
          : {
              ...labels(pair, comparison.buckets),
              ...cells(previousGroups.get(groupKey(values, pair))?.values),
            }
    }
    return row
  }
  if (!granularity) return { rows: [rowOf([], 0)] }
  const keys = only ?? [[]]
  requireRows(keys.length * result.buckets.length)
  const buckets = result.buckets.map((_, bucket) => bucket)
  if (spec.sort?.order === "desc") buckets.reverse()
  return { rows: buckets.flatMap((bucket) => keys.map((values) => rowOf(values, bucket))), isPage: true }
}

/** Maps the sort column to a dimension or a measure. The columns for share and change refer to the first measure. */
function orderOf(
  { sort }: QuerySpec,
  by: readonly { column: string }[],
  measures: readonly { column: string }[],
): Pick<GroupsPage, "order" | "descending"> {
  const indexIn = (columns: readonly { column: string }[]) =>
    columns.findIndex(({ column }) => column === sort?.by)
  const descending = sort?.order === "desc"
  if (isChangeColumn(sort?.by))
    return { order: sort.by === "change" ? { change: 0 } : { weightedChange: 0 }, descending }
  const dimension = indexIn(by)
  const order = dimension < 0 ? { measure: Math.max(0, indexIn(measures)) } : { by: dimension }
  return { order, descending }
}

/** Indexes groups by bucket and field values. */
export function groupsByKey({ groups }: GroupsResult): Map<string, Group> {
  return new Map(groups.map((group) => [groupKey(group.by, group.bucket), group]))
}

function groupKey(by: GroupKey, bucket: number): string {
  return by.length === 0 ? String(bucket) : JSON.stringify([bucket, ...by])
}

export function named(name: string): Filter {
  return { field: "event_name", op: "eq", value: name }
}

export function present(field: Dimension): Filter {
  return { field, op: "exists", value: true }
}

export function withFilters(scope: Scope, filters: readonly Filter[]): Scope {
  return { ...scope, filters: [...scope.filters, ...filters] }
}

export function span({ from, to }: Pick<Scope, "from" | "to">): Pick<Scope, "from" | "to"> {
  return { from, to }
}
