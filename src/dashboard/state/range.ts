/** What a range can be chosen as; `key` is the shortcut, `preset` what the API calls it. */
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

/** A range as it was chosen, and the days that it means now. */
export interface Range {
  /** Undefined: days of one's own choice. */
  preset: Preset | undefined
  /** Days, both included: 2026-11-24. */
  from: string
  to: string
  days: number
}

/** The range where the address names none. */
const standardPreset: Preset = "last_30d"

const dayMs = 86_400_000
const hourMs = 3_600_000

export const granularities = [
  { value: "hourly", label: "Hours", one: "hour" },
  { value: "daily", label: "Days", one: "day" },
  { value: "weekly", label: "Weeks", one: "week" },
  { value: "monthly", label: "Months", one: "month" },
] as const

export type Granularity = (typeof granularities)[number]["value"]

/** Bars that a chart has room for. */
const mostBars = 750
const hoursOf: Record<Granularity, number> = { hourly: 1, daily: 24, weekly: 168, monthly: 730 }

/** Those that give a chart more than one bar and no more than it has room for. */
export function possibleGranularities({ days }: Range): Granularity[] {
  const fitting = granularities
    .map(({ value }) => value)
    .filter(
      (value) =>
        (days * 24) / hoursOf[value] <= mostBars && (value === "hourly" || days * 24 > hoursOf[value]),
    )
  return fitting.length > 0 ? fitting : ["monthly"]
}

/** What shows a range's course best where nobody chose. */
export function standardGranularity(range: Range): Granularity {
  const best =
    range.days <= 2 ? "hourly" : range.days <= 92 ? "daily" : range.days <= 400 ? "weekly" : "monthly"
  const possible = possibleGranularities(range)
  return possible.includes(best) ? best : (possible.at(-1) ?? "daily")
}

/** The calendar day that it is in a zone. */
export function todayIn(zone: string, now: number): string {
  return isoDays(zone).format(now)
}

/** Writes the days of a zone as 2026-11-24. */
export function isoDays(zone: string): Intl.DateTimeFormat {
  // Of all locales that of Canada writes dates as ISO does.
  return new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" })
}

export function readRange(params: URLSearchParams, today: string): Range {
  const [from, to] = [params.get("from") ?? "", params.get("to") ?? ""]
  if (isDay(from) && isDay(to) && from <= to)
    return { preset: undefined, from, to, days: daysBetween(from, to) }
  const asked = presets.find(({ preset }) => preset === params.get("period"))
  return ofPreset(asked?.preset ?? standardPreset, today)
}

/** What the API is asked with. */
export function rangeBody({ preset, from, to }: Range): Record<string, string> {
  return preset ? { preset } : { startDate: from, endDate: to }
}

/** The parameters of the address. */
export function rangeParams(range: { preset?: Preset | undefined; from: string; to: string }) {
  return range.preset
    ? { period: range.preset === standardPreset ? undefined : range.preset, from: undefined, to: undefined }
    : { period: undefined, from: range.from, to: range.to }
}

/** All events that there can be: none is from before 2000, and clocks of visitors may be ahead by an hour. */
export function everything(today: string): Range {
  const [from, to] = ["2000-01-01", plusDays(today, 1)]
  return { preset: undefined, from, to, days: daysBetween(from, to) }
}

/** The range of the same length next to it; -1: the one before. Undefined where that would be in the future. */
export function shifted(range: Range, by: 1 | -1, today: string): { from: string; to: string } | undefined {
  const isMonths = range.preset === "this_month" || range.preset === "last_month" || isWholeMonth(range)
  const next = isMonths
    ? { from: monthDay(range.from, by, 1), to: monthDay(range.from, by + 1, 0) }
    : { from: plusDays(range.from, by * range.days), to: plusDays(range.to, by * range.days) }
  return next.from > today ? undefined : next
}

/** How many of a chart's dates have begun, and whether the last of these is still running. `now`: Unix ms. */
export function progressOf(dates: readonly string[], granularity: Granularity, today: string, now: number) {
  const isBegun = (date: string) => (isHour(date) ? Date.parse(date) <= now : date <= today)
  const isOver = (date: string) =>
    isHour(date) ? Date.parse(date) + hourMs <= now : lastDayOf(date, granularity) < today
  const begun = dates.filter(isBegun)
  const last = begun.at(-1)
  return { begun: begun.length, isRunning: last !== undefined && !isOver(last) }
}

/** Dates of hours have a time of day. */
function isHour(date: string): boolean {
  return date.length > "2026-11-24".length
}

/** The last day of the time that begins on a day. */
export function lastDayOf(day: string, granularity: Granularity): string {
  if (granularity === "weekly") return plusDays(day, 6)
  if (granularity !== "monthly") return day
  // 31 days on it is the next month, whichever one began.
  return plusDays(`${plusDays(`${day.slice(0, 7)}-01`, 31).slice(0, 7)}-01`, -1)
}

export function plusDays(day: string, days: number): string {
  return new Date(Date.parse(day) + days * dayMs).toISOString().slice(0, 10)
}

function ofPreset(preset: Preset, today: string): Range {
  const range = (from: string, to: string): Range => ({ preset, from, to, days: daysBetween(from, to) })
  const weekday = (new Date(today).getUTCDay() + 6) % 7
  const monday = plusDays(today, -weekday)
  switch (preset) {
    case "today":
      return range(today, today)
    case "yesterday":
      return range(plusDays(today, -1), plusDays(today, -1))
    case "last_24h":
      return { preset, from: plusDays(today, -1), to: today, days: 1 }
    case "this_week":
      return range(monday, today)
    case "last_week":
      return range(plusDays(monday, -7), plusDays(monday, -1))
    case "this_month":
      return range(monthDay(today, 0, 1), today)
    case "last_month":
      return range(monthDay(today, -1, 1), monthDay(today, 0, 0))
    case "this_year":
      return range(`${today.slice(0, 4)}-01-01`, today)
    default: {
      // Any other one has a case of its own.
      const days: `last_${number}d` = preset
      return range(plusDays(today, 1 - Number.parseInt(days.slice(5), 10)), today)
    }
  }
}

/** Day 0 is the last of the month before. */
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

function isDay(text: string): boolean {
  return /^\d{4}-\d\d-\d\d$/.test(text) && !Number.isNaN(Date.parse(text))
}
