import type { Granularity } from "../query/query.ts"
import { TimeZone } from "../query/structures/time-zone.ts"

/** A time range in Unix ms. `to` is exclusive. */
export interface Range {
  from: number
  to: number
  /**
   * Set if the range consists of whole days in the time zone. Days are numbered from 1970-01-01, which is day 0. `end`
   * is exclusive.
   */
  days: { first: number; end: number } | undefined
  /**
   * Number of calendar months in the range, including the rest of an unfinished month or year. For example, 1 for all
   * of November and for November to date, and 12 for this year to date.
   */
  months?: number | undefined
}

/** The range fields of a request. */
export interface RangeBody {
  startDate?: string | undefined
  endDate?: string | undefined
  preset?: Preset | undefined
}

export const presets = [
  "today",
  "yesterday",
  "last_7d",
  "last_14d",
  "last_30d",
  "last_90d",
  "this_week",
  "last_week",
  "this_month",
  "last_month",
  "this_year",
  "last_24h",
  "last_hour",
] as const
/** Preset for the last n days (including today) or the last n hours. */
type CountedPreset = `last_${number}${"d" | "h"}`
export type Preset = (typeof presets)[number] | CountedPreset

export const dayMs = 86_400_000
/** The preset used if a query has no dates. */
const defaultPreset = "last_30d"
/**
 * Maximum number of buckets with the granularity `minute`, and with any other granularity. The first is part of the
 * documented API. The second keeps a result to a few MB.
 */
const maxMinutes = 10_000
const maxBuckets = 100_000
/** Range of accepted years. Other years are probably typos. */
const years = { first: 1970, last: 2199 }

/** Length of the shortest possible bucket, in ms. Daylight saving time can remove an hour. */
const minBucketMs: Record<Granularity, number> = {
  minute: 60_000,
  hourly: 3_600_000,
  daily: 82_800_000,
  weekly: 7 * dayMs - 3_600_000,
  monthly: 28 * dayMs - 3_600_000,
}

/** Length of the longest possible bucket, in ms. Daylight saving time can add an hour. */
export const maxBucketMs: Record<Granularity, number> = {
  minute: 60_000,
  hourly: 3_600_000,
  daily: 90_000_000,
  weekly: 7 * dayMs + 3_600_000,
  monthly: 31 * dayMs + 3_600_000,
}

/** An invalid range. */
export class RangeFault extends Error {
  constructor(
    readonly field: keyof RangeBody,
    /** What the field must satisfy, such as "must be …". */
    readonly requirement: string,
  ) {
    super(`${field} ${requirement}`)
  }
}

/** Parses the range fields. `now` is in Unix ms. Throws a RangeFault. */
export function readRange({ startDate, endDate, preset }: RangeBody, zone: string, now: number): Range {
  if (preset !== undefined && (startDate !== undefined || endDate !== undefined)) {
    throw new RangeFault("preset", "cannot be combined with startDate and endDate")
  }
  const today = localDayOf(now, zone)
  if (startDate === undefined) {
    if (endDate !== undefined) throw new RangeFault("startDate", "is required with endDate")
    return presetRange(preset ?? defaultPreset, today, zone, now)
  }
  const first = dayNumber(startDate, "startDate")
  const last = endDate === undefined ? today : dayNumber(endDate, "endDate")
  const isDays = startDate.length === 10 && (endDate === undefined || endDate.length === 10)
  const range = isDays
    ? { ...dayRange(first, last + 1, zone), months: monthsIn(first, last + 1) }
    : {
        from: startDate.length === 10 ? startOfDay(first, zone) : timeOf(startDate, zone),
        to:
          endDate === undefined || endDate.length === 10 ? startOfDay(last + 1, zone) : timeOf(endDate, zone),
        days: undefined,
      }
  if (range.from >= range.to) throw new RangeFault("endDate", "must be after startDate, or the same day")
  return range
}

/** Returns an error message if the range has too many buckets, otherwise undefined. */
export function tooManyBuckets({ from, to }: Range, granularity: Granularity): string | undefined {
  const max = granularity === "minute" ? maxMinutes : maxBuckets
  const count = Math.ceil((to - from) / minBucketMs[granularity])
  if (count <= max) return undefined
  return `granularity ${granularity} produces more than ${max} intervals in this range: choose a coarser granularity or a shorter range`
}

function presetRange(preset: Preset, today: number, zone: string, now: number): Range {
  // 1970-01-01 was a Thursday, three days after a Monday.
  const monday = today - ((((today + 3) % 7) + 7) % 7)
  const date = new Date(today * dayMs)
  const month = (offset: number) => Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + offset, 1) / dayMs
  switch (preset) {
    case "today":
      return dayRange(today, today + 1, zone)
    case "yesterday":
      return dayRange(today - 1, today, zone)
    case "this_week":
      return dayRange(monday, today + 1, zone)
    case "last_week":
      return dayRange(monday - 7, monday, zone)
    case "this_month":
      return { ...dayRange(month(0), today + 1, zone), months: 1 }
    case "last_month":
      return { ...dayRange(month(-1), month(0), zone), months: 1 }
    case "this_year":
      return { ...dayRange(Date.UTC(date.getUTCFullYear(), 0, 1) / dayMs, today + 1, zone), months: 12 }
    case "last_hour":
      return presetRange("last_1h", today, zone, now)
  }
  // All other presets are handled above.
  const counted: CountedPreset = preset
  const [, count, unit] = /^last_(\d+)([dh])$/.exec(counted) ?? []
  if (unit === "d") return dayRange(today + 1 - Number(count), today + 1, zone)
  // Events of the current millisecond count, hence `now + 1`.
  return { from: now + 1 - Number(count) * 3_600_000, to: now + 1, days: undefined }
}

/**
 * Returns the number of calendar months from day `first` to day `end` (exclusive), or undefined unless both are the
 * first day of a month.
 */
function monthsIn(first: number, end: number): number | undefined {
  const [from, to] = [new Date(first * dayMs), new Date(end * dayMs)]
  if (from.getUTCDate() !== 1 || to.getUTCDate() !== 1) return undefined
  return 12 * (to.getUTCFullYear() - from.getUTCFullYear()) + to.getUTCMonth() - from.getUTCMonth()
}

export function dayRange(first: number, end: number, zone: string): Range {
  return { from: startOfDay(first, zone), to: startOfDay(end, zone), days: { first, end } }
}

/** Returns the day number of a date. Throws a RangeFault if the date is invalid. */
function dayNumber(text: string, field: "startDate" | "endDate"): number {
  const day = text.slice(0, 10)
  const ms = Date.parse(`${day}T00:00:00Z`)
  const year = Number(day.slice(0, 4))
  // Date.parse reads April 31 as May 1, so the result is compared with the text.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== day) {
    throw new RangeFault(field, "must be a valid date and time")
  }
  if (year < years.first || year > years.last) {
    throw new RangeFault(field, `must be from ${years.first} to ${years.last}`)
  }
  if (text.length > 10 && Number.isNaN(Date.parse(/(?:Z|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`))) {
    throw new RangeFault(field, "must be a valid date and time")
  }
  return ms / dayMs
}

/** Returns the Unix ms of a date and time, which is in `zone` unless the text has an offset. */
function timeOf(text: string, zone: string): number {
  if (/(?:Z|[+-]\d\d:\d\d)$/.test(text)) return Date.parse(text)
  return instantOf(Date.parse(`${text}Z`), zone)
}

function startOfDay(day: number, zone: string): number {
  return instantOf(day * dayMs, zone)
}

/** Returns the number of the current day in the time zone. */
function localDayOf(now: number, zone: string): number {
  return Math.floor(localTimeOf(now, zone) / dayMs)
}

/** Returns the local time in the time zone, as the Unix ms that would show the same digits in UTC. */
export function localTimeOf(now: number, zone: string): number {
  return now + (new TimeZone(zone, now, now).transitions[0]?.offset ?? 0)
}

/**
 * Returns the first instant at which clocks show a local time, which is given as the Unix ms with the same digits in
 * UTC. If clocks skip the local time, returns the end of the gap.
 */
export function instantOf(local: number, zone: string): number {
  const [from, to] = [local - 2 * dayMs, local + 2 * dayMs]
  const { transitions } = new TimeZone(zone, from, to)
  for (const [index, { from: start, offset }] of transitions.entries()) {
    const end = transitions[index + 1]?.from ?? to
    if (local - offset < end) return Math.max(start, local - offset)
  }
  return local
}
