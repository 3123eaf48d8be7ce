import type { Dimension } from "../query/fields.ts"
import {
  type GroupKey,
  type TrafficGroup,
  type TrafficQuery,
  type TrafficResult,
  trafficKinds,
} from "../query/query.ts"
import { pairBuckets } from "./comparison.ts"
import { span } from "./groups.ts"
import type { QuerySpec, QueryType, Row, RunQuery, TypeResult } from "./query-spec.ts"
import { percent, roundTo, unionOf } from "./rows.ts"

type Traffic = Omit<TrafficGroup, "by" | "bucket">

const noTraffic: Traffic = { views: 0, visitors: 0, sessions: 0, bounces: 0, medianDuration: null }

/** Columns of page view reports, and their values. */
const columns = {
  pageviews: ({ views }: Traffic) => views,
  visitors: ({ visitors }: Traffic) => visitors,
  unique_visitors: ({ visitors }: Traffic) => visitors,
  sessions: ({ sessions }: Traffic) => sessions,
  bounce_rate: ({ bounces, sessions }: Traffic) => percent(bounces, sessions),
  median_session_duration: ({ medianDuration }: Traffic) => medianDuration,
  pages_per_session: ({ views, sessions }: Traffic) => (sessions === 0 ? 0 : roundTo(views / sessions, 2)),
} as const

type Column = keyof typeof columns

function cellsOf(traffic: Traffic, names: readonly Column[]): Row {
  return Object.fromEntries(names.map((name) => [name, columns[name](traffic)]))
}

/** Columns that most types have. */
const viewColumns = ["pageviews", "visitors"] as const

interface TrafficDefinition {
  description: string
  by: NonNullable<TrafficQuery["by"]>
  /** Returns additional columns for the field values, in order. The column `name` already shows the first value. */
  labels: (values: GroupKey) => Row
  labelColumns: readonly string[]
  /**
   * Returns the name of a row whose first field value is missing. If this function is absent, such rows are omitted.
   */
  missing?: (values: GroupKey) => string
  /** Returns true for values whose rows are omitted. */
  isExcluded?: (values: GroupKey) => boolean
  /** True if `pageviews` counts sessions (entries or exits) instead of page views. */
  countsSessions?: boolean
  range?: QueryType["range"]
}

/** Defines a query type with one row per value and the columns name, pageviews, visitors, percentage and the labels. */
export function trafficType(definition: TrafficDefinition): QueryType {
  const { description, labelColumns, range } = definition
  return {
    description,
    kinds: ["page_view"],
    takes: ["compare"],
    columns: ["name", ...viewColumns, "percentage", ...labelColumns],
    order: { by: "pageviews", order: "desc", others: ["name", "visitors", "percentage"] },
    ...(range ? { range } : {}),
    rows: (spec, run) => trafficRows(definition, spec, run),
  }
}

function* trafficRows(
  { by, labels, missing, isExcluded, countsSessions }: TrafficDefinition,
  { scope, previous }: QuerySpec,
  run: RunQuery,
): Generator<void, TypeResult> {
  const rowsOf = ({ groups }: TrafficResult) =>
    groups.filter(
      ({ by: values, sessions }) =>
        (values[0] != null || missing !== undefined) &&
        !isExcluded?.(values) &&
        // Page views without a session have neither an entry nor an exit.
        (sessions > 0 || !countsSessions),
    )
  const current = rowsOf(yield* run({ kind: "traffic", scope, by }))
  const before =
    previous && rowsOf(yield* run({ kind: "traffic", scope: { ...scope, ...span(previous) }, by }))
  // Does not use `cellsOf`, which would be slow for thousands of rows, because it creates each row from a list.
  const counted = ({ views, visitors, sessions }: Traffic): Record<(typeof viewColumns)[number], number> => ({
    pageviews: countsSessions ? sessions : views,
    visitors,
  })
  const total = current.reduce((sum, group) => sum + counted(group).pageviews, 0)
  const union = unionOf(
    current,
    before,
    (group) => JSON.stringify(group.by),
    (group) => ({ ...group, ...noTraffic }),
  )
  const rows = union.map(({ item: group, previous: pair = noTraffic }): Row => {
    const counts = counted(group)
    return {
      name: group.by[0] ?? missing?.(group.by) ?? null,
      ...counts,
      percentage: percent(counts.pageviews, total),
      ...labels(group.by),
      ...(before ? { previous: counted(pair) } : {}),
    }
  })
  return { rows }
}

/** Defines a query type with one row per value of a single field, which is also the only label. */
export function fieldTrafficType(
  description: string,
  field: Dimension,
  view: NonNullable<TrafficQuery["by"]>["view"] = "first",
): QueryType {
  return trafficType({
    description,
    by: { view, fields: [field] },
    labels: () => ({}),
    labelColumns: [],
    countsSessions: field === "path" && view !== "each",
  })
}

interface TotalsDefinition {
  description: string
  columns: readonly Column[]
  /** Computes additional columns. */
  more?: { columns: readonly string[]; rows: (spec: QuerySpec, run: RunQuery) => Generator<void, Row> }
  byTime?: boolean
  range?: QueryType["range"]
}

/** Defines a query type with totals, in one row or in one row per date. */
export function trafficTotalsType({
  description,
  columns: names,
  more,
  byTime = false,
  range,
}: TotalsDefinition): QueryType {
  return {
    description,
    kinds: trafficKinds,
    takes: byTime ? ["granularity", "compare"] : ["compare"],
    columns: [...(byTime ? ["date"] : []), ...names, ...(more?.columns ?? [])],
    order: byTime ? { by: "date", order: "asc", others: [] } : undefined,
    hasAllDates: byTime,
    defaultGranularity: byTime ? "daily" : undefined,
    ...(range ? { range } : {}),
    *rows(spec, run) {
      const { scope, granularity, previous } = spec
      function* rowsIn(part: QuerySpec): Generator<void, { rows: Row[]; buckets: TrafficResult["buckets"] }> {
        const { buckets, groups } = yield* run({ kind: "traffic", scope: part.scope, granularity })
        const others = more ? yield* more.rows(part, run) : {}
        const byBucket = new Map(groups.map((group) => [group.bucket, group]))
        const rows = buckets.map(({ label }, bucket) => ({
          ...(granularity ? { date: label } : {}),
          ...cellsOf(byBucket.get(bucket) ?? noTraffic, names),
          ...others,
        }))
        return { rows, buckets }
      }
      const { rows, buckets } = yield* rowsIn(spec)
      if (!previous) return { rows }
      const earlier = yield* rowsIn({ ...spec, scope: { ...scope, ...span(previous) } })
      const pairs = granularity ? pairBuckets(previous, granularity, buckets, earlier.buckets) : [0]
      return {
        rows: rows.map((row, bucket) => ({ ...row, previous: earlier.rows[pairs[bucket] ?? -1] ?? null })),
      }
    },
  }
}
