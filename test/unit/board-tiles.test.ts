import { describe, expect, test } from "bun:test"
import { parametersOf } from "../../src/boards/parameters.ts"
import { chartLines } from "../../src/dashboard/boards/chart-series.ts"

const measure = { column: "events", label: "Events", format: "count" } as const
const nameOf = (row: Record<string, unknown>) => String(row.name)

describe("a chart tile", () => {
  test("has one line, and the previous period only with a comparison", () => {
    const rows = [
      { date: "2026-11-01", events: 3, previous: { events: 1 } },
      { date: "2026-11-02", events: null, previous: null },
    ]
    const line = { name: "Events", values: [3, undefined] }
    const previous = { name: "Previous period", values: [1, undefined], isPrevious: true }
    expect<unknown>(chartLines({ measure }, [rows], nameOf, true).series).toEqual([line, previous])
    expect(chartLines({ measure }, [rows], nameOf, false)).toEqual({
      dates: ["2026-11-01", "2026-11-02"],
      series: [line],
    })
  })

  test("has a line for each name, at most six, with gaps where a name has no row", () => {
    const names = ["a", "b", "c", "d", "e", "f", "g"]
    const rows = [
      ...names.map((name, index) => ({ date: "2026-11-01", name, events: index })),
      { date: "2026-11-02", name: "b", events: 9 },
    ]
    const { dates, series } = chartLines({ measure, by: "name" }, [rows], nameOf, true)
    expect(dates).toEqual(["2026-11-01", "2026-11-02"])
    expect(series.map(({ name, values }) => [name, ...values])).toEqual([
      ["a", 0, undefined],
      ["b", 1, 9],
      ["c", 2, undefined],
      ["d", 3, undefined],
      ["e", 4, undefined],
      ["f", 5, undefined],
    ])
  })

  test("stacks the parts of the second parameter below the total of the first", () => {
    const total = [{ date: "2026-11-01", events: 10 }]
    const parts = [
      { date: "2026-11-01", name: "a", events: 2 },
      { date: "2026-11-01", name: "b", events: 5 },
    ]
    const { series } = chartLines({ measure, by: "name" }, [total, parts], nameOf, false)
    expect(series.map(({ name, values }) => [name, ...values])).toEqual([
      ["b", 5],
      ["a", 2],
      ["Other", 3],
    ])
  })
})

describe("the parameters of a tile", () => {
  const parameters = [
    { name: "summary", compare: "previous_year", limit: 5 },
    { name: "trend", granularity: "daily" },
  ]

  test("have the page's comparison and granularity if the tile's parameters have any", () => {
    expect(parametersOf(parameters, "matching_weekdays", "hourly")).toEqual([
      { name: "summary", id: "0", limit: 5, compare: "matching_weekdays" },
      { name: "trend", id: "1", granularity: "hourly" },
    ])
  })

  test("have no comparison if the page has none", () => {
    expect(parametersOf(parameters, undefined, "weekly")).toEqual([
      { name: "summary", id: "0", limit: 5 },
      { name: "trend", id: "1", granularity: "weekly" },
    ])
  })

  test("keep the tile's granularity if the page has none", () => {
    expect(parametersOf(parameters, undefined, undefined)[1]).toEqual({
      name: "trend",
      id: "1",
      granularity: "daily",
    })
  })
})
