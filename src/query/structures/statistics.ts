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
 * Returns the change weighted by size: the difference divided by its standard deviation, which is the square root of
 * the number of events if all events are independent. A change from 10,000 to 10,100 weighs less than a change from 100
 * to 200, and a change from 1 to 2 weighs less than both.
 */
export function weightedChange(value: number, previous: number): number {
  const size = Math.abs(value) + Math.abs(previous)
  return size === 0 ? 0 : (value - previous) / Math.sqrt(size)
}

/** Returns the counts sorted by value in ascending order. */
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
