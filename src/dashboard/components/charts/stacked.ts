import type { Series } from "./series.ts"

export interface StackedSeries {
  dates: string[]
  series: Series[]
}

/**
 * Builds the series of a stacked chart: one per name, largest first, and "Other" for the rest. `all`: the total of each
 * date. `parts`: the values of each date and name, in any order.
 */
export function stackSeries(
  all: readonly { date: string; value: number }[],
  parts: readonly { date: string; name: string; value: number }[],
): StackedSeries {
  const dates = all.map(({ date }) => date)
  const positions = new Map(dates.map((date, index) => [date, index]))
  const byName = new Map<string, number[]>()
  const others = all.map(({ value }) => value)
  for (const { date, name, value } of parts) {
    const at = positions.get(date)
    if (at === undefined) continue
    const values = byName.get(name) ?? dates.map(() => 0)
    values[at] = value
    others[at] = (others[at] ?? 0) - value
    byName.set(name, values)
  }
  const series = [...byName]
    .map(([name, values]) => ({ name, values }))
    .sort((a, b) => sum(b.values) - sum(a.values))
  const hasOthers = others.some((value) => value > 0)
  return { dates, series: hasOthers ? [...series, { name: "Other", values: others, isOther: true }] : series }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
