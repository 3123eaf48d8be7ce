import type { Measure } from "../state/boards.ts"
import type { Format } from "../state/format.ts"

/** Formats a number as its tile specifies. */
export function valueText(value: number, as: Measure["format"], format: Format): string {
  switch (as) {
    case "percent":
      return format.rate(value)
    case "seconds":
      return format.duration(value * 1_000)
    case "milliseconds":
      return format.duration(value)
    case "number":
      return format.number(value)
    default:
      return format.count(value)
  }
}

/** Returns the number in a column, or undefined if the row has none. */
export function numberIn(row: unknown, column: string): number | undefined {
  const value: unknown = Object(row)[column]
  return typeof value === "number" ? value : undefined
}
