import { isolate } from "../../state/bidi.ts"
import { fieldName } from "../../state/filters.ts"
import type { Format } from "../../state/format.ts"
import type { Session } from "../../state/session.ts"

/** A row of the query type `movers`, without its measure. */
export interface Mover {
  field: string
  /** null stands for the events without a value. */
  value: string | null
  difference: number
  /** Share of the total difference; null if the total difference is 0. */
  percentage: number | null
  /** The share that this value would have if all values had changed in the same proportion. */
  expected_percentage: number
  /** Whether the value has replaced other values or been replaced by them, as when one release follows another. */
  is_offset: boolean
}

/** A share must exceed the expected share by at least this many percentage points to count as an explanation. */
const minExcess = 10

/** The minimum share of the difference for each wording, in percent. */
const words = [
  [90, "almost entirely"],
  [60, "mostly"],
  [35, "partly"],
] as const

/**
 * Returns words for the share of a change that a value explains, such as `almost entirely`. Undefined if the value does
 * not explain the change.
 */
export function shareWords(mover: Mover | undefined): string | undefined {
  if (!mover || mover.percentage === null || mover.is_offset) return undefined
  const { percentage, expected_percentage: expected } = mover
  if (percentage - expected < minExcess) return undefined
  return words.find(([least]) => percentage >= least)?.[1]
}

/** Returns a description such as `browser = Safari` or `events without browser`. */
export function moverText({ field, value }: Pick<Mover, "field" | "value">, names: ValueNames): string {
  const name = moverField(field)
  if (value === null) return `events without ${name}`
  if (value.trim() === "") return `events with an empty ${name}`
  return `${isolate(name)} = ${isolate(moverValue(field, value, names))}`
}

/** The sources of display names. */
export interface ValueNames {
  format: Format
  session: Session
}

export function moverField(field: string): string {
  return field === "website_id" ? "Website" : fieldName(field)
}

/** Returns the display name of a value. Countries and websites are shown by name. */
export function moverValue(field: string, value: string, { format, session }: ValueNames): string {
  if (field === "country") return format.country(value)
  return field === "website_id" ? session.nameOf(value) : value
}
