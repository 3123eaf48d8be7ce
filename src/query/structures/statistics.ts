import type { Bin } from "../query.ts"

/** Numbers and how often each is there, each once. */
export type Repeated = readonly (readonly [value: number, times: number])[]

export function totalOf(counted: Repeated): number {
  let total = 0
  for (const [, times] of counted) total += times
  return total
}

/** With what a plain sum loses added up beside it (Neumaier), so that the order of the values makes no difference that shows. */
export function sumOf(counted: Repeated): number {
  let sum = 0
  let lost = 0
  for (const [value, times] of counted) {
    const term = value * times
    const next = sum + term
    lost += Math.abs(sum) >= Math.abs(term) ? sum - next + term : term - next + sum
    sum = next
  }
  return sum + lost
}

export function ascending(counted: Repeated): Repeated {
  return [...counted].sort(([one], [other]) => one - other)
}

/** The value that at least `share` of all are not above, by nearest rank; of some in ascending order. */
export function valueAtShare(sorted: Repeated, share: number): number {
  const rank = Math.max(1, Math.ceil(share * totalOf(sorted)))
  let seen = 0
  for (const [value, times] of sorted) {
    seen += times
    if (seen >= rank) return value
  }
  return Number.NaN
}

/** Digits that a width may begin with. */
const mantissas = [1, 2, 5]
/** Bounds nearer to each other than this share of the numbers could not be told apart. */
const finest = 2 ** -40

/**
 * Stretches of equal width that hold all numbers, which are in ascending order: at most `most`, or two. The width is 1, 2 or 5
 * times a power of ten, of whole numbers a whole one, and bounds are multiples of it.
 */
export function binsOf(sorted: Repeated, most: number): Bin[] {
  const [[min] = [0], [max] = [0]] = [sorted[0], sorted.at(-1)]
  const least = leastWidth(min, max, sorted, most)
  // The difference itself may be larger than any number.
  const about = Math.max(least, max / most - min / most)
  for (let exponent = Math.floor(Math.log10(about)) - 1; ; exponent++) {
    for (const mantissa of mantissas) {
      const bound = (index: number) => within(Number(`${index * mantissa}e${exponent}`))
      if (bound(1) < least) continue
      const first = lastNotAbove(min, bound)
      const end = Math.max(first + 1, -lastNotAbove(-max, bound))
      if (end - first <= Math.max(most, 2)) return filled(sorted, first, end, bound)
    }
  }
}

function leastWidth(min: number, max: number, sorted: Repeated, most: number): number {
  const largest = Math.max(Math.abs(min), Math.abs(max))
  const whole = sorted.every(([value]) => Number.isInteger(value)) ? 1 : Number.MIN_VALUE
  return Math.max(min === max && whole < 1 ? largest / most : largest * finest, whole)
}

/** Beyond it JSON has no number. */
function within(bound: number): number {
  return Math.min(Math.max(bound, -Number.MAX_VALUE), Number.MAX_VALUE)
}

/** The index of the last bound that is not above a value. */
function lastNotAbove(value: number, bound: (index: number) => number): number {
  let index = Math.floor(value / bound(1))
  while (bound(index) > value) index--
  while (bound(index + 1) <= value) index++
  return index
}

function filled(sorted: Repeated, first: number, end: number, bound: (index: number) => number): Bin[] {
  let at = 0
  return Array.from({ length: end - first }, (_, place): Bin => {
    const [from, to] = [bound(first + place), bound(first + place + 1)]
    const isLast = first + place + 1 === end
    let count = 0
    for (let next = sorted[at]; next && (isLast || next[0] < to); next = sorted[++at]) count += next[1]
    return { from, to, count }
  })
}
