import type { Column } from "./batch.ts"
import { presentIn } from "./column.ts"

// Decides which properties of a block are not stored as columns. Queries read their values from the rows.

/**
 * Maximum number of properties in the layout of a block. The layout has the properties that occur in the most events.
 * The values of all others stay in the rows, and their keys are in a separate list.
 */
export const listedProperties = 1_000
/**
 * Values stay in the rows only if a column has more distinct values than this, if there are on average fewer than two
 * events per distinct value, and if the values include objects or arrays, or the strings are long.
 */
const maxDistinct = 256
/**
 * Strings count as long if they have more than `maxAverageLength` characters on average, or more than `maxCharacters`
 * in total. With these limits, order numbers are stored as columns, but texts written by people are not.
 */
const maxAverageLength = 32
const maxCharacters = 4_194_304

/**
 * True if a column should not be stored, because it would use about as much space as the rows. That is so if it has
 * long strings that are nearly all different.
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
