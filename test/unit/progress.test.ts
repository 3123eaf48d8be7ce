import { describe, expect, test } from "bun:test"
import { Format } from "../../src/dashboard/state/format.ts"
import { type Granularity, hasBucket, progressOf, rangeSince } from "../../src/dashboard/state/range.ts"

/** A Tuesday, 13:30 in Berlin. */
const now = Date.parse("2026-11-24T12:30:00Z")
const today = "2026-11-24"
const hours = ["2026-11-24T12:00:00+01:00", "2026-11-24T13:00:00+01:00", "2026-11-24T14:00:00+01:00"]

describe("the number of dates on a chart that have started, for", () => {
  const cases: [name: string, Granularity, dates: string[], started: number, isRunning: boolean][] = [
    ["days until today", "daily", ["2026-11-22", "2026-11-23", "2026-11-24"], 3, true],
    ["days that are over", "daily", ["2026-11-22", "2026-11-23"], 2, false],
    ["future days", "daily", ["2026-11-25", "2026-11-26"], 0, false],
    ["hours in a time zone", "hourly", hours, 2, true],
    ["hours that are over", "hourly", hours.slice(0, 1), 1, false],
    ["this week", "weekly", ["2026-11-16", "2026-11-23", "2026-11-30"], 2, true],
    ["last week", "weekly", ["2026-11-09", "2026-11-16"], 2, false],
    ["this month", "monthly", ["2026-10-01", "2026-11-01"], 2, true],
    ["hours that are still shown after days were requested", "daily", hours, 2, true],
    ["no dates", "daily", [], 0, false],
  ]
  test.each(cases)("%s", (_, granularity, dates, started, isRunning) => {
    expect(progressOf(dates, granularity, today, now)).toEqual({ started, isRunning })
  })
})

describe("the days after a release that are compared with as many days before it:", () => {
  const cases: [name: string, day: string, to: string | undefined][] = [
    ["today", today, today],
    ["in the first week, all days until today", "2026-11-18", today],
    ["after the first week, whole weeks until yesterday", "2026-11-17", "2026-11-23"],
    ["until the last whole week", "2026-11-05", "2026-11-18"],
    ["at most four weeks", "2026-06-01", "2026-06-28"],
    ["none if the release is in the future", "2026-11-25", undefined],
  ]
  test.each(cases)("%s", (_, day, to) => {
    expect(rangeSince(day, today)).toEqual(to === undefined ? undefined : { from: day, to })
  })
})

describe("days of a range in words", () => {
  const cases: [from: string, to: string, text: string][] = [
    ["2026-11-24", "2026-11-24", "24 Nov 2026"],
    ["2026-11-01", "2026-11-24", "1 – 24 Nov 2026"],
    ["2026-10-27", "2026-11-24", "27 Oct – 24 Nov 2026"],
    ["2021-01-01", "2026-11-24", "1 Jan 2021 – 24 Nov 2026"],
  ]
  test.each(cases)("%s to %s", (from, to, text) => {
    const said = new Format("en-GB", "UTC").days(from, to)
    // The locale determines which spaces are around the dash.
    expect(said.replace(/\s/g, " ")).toBe(text)
  })
})

// 2 and 16 November 2026 are Mondays.
test.each([
  ["weekly", "2026-11-02", true, "a week that began before it"],
  ["weekly", "2026-10-26", false, "a week that ended before it"],
  ["weekly", "2026-11-16", true, "its last week"],
  ["weekly", "2026-11-23", false, "a week after it"],
  ["daily", "2026-11-03", false, "the day before it"],
  ["daily", "2026-11-04", true, "its first day"],
  ["monthly", "2026-11-01", true, "a month that began before it"],
  ["monthly", "2026-10-01", false, "a month that ended before it"],
] as const)("a range from 4 to 20 November has the %s bucket %s: %p, %s", (granularity, date, isExpected) => {
  expect(hasBucket({ from: "2026-11-04", to: "2026-11-20" }, date, granularity)).toBe(isExpected)
})
