import type { QuerySpec } from "./query-spec.ts"
import { longestOf } from "./range.ts"
import { wrong } from "./rows.ts"
import { typeOf } from "./types.ts"

/** What one request may ask for, over all of its queries. */
export interface QueryLimits {
  parameters: number
  /** Rows after which it gets no further answer. */
  rows: number
  /** Values: rows times columns. */
  cells: number
  /** Of JSON; undefined: what the memory allows. */
  bytes: number | undefined
}

/** Of who may read single events. A page of the dashboard has ten parameters at most, and a trend of a year by the hour 50,000 values. */
export const fullLimits: QueryLimits = {
  parameters: 200,
  rows: 100_000,
  cells: 1_000_000,
  bytes: undefined,
}

/** Of who may read reports alone, as whoever has a share link: enough for each page of the dashboard, and three minute-by-minute trends of a week. */
export const reportLimits: QueryLimits = {
  parameters: 50,
  rows: 20_000,
  cells: 100_000,
  bytes: 4_194_304,
}

/** Fewer values than this the answer will not have, as far as shows before it is counted: trends have all their dates. */
export function leastCells({
  type: name,
  range,
  previous,
  granularity,
  by,
  measures,
  steps,
}: QuerySpec): number {
  const type = typeOf(name)
  if (!type || !granularity || !type.takes.includes("granularity") || name === "retention") return 0
  const dates = Math.floor((range.to - range.from) / longestOf[granularity])
  const own = type.columns.filter((column) => column !== "…").length
  const columns = own + by.length + (type.takes.includes("measures") ? measures.length : 0)
  return dates * Math.max(1, steps.length) * columns * (previous ? 2 : 1)
}

export function tooManyCells(most: number) {
  return wrong(
    `this would be more than the ${most} values, rows times columns, that this request may still get: take a coarser granularity, a shorter range, fewer measures or a lower limit, or ask for it in another request`,
  )
}

export function tooManyBytes(most: number) {
  return wrong(
    `this would be more than the ${most} bytes that this request may still get: take a lower limit and go on with page or cursor, or ask for it in another request`,
  )
}
