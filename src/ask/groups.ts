import type { Bucket, Dimension, Filter, Group, GroupsAnswer, Measure, Scope } from "../query/question.ts"
import type { Ask, Made, Put, QueryType, Row } from "./ask.ts"
import { compareLists, compareValues, iso, percent, requireRows } from "./rows.ts"
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

export function byPlace({ groups }: GroupsAnswer): Map<string, Group> {
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
