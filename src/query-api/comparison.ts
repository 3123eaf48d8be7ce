import type { Bucket, Granularity } from "../query/query.ts"
import { dayMs, dayRange, instantOf, localTimeOf, type Range, readRange } from "./range.ts"

// Computes the period that a range is compared with (the previous period), and pairs the buckets of the two periods. A
// bucket is one time interval of a report, such as an hour or a day. A local time is what clocks in a time zone show.
// It is stored as the Unix ms that would show the same digits in UTC.

/** The built-in comparison periods. A caller can also choose a custom period. */
export const comparisons = ["previous_period", "previous_year", "matching_weekdays"] as const

export type Comparison = (typeof comparisons)[number] | { startDate: string; endDate: string }

/** The shift from local times in the previous period to local times in the range. */
export type ClockShift = { ms: number } | { months: number }

export interface PreviousRange extends Range {
  shift: ClockShift
}

const weekMs = 7 * dayMs

/**
 * Returns the period to compare a range with. `previous_period` is the period of the same length before the range, or
 * the same number of calendar months if the range consists of calendar months. `previous_year` covers the same dates
 * one year earlier. `matching_weekdays` is the latest period that ends before the range and starts on the same weekday.
 * Ranges of whole days follow the calendar, whatever the length of a day. If the range is still in progress, the
 * previous period is cut at the same point (for whole days, at the same time of day), so that a partial range is not
 * compared with a complete one. `now` is in Unix ms. Throws a RangeFault for invalid dates.
 */
export function previousOf(
  range: Range,
  zone: string,
  now: number,
  comparison: Comparison = "previous_period",
): PreviousRange {
  const { from, to, days, months } = range
  // Events of the current millisecond count, hence `now + 1`.
  const isRunning = from < now + 1 && now + 1 < to
  const local = localTimeOf(now, zone) + 1
  if (typeof comparison === "object") return chosenPeriod(range, comparison, zone, now, isRunning)
  const monthsBack =
    comparison === "previous_year" ? 12 : comparison === "previous_period" ? months : undefined
  if (monthsBack !== undefined) return monthsBefore(range, monthsBack, zone, isRunning ? local : undefined)
  if (days) {
    const count = days.end - days.first
    const back = comparison === "matching_weekdays" ? 7 * Math.ceil(count / 7) : count
    const shift = { ms: back * dayMs }
    const previous = dayRange(days.first - back, days.end - back, zone)
    if (!isRunning) return { ...previous, shift }
    return { ...previous, to: instantOf(local - shift.ms, zone), days: undefined, shift }
  }
  if (comparison === "previous_period") {
    const length = to - from
    return {
      from: from - length,
      to: isRunning ? now + 1 - length : from,
      days: undefined,
      shift: { ms: length },
    }
  }
  const shift = { ms: weekMs * Math.ceil((to - from) / weekMs) }
  const earlier = (time: number) => instantOf(localTimeOf(time, zone) - shift.ms, zone)
  return { from: earlier(from), to: earlier(isRunning ? now + 1 : to), days: undefined, shift }
}

/**
 * Returns the period `back` months before the range. `local` is the current local time if the range is in progress,
 * undefined if it has ended.
 */
function monthsBefore(
  { from, to, days, months }: Range,
  back: number,
  zone: string,
  local: number | undefined,
): PreviousRange {
  const shift = { months: back }
  const earlier = (time: number) => earlierMonth(time, back)
  if (!days) {
    const instant = (time: number) => instantOf(earlier(localTimeOf(time, zone)).time, zone)
    return {
      from: instant(from),
      to: local === undefined ? instant(to) : instantOf(earlier(local).time, zone),
      days: undefined,
      shift,
    }
  }
  const dayBefore = (day: number) => earlier(day * dayMs).time / dayMs
  // If the range consists of whole months, its last day corresponds to the last day of the earlier month.
  const lastIsLast = months !== undefined && new Date(days.end * dayMs).getUTCDate() === 1
  const end = lastIsLast ? dayBefore(days.end) : dayBefore(days.end - 1) + 1
  const previous = dayRange(dayBefore(days.first), end, zone)
  if (local === undefined) return { ...previous, shift }
  const { time, isCut } = earlier(local)
  // On the 31st, compare with the whole of a 30-day month.
  const until = isCut ? dayMs * (Math.floor(time / dayMs) + 1) : time
  return { ...previous, to: Math.min(previous.to, instantOf(until, zone)), days: undefined, shift }
}

/**
 * Returns the local time `months` earlier, on the same day of the month. If the earlier month is too short, returns its
 * last day and sets `isCut`.
 */
function earlierMonth(time: number, months: number): { time: number; isCut: boolean } {
  const date = new Date(time)
  const [year, month] = [date.getUTCFullYear(), date.getUTCMonth() - months]
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate()
  const day = Math.min(date.getUTCDate(), lastDay)
  return {
    time: Date.UTC(year, month, day) + (((time % dayMs) + dayMs) % dayMs),
    isCut: day < date.getUTCDate(),
  }
}

function chosenPeriod(
  range: Range,
  dates: { startDate: string; endDate: string },
  zone: string,
  now: number,
  isRunning: boolean,
): PreviousRange {
  const chosen = readRange(dates, zone, now)
  const [start, chosenStart] = [localTimeOf(range.from, zone), localTimeOf(chosen.from, zone)]
  const shift = { ms: start - chosenStart }
  if (!isRunning) return { ...chosen, shift }
  const until = instantOf(localTimeOf(now, zone) + 1 - shift.ms, zone)
  return until < chosen.to ? { ...chosen, to: until, days: undefined, shift } : { ...chosen, shift }
}

/** Length of a bucket in ms of local time. Undefined if the length depends on the calendar. */
const clockLengths: Record<Granularity, number | undefined> = {
  minute: 60_000,
  hourly: 3_600_000,
  daily: dayMs,
  weekly: undefined,
  monthly: undefined,
}

/**
 * Returns, for each bucket, the index of the previous bucket to compare it with, or undefined if there is none.
 * Minutes, hours and days are paired by local time, because a clock change between the periods shifts their indexes. If
 * the shift is in months, days are paired by the day of the month. When clocks go back, a local time occurs twice. A
 * first occurrence is paired only with another first one, and a second occurrence only with another second one. Weeks
 * and months are paired by index.
 */
export function pairBuckets(
  { shift }: PreviousRange,
  granularity: Granularity,
  buckets: readonly Bucket[],
  previous: readonly Bucket[],
): (number | undefined)[] {
  const length = clockLengths[granularity]
  if (length === undefined || ("ms" in shift && shift.ms % length !== 0))
    return buckets.map((_, index) => (index < previous.length ? index : undefined))
  const indexes = new Map(occurrences(previous, { ms: 0 }).map((key, index) => [key, index]))
  return occurrences(buckets, shift).map((key) => indexes.get(key))
}

/**
 * Returns a key for each bucket: its local time minus `shift`, and whether this is the first or second time that the
 * clock shows it.
 */
function occurrences(buckets: readonly Bucket[], shift: ClockShift): string[] {
  const counts = new Map<string, number>()
  return buckets.map(({ label }) => {
    const clock = Date.parse(`${label.slice(0, 19)}${label.length > 10 ? "Z" : ""}`)
    const earlier =
      "ms" in shift ? { time: clock - shift.ms, isCut: false } : earlierMonth(clock, shift.months)
    // A day that does not exist in the earlier month matches nothing.
    const key = earlier.isCut ? `no day like ${clock}` : String(earlier.time)
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    return `${key} ${count}`
  })
}
