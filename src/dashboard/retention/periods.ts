import type { Range } from "../state/range.ts"

/** The cohort periods. `maxDays`: the longest range whose table fits on the page. */
export const periods = [
  { value: "daily", label: "Days", one: "day", many: "days", maxDays: 92 },
  { value: "weekly", label: "Weeks", one: "week", many: "weeks", maxDays: 740 },
  { value: "monthly", label: "Months", one: "month", many: "months", maxDays: Number.POSITIVE_INFINITY },
] as const

export type Period = (typeof periods)[number]

const [daily, weekly, monthly] = periods

/** Minimum number of days in a range for which weeks are the default. */
const minDaysForWeeks = 21

/** The periods available for a range. */
export function possiblePeriods({ days }: Range): Period[] {
  return periods.filter(({ maxDays }) => days <= maxDays)
}

/** The period in the URL if the range allows it, or the default for the range. */
export function readPeriod(params: URLSearchParams, range: Range): Period {
  const period = possiblePeriods(range).find(({ value }) => value === params.get("by"))
  return period ?? (range.days < minDaysForWeeks ? daily : range.days <= weekly.maxDays ? weekly : monthly)
}
