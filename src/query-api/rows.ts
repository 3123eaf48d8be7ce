import { RequestError } from "../errors.ts"
import { relativeChange, weightedChange } from "../query/structures/statistics.ts"
import type { Row } from "./query-spec.ts"

/**
 * Maximum number of rows in a result to which `limit` does not apply because it includes every date. As JSON, this many
 * rows take up about 10 MB.
 */
const maxRows = 100_000

export function requireRows(count: number): void {
  if (count <= maxRows) return
  throw invalidParameter(
    `the result would have ${count} rows, but the maximum is ${maxRows}: choose a coarser granularity, a shorter range or a lower limit`,
  )
}

/** Creates an error for a single parameter. */
export function invalidParameter(detail: string): RequestError {
  return new RequestError("invalid_shape", { detail })
}

export function percent(part: number, total: number): number {
  return total === 0 ? 0 : roundTo((100 * part) / total, 2)
}

export function roundTo(value: number, decimals: number): number {
  const factor = 10 ** decimals
  return Math.round(value * factor) / factor
}

/** Compares numbers by value and strings by UTF-16 code unit. Missing values come last in either direction. */
function compareValues(a: unknown, b: unknown, isDescending = false): number {
  if (a === b) return 0
  if (a === null || a === undefined) return 1
  if (b === null || b === undefined) return -1
  // Sortable columns contain only numbers or strings.
  return (a as number | string) < (b as number | string) === isDescending ? 1 : -1
}

/** Columns that sort a comparison by the change in the first measure. They are not part of the result. */
export const changeColumns = ["change", "weighted_change"] as const

export function isChangeColumn(column: string | undefined): column is (typeof changeColumns)[number] {
  // The type assertion is needed because `includes` only accepts elements of the array.
  return (changeColumns as readonly (string | undefined)[]).includes(column)
}

/**
 * Pairs each current row with its row in the previous period, and adds the rows that only occur in the previous period.
 * For an added row, `emptyOf` creates a current row with the values of a period without events.
 */
export function unionOf<Item>(
  current: readonly Item[],
  previous: readonly Item[] | undefined,
  keyOf: (item: Item) => string,
  emptyOf: (previous: Item) => Item,
): { item: Item; previous: Item | undefined }[] {
  const previousByKey = new Map(previous?.map((item) => [keyOf(item), item]))
  const union = current.map((item) => {
    const key = keyOf(item)
    const pair = previousByKey.get(key)
    previousByKey.delete(key)
    return { item, previous: pair }
  })
  for (const item of previousByKey.values()) union.push({ item: emptyOf(item), previous: item })
  return union
}

/**
 * Returns a comparator for the rows of a comparison. Rows with the same value in the sort column are sorted by the
 * previous value in that column. Rows with the same change are sorted by the difference. Ties are sorted in the same
 * direction. `measure` is the column whose change is compared.
 */
export function comparedOrder(
  column: string,
  isDescending: boolean,
  measure: string,
): (a: Row, b: Row) => number {
  const inPrevious = ({ previous }: Row, name: string) => Object(previous)[name] ?? null
  const now = (row: Row) => Number(row[measure] ?? 0)
  const before = (row: Row) => Number(inPrevious(row, measure) ?? 0)
  const changeOf = column === "weighted_change" ? weightedChange : relativeChange
  const keys = isChangeColumn(column)
    ? [(row: Row) => changeOf(now(row), before(row)), (row: Row) => now(row) - before(row)]
    : [(row: Row) => row[column], (row: Row) => inPrevious(row, column)]
  return (a, b) => {
    for (const sortKey of keys) {
      const order = compareValues(sortKey(a), sortKey(b), isDescending)
      if (order !== 0) return order
    }
    return 0
  }
}

/** Returns a comparator for several columns. `-` before a name means descending. */
export function rowOrder(columns: readonly string[]): (a: Row, b: Row) => number {
  // Parsed only once, because there can be 200,000 rows.
  const keys = columns.map((column) => ({
    name: column.replace(/^-/, ""),
    isDescending: column.startsWith("-"),
  }))
  return (a, b) => {
    for (const { name, isDescending } of keys) {
      const order = compareValues(a[name], b[name], isDescending)
      if (order !== 0) return order
    }
    return 0
  }
}
