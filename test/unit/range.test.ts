import { expect, test } from "bun:test"
import type { Granularity } from "../../src/query/query.ts"
import { bucketsOf } from "../../src/query/structures/time-zone.ts"
import {
  pairBuckets,
  previousOf,
  type Range,
  type RangeBody,
  readRange,
  tooManyBuckets,
} from "../../src/query-api/range.ts"

/** A Tuesday; in Kolkata 17:30 of the same day, in Auckland already Wednesday. */
const now = Date.parse("2026-11-24T12:00:00.000Z")
const shown = ({ from, to }: { from: number; to: number }) =>
  [from, to].map((ms) => new Date(ms).toISOString().replace(":00.000Z", "Z"))

const places = (range: RangeBody, zone: string, granularity: Granularity) => {
  const now = readRange(range, zone, Date.parse("2026-04-15T00:00Z"))
  const before = previousOf(now, zone, Date.parse("2026-04-15T00:00Z"))
  const of = ({ from, to }: Range) => bucketsOf(from, to, zone, granularity)
  return pairBuckets(now, granularity, of(now), of(before))
}
const upTo = (count: number) => Array.from({ length: count }, (_, place) => place)
const march = (from: number, to: number) => ({
  startDate: `2026-03-${from}`,
  endDate: `2026-03-${to}`,
})
const pairs: [string, RangeBody, string, Granularity, (number | undefined)[]][] = [
  ["days in their order", march(10, 12), "Europe/Berlin", "daily", [0, 1, 2]],
  ["days around a change in their order", march(28, 30), "Europe/Berlin", "daily", [0, 1, 2]],
  ["hours of days without a change", march(10, 11), "Europe/Berlin", "hourly", upTo(48)],
  [
    "hours around the one that is left out",
    march(29, 29),
    "Europe/Berlin",
    "hourly",
    upTo(24).filter((hour) => hour !== 2),
  ],
  [
    "hours around the one that was left out before",
    march(30, 30),
    "Europe/Berlin",
    "hourly",
    [0, 1, undefined, ...upTo(23).slice(2)],
  ],
  [
    "an hour that comes twice, with one that comes once",
    { startDate: "2026-11-01", endDate: "2026-11-01" },
    "America/New_York",
    "hourly",
    [0, 1, undefined, ...upTo(24).slice(2)],
  ],
  [
    "half an hour that is left out",
    { startDate: "2026-10-04", endDate: "2026-10-04" },
    "Australia/Lord_Howe",
    "hourly",
    upTo(24),
  ],
  ["months in their order", { startDate: "2026-02-01", endDate: "2026-03-31" }, "UTC", "monthly", [0, 1]],
  [
    "hours of a range that is no whole number of them in their order",
    { startDate: "2026-03-10T10:00Z", endDate: "2026-03-10T11:30Z" },
    "UTC",
    "hourly",
    [0, 1],
  ],
  [
    "a day that the calendar left out with nothing",
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
  ["seven days with today", { preset: "last_7d" }, "UTC", "2026-11-18T00:00Z", "2026-11-25T00:00Z"],
  ["thirty days by default", {}, "UTC", "2026-10-26T00:00Z", "2026-11-25T00:00Z"],
  ["any number of days", { preset: "last_60d" }, "UTC", "2026-09-26T00:00Z", "2026-11-25T00:00Z"],
  ["a week from Monday", { preset: "this_week" }, "UTC", "2026-11-23T00:00Z", "2026-11-25T00:00Z"],
  ["the week before", { preset: "last_week" }, "UTC", "2026-11-16T00:00Z", "2026-11-23T00:00Z"],
  ["the month to date", { preset: "this_month" }, "UTC", "2026-11-01T00:00Z", "2026-11-25T00:00Z"],
  ["the month before", { preset: "last_month" }, "UTC", "2026-10-01T00:00Z", "2026-11-01T00:00Z"],
  ["the year to date", { preset: "this_year" }, "UTC", "2026-01-01T00:00Z", "2026-11-25T00:00Z"],
  ["a zone of half hours", { preset: "today" }, "Asia/Kolkata", "2026-11-23T18:30Z", "2026-11-24T18:30Z"],
  [
    "a zone that is a day ahead",
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
    "times, the end not included",
    { startDate: "2026-11-20T10:00:00Z", endDate: "2026-11-20T12:00:00+01:00" },
    "UTC",
    "2026-11-20T10:00Z",
    "2026-11-20T11:00Z",
  ],
  [
    "times of the zone's clocks",
    { startDate: "2026-11-20T10:00", endDate: "2026-11-20" },
    "Europe/Berlin",
    "2026-11-20T09:00Z",
    "2026-11-20T23:00Z",
  ],
]
test.each(ranges)("%s", (_, body, zone, from, to) => {
  expect(shown(readRange(body, zone, now))).toEqual([from, to])
})

test("hours end at the current ms", () => {
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
    "of days that are over is whole, and as many by the calendar",
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
    "of today is of the zone's days",
    { preset: "today" },
    "Asia/Kolkata",
    "2026-11-24T12:00Z",
    "2026-11-22T18:30Z",
    "2026-11-23T12:00:00.001Z",
  ],
  [
    "of today is one ms long when it begins",
    { preset: "today" },
    "UTC",
    "2026-11-24T00:00Z",
    "2026-11-23T00:00Z",
    "2026-11-23T00:00:00.001Z",
  ],
  [
    "of today is whole when it ends",
    { preset: "today" },
    "UTC",
    "2026-11-24T23:59:59.999Z",
    "2026-11-23T00:00Z",
    "2026-11-24T00:00Z",
  ],
  [
    "of a week so far has as many days, the last one until this time of day",
    { preset: "this_week" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-21T00:00Z",
    "2026-11-22T12:00:00.001Z",
  ],
  [
    "of seven days with today ends in the day before them",
    { preset: "last_7d" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-11T00:00Z",
    "2026-11-17T12:00:00.001Z",
  ],
  [
    "of days up to one that is still to come ends on the day of it that today is of them",
    { startDate: "2026-11-23", endDate: "2026-11-26" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-19T00:00Z",
    "2026-11-20T12:00:00.001Z",
  ],
  [
    "of days that are still to come is whole",
    { startDate: "2026-11-25", endDate: "2026-11-26" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-23T00:00Z",
    "2026-11-25T00:00Z",
  ],
  [
    "of hours until now is as long",
    { preset: "last_24h" },
    "UTC",
    "2026-11-24T12:00Z",
    "2026-11-22T12:00:00.001Z",
    "2026-11-23T12:00:00.001Z",
  ],
  [
    "of times up to one that is still to come is as long as it was until now",
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
    "ends where the clocks jumped over this time of day",
    { preset: "today" },
    "Europe/Berlin",
    "2026-03-30T00:30Z",
    "2026-03-28T23:00Z",
    "2026-03-29T01:00Z",
  ],
]
test.each(before)("the period before %s", (_, body, zone, at, from, to) => {
  const now = Date.parse(at)
  expect(shown(previousOf(readRange(body, zone, now), zone, now))).toEqual([from, to])
})

test("minutes are at most 10,000", () => {
  const days = (count: number) => ({ from: 0, to: count * 86_400_000, days: undefined })
  expect(tooManyBuckets(days(6), "minute")).toBeUndefined()
  expect(tooManyBuckets(days(7), "minute")).toStartWith("granularity minute gives more than 10000 intervals")
  expect(tooManyBuckets(days(400), "hourly")).toBeUndefined()
})
