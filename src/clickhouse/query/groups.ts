import type {
  Group,
  GroupsPage,
  GroupsQuery,
  GroupsResult,
  Measure,
  PropertyMeasure,
} from "../../query/query.ts"
import { bucketAt, bucketsOf } from "../../query/structures/time-zone.ts"
import { nearestRank, type ReportContext, readPage } from "./report.ts"
import { type Scan, utf16Order } from "./scan.ts"
import { unmarkSurrogates } from "./statement.ts"

type Key = string | null
type Value = number | null

/** Groups events by dimensions, and optionally by time, and computes the measures of each group. */
export async function groups(query: GroupsQuery, context: ReportContext): Promise<GroupsResult> {
  return query.page ? pageOfGroups(query, query.page, context) : allGroups(query, context)
}

async function allGroups(
  { scope, by, granularity, measures, only }: GroupsQuery,
  { scan: newScan, run }: ReportContext,
): Promise<GroupsResult> {
  const scan = newScan()
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
  const keys = by.map((dimension) => scan.text(dimension))
  const values = measures.map((measure) => measureSql(measure, scan, "1"))
  const bucket = granularity ? scan.bucketOf("at", buckets) : "toInt64(0)"
  const condition = only ? `where has(${scan.bind("Array(String)", only.map(keyText))}, ${keySql(keys)})` : ""
  const names = keys.map((_, index) => `k${index}`)
  const groupBy = [...(granularity ? ["bucket"] : []), ...names]
  const rows = await run<[number, Key[], ...Value[]]>(
    scan,
    `select ${[`${bucket} as bucket`, `[${keys.map((key, index) => `${key} as k${index}`).join(", ")}]`, ...values].join(", ")}
    from ${scan.rows(scope)}
    ${condition}
    ${groupBy.length > 0 ? `group by ${groupBy.join(", ")}` : ""}`,
  )
  return {
    buckets,
    groups: rows.map(
      ([start, key, ...numbers]): Group => ({
        by: key.map(unmark),
        bucket: granularity ? bucketAt(buckets, start) : 0,
        values: numbers,
      }),
    ),
  }
}

async function pageOfGroups(
  query: GroupsQuery,
  page: GroupsPage,
  context: ReportContext,
): Promise<GroupsResult> {
  const { scope, by, measures } = query
  const { previous, offset, limit } = page
  const scan = context.scan()
  const within = ({ from, to }: { from: number; to: number }) =>
    `(at >= ${scan.bind("Int64", from)} and at < ${scan.bind("Int64", to)})`
  const isNow = previous ? within(scope) : "1"
  const isBefore = previous ? within(previous) : "0"
  const keys = by.map((dimension, index) => `${scan.text(dimension)} as k${index}`)
  const names = keys.map((_, index) => `k${index}`)
  const now = measures.map((measure, index) => `${measureSql(measure, scan, isNow)} as v${index}`)
  const before = previous
    ? measures.map((measure, index) => `${measureSql(measure, scan, isBefore)} as w${index}`)
    : []
  const span = previous
    ? { ...scope, from: Math.min(scope.from, previous.from), to: Math.max(scope.to, previous.to) }
    : scope
  const grouped = `
    select ${[...keys, ...now, ...before].join(", ")}
    from ${scan.rows(span)}
    where ${isNow} or ${isBefore}
    group by ${names.join(", ")}`
  const list = (prefix: string, count: number) =>
    `[${Array.from({ length: count }, (_, index) => `toNullable(toFloat64(${prefix}${index}))`).join(", ")}]`
  const { rows, totals } = await readPage<[Key[], Value[], Value[]]>(
    scan,
    {
      columns: [`[${names.join(", ")}]`, list("v", now.length), list("w", before.length)],
      from: grouped,
      order: orderOf(page, names),
      limit,
      offset,
      totals: ["count()", "sumKahan(toFloat64(ifNull(v0, 0)))"],
    },
    context,
  )
  const [count = 0, sum = 0] = totals
  return {
    buckets: bucketsOf(scope.from, scope.to, scope.zone, undefined),
    groups: rows.map(([key, values]) => ({ by: key.map(unmark), bucket: 0, values })),
    totals: { groups: count, sum },
    ...(previous && { previous: rows.map(([, , values]) => values) }),
  }
}

function orderOf({ order, descending, previous }: GroupsPage, names: readonly string[]): string[] {
  const direction = descending ? "desc" : "asc"
  /** Missing values come last, both in ascending and in descending order. */
  const sorted = (sql: string) => [`isNull(${sql}) asc`, `${sql} ${direction}`]
  const ties = names.flatMap((name) => [`isNull(${name}) asc`, `${utf16Order(`ifNull(${name}, '')`)} asc`])
  if ("by" in order) {
    const name = names[order.by] ?? "null"
    return [`isNull(${name}) asc`, `${utf16Order(`ifNull(${name}, '')`)} ${direction}`, ...ties]
  }
  if ("measure" in order)
    return [...sorted(`v${order.measure}`), ...(previous ? sorted(`w${order.measure}`) : []), ...ties]
  const index = "change" in order ? order.change : order.weightedChange
  const [value, past] = [
    `toFloat64(ifNull(v${index}, 0))`,
    previous ? `toFloat64(ifNull(w${index}, 0))` : "0.",
  ]
  const difference = `(${value} - ${past})`
  // The same formulas as in `relativeChange` and `weightedChange`.
  const change =
    "change" in order
      ? `if(${past} != 0, ${difference} / abs(${past}), if(${difference} = 0, 0., sign(${difference}) * inf))`
      : `if(abs(${value}) + abs(${past}) = 0, 0., ${difference} / sqrt(abs(${value}) + abs(${past})))`
  return [`${change} ${direction}`, `${difference} ${direction}`, ...ties]
}

const unmark = (text: Key): Key => (text === null ? null : unmarkSurrogates(text))

/**
 * Encodes the values that identify a group as one string. Each value is preceded by its length in bytes. `keySql`
 * returns SQL for the same string.
 */
function keyText(key: readonly (string | null)[]): string {
  return key.map((text) => (text === null ? "-" : `+${Buffer.byteLength(text)}:${text}`)).join("")
}

function keySql(keys: readonly string[]): string {
  const parts = keys.map((key) => `ifNull(concat('+', toString(length(${key})), ':', ${key}), '-')`)
  return parts.length === 0 ? "''" : `concat(${parts.join(", ")}, '')`
}

/** Returns SQL for a measure of the events for which `condition` is true. */
function measureSql(measure: Measure, scan: Scan, condition: string): string {
  if (typeof measure === "object") return propertyMeasures[measure.what](scan.number(measure.of), condition)
  switch (measure) {
    case "events":
      return `countIf(${condition})`
    case "users":
      return `uniqExactIf(anonymous_id, ${condition})`
    case "sessions":
      return `uniqExactIf(session_id, ${condition})`
    case "profiles":
      return `uniqExactIf(profile_id, ${condition})`
    case "pages":
      return `uniqExactIf(path, ${condition})`
    case "event_types":
      return `uniqExactIf(name, ${condition})`
    case "with_properties":
      return `countIf(ifNull(properties, '{}') != '{}' and ${condition})`
    case "first":
      return `minOrNullIf(at, ${condition})`
    case "last":
      return `maxOrNullIf(at, ${condition})`
  }
}

type PropertySql = (number: string, condition: string) => string

const sum: PropertySql = (number, condition) =>
  `if(${count(number, condition)} = 0, null, sumKahanIf(ifNull(${number}, 0), isNotNull(${number}) and ${condition}))`
const count: PropertySql = (number, condition) => `countIf(isNotNull(${number}) and ${condition})`
const percentile =
  (percent: number): PropertySql =>
  (number, condition) =>
    nearestRank(
      `arraySort(groupArrayIf(assumeNotNull(${number}), isNotNull(${number}) and ${condition}))`,
      percent,
    )

const propertyMeasures: { [What in PropertyMeasure]: PropertySql } = {
  count,
  sum,
  avg: (number, condition) => `${sum(number, condition)} / ${count(number, condition)}`,
  min: (number, condition) => `minOrNullIf(${number}, isNotNull(${number}) and ${condition})`,
  max: (number, condition) => `maxOrNullIf(${number}, isNotNull(${number}) and ${condition})`,
  p50: percentile(50),
  p75: percentile(75),
  p90: percentile(90),
  p95: percentile(95),
  p99: percentile(99),
}
