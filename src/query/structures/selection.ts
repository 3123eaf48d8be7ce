import { type Batch, type Column, dayMs, type Few, type Value } from "../../columns/batch.ts"
import { lowerBound } from "../../columns/typed-arrays.ts"

/**
 * The selected events of a batch: all events from `first` to `end` (exclusive), or only those at the ascending indexes
 * `at`.
 */
export interface Selection {
  first: number
  end: number
  at: Uint32Array | undefined
}

/** Returns the number of selected events. */
export function sizeOf({ first, end, at }: Selection): number {
  return at ? at.length : end - first
}

/** Returns the index in the batch of the nth selected event. `n` starts at 0. */
export function indexAt({ first, at }: Selection, n: number): number {
  return at ? (at[n] as number) : first + n
}

/** Calls `visit` with the batch index of each selected event. */
export function forEachEvent({ first, end, at }: Selection, visit: (index: number) => void): void {
  if (at) for (let n = 0; n < at.length; n++) visit(at[n] as number)
  else for (let index = first; index < end; index++) visit(index)
}

/** Returns the part of a selection from index `first` to `end` (exclusive). */
export function sliceSelection({ at }: Selection, first: number, end: number): Selection {
  return { first, end, at: at?.subarray(lowerBound(at, first), lowerBound(at, end)) }
}

/** Returns the part of a selection in a range of indexes, or undefined if it is empty. */
export function intersect(
  selection: Selection,
  range: { first: number; end: number },
): Selection | undefined {
  const first = Math.max(range.first, selection.first)
  return nonEmpty(sliceSelection(selection, first, Math.max(first, Math.min(range.end, selection.end))))
}

/** Returns the selection, or undefined if it is empty. */
export function nonEmpty(selection: Selection): Selection | undefined {
  return sizeOf(selection) > 0 ? selection : undefined
}

/** Selects the events of a batch in a time range, given in Unix ms. `to` is exclusive. */
export function timeRange(batch: Batch, from: number, to: number): Selection {
  const dayEnd = batch.base + dayMs
  const first = from <= batch.base ? 0 : lowerBound(batch.times(), from - batch.base)
  const end = to >= dayEnd ? batch.count : lowerBound(batch.times(), to - batch.base)
  return { first, end, at: undefined }
}

/**
 * Calls `visit` with each value of the selected events and its count. If the selected events are few compared to the
 * distinct values, calls `visit` once per event with a count of 1.
 */
export function forEachValue(
  column: Column,
  selection: Selection,
  visit: (value: Value, count: number) => void,
): void {
  if (column.few) {
    forEachValue(...presentOnly(column, column.few, selection), visit)
    return
  }
  const { codes, values } = column
  const size = sizeOf(selection)
  if (size * 4 < values.length) {
    for (let n = 0; n < size; n++) {
      const code = codes[indexAt(selection, n)] as number
      if (code > 0) visit(values[code - 1] as Value, 1)
    }
    return
  }
  const counts = countsOf(column, selection)
  for (let code = 1; code < counts.length; code++) {
    const count = counts[code] as number
    if (count > 0) visit(values[code - 1] as Value, count)
  }
}

/**
 * Calls `visit` with each value of the selected events, usually only once. Faster than `forEachValue`, because marking
 * a code takes less time than counting it.
 */
export function forEachDistinctValue(
  column: Column,
  selection: Selection,
  visit: (value: Value) => void,
): void {
  const { codes, values } = column
  const { first, end, at } = selection
  if (column.few || sizeOf(selection) * 4 < values.length) {
    forEachValue(column, selection, visit)
    return
  }
  const isSeen = new Uint8Array(values.length + 1)
  if (at) for (let n = 0; n < at.length; n++) isSeen[codes[at[n] as number] as number] = 1
  else for (let index = first; index < end; index++) isSeen[codes[index] as number] = 1
  for (let code = 1; code < isSeen.length; code++) if (isSeen[code] === 1) visit(values[code - 1] as Value)
}

/**
 * Calls `visit` with each combination of group and value that occurs in the selected events, and the number of events
 * with this combination. If values rarely repeat, calls `visit` once per event with a count of 1. `groups` contains the
 * group of each selected event.
 */
export function forEachGroupValue(
  { codes, values }: Column,
  groups: Uint32Array,
  selection: Selection,
  visit: (group: number, value: Value, count: number) => void,
): void {
  const hasRepeats = values.length < groups.length / 4
  const counts: (Uint32Array | undefined)[] = []
  for (let n = 0; n < groups.length; n++) {
    const group = groups[n] as number
    const code = codes[indexAt(selection, n)] as number
    if (code === 0) continue
    if (!hasRepeats) {
      visit(group, values[code - 1] as Value, 1)
      continue
    }
    let groupCounts = counts[group]
    if (!groupCounts) {
      groupCounts = new Uint32Array(values.length + 1)
      counts[group] = groupCounts
    }
    groupCounts[code] = (groupCounts[code] as number) + 1
  }
  counts.forEach((groupCounts, group) => {
    groupCounts?.forEach((count, code) => {
      if (count > 0) visit(group, values[code - 1] as Value, count)
    })
  })
}

/**
 * Returns a column with only the events that have a value, and a selection of that column with the events that were
 * selected.
 */
export function presentOnly(
  { values, numbers }: Column,
  { at, codes }: Few,
  selection: Selection,
): [Column, Selection] {
  const { first, end, at: selected } = selection
  const range = { first: lowerBound(at, first), end: lowerBound(at, end), at: undefined }
  if (!selected) return [{ codes, values, numbers }, range]
  const common: number[] = []
  for (let [n, m] = [range.first, 0]; n < range.end; n++) {
    m = lowerBound(selected, at[n] as number, m)
    if (selected[m] === at[n]) common.push(n)
  }
  return [
    { codes, values, numbers },
    { ...range, at: Uint32Array.from(common) },
  ]
}

/** Returns the number of selected events with each code. */
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
