import { fieldName } from "../../state/filters.ts"
import type { Format } from "../../state/format.ts"

/** A row of the query type `movers`, without its measure. */
export interface Mover {
  field: string
  /** null: the events have no value. */
  value: string | null
  difference: number
  /** Share of the difference of all events; null if that is 0. */
  percentage: number | null
  /** The share that its size explains. */
  expected_percentage: number
}

/** Percentage points that a share must exceed the expected one by, so that the value explains more than its size. */
const minExcess = 10

/** Percent of the difference from which a value has these words. */
const words = [
  [90, "almost entirely"],
  [60, "mostly"],
  [35, "partly"],
] as const

/** `almost entirely`, for the value that explains a change best. Undefined: no value explains it. */
export function shareWords(mover: Mover | undefined): string | undefined {
  if (!mover || mover.percentage === null) return undefined
  const { percentage, expected_percentage: expected } = mover
  if (percentage - expected < minExcess) return undefined
  return words.find(([least]) => percentage >= least)?.[1]
}

/** `browser = Safari` */
export function moverText({ field, value }: Pick<Mover, "field" | "value">, format: Format): string {
  const name = fieldName(field)
  if (value === null) return `${name} is not set`
  if (value.trim() === "") return `${name} is empty`
  return `${name} = ${field === "country" ? format.country(value) : value}`
}
