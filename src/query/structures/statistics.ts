import type { Bin } from "../query.ts"

/** Distinct numbers, each with its count. */
export type ValueCounts = readonly (readonly [value: number, count: number])[]

export function totalCount(counts: ValueCounts): number {
  let total = 0
  for (const [, count] of counts) total += count
  return total
}

/** Returns the sum of the numbers. Compensated (Neumaier) summation keeps rounding errors from accumulating. */
export function sumOf(counts: ValueCounts): number {
  let sum = 0
  let compensation = 0
  for (const [value, count] of counts) {
    const term = value * count
    const next = sum + term
    compensation += Math.abs(sum) >= Math.abs(term) ? sum - next + term : term - next + sum
    sum = next
  }
  return sum + compensation
}

/**
 * Returns the change as a share of the previous value: -0.5 means half as much. A change from 0 to another value is
 * infinite.
 */
export function relativeChange(value: number, previous: number): number {
  const difference = value - previous
  if (previous !== 0) return difference / Math.abs(previous)
  return difference === 0 ? 0 : Math.sign(difference) * Number.POSITIVE_INFINITY
}

/**
 * Returns the change weighted by size: the difference divided by the standard deviation of independent events, which is
 * the square root of their number. A change from 10,000 to 10,100 weighs less than a change from 100 to 200, and a
 * change from 1 to 2 weighs less than both.
 */
export function weightedChange(value: number, previous: number): number {
  const size = Math.abs(value) + Math.abs(previous)
  return size === 0 ? 0 : (value - previous) / Math.sqrt(size)
}

/** Sorts by value in ascending order. */
export function sortByValue(counts: ValueCounts): ValueCounts {
  return [...counts].sort(([a], [b]) => a - b)
}

/**
 * Returns the nearest-rank percentile of ascending values, or NaN if there are none. `share` is 0.95 for the 95th
 * percentile.
 */
export function percentile(sorted: ValueCounts, share: number): number {
  const rank = Math.max(1, Math.ceil(share * totalCount(sorted)))
  let seen = 0
  for (const [value, count] of sorted) {
    seen += count
    if (seen >= rank) return value
  }
  return Number.NaN
}

/** Possible first digits of a bin width. */
const mantissas = [1, 2, 5]
/** Minimum width as a share of the largest number. A double could not distinguish bounds that are closer together. */
const minRelativeWidth = 2 ** -40

/**
 * Computes a histogram of ascending values, with bins of equal width that cover all values. There are at most `maxBins`
 * bins, or two if `maxBins` is 1. The width is 1, 2 or 5 times a power of ten, and at least 1 for integers. Bounds are
 * multiples of the width.
 */
export function histogram(sorted: ValueCounts, maxBins: number): Bin[] {
  const [[min] = [0], [max] = [0]] = [sorted[0], sorted.at(-1)]
  const minWidth = minWidthOf(min, max, sorted, maxBins)
  // Avoids max - min, which could overflow.
  const estimate = Math.max(minWidth, max / maxBins - min / maxBins)
  for (let exponent = Math.floor(Math.log10(estimate)) - 1; ; exponent++) {
    for (const mantissa of mantissas) {
      const bound = (index: number) => clampToFinite(Number(`${index * mantissa}e${exponent}`))
      if (bound(1) < minWidth) continue
      const first = boundIndexOf(min, bound)
      const end = Math.max(first + 1, -boundIndexOf(-max, bound))
      if (end - first <= Math.max(maxBins, 2)) return binsOf(sorted, first, end, bound)
    }
  }
}

function minWidthOf(min: number, max: number, sorted: ValueCounts, maxBins: number): number {
  const largest = Math.max(Math.abs(min), Math.abs(max))
  const unit = sorted.every(([value]) => Number.isInteger(value)) ? 1 : Number.MIN_VALUE
  return Math.max(min === max && unit < 1 ? largest / maxBins : largest * minRelativeWidth, unit)
}

/** JSON cannot represent infinity. */
function clampToFinite(bound: number): number {
  return Math.min(Math.max(bound, -Number.MAX_VALUE), Number.MAX_VALUE)
}

/** Returns the index of the last bound that does not exceed the value. */
function boundIndexOf(value: number, bound: (index: number) => number): number {
  let index = Math.floor(value / bound(1))
  while (bound(index) > value) index--
  while (bound(index + 1) <= value) index++
  return index
}

function binsOf(sorted: ValueCounts, first: number, end: number, bound: (index: number) => number): Bin[] {
  let next = 0
  return Array.from({ length: end - first }, (_, index): Bin => {
    const [from, to] = [bound(first + index), bound(first + index + 1)]
    const isLast = first + index + 1 === end
    let count = 0
    for (let entry = sorted[next]; entry && (isLast || entry[0] < to); entry = sorted[++next])
      count += entry[1]
    return { from, to, count }
  })
}
