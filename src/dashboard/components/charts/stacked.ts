import type { Series } from "./plot.tsx"

export interface Stacked {
  dates: string[]
  series: Series[]
}

/**
 * What a stacked chart shows: those that are told apart, the largest first, and above them what all others are together.
 * `all`: of each date the whole; `parts`: of a date and a name, in any order.
 */
export function stackOf(
  all: readonly { date: string; value: number }[],
  parts: readonly { date: string; name: string; value: number }[],
): Stacked {
  const dates = all.map(({ date }) => date)
  const places = new Map(dates.map((date, index) => [date, index]))
  const byName = new Map<string, number[]>()
  const others = all.map(({ value }) => value)
  for (const { date, name, value } of parts) {
    const at = places.get(date)
    if (at === undefined) continue
    const values = byName.get(name) ?? dates.map(() => 0)
    values[at] = value
    others[at] = (others[at] ?? 0) - value
    byName.set(name, values)
  }
  const series = [...byName]
    .map(([name, values]) => ({ name, values }))
    .sort((a, b) => sum(b.values) - sum(a.values))
  const hasOthers = others.some((one) => one > 0)
  return { dates, series: hasOthers ? [...series, { name: "All others", values: others }] : series }
}

function sum(values: readonly number[]): number {
  return values.reduce((all, one) => all + one, 0)
}
