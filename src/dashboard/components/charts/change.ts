import type { Format } from "../../state/format.ts"

/**
 * Returns the change in percent, or in percentage points for rates. Returns undefined if a percentage cannot be
 * computed because the previous value is 0.
 */
export function changeOf(value: number, previous: number, isRate: boolean): number | undefined {
  if (isRate) return roundToTenths(value - previous)
  return previous === 0 ? undefined : (100 * (value - previous)) / previous
}

/** Returns the change as text, such as `▲ 12%`, `▼ 1.5 points`, `▲ 1 point` or `new`. */
export function changeText(value: number, previous: number, format: Format, isRate: boolean): string {
  const change = changeOf(value, previous, isRate)
  if (change === undefined) return value === 0 ? "0%" : "new"
  const size = Math.abs(change)
  const text = isRate
    ? `${format.number(size)} ${size === 1 ? "point" : "points"}`
    : format.percent(size < 10 ? roundToTenths(size) : Math.round(size))
  return `${change > 0 ? "▲ " : change < 0 ? "▼ " : ""}${text}`
}

/** Rounds to one decimal place. */
function roundToTenths(value: number): number {
  return Math.round(value * 10) / 10
}
