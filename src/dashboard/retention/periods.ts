import type { Range } from "../state/range.ts"

/** The cohort periods. `maxDays` is the length of the longest range whose table fits on the page. */
export const periods = [
  { value: "daily", label: "Days", one: "day", many: "days", maxDays: 92 },
  { value: "weekly", label: "Weeks", one: "week", many: "weeks", maxDays: 740 },
  { value: "monthly", label: "Months", one: "month", many: "months", maxDays: Number.POSITIVE_INFINITY },
] as const

export type Period = (typeof periods)[number]

const [daily, weekly, monthly] = periods

/** Weeks are the default for a range of at least this many days. */
const minDaysForWeeks = 21

/** Returns the periods that can be selected for a range. */
export function possiblePeriods({ days }: Range): Period[] {
  return periods.filter(({ maxDays }) => days <= maxDays)
}

/** Returns the period in the URL if it can be selected for the range, and otherwise the default for the range. */
export function readPeriod(params: URLSearchParams, range: Range): Period {
  const period = possiblePeriods(range).find(({ value }) => value === params.get("by"))
  return period ?? (range.days < minDaysForWeeks ? daily : range.days <= weekly.maxDays ? weekly : monthly)
}
