import type { Bin } from "../query.ts"
import type { ValueCounts } from "./statistics.ts"

/** Possible first digits of a bin width. */
const mantissas = [1, 2, 5]
/**
 * Minimum width of a bin, as a share of the largest absolute value. Doubles could not distinguish bounds that are
 * closer together.
 */
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

/** Replaces infinity with the largest finite number, because JSON cannot represent infinity. */
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
