import {
  type Bucket,
  type By,
  type Dimension,
  emptyMeasures,
  emptyPropertyMeasures,
  type Filter,
  type Group,
  type GroupsPage,
  type GroupsQuery,
  type GroupsResult,
  type Measure,
  type Scope,
} from "../query/query.ts"
import type { QuerySpec, QueryType, Row, RunQuery, TypeResult } from "./query-spec.ts"
import { pairBuckets } from "./range.ts"
import { iso, percent, requireRows } from "./rows.ts"
import type { Option } from "./schema.ts"

/** Measures under the names of their columns. */
export const total = { column: "total_events", measure: "events" } as const
export const users = { column: "unique_users", measure: "users" } as const
export const sessions = { column: "unique_sessions", measure: "sessions" } as const
export const names = { column: "unique_event_types", measure: "event_types" } as const
export const pages = { column: "unique_pages", measure: "pages" } as const
export const first = { column: "first_occurrence", measure: "first" } as const
export const last = { column: "last_occurrence", measure: "last" } as const

const byDate = { by: "date", order: "asc", besides: [] } as const

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
export function ofGroups(spec: GroupsSpec): QueryType {
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
  return typeof measure === "object" ? emptyPropertyMeasures[measure.what] : emptyMeasures[measure]
}

function* groupRows(spec: GroupsSpec, ask: QuerySpec, put: RunQuery): Generator<void, TypeResult> {
  const by = spec.by.flatMap((one) =>
    one === "by" ? ask.by.map((dimension) => ({ column: dimension as string, dimension })) : [one],
  )
  const measures =
    spec.measures === "measures"
      ? ask.measures.map(({ name, measure }) => ({ column: name, measure }))
      : spec.measures
  const granularity = spec.byTime === undefined ? undefined : ask.granularity
  const scope = spec.present ? withFilters(ask.scope, [present(spec.present)]) : ask.scope
  const question: GroupsQuery = {
    kind: "groups",
    scope,
    by: by.map(({ dimension }) => dimension),
    granularity,
    measures: measures.map(({ measure }) => measure),
  }
  const { limit, offset } = ask
  const listed =
    by.length === 0
      ? undefined
      : granularity
        ? yield* put({
            ...question,
            granularity: undefined,
            measures: question.measures.slice(0, 1),
            page: { order: { measure: 0 }, down: true, limit, offset },
          })
        : yield* put({ ...question, page: { ...orderOf(ask, by, measures), limit, offset } })
  const only = listed?.groups.map((group) => group.by)
  const answer = listed && !granularity ? listed : yield* put({ ...question, only })
  const before =
    ask.previous && (yield* put({ ...question, scope: { ...scope, ...span(ask.previous) }, only }))
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
  const pairs =
    before && (granularity ? pairBuckets(ask.range, granularity, answer.buckets, before.buckets) : [0])
  const labels = (bucket: number, buckets: readonly Bucket[]): Row =>
    granularity ? { date: buckets[bucket]?.label ?? null } : {}
  const row = (values: By, bucket: number): Row => {
    const group = found.get(placeOf(values, bucket))
    const dims = Object.fromEntries(by.map(({ column }, index) => [column, values[index] ?? null]))
    const made: Row = { ...labels(bucket, answer.buckets), ...dims, ...cells(group?.values) }
    if (before && foundBefore && pairs) {
      const pair = pairs[bucket]
      made.previous =
        pair === undefined
          ? null
          : { ...labels(pair, before.buckets), ...cells(foundBefore.get(placeOf(values, pair))?.values) }
    }
    return made
  }
  if (!granularity) {
    const rows = answer.groups.map((group) => row(group.by, 0))
    if (!answer.all) return { rows }
    const column = measures[0]?.column ?? ""
    const { groups: total, sum } = answer.all
    return { rows: spec.share ? withShare(rows, column, sum, spec.share) : rows, isCut: true, total }
  }
  const groups = only ?? [[]]
  requireRows(groups.length * answer.buckets.length)
  const places = answer.buckets.map((_, bucket) => bucket)
  if (ask.sort?.order === "desc") places.reverse()
  return { rows: places.flatMap((bucket) => groups.map((values) => row(values, bucket))), isCut: true }
}

/** By a dimension or a measure; by the share, which has the order of the first measure. */
function orderOf(
  { sort }: QuerySpec,
  by: readonly { column: string }[],
  measures: readonly { column: string }[],
): Pick<GroupsPage, "order" | "down"> {
  const placeIn = (columns: readonly { column: string }[]) =>
    columns.findIndex(({ column }) => column === sort?.by)
  const dimension = placeIn(by)
  const order = dimension < 0 ? { measure: Math.max(0, placeIn(measures)) } : { by: dimension }
  return { order, down: sort?.order === "desc" }
}

export function byPlace({ groups }: GroupsResult): Map<string, Group> {
  return new Map(groups.map((group) => [placeOf(group.by, group.bucket), group]))
}

function placeOf(by: By, bucket: number): string {
  return by.length === 0 ? String(bucket) : JSON.stringify([bucket, ...by])
}

function withShare(rows: Row[], column: string, all: number, share: string): Row[] {
  return rows.map(({ previous, ...row }) => ({
    ...row,
    [share]: percent(Number(row[column]), all),
    ...(previous === undefined ? {} : { previous }),
  }))
}

export function named(name: string): Filter {
  return { field: "event_name", op: "eq", value: name }
}

function present(field: Dimension): Filter {
  return { field, op: "exists", value: true }
}

export function withFilters(scope: Scope, filters: readonly Filter[]): Scope {
  return { ...scope, filters: [...scope.filters, ...filters] }
}

export function span({ from, to }: Pick<Scope, "from" | "to">): Pick<Scope, "from" | "to"> {
  return { from, to }
}
