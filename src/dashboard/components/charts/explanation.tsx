import { isolate } from "../../state/bidi.ts"
import { fieldName } from "../../state/filters.ts"
import type { Format } from "../../state/format.ts"
import type { Session } from "../../state/session.ts"

/** A row of the query type `movers`, without its measure. */
export interface Mover {
  field: string
  /** null: the events have no value. */
  value: string | null
  difference: number
  /** Share of the difference of all events; null if that is 0. */
  percentage: number | null
  /** The percentage that the value would have if all values had changed in the same proportion. */
  expected_percentage: number
  /** The value replaced other values or was replaced by them, as releases are. */
  is_offset: boolean
}

/** Minimum percentage points by which a share must exceed the expected share to count as an explanation. */
const minExcess = 10

/** Minimum percentage of the difference for each wording. */
const words = [
  [90, "almost entirely"],
  [60, "mostly"],
  [35, "partly"],
] as const

/** How much of a change its best value explains: `almost entirely`. Undefined: no value explains it. */
export function shareWords(mover: Mover | undefined): string | undefined {
  if (!mover || mover.percentage === null || mover.is_offset) return undefined
  const { percentage, expected_percentage: expected } = mover
  if (percentage - expected < minExcess) return undefined
  return words.find(([least]) => percentage >= least)?.[1]
}

/** `browser = Safari`, or `events without browser`. */
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

/** The display name of a value: countries and websites are shown by name. */
export function moverValue(field: string, value: string, { format, session }: ValueNames): string {
  if (field === "country") return format.country(value)
  return field === "website_id" ? session.nameOf(value) : value
}
