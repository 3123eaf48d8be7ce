import type { QuerySpec } from "./query-spec.ts"
import { typeOf } from "./query-types.ts"
import { maxBucketMs } from "./range.ts"
import { invalidParameter } from "./rows.ts"

/** Limits of one request, over all of its queries. */
export interface QueryLimits {
  parameters: number
  /** Rows after which the remaining parameters fail. */
  rows: number
  /** Values, which are rows times columns. */
  cells: number
  /** Bytes of JSON; undefined: limited by memory only. */
  bytes: number | undefined
}

/**
 * Limits of callers with read:data. A dashboard page sends at most ten parameters; an hourly trend over a year has
 * 50,000 values.
 */
export const fullLimits: QueryLimits = {
  parameters: 200,
  rows: 100_000,
  cells: 1_000_000,
  bytes: undefined,
}

/**
 * Limits of callers with read:reports only, such as share links. Enough for every dashboard page, and for three trends
 * of a week by the minute.
 */
export const reportLimits: QueryLimits = {
  parameters: 50,
  rows: 20_000,
  cells: 100_000,
  bytes: 4_194_304,
}

/** Lower bound of the values in a result, known before the query runs: trends have a row for every date. */
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
    `this would exceed the ${max} values (rows times columns) left for this request: use a coarser granularity, a shorter range, fewer measures or a lower limit, or send it in another request`,
  )
}

export function tooManyBytes(max: number) {
  return invalidParameter(
    `this would exceed the ${max} bytes left for this request: use a lower limit and continue with page or cursor, or send it in another request`,
  )
}
