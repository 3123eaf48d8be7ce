import type { Column } from "./batch.ts"
import { presentIn } from "./column.ts"

// Decides which properties of a block are not stored as columns. Queries read their values from the rows.

/**
 * Maximum number of properties in the layout of a block. The layout has the properties that occur in the most events.
 * The values of all others stay in the rows, and their keys are in a separate list.
 */
export const listedProperties = 1_000
/**
 * A column with more distinct values than this can stay in the rows. It does so if, on average, fewer than two events
 * have the same value, and the column contains objects or arrays, or its strings are long.
 */
const maxDistinct = 256
/**
 * Strings count as long if they have more characters than this, on average or in total. With these limits, order
 * numbers are stored as columns, but texts that people write are not.
 */
const maxAverageLength = 32
const maxCharacters = 4_194_304

/**
 * True if a column should not be stored. A column of long strings that are nearly all different takes about as much
 * space as the rows.
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
