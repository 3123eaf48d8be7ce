import type { Column } from "./batch.ts"
import { presentIn } from "./column.ts"

// Decides which properties of a block are not stored as columns. Queries read their values from the rows.

/**
 * Maximum properties in the layout of a block. The layout has those that occur in the most events. The others stay in
 * the rows and are listed separately.
 */
export const listedProperties = 1_000
/**
 * A column with more distinct values than this stays in the rows if there are fewer than two events per value and the
 * strings are long.
 */
const maxDistinct = 256
/**
 * Maximum characters of these strings, on average and in total. With these limits, order numbers are stored as columns,
 * but texts that people write are not.
 */
const maxAverageLength = 32
const maxCharacters = 4_194_304

/**
 * True if a column should not be stored. If long strings are nearly all different, a column takes about as much space
 * as the rows.
 */
export function staysInRows(column: Column): boolean {
  const { values } = column
  if (values.length <= maxDistinct || values.length <= presentIn(column) / 2) return false
  let characters = 0
  for (const value of values) {
    if (typeof value === "string") characters += value.length
    else if (typeof value === "object") return true
  }
  return characters > maxCharacters || characters > values.length * maxAverageLength
}
