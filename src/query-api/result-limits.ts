import type { QuerySpec } from "./query-spec.ts"
import { typeOf } from "./query-types.ts"
import { maxBucketMs } from "./range.ts"
import { invalidParameter } from "./rows.ts"

/** Limits for one request, across all of its queries. */
export interface QueryLimits {
  parameters: number
  /** Once this many rows have been returned, the remaining parameters fail. */
  rows: number
  /** Maximum number of values, which is rows times columns. */
  cells: number
  /** Maximum size of the JSON in bytes. Undefined if only memory limits the size. */
  bytes: number | undefined
}

/**
 * Limits for callers with the scope `read:data`. A dashboard page sends at most ten parameters, and an hourly trend
 * over a year has 50,000 values.
 */
export const fullLimits: QueryLimits = {
  parameters: 200,
  rows: 100_000,
  cells: 1_000_000,
  bytes: undefined,
}

/**
 * Limits for callers that only have the scope `read:reports`, such as share links. They suffice for every dashboard
 * page, and for three trends over a week with the granularity `minute`.
 */
export const reportLimits: QueryLimits = {
  parameters: 50,
  rows: 20_000,
  cells: 100_000,
  bytes: 4_194_304,
}

/**
 * Returns the minimum number of values in the result of a query that has not run yet. It is known for trends, which
 * have a row for every date, and 0 for all other queries.
 */
export function minCells({
  type: name,
  range,
  previous,
  granularity,
  by,
  measures,
  steps,
}: QuerySpec): number {
  const type = typeOf(name)
  if (!type?.hasAllDates || !granularity) return 0
  const dates = Math.floor((range.to - range.from) / maxBucketMs[granularity])
  const fixed = type.columns.filter((column) => column !== "…").length
  const columns = fixed + by.length + (type.takes.includes("measures") ? measures.length : 0)
  return dates * Math.max(1, steps.length) * columns * (previous ? 2 : 1)
}

export function tooManyCells(max: number) {
  return invalidParameter(
    `this parameter would exceed the ${max} values (rows times columns) left for this request: choose a coarser granularity, a shorter range, fewer measures or a lower limit, or send it in a separate request`,
  )
}

export function tooManyBytes(max: number) {
  return invalidParameter(
    `this parameter would exceed the ${max} bytes left for this request: choose a lower limit and continue with page or cursor, or send it in a separate request`,
  )
}
