import type { Format } from "../../state/format.ts"

export interface Series {
  name: string
  /** One value per date; values for the last dates can be missing. An undefined value interrupts a line. */
  values: (number | undefined)[]
  isPrevious?: never
  /** Whether this is the sum of all values without a series of their own. It is shown in gray. */
  isOther?: true
}

/** The previous period, drawn as a dashed line. Some dates may have no value. */
export interface PreviousSeries {
  name: string
  values: (number | undefined)[]
  isPrevious: true
  isOther?: never
}

export interface Mark {
  /** Index of the date. */
  at: number
  /** For example 2026-11-24. */
  date: string
  text: string
  /** Path of the page that compares the periods before and after the date. */
  comparison?: string | undefined
}

/** The values of a chart, and how to format them. */
export interface ChartData {
  /** Dates as returned by the API. */
  dates: readonly string[]
  granularity: string
  /** The corresponding dates in the previous period. */
  previousDates?: readonly string[] | undefined
  series: readonly (Series | PreviousSeries)[]
  format: Format
  /** Formats a value. */
  value: (value: number) => string
  /** Bars of several series are stacked and have a total. */
  kind: "bars" | "lines"
  /** Whether the values are percentages. */
  isRate?: boolean
  /** Number of dates that have started. Lines end at the last of these dates. */
  started: number
  /**
   * Whether the last of the dates that have started is incomplete. Its value is then drawn dashed or striped, and
   * labeled “so far” in the tooltip and the table.
   */
  isRunning?: boolean
  marks?: readonly Mark[]
}

/** The name of a date, followed by “so far” if its period is incomplete. */
export function dateName(
  { dates, granularity, format, started, isRunning }: DateNameOptions,
  at: number,
): string {
  const name = format.bucket(dates[at] ?? "", granularity)
  return isRunning && at === started - 1 ? `${name}, so far` : name
}

type DateNameOptions = Pick<ChartData, "dates" | "granularity" | "format" | "started" | "isRunning">

/** Number of series colors in the style sheet. They differ in hue and lightness. */
const shades = 6

/** The name of a series color in the style sheet. `index`: the position of the series. */
export function shadeOf({ isOther }: Pick<Series, "isOther">, index: number): string {
  return isOther ? "shade-other" : `shade-${index % shades}`
}
