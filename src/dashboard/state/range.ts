/** Preset ranges. `preset`: the API's name. `key`: the keyboard shortcut. */
export const presets = [
  { preset: "today", label: "Today", key: "d" },
  { preset: "yesterday", label: "Yesterday", key: "e" },
  { preset: "last_24h", label: "Last 24 hours", key: "h" },
  { preset: "last_7d", label: "Last 7 days", key: "w" },
  { preset: "last_30d", label: "Last 30 days", key: "t" },
  { preset: "last_90d", label: "Last 90 days", key: "n" },
  { preset: "this_week", label: "This week", key: undefined },
  { preset: "last_week", label: "Last week", key: undefined },
  { preset: "this_month", label: "This month", key: "m" },
  { preset: "last_month", label: "Last month", key: undefined },
  { preset: "this_year", label: "This year", key: "y" },
  { preset: "last_365d", label: "Last 12 months", key: undefined },
] as const

export type Preset = (typeof presets)[number]["preset"]

/** A range of days. For a preset, these are the days that it currently covers. */
export interface Range {
  /** Undefined for a custom range. */
  preset: Preset | undefined
  /** First and last day, for example 2026-11-24. Both are inclusive. */
  from: string
  to: string
  days: number
  /** Limits the range to the hour that starts at this time, for example 2026-11-24T13:00:00+01:00. */
  hour?: string | undefined
}

/** A range that the URL can express: a preset, days, or an hour of a day. */
type ChosenRange = { preset: Preset } | ({ preset?: undefined } & Pick<Range, "from" | "to" | "hour">)

/** The default range. */
const defaultPreset: Preset = "last_30d"

const dayMs = 86_400_000
const hourMs = 3_600_000

export const granularities = [
  { value: "hourly", label: "Hours", one: "hour" },
  { value: "daily", label: "Days", one: "day" },
  { value: "weekly", label: "Weeks", one: "week" },
  { value: "monthly", label: "Months", one: "month" },
] as const

export type Granularity = (typeof granularities)[number]["value"]

/** Maximum number of bars per chart. */
const maxBars = 750
const hoursOf: Record<Granularity, number> = { hourly: 1, daily: 24, weekly: 168, monthly: 730 }

/**
 * The granularities that give a chart of whole days at least two and at most `maxBars` bars, or `monthly` if there are
 * none.
 */
export function availableGranularities({ days }: Range): Granularity[] {
  const fitting = granularities
    .map(({ value }) => value)
    .filter(
      (value) =>
        (days * 24) / hoursOf[value] <= maxBars && (value === "hourly" || days * 24 > hoursOf[value]),
    )
  return fitting.length > 0 ? fitting : ["monthly"]
}

/** The default granularity of a range. */
export function defaultGranularity(range: Range): Granularity {
  const best =
    range.days <= 2 ? "hourly" : range.days <= 92 ? "daily" : range.days <= 400 ? "weekly" : "monthly"
  const possible = availableGranularities(range)
  return possible.includes(best) ? best : (possible.at(-1) ?? "daily")
}

/** The current calendar day in a time zone. */
export function todayIn(zone: string, now: number): string {
  return isoDays(zone).format(now)
}

/** Returns a formatter that writes the day of a time in a time zone as 2026-11-24. */
export function isoDays(zone: string): Intl.DateTimeFormat {
  // The Canadian English locale formats dates as ISO 8601.
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" })
}

/** The comparison periods. `value`: the API's name. `param`: the name in the URL. */
export const comparisons = [
  { value: "previous_period", param: undefined, label: "Previous period" },
  { value: "previous_year", param: "year", label: "Same period last year" },
  { value: "matching_weekdays", param: "weekdays", label: "Matching weekdays" },
] as const

/** A comparison, as the API accepts it. Custom dates are inclusive. */
export type Comparison = (typeof comparisons)[number]["value"] | { startDate: string; endDate: string }

/** Parses the comparison in the URL. Returns undefined for no comparison, and the default for an unknown value. */
export function parseComparison(param: string | null): Comparison | undefined {
  if (param === "off") return undefined
  const [startDate = "", endDate = ""] = param?.split("..") ?? []
  if (isDay(startDate) && isDay(endDate) && startDate <= endDate) return { startDate, endDate }
  return (comparisons.find((comparison) => comparison.param === param) ?? comparisons[0]).value
}

/** The URL parameter of a comparison; undefined for the default. */
export function comparisonParam(comparison: Comparison | undefined): string | undefined {
  if (comparison === undefined) return "off"
  if (typeof comparison === "object") return `${comparison.startDate}..${comparison.endDate}`
  return comparisons.find(({ value }) => value === comparison)?.param
}

export function parseRange(params: URLSearchParams, today: string): Range {
  const hour = params.get("hour") ?? ""
  const day = hour.slice(0, 10)
  if (isHourStart(hour) && isDay(day)) return { preset: undefined, from: day, to: day, days: 1, hour }
  const [from, to] = [params.get("from") ?? "", params.get("to") ?? ""]
  if (isDay(from) && isDay(to) && from <= to)
    return { preset: undefined, from, to, days: daysBetween(from, to) }
  const chosen = presets.find(({ preset }) => preset === params.get("period"))
  return presetRange(chosen?.preset ?? defaultPreset, today)
}

/** The fields of a range in a query request. */
export function rangeBody({ preset, from, to, hour }: Range): Record<string, string> {
  if (hour !== undefined) return { startDate: hour, endDate: hourAfter(hour, 1) }
  return preset ? { preset } : { startDate: from, endDate: to }
}

/**
 * `allTime` as fields of a query request, for a query whose result does not depend on the time zone. `now`: Unix ms.
 */
export function allTimeBody(now: number): Record<string, string> {
  return rangeBody(allTime(todayIn("UTC", now)))
}

/** The URL parameters of a range. */
export function rangeParams(range: ChosenRange) {
  const none = { period: undefined, from: undefined, to: undefined, hour: undefined }
  if (range.preset) return { ...none, period: range.preset === defaultPreset ? undefined : range.preset }
  const { from, to, hour } = range
  return hour === undefined ? { ...none, from, to } : { ...none, hour }
}

/** A range that covers all events. No event is before 2000 or more than an hour in the future. */
export function allTime(today: string): Range {
  const [from, to] = ["2000-01-01", addDays(today, 1)]
  return { preset: undefined, from, to, days: daysBetween(from, to) }
}

/** Maximum number of weeks to compare before and after a day. Longer periods would include unrelated changes. */
const maxWeeks = 4

/**
 * Returns a range that starts on `day`, for comparison with the period before. It consists of whole weeks that end
 * before today, so that both periods have the same weekdays. If less than a week has passed, it consists of all days up
 * to today. Returns undefined if the day is in the future.
 */
export function rangeSince(day: string, today: string): Pick<Range, "from" | "to"> | undefined {
  if (day > today) return undefined
  const weeks = Math.min(maxWeeks, Math.floor((daysBetween(day, today) - 1) / 7))
  return { from: day, to: weeks === 0 ? today : addDays(day, 7 * weeks - 1) }
}

/**
 * Returns the annotations on the first day of a range and, sorted by date, the annotations on its later days, because
 * these may also explain a change. Returns none for presets and hours, which start on an annotation's date only by
 * chance.
 */
export function annotationsSince<Annotation extends { date: string }>(
  annotations: readonly Annotation[],
  { preset, hour, from, to }: Range,
): { first: Annotation[]; later: Annotation[] } {
  if (preset !== undefined || hour !== undefined) return { first: [], later: [] }
  return {
    first: annotations.filter(({ date }) => date === from),
    later: annotations
      .filter(({ date }) => date > from && date <= to)
      .toSorted((a, b) => a.date.localeCompare(b.date)),
  }
}

/** The last second of a day in UTC, when a key or link that is valid through that day expires. */
export function endOfDay(day: string): string {
  return `${day}T23:59:59Z`
}

/**
 * Returns the range after `range`, or the one before it if `by` is -1. The new range has the same length or, if `range`
 * is a month, is a whole month. Returns undefined if the new range would start in the future.
 */
export function shiftRange(
  range: Range,
  by: 1 | -1,
  today: string,
): Pick<Range, "from" | "to" | "hour"> | undefined {
  if (range.hour !== undefined) {
    const hour = hourAfter(range.hour, by)
    const day = hour.slice(0, 10)
    return day > today ? undefined : { from: day, to: day, hour }
  }
  const isMonths = range.preset === "this_month" || range.preset === "last_month" || isWholeMonth(range)
  const next = isMonths
    ? { from: monthDay(range.from, by, 1), to: monthDay(range.from, by + 1, 0) }
    : { from: addDays(range.from, by * range.days), to: addDays(range.to, by * range.days) }
  return next.from > today ? undefined : next
}

/** Returns how many buckets of a chart have started, and whether the last of them is incomplete. `now`: Unix ms. */
export function progressOf(dates: readonly string[], granularity: Granularity, today: string, now: number) {
  const hasStarted = (date: string) => (isHour(date) ? Date.parse(date) <= now : date <= today)
  const isOver = (date: string) =>
    isHour(date) ? Date.parse(date) + hourMs <= now : lastDayOf(date, granularity) < today
  const startedDates = dates.filter(hasStarted)
  const last = startedDates.at(-1)
  return { started: startedDates.length, isRunning: last !== undefined && !isOver(last) }
}

/** Whether a bucket is an hour. Only the dates of hourly buckets include a time. */
function isHour(date: string): boolean {
  return date.length > "2026-11-24".length
}

/** The last day of the bucket that starts on `day`. */
export function lastDayOf(day: string, granularity: Granularity): string {
  if (granularity === "weekly") return addDays(day, 6)
  if (granularity !== "monthly") return day
  // 31 days after the first of any month is in the next month.
  return addDays(`${addDays(`${day.slice(0, 7)}-01`, 31).slice(0, 7)}-01`, -1)
}

/** Whether the range overlaps the bucket that starts on `date`. */
export function hasBucket({ from, to }: Pick<Range, "from" | "to">, date: string, granularity: Granularity) {
  return date <= to && lastDayOf(date, granularity) >= from
}

export function addDays(day: string, days: number): string {
  return new Date(Date.parse(day) + days * dayMs).toISOString().slice(0, 10)
}

function presetRange(preset: Preset, today: string): Range {
  const range = (from: string, to: string): Range => ({ preset, from, to, days: daysBetween(from, to) })
  const weekday = (new Date(today).getUTCDay() + 6) % 7
  const monday = addDays(today, -weekday)
  switch (preset) {
    case "today":
      return range(today, today)
    case "yesterday":
      return range(addDays(today, -1), addDays(today, -1))
    case "last_24h":
      return { preset, from: addDays(today, -1), to: today, days: 1 }
    case "this_week":
      return range(monday, today)
    case "last_week":
      return range(addDays(monday, -7), addDays(monday, -1))
    case "this_month":
      return range(monthDay(today, 0, 1), today)
    case "last_month":
      return range(monthDay(today, -1, 1), monthDay(today, 0, 0))
    case "this_year":
      return range(`${today.slice(0, 4)}-01-01`, today)
    default: {
      // Every other preset has a case above.
      const days: `last_${number}d` = preset
      return range(addDays(today, 1 - Number.parseInt(days.slice(5), 10)), today)
    }
  }
}

/** Returns day `at` of the month that is `months` after the month of `day`. 0 is the last day of the previous month. */
function monthDay(day: string, months: number, at: number): string {
  const date = new Date(day)
  return new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + months, at)).toISOString().slice(0, 10)
}

function isWholeMonth({ from, to }: Range): boolean {
  return from === monthDay(from, 0, 1) && to === monthDay(from, 1, 0)
}

function daysBetween(from: string, to: string): number {
  return Math.round((Date.parse(to) - Date.parse(from)) / dayMs) + 1
}

/** Returns the start of the hour that is `hours` after `hour`, with the same UTC offset. */
function hourAfter(hour: string, hours: number): string {
  const offset = hour.slice(19)
  const local = Date.parse(`${hour.slice(0, 19)}Z`) + hours * hourMs
  return new Date(local).toISOString().slice(0, 19) + offset
}

function isHourStart(text: string): boolean {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:Z|[+-]\d\d:\d\d)$/.test(text) && !Number.isNaN(Date.parse(text))
}

function isDay(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text))
}
