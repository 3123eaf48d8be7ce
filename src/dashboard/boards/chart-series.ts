import type { PreviousSeries, Series } from "../components/charts/series.ts"
import { stackSeries } from "../components/charts/stacked.ts"
import type { TileOf } from "../state/boards.ts"
import type { Row } from "../state/query-cache.ts"
import { numberIn } from "./values.ts"

/** Maximum number of lines per chart. More lines are hard to tell apart. */
const maxLines = 6

interface ChartLines {
  dates: string[]
  series: (Series | PreviousSeries)[]
}

/**
 * Returns the dates and lines of a chart tile. `rows`: the rows of each query parameter. `nameOf`: returns the name of
 * the line that a row belongs to. `hasPrevious`: whether to add the previous period, if the chart has a total or a
 * single line.
 */
export function chartLines(
  { measure, by }: Pick<TileOf<"chart">, "measure" | "by">,
  rows: readonly (readonly Row[])[],
  nameOf: (row: Row) => string,
  hasPrevious: boolean,
): ChartLines {
  const [total = [], parts] = rows
  const numberOf = (row: unknown) => numberIn(row, measure.column)
  const dateOf = ({ date }: Row) => String(date)
  if (by !== undefined && !parts) return linesByName(total, nameOf, dateOf, numberOf)
  const previous: PreviousSeries[] = hasPrevious
    ? [{ name: "Previous period", values: total.map((row) => numberOf(row.previous)), isPrevious: true }]
    : []
  if (parts) {
    const stack = stackSeries(
      total.map((row) => ({ date: dateOf(row), value: numberOf(row) ?? 0 })),
      parts.map((row) => ({ date: dateOf(row), name: nameOf(row), value: numberOf(row) ?? 0 })),
    )
    return { dates: stack.dates, series: [...stack.series, ...previous] }
  }
  return {
    dates: total.map(dateOf),
    series: [{ name: measure.label, values: total.map(numberOf) }, ...previous],
  }
}

/** Returns one line per name, in row order. */
function linesByName(
  rows: readonly Row[],
  nameOf: (row: Row) => string,
  dateOf: (row: Row) => string,
  numberOf: (row: Row) => number | undefined,
): ChartLines {
  const dates = [...new Set(rows.map(dateOf))]
  const byName = Map.groupBy(rows, nameOf)
  const series = [...byName].slice(0, maxLines).map(([name, own]): Series => {
    const values = new Map(own.map((row) => [dateOf(row), numberOf(row)]))
    return { name, values: dates.map((date) => values.get(date)) }
  })
  return { dates, series }
}
