import type { Bucket, Granularity } from "../query/query.ts"
import { dayMs, dayRange, instantOf, localTimeOf, type Range, readRange } from "./range.ts"

/** The periods that a range can be compared with, besides one that the caller chooses. */
export const comparisons = ["previous_period", "previous_year", "matching_weekdays"] as const

export type Comparison = (typeof comparisons)[number] | { startDate: string; endDate: string }

/** The distance from the local times of the previous period to those of the range. */
export type ClockShift = { ms: number } | { months: number }

export interface PreviousRange extends Range {
  shift: ClockShift
}

const weekMs = 7 * dayMs

/**
 * The period that a range is compared with. `previous_period` has the same length, or as many calendar months if the
 * range consists of calendar months. `previous_year` has the same dates a year earlier. `matching_weekdays` is the
 * latest period that ends before the range and starts on the same weekday. Whole days follow the calendar, so that days
 * of 23 hours do not shift them. If the range has not ended yet, the period is cut at the same distance from its start,
 * and for whole days at the same time of day: a partial range is not compared with a complete one. `now`: Unix ms.
 * Throws a RangeFault for invalid dates.
 */
export function previousOf(
  range: Range,
  zone: string,
  now: number,
  comparison: Comparison = "previous_period",
): PreviousRange {
  const { from, to, days, months } = range
  // Includes events of the current ms.
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

/** `local`: the local time up to which an unfinished range is compared; undefined if the range has ended. */
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
  // The last day of a whole month corresponds to the last day of the other month.
  const lastIsLast = months !== undefined && new Date(days.end * dayMs).getUTCDate() === 1
  const end = lastIsLast ? dayBefore(days.end) : dayBefore(days.end - 1) + 1
  const previous = dayRange(dayBefore(days.first), end, zone)
  if (local === undefined) return { ...previous, shift }
  const { time, isCut } = earlier(local)
  // The 31st is compared with all of a month of 30 days.
  const until = isCut ? dayMs * (Math.floor(time / dayMs) + 1) : time
  return { ...previous, to: Math.min(previous.to, instantOf(until, zone)), days: undefined, shift }
}

/**
 * Returns the local time `months` earlier, on the same day of the month. In a shorter month, that is its last day, with
 * `isCut` set.
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

/** Length of a bucket in ms of local time; undefined if it depends on the calendar. */
const clockLengths: Record<Granularity, number | undefined> = {
  minute: 60_000,
  hourly: 3_600_000,
  daily: dayMs,
  weekly: undefined,
  monthly: undefined,
}

/**
 * Returns, for each bucket, the index of the previous bucket to compare it with; undefined if there is none. Minutes,
 * hours and days are paired by local time, because a clock change between the periods shifts indexes. If the periods
 * are months apart, they are paired by day of the month. An hour that occurs twice is paired by occurrence. Weeks and
 * months are paired by index.
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

/** Key of each bucket: its local time, moved back by `shift`, and the number of its occurrence. */
function occurrences(buckets: readonly Bucket[], shift: ClockShift): string[] {
  const counts = new Map<string, number>()
  return buckets.map(({ label }) => {
    const clock = Date.parse(`${label.slice(0, 19)}${label.length > 10 ? "Z" : ""}`)
    const earlier =
      "ms" in shift ? { time: clock - shift.ms, isCut: false } : earlierMonth(clock, shift.months)
    // A day that the earlier month does not have is compared with nothing.
    const key = earlier.isCut ? `no day like ${clock}` : String(earlier.time)
    const count = (counts.get(key) ?? 0) + 1
    counts.set(key, count)
    return `${key} ${count}`
  })
}
