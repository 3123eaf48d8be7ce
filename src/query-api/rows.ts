import { RequestError } from "../errors.ts"
import type { Row } from "./query-spec.ts"

/** Rows of one answer that have all dates whatever the limit says; some 10 MB of JSON. */
const maxRows = 100_000

export function requireRows(count: number): void {
  if (count <= maxRows) return
  throw wrong(
    `this would be ${count} rows, and at most ${maxRows} are given: take a coarser granularity, a shorter range or a lower limit`,
  )
}

/** What is wrong with one parameter. */
export function wrong(detail: string): RequestError {
  return new RequestError("invalid_shape", { detail })
}

export function percent(part: number, whole: number): number {
  return whole === 0 ? 0 : rounded((100 * part) / whole, 2)
}

export function rounded(value: number, decimals: number): number {
  const factor = 10 ** decimals
  return Math.round(value * factor) / factor
}

export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

export function isoOrNull(ms: number | null | undefined): string | null {
  return ms === null || ms === undefined ? null : iso(ms)
}

/** Numbers by size, texts by their UTF-16 units; what is missing comes last, whichever way. */
function compareValues(a: unknown, b: unknown, isDown = false): number {
  if (a === b) return 0
  if (a === null || a === undefined) return 1
  if (b === null || b === undefined) return -1
  return (a as number | string) < (b as number | string) === isDown ? 1 : -1
}

/** By columns, one after another; `-` before a name: downwards. */
export function rowOrder(columns: readonly string[]): (a: Row, b: Row) => number {
  // There may be 200,000 rows, and the thread takes events too.
  const keys = columns.map((column) => ({ name: column.replace(/^-/, ""), isDown: column.startsWith("-") }))
  return (a, b) => {
    for (const { name, isDown } of keys) {
      const order = compareValues(a[name], b[name], isDown)
      if (order !== 0) return order
    }
    return 0
  }
}
