import { describe, expect, test } from "bun:test"
import { parseRange, rangeBody, rangeParams, shiftRange } from "../../src/dashboard/state/range.ts"

const today = "2026-11-24"
const parse = (hour: string) => parseRange(new URLSearchParams({ hour }), today)

describe("a range of one hour", () => {
  test.each([
    ["2026-11-24T13:00:00+01:00", "2026-11-24T14:00:00+01:00"],
    ["2026-11-24T23:00:00+01:00", "2026-11-25T00:00:00+01:00"],
    ["2026-11-24T13:30:00+05:30", "2026-11-24T14:30:00+05:30"],
    ["2026-11-24T13:00:00Z", "2026-11-24T14:00:00Z"],
  ])("%s ends at %s", (hour, end) => {
    const range = parse(hour)
    expect(range).toMatchObject({ from: "2026-11-24", to: "2026-11-24", days: 1, hour })
    expect(rangeBody(range)).toEqual({ startDate: hour, endDate: end })
    expect(rangeParams(range)).toEqual({ period: undefined, from: undefined, to: undefined, hour })
  })

  test("moves by an hour, even past midnight, but not beyond today", () => {
    expect(shiftRange(parse("2026-11-24T00:00:00+01:00"), -1, today)).toEqual({
      from: "2026-11-23",
      to: "2026-11-23",
      hour: "2026-11-23T23:00:00+01:00",
    })
    expect(shiftRange(parse("2026-11-24T23:00:00+01:00"), 1, today)).toBeUndefined()
  })

  test.each(["", "2026-11-24", "2026-11-24T25:00:00Z", "2026-11-24T13:00", "now"])(
    "is replaced by the default range if the hour is %j",
    (hour) => {
      expect(parse(hour).preset).toBe("last_30d")
    },
  )

  test("is replaced if days or a preset are chosen", () => {
    expect(rangeParams({ preset: "today" })).toHaveProperty("hour", undefined)
    expect(rangeParams({ from: today, to: today })).toMatchObject({ from: today, hour: undefined })
  })
})
