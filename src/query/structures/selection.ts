import { type Batch, type Column, dayMs, type Few, type Value } from "../../columns/batch.ts"

/** Events of a batch: all from `first` up to, but without, `end`, or those of them at the places `at`, which ascend. */
export interface Selection {
  first: number
  end: number
  at: Uint32Array | undefined
}

/** How many events are meant. */
export function sizeOf({ first, end, at }: Selection): number {
  return at ? at.length : end - first
}

/** Where the n-th of them stands, counted from 0. */
export function placeOf({ first, at }: Selection, n: number): number {
  return at ? (at[n] as number) : first + n
}

/** Those of a selection from `first` up to, but without, `end`. */
export function within({ at }: Selection, first: number, end: number): Selection {
  return { first, end, at: at?.subarray(firstFrom(at, first), firstFrom(at, end)) }
}

/** Those of both; undefined where there are none. */
export function inBoth(one: Selection, range: { first: number; end: number }): Selection | undefined {
  const first = Math.max(range.first, one.first)
  return orNone(within(one, first, Math.max(first, Math.min(range.end, one.end))))
}

/** Undefined where there are none. */
export function orNone(selection: Selection): Selection | undefined {
  return sizeOf(selection) > 0 ? selection : undefined
}

/** The events of a batch in a range of time. */
export function rangeOf(batch: Batch, from: number, to: number): Selection {
  const dayEnd = batch.base + dayMs
  const first = from <= batch.base ? 0 : firstFrom(batch.times(), from - batch.base)
  const end = to >= dayEnd ? batch.count : firstFrom(batch.times(), to - batch.base)
  return { first, end, at: undefined }
}

/** The place of the first of some ascending numbers that is not below `least`. */
export function firstFrom(ascending: Uint32Array, least: number, from = 0): number {
  let [low, high] = [from, ascending.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] as number) < least) low = middle + 1
    else high = middle
  }
  return low
}

/** Calls `visit` for the values of the selected events, with how often each is there; of few events for each event. */
export function eachValue(
  column: Column,
  selection: Selection,
  visit: (value: Value, times: number) => void,
): void {
  if (column.few) {
    eachValue(...ofFew(column.few, column.values, selection), visit)
    return
  }
  const { codes, values } = column
  const size = sizeOf(selection)
  if (size * 4 < values.length) {
    for (let n = 0; n < size; n++) {
      const code = codes[placeOf(selection, n)] as number
      if (code > 0) visit(values[code - 1] as Value, 1)
    }
    return
  }
  const counts = countsOf(column, selection)
  for (let code = 1; code < counts.length; code++) {
    const times = counts[code] as number
    if (times > 0) visit(values[code - 1] as Value, times)
  }
}

/** The same events where only those that have a value are numbered. */
function ofFew({ at, codes }: Few, values: Column["values"], selection: Selection): [Column, Selection] {
  const { first, end, at: places } = selection
  const own = { first: firstFrom(at, first), end: firstFrom(at, end), at: undefined }
  if (!places) return [{ codes, values }, own]
  const both: number[] = []
  for (let [n, m] = [own.first, 0]; n < own.end; n++) {
    m = firstFrom(places, at[n] as number, m)
    if (places[m] === at[n]) both.push(n)
  }
  return [
    { codes, values },
    { ...own, at: Uint32Array.from(both) },
  ]
}

/** How many of the selected events have each code. */
function countsOf({ codes, values }: Column, { first, end, at }: Selection): Uint32Array {
  const counts = new Uint32Array(values.length + 1)
  if (at) {
    for (let n = 0; n < at.length; n++) {
      const code = codes[at[n] as number] as number
      counts[code] = (counts[code] as number) + 1
    }
  } else {
    for (let index = first; index < end; index++) {
      const code = codes[index] as number
      counts[code] = (counts[code] as number) + 1
    }
  }
  return counts
}
