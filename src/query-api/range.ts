import type { Bucket, Granularity } from "../query/query.ts"
import { Zone } from "../query/structures/zone.ts"

/** A stretch of time. Both Unix ms, `to` exclusive. */
export interface Range {
  from: number
  to: number
  /** Where it is whole days of the zone's calendar: their numbers since 1970-01-01, `end` exclusive. */
  days: { first: number; end: number } | undefined
}

/** What a range is asked for with. */
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
/** Any number of days, with today, or of hours. */
type CountedPreset = `last_${number}${"d" | "h"}`
export type Preset = (typeof presets)[number] | CountedPreset

const dayMs = 86_400_000
/** What a range is where nobody says. */
const defaultPreset = "last_30d"
/** Buckets of minutes, as published; of any other granularity, which an answer of some MB holds. */
const maxMinutes = 10_000
const maxBuckets = 100_000
/** No event is from before 2000, and dates beyond 2199 are slips of the pen. */
const years = { first: 1970, last: 2199 }

/** ms, of the shortest one of its kind. */
const lengths: Record<Granularity, number> = {
  minute: 60_000,
  hourly: 3_600_000,
  daily: 82_800_000,
  weekly: 7 * dayMs - 3_600_000,
  monthly: 28 * dayMs - 3_600_000,
}

/** ms, of the longest one of its kind. */
export const longestOf: Record<Granularity, number> = {
  minute: 60_000,
  hourly: 3_600_000,
  daily: 90_000_000,
  weekly: 7 * dayMs + 3_600_000,
  monthly: 31 * dayMs + 3_600_000,
}

/** A range that cannot be. */
export class RangeFault extends Error {
  constructor(
    readonly field: keyof RangeBody,
    /** What the field must be. */
    readonly must: string,
  ) {
    super(`${field} ${must}`)
  }
}

/** Throws a RangeFault. `now`: Unix ms. */
export function readRange({ startDate, endDate, preset }: RangeBody, zone: string, now: number): Range {
  if (preset !== undefined && (startDate !== undefined || endDate !== undefined)) {
    throw new RangeFault("preset", "cannot be given beside startDate and endDate")
  }
  const today = dayOf(now, zone)
  if (startDate === undefined) {
    if (endDate !== undefined) throw new RangeFault("startDate", "must be given where endDate is")
    return ofPreset(preset ?? defaultPreset, today, zone, now)
  }
  const first = dayNumber(startDate, "startDate")
  const last = endDate === undefined ? today : dayNumber(endDate, "endDate")
  const isDays = startDate.length === 10 && (endDate === undefined || endDate.length === 10)
  const range = isDays
    ? ofDays(first, last + 1, zone)
    : {
        from: startDate.length === 10 ? startOf(first, zone) : timeOf(startDate, zone),
        to: endDate === undefined || endDate.length === 10 ? startOf(last + 1, zone) : timeOf(endDate, zone),
        days: undefined,
      }
  if (range.from >= range.to) throw new RangeFault("endDate", "must be after startDate, or the same day")
  return range
}

/**
 * The period of the same length before: of whole days by the calendar, which days of 23 hours do not shift. Where the range is not
 * over yet, it ends as far into itself as now is into the range, of whole days at the same time of day: else what happened so far
 * would be compared with more time than there was. `now`: Unix ms.
 */
export function previousOf({ from, to, days }: Range, zone: string, now: number): Range {
  // What happened this very ms counts.
  const end = now + 1
  const isRunning = from < end && end < to
  if (!days) {
    const length = to - from
    return { from: from - length, to: isRunning ? end - length : from, days: undefined }
  }
  const count = days.end - days.first
  const before = ofDays(days.first - count, days.first, zone)
  if (!isRunning) return before
  return { ...before, to: atClock(localOf(now, zone) + 1 - count * dayMs, zone), days: undefined }
}

/** ms of clock time that a bucket takes; undefined: it depends on the calendar. */
const clockLengths: Record<Granularity, number | undefined> = {
  minute: 60_000,
  hourly: 3_600_000,
  daily: dayMs,
  weekly: undefined,
  monthly: undefined,
}

/**
 * For each bucket of a range the place of the one before that it is compared with; undefined: there is none. Minutes, hours and days
 * are compared with those that have the same clock time so many days earlier, which are not at the same place where clocks were set
 * between: an hour that a day has twice is compared with the first and the second one of the other. Weeks and months are compared in
 * their order.
 */
export function pairBuckets(
  { from, to, days }: Range,
  granularity: Granularity,
  buckets: readonly Bucket[],
  before: readonly Bucket[],
): (number | undefined)[] {
  const shift = days ? (days.end - days.first) * dayMs : to - from
  const length = clockLengths[granularity]
  if (length === undefined || shift % length !== 0)
    return buckets.map((_, place) => (place < before.length ? place : undefined))
  const places = new Map(occurrences(before).map((key, place) => [key, place]))
  return occurrences(buckets, shift).map((key) => places.get(key))
}

/** The clock time of each bucket, `shift` ms earlier, and the how many-th one it is that has it. */
function occurrences(buckets: readonly Bucket[], shift = 0): string[] {
  const counts = new Map<number, number>()
  return buckets.map(({ label }) => {
    const clock = Date.parse(`${label.slice(0, 19)}${label.length > 10 ? "Z" : ""}`) - shift
    const count = (counts.get(clock) ?? 0) + 1
    counts.set(clock, count)
    return `${clock} ${count}`
  })
}

/** What is wrong with so many buckets; undefined: nothing. */
export function tooManyBuckets({ from, to }: Range, granularity: Granularity): string | undefined {
  const most = granularity === "minute" ? maxMinutes : maxBuckets
  const count = Math.ceil((to - from) / lengths[granularity])
  if (count <= most) return undefined
  return `granularity ${granularity} gives more than ${most} dates in this range: take a coarser one or a shorter range`
}

function ofPreset(preset: Preset, today: number, zone: string, now: number): Range {
  // 1970-01-01 was a Thursday, three days after a Monday.
  const monday = today - ((((today + 3) % 7) + 7) % 7)
  const at = new Date(today * dayMs)
  const month = (offset: number) => Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + offset, 1) / dayMs
  switch (preset) {
    case "today":
      return ofDays(today, today + 1, zone)
    case "yesterday":
      return ofDays(today - 1, today, zone)
    case "this_week":
      return ofDays(monday, today + 1, zone)
    case "last_week":
      return ofDays(monday - 7, monday, zone)
    case "this_month":
      return ofDays(month(0), today + 1, zone)
    case "last_month":
      return ofDays(month(-1), month(0), zone)
    case "this_year":
      return ofDays(Date.UTC(at.getUTCFullYear(), 0, 1) / dayMs, today + 1, zone)
    case "last_hour":
      return ofPreset("last_1h", today, zone, now)
  }
  // Any other one has a case of its own above.
  const counted: CountedPreset = preset
  const [, count, unit] = /^last_(\d+)([dh])$/.exec(counted) ?? []
  if (unit === "d") return ofDays(today + 1 - Number(count), today + 1, zone)
  // What happened this very ms counts.
  return { from: now + 1 - Number(count) * 3_600_000, to: now + 1, days: undefined }
}

function ofDays(first: number, end: number, zone: string): Range {
  return { from: startOf(first, zone), to: startOf(end, zone), days: { first, end } }
}

/** The number of a day that exists. */
function dayNumber(text: string, field: "startDate" | "endDate"): number {
  const day = text.slice(0, 10)
  const ms = Date.parse(`${day}T00:00:00Z`)
  const year = Number(day.slice(0, 4))
  // Date.parse takes the 31st of a month of 30 days for the 1st of the next.
  if (Number.isNaN(ms) || new Date(ms).toISOString().slice(0, 10) !== day) {
    throw new RangeFault(field, "must be a time that exists")
  }
  if (year < years.first || year > years.last) {
    throw new RangeFault(field, `must be from ${years.first} to ${years.last}`)
  }
  if (text.length > 10 && Number.isNaN(Date.parse(/(?:Z|[+-]\d\d:\d\d)$/.test(text) ? text : `${text}Z`))) {
    throw new RangeFault(field, "must be a time that exists")
  }
  return ms / dayMs
}

/** A date and time, of the zone where it names none. */
function timeOf(text: string, zone: string): number {
  if (/(?:Z|[+-]\d\d:\d\d)$/.test(text)) return Date.parse(text)
  return atClock(Date.parse(`${text}Z`), zone)
}

function startOf(day: number, zone: string): number {
  return atClock(day * dayMs, zone)
}

/** The day of the zone's calendar, by its number. */
function dayOf(now: number, zone: string): number {
  return Math.floor(localOf(now, zone) / dayMs)
}

/** What the zone's clocks show, as Unix ms of the same digits in UTC. */
function localOf(now: number, zone: string): number {
  return now + (new Zone(zone, now, now).transitions[0]?.offset ?? 0)
}

/** When the zone's clocks first show a local time (Unix ms of the same digits in UTC), or have jumped over it. */
function atClock(local: number, zone: string): number {
  const [from, to] = [local - 2 * dayMs, local + 2 * dayMs]
  const { transitions } = new Zone(zone, from, to)
  for (const [index, { from: begin, offset }] of transitions.entries()) {
    const end = transitions[index + 1]?.from ?? to
    if (local - offset < end) return Math.max(begin, local - offset)
  }
  return local
}
