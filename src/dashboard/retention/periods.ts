import type { Range } from "../state/range.ts"

/** The times that people are taken together by. `most`: days of a range of which a table has room for as many. */
export const periods = [
  { value: "daily", label: "Days", one: "day", many: "days", most: 92 },
  { value: "weekly", label: "Weeks", one: "week", many: "weeks", most: 740 },
  { value: "monthly", label: "Months", one: "month", many: "months", most: Number.POSITIVE_INFINITY },
] as const

export type Period = (typeof periods)[number]

const [daily, weekly, monthly] = periods

/** Days from which on weeks tell more than days. */
const weeksFrom = 21

/** Those that a range can be shown by. */
export function possiblePeriods({ days }: Range): Period[] {
  return periods.filter(({ most }) => days <= most)
}

/** What the address says, where the range allows it. */
export function readPeriod(params: URLSearchParams, range: Range): Period {
  const asked = possiblePeriods(range).find(({ value }) => value === params.get("by"))
  return asked ?? (range.days < weeksFrom ? daily : range.days <= weekly.most ? weekly : monthly)
}
