import { expect, test } from "bun:test"
import type { Granularity } from "../../src/query/query.ts"
import { bucketsOf } from "../../src/query/structures/time-zone.ts"
import { type Comparison, pairBuckets, previousOf } from "../../src/query-api/comparison.ts"
import { type Range, type RangeBody, readRange, tooManyBuckets } from "../../src/query-api/range.ts"

/** A Tuesday. It is 17:30 in Kolkata, and already Wednesday in Auckland. */
const now = Date.parse("2026-11-24T12:00:00.000Z")
const shown = ({ from, to }: { from: number; to: number }) =>
  [from, to].map((ms) => new Date(ms).toISOString().replace(":00.000Z", "Z"))

const places = (range: RangeBody, zone: string, granularity: Granularity, comparison?: Comparison) => {
  const now = readRange(range, zone, Date.parse("2026-04-15T00:00Z"))
  const before = previousOf(now, zone, Date.parse("2026-04-15T00:00Z"), comparison)
  const of = ({ from, to }: Range) => bucketsOf(from, to, zone, granularity)
  return pairBuckets(before, granularity, of(now), of(before))
}
const upTo = (count: number) => Array.from({ length: count }, (_, place) => place)
const march = (from: number, to: number) => ({
  startDate: `2026-03-${from}`,
  endDate: `2026-03-${to}`,
})
const pairs: [string, RangeBody, string, Granularity, (number | undefined)[]][] = [
  ["days in order", march(10, 12), "Europe/Berlin", "daily", [0, 1, 2]],
  ["days around a clock change in order", march(28, 30), "Europe/Berlin", "daily", [0, 1, 2]],
  ["hours of days without a clock change", march(10, 11), "Europe/Berlin", "hourly", upTo(48)],
  [
    "hours of a day with a skipped hour",
    march(29, 29),
    "Europe/Berlin",
    "hourly",
    upTo(24).filter((hour) => hour !== 2),
  ],
  [
    "hours of the day after one with a skipped hour",
    march(30, 30),
    "Europe/Berlin",
    "hourly",
    [0, 1, undefined, ...upTo(23).slice(2)],
  ],
  [
    "hours of a day on which one of them is repeated",
    { startDate: "2026-11-01", endDate: "2026-11-01" },
    "America/New_York",
    "hourly",
    [0, 1, undefined, ...upTo(24).slice(2)],
  ],
  [
    "hours of a day with a skipped half hour",
    { startDate: "2026-10-04", endDate: "2026-10-04" },
    "Australia/Lord_Howe",
    "hourly",
    upTo(24),
  ],
  ["months in order", { startDate: "2026-02-01", endDate: "2026-03-31" }, "UTC", "monthly", [0, 1]],
  [
    "hours in order if the range is not a whole number of hours",
    { startDate: "2026-03-10T10:00Z", endDate: "2026-03-10T11:30Z" },
    "UTC",
    "hourly",
    [0, 1],
  ],
  [
    "the day after a skipped day with nothing",
    { startDate: "2011-12-31", endDate: "2011-12-31" },
    "Pacific/Apia",
    "daily",
    [undefined],
  ],
]
test.each(pairs)("compares %s", (_, range, zone, granularity, expected) => {
  expect(places(range, zone, granularity)).toEqual(expected)
})

const ranges: [string, RangeBody, string, string, string][] = [
  ["today", { preset: "today" }, "UTC", "2026-11-24T00:00Z", "2026-11-25T00:00Z"],
  ["yesterday", { preset: "yesterday" }, "UTC", "2026-11-23T00:00Z", "2026-11-24T00:00Z"],
  ["seven days including today", { preset: "last_7d" }, "UTC", "2026-11-18T00:00Z", "2026-11-25T00:00Z"],
  ["thirty days by default", {}, "UTC", "2026-10-26T00:00Z", "2026-11-25T00:00Z"],
  ["any number of days", { preset: "last_60d" }, "UTC", "2026-09-26T00:00Z", "2026-11-25T00:00Z"],
  ["a week from Monday", { preset: "this_week" }, "UTC", "2026-11-23T00:00Z", "2026-11-25T00:00Z"],
  ["the week before", { preset: "last_week" }, "UTC", "2026-11-16T00:00Z", "2026-11-23T00:00Z"],
  ["the month to date", { preset: "this_month" }, "UTC", "2026-11-01T00:00Z", "2026-11-25T00:00Z"],
  ["the month before", { preset: "last_month" }, "UTC", "2026-10-01T00:00Z", "2026-11-01T00:00Z"],
  ["the year to date", { preset: "this_year" }, "UTC", "2026-01-01T00:00Z", "2026-11-25T00:00Z"],
  ["a half-hour time zone", { preset: "today" }, "Asia/Kolkata", "2026-11-23T18:30Z", "2026-11-24T18:30Z"],
  [
    "a time zone that is a day ahead",
    { preset: "today" },
    "Pacific/Auckland",
    "2026-11-24T11:00Z",
    "2026-11-25T11:00Z",
  ],
  [
    "a day of 25 hours",
    { startDate: "2026-10-25", endDate: "2026-10-25" },
    "Europe/Berlin",
    "2026-10-24T22:00Z",
    "2026-10-25T23:00Z",
  ],
  [
    "a day whose midnight does not exist",
    { startDate: "2026-03-29", endDate: "2026-03-29" },
    "Asia/Beirut",
    "2026-03-28T22:00Z",
    "2026-03-29T21:00Z",
  ],
  ["from a day to today", { startDate: "2026-11-20" }, "UTC", "2026-11-20T00:00Z", "2026-11-25T00:00Z"],
  [
    "times, excluding the end",
    { startDate: "2026-11-20T10:00:00Z", endDate: "2026-11-20T12:00:00+01:00" },
    "UTC",
    "2026-11-20T10:00Z",
    "2026-11-20T11:00Z",
  ],
  [
    "local times in the time zone",
    { startDate: "2026-11-20T10:00", endDate: "2026-11-20" },
    "Europe/Berlin",
    "2026-11-20T09:00Z",
    "2026-11-20T23:00Z",
  ],
]
test.each(ranges)("reads %s", (_, body, zone, from, to) => {
  expect(shown(readRange(body, zone, now))).toEqual([from, to])
})

test("presets of hours end at the current ms", () => {
  expect(readRange({ preset: "last_24h" }, "UTC", now)).toMatchObject({
    from: now + 1 - 86_400_000,
    to: now + 1,
  })
  expect(readRange({ preset: "last_hour" }, "UTC", now)).toMatchObject({ from: now + 1 - 3_600_000 })
})

const faults: [RangeBody, string][] = [
  [{ startDate: "2026-02-30" }, "startDate must be a valid date and time"],
  [{ startDate: "2026-02-03", endDate: "2026-02-01" }, "endDate must be after startDate, or the same day"],
  [{ endDate: "2026-02-01" }, "startDate is required with endDate"],
  [{ preset: "today", startDate: "2026-02-01" }, "preset cannot be combined with startDate and endDate"],
  [{ startDate: "2026-02-01T25:00" }, "startDate must be a valid date and time"],
  [{ startDate: "1024-02-01" }, "startDate must be from 1970 to 2199"],
]
test.each(faults)("%p is rejected", (body, message) => {
  expect(() => readRange(body, "UTC", now)).toThrow(message)
})

/** The requested range, its zone, the current time, and the previous period. */
const before: [string, RangeBody, string, string, string, string][] = [
  [
    "of past days is complete, and has the same number of calendar days",
    { startDate: "2026-10-25", endDate: "2026-10-26" },
    "Europe/Berlin",
    "2026-11-24T12:00Z",
    "2026-10-22T22:00Z",
    "2026-10-24T22:00Z",
  ],
  [
    "of today is yesterday until this time of day",
    { preset: "today" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-23T00:00Z",
    "2026-11-23T12:00:00.001Z",
  ],
  [
    "of today uses the days of the time zone",
    { preset: "today" },
    "Asia/Kolkata",
    "2026-11-24T12:00Z",
    "2026-11-22T18:30Z",
    "2026-11-23T12:00:00.001Z",
  ],
  [
    "of today is one ms long at the start of the day",
    { preset: "today" },
    "UTC",
    "2026-11-24T00:00Z",
    "2026-11-23T00:00Z",
    "2026-11-23T00:00:00.001Z",
  ],
  [
    "of today is complete at the end of the day",
    { preset: "today" },
    "UTC",
    "2026-11-24T23:59:59.999Z",
    "2026-11-23T00:00Z",
    "2026-11-24T00:00Z",
  ],
  [
    "of this week has as many days, and ends at this time of day",
    { preset: "this_week" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-21T00:00Z",
    "2026-11-22T12:00:00.001Z",
  ],
  [
    "of seven days including today ends on the day before them",
    { preset: "last_7d" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-11T00:00Z",
    "2026-11-17T12:00:00.001Z",
  ],
  [
    "of days that end in the future ends at the day and time that correspond to now",
    { startDate: "2026-11-23", endDate: "2026-11-26" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-19T00:00Z",
    "2026-11-20T12:00:00.001Z",
  ],
  [
    "of future days is complete",
    { startDate: "2026-11-25", endDate: "2026-11-26" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-23T00:00Z",
    "2026-11-25T00:00Z",
  ],
  [
    "of hours until now has the same length",
    { preset: "last_24h" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-22T12:00:00.001Z",
    "2026-11-23T12:00:00.001Z",
  ],
  [
    "of times that end in the future is as long as the time until now",
    { startDate: "2026-11-24T10:00Z", endDate: "2026-11-24T16:00Z" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-24T04:00Z",
    "2026-11-24T06:00:00.001Z",
  ],
  [
    "of a day of 25 hours ends at the same time of day, not an hour later",
    { preset: "today" },
    "Europe/Berlin",
    "2026-10-25T12:00Z",
    "2026-10-23T22:00Z",
    "2026-10-24T11:00:00.001Z",
  ],
  [
    "of a day of 23 hours ends at the same time of day, not an hour earlier",
    { preset: "today" },
    "Europe/Berlin",
    "2026-03-29T10:00Z",
    "2026-03-27T23:00Z",
    "2026-03-28T11:00:00.001Z",
  ],
  [
    "ends at the clock change if the change skipped this time of day",
    { preset: "today" },
    "Europe/Berlin",
    "2026-03-30T00:30Z",
    "2026-03-28T23:00Z",
    "2026-03-29T01:00Z",
  ],
]
test.each(before)("the previous period %s", (_, body, zone, at, from, to) => {
  const now = Date.parse(at)
  expect(shown(previousOf(readRange(body, zone, now), zone, now))).toEqual([from, to])
})

/** The compared range, its comparison and zone, the current time, and the period that it is compared with. */
const chosen: [string, RangeBody, Comparison, string, string, string, string][] = [
  [
    "a calendar month is compared with the one before, regardless of their lengths",
    { startDate: "2026-03-01", endDate: "2026-03-31" },
    "previous_period",
    "UTC",
    "2026-11-24T12:00Z",
    "2026-02-01T00:00Z",
    "2026-03-01T00:00Z",
  ],
  [
    "last month is compared with the one before",
    { preset: "last_month" },
    "previous_period",
    "Europe/Berlin",
    "2026-11-24T12:00Z",
    "2026-08-31T22:00Z",
    "2026-09-30T22:00Z",
  ],
  [
    "a quarter is compared with the one before",
    { startDate: "2026-01-01", endDate: "2026-03-31" },
    "previous_period",
    "UTC",
    "2026-11-24T12:00Z",
    "2025-10-01T00:00Z",
    "2026-01-01T00:00Z",
  ],
  [
    "this month is compared with the last one until the same day and time",
    { preset: "this_month" },
    "previous_period",
    "UTC",
    "2026-11-24T12:00Z",
    "2026-10-01T00:00Z",
    "2026-10-24T12:00:00.001Z",
  ],
  [
    "this month is compared with a whole month of 30 days on the 31st",
    { preset: "this_month" },
    "previous_period",
    "UTC",
    "2026-10-31T12:00Z",
    "2026-09-01T00:00Z",
    "2026-10-01T00:00Z",
  ],
  [
    "a month that is still running is compared until the same day and time",
    { startDate: "2026-11-01", endDate: "2026-11-30" },
    "previous_period",
    "UTC",
    "2026-11-24T12:00Z",
    "2026-10-01T00:00Z",
    "2026-10-24T12:00:00.001Z",
  ],
  [
    "the year to date is compared with the last one until the same date",
    { preset: "this_year" },
    "previous_period",
    "UTC",
    "2026-11-24T12:00Z",
    "2025-01-01T00:00Z",
    "2025-11-24T12:00:00.001Z",
  ],
  [
    "days are compared with the same dates a year earlier",
    { startDate: "2026-11-16", endDate: "2026-11-22" },
    "previous_year",
    "Europe/Berlin",
    "2026-11-24T12:00Z",
    "2025-11-15T23:00Z",
    "2025-11-22T23:00Z",
  ],
  [
    "the 29th of February is compared with the 28th a year earlier",
    { startDate: "2024-02-29", endDate: "2024-02-29" },
    "previous_year",
    "UTC",
    "2026-11-24T12:00Z",
    "2023-02-28T00:00Z",
    "2023-03-01T00:00Z",
  ],
  [
    "February is compared with a whole February of 29 days a year earlier",
    { startDate: "2025-02-01", endDate: "2025-02-28" },
    "previous_year",
    "UTC",
    "2026-11-24T12:00Z",
    "2024-02-01T00:00Z",
    "2024-03-01T00:00Z",
  ],
  [
    "today is compared with the same date a year earlier until this local time, even with another UTC offset",
    { preset: "today" },
    "previous_year",
    "Europe/Berlin",
    "2026-03-29T12:00Z",
    "2025-03-28T23:00Z",
    "2025-03-29T13:00:00.001Z",
  ],
  [
    "hours are compared with the same local times a year earlier",
    { startDate: "2026-03-29T12:00", endDate: "2026-03-29T14:00" },
    "previous_year",
    "Europe/Berlin",
    "2026-11-24T12:00Z",
    "2025-03-29T11:00Z",
    "2025-03-29T13:00Z",
  ],
  [
    "three days are compared with the same weekdays of the week before",
    { startDate: "2026-11-20", endDate: "2026-11-22" },
    "matching_weekdays",
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-13T00:00Z",
    "2026-11-16T00:00Z",
  ],
  [
    "thirty days are compared with the thirty days that start 35 days earlier",
    { preset: "last_30d" },
    "matching_weekdays",
    "UTC",
    "2026-11-24T12:00Z",
    "2026-09-21T00:00Z",
    "2026-10-20T12:00:00.001Z",
  ],
  [
    "hours are compared with the same local times on the same weekday",
    { startDate: "2026-10-26T10:00", endDate: "2026-10-26T12:00" },
    "matching_weekdays",
    "Europe/Berlin",
    "2026-11-24T12:00Z",
    "2026-10-19T08:00Z",
    "2026-10-19T10:00Z",
  ],
  [
    "days are compared with chosen days",
    { startDate: "2026-11-16", endDate: "2026-11-22" },
    { startDate: "2026-03-01", endDate: "2026-03-03" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-03-01T00:00Z",
    "2026-03-04T00:00Z",
  ],
  [
    "a range that has not ended is compared with chosen days until the same point",
    { startDate: "2026-11-23", endDate: "2026-11-29" },
    { startDate: "2026-03-02", endDate: "2026-03-08" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-03-02T00:00Z",
    "2026-03-03T12:00:00.001Z",
  ],
]
test.each(chosen)("%s", (_, body, comparison, zone, at, from, to) => {
  const now = Date.parse(at)
  expect(shown(previousOf(readRange(body, zone, now), zone, now, comparison))).toEqual([from, to])
})

test("dates to compare with must be valid", () => {
  const range = readRange({ preset: "today" }, "UTC", now)
  expect(() => previousOf(range, "UTC", now, { startDate: "2026-02-03", endDate: "2026-02-01" })).toThrow(
    "endDate must be after startDate",
  )
})

const without = (count: number, ...left: number[]) =>
  upTo(count).map((place) => (left.includes(place) ? undefined : place))
const comparedPairs: [string, RangeBody, Comparison, string, Granularity, (number | undefined)[]][] = [
  [
    "days of a month with the same days of a shorter one, and the rest with nothing",
    { startDate: "2026-03-01", endDate: "2026-03-31" },
    "previous_period",
    "UTC",
    "daily",
    without(31, 28, 29, 30),
  ],
  [
    "days of a year with the same dates, the 29th of February with nothing",
    { startDate: "2024-02-28", endDate: "2024-03-01" },
    "previous_year",
    "UTC",
    "daily",
    [0, undefined, 1],
  ],
  [
    "hours of a day with a skipped hour with those of the same date a year earlier",
    march(29, 29),
    "previous_year",
    "Europe/Berlin",
    "hourly",
    upTo(24).filter((hour) => hour !== 2),
  ],
  [
    "hours of a day with those of a day with a skipped hour a week earlier",
    { startDate: "2026-04-05", endDate: "2026-04-05" },
    "matching_weekdays",
    "Europe/Berlin",
    "hourly",
    [0, 1, undefined, ...upTo(23).slice(2)],
  ],
  [
    "hours of a day with those of a chosen day with a repeated hour",
    march(10, 10),
    { startDate: "2025-10-26", endDate: "2025-10-26" },
    "Europe/Berlin",
    "hourly",
    upTo(25).filter((hour) => hour !== 3),
  ],
  [
    "months of a year in order",
    { startDate: "2025-01-01", endDate: "2025-03-31" },
    "previous_year",
    "UTC",
    "monthly",
    [0, 1, 2],
  ],
]
test.each(comparedPairs)("compares %s", (_, range, comparison, zone, granularity, expected) => {
  expect(places(range, zone, granularity, comparison)).toEqual(expected)
})

test("a range has at most 10,000 buckets of a minute", () => {
  const days = (count: number) => ({ from: 0, to: count * 86_400_000, days: undefined })
  expect(tooManyBuckets(days(6), "minute")).toBeUndefined()
  expect(tooManyBuckets(days(7), "minute")).toStartWith(
    "granularity minute produces more than 10000 intervals",
  )
  expect(tooManyBuckets(days(400), "hourly")).toBeUndefined()
})
