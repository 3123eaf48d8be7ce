import type { Batch } from "../../columns/batch.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import type { Selection } from "../structures/selection.ts"

// An entry of a funnel is an event that matches at least one step, stored as its unit, its time and a bit mask of the
// steps that it matches. funnel.ts computes the funnel from the entries of each unit.

/** Number of entries per chunk. A chunk takes up 3 MB, or 4 MB if it has codes. */
const chunkSize = 2 ** 18
/** Exclusive upper bound of masks, which have one bit for each of up to ten steps. */
export const maskRange = 1_024

/** Bit masks of the steps that the events of a batch match. They cover the events from `first` to `end` (exclusive). */
export interface StepMasks {
  first: number
  end: number
  /** One mask per event, or a single mask that applies to all events. */
  masks: Uint16Array | number
}

/** Returns the masks for the events that each step selects, or undefined if no event matches a step. */
export function stepMasksOf(batch: Batch, steps: readonly (Selection | undefined)[]): StepMasks | undefined {
  const matching = steps.flatMap((selection, step) => (selection ? [{ ...selection, bit: 1 << step }] : []))
  const [only, ...more] = matching
  if (!only) return undefined
  if (more.length === 0 && !only.at) return { first: only.first, end: only.end, masks: only.bit }
  const masks = new Uint16Array(batch.count)
  for (const { bit, ...selection } of matching) addBit(masks, selection, bit)
  return {
    first: Math.min(...matching.map(({ first }) => first)),
    end: Math.max(...matching.map(({ end }) => end)),
    masks,
  }
}

function addBit(masks: Uint16Array, { first, end, at }: Selection, bit: number): void {
  if (at) {
    for (let n = 0; n < at.length; n++) {
      const index = at[n] as number
      masks[index] = (masks[index] as number) | bit
    }
  } else for (let index = first; index < end; index++) masks[index] = (masks[index] as number) | bit
}

/** Entries ordered by unit. The entries of unit n are at `ends[n - 1]` to `ends[n]` (exclusive). */
export interface EntriesByUnit {
  ends: Uint32Array
  /** For each entry: the ms since the start of the range, multiplied by `maskRange`, plus the mask. */
  keys: Float64Array
  /** For each entry: the code of its value for the dimension `by`. */
  codes: Uint32Array | undefined
}

interface Chunk {
  count: number
  units: Uint32Array
  keys: Float64Array
  codes: Uint32Array | undefined
}

/** Collects entries in the order of the scan, then sorts them by unit with a counting sort. */
export class FunnelEntries {
  #chunks: Chunk[] = []
  /** Number of entries of each unit. */
  readonly #counts: Uint32Array

  constructor(
    units: number,
    private readonly budget: MemoryBudget,
    private readonly hasCodes: boolean,
  ) {
    budget.reserve(units * 4)
    this.#counts = new Uint32Array(units)
  }

  add(
    batch: Batch,
    units: Uint32Array,
    from: number,
    found: StepMasks,
    codes: Uint32Array | undefined,
  ): void {
    const { first, end, masks } = found
    const chunk = this.#chunkFor(end - first)
    const before = chunk.count
    chunk.count =
      typeof masks === "number"
        ? addAll(chunk, batch.times(), units, batch.base - from, first, end, masks, codes)
        : addEach(chunk, batch.times(), units, batch.base - from, first, end, masks, codes)
    count(this.#counts, chunk.units, before, chunk.count)
  }

  /** Returns the last chunk, or a new one if the last chunk does not have enough room. */
  #chunkFor(room: number): Chunk {
    const last = this.#chunks.at(-1)
    if (last && last.count + room <= last.units.length) return last
    const size = Math.max(room, chunkSize)
    this.budget.reserve(size * (this.hasCodes ? 16 : 12))
    const chunk = {
      count: 0,
      units: new Uint32Array(size),
      keys: new Float64Array(size),
      codes: this.hasCodes ? new Uint32Array(size) : undefined,
    }
    this.#chunks.push(chunk)
    return chunk
  }

  /** Returns the entries ordered by unit. Can only be called once, because it frees each chunk after reading it. */
  *byUnit(): Generator<void, EntriesByUnit> {
    const ends = this.#counts
    let total = 0
    for (let unit = 0; unit < ends.length; unit++) {
      const entries = ends[unit] as number
      ends[unit] = total
      total += entries
    }
    this.budget.reserve(total * (this.hasCodes ? 12 : 8))
    const keys = new Float64Array(total)
    const codes = this.hasCodes ? new Uint32Array(total) : undefined
    yield
    this.#chunks.reverse()
    for (let chunk = this.#chunks.pop(); chunk; chunk = this.#chunks.pop()) {
      scatter(chunk, ends, keys, codes)
      yield
    }
    return { ends, keys, codes }
  }
}

// Each loop over all events is in its own function, because small functions are compiled sooner and optimized better.

function addAll(
  chunk: Chunk,
  times: Uint32Array,
  units: Uint32Array,
  offset: number,
  first: number,
  end: number,
  mask: number,
  codes: Uint32Array | undefined,
): number {
  const { units: toUnits, keys, codes: toCodes } = chunk
  let at = chunk.count
  for (let index = first; index < end; index++) {
    const unit = units[index] as number
    if (unit === 0) continue
    toUnits[at] = unit
    keys[at] = (offset + (times[index] as number)) * maskRange + mask
    if (toCodes && codes) toCodes[at] = codes[index] as number
    at++
  }
  return at
}

function addEach(
  chunk: Chunk,
  times: Uint32Array,
  units: Uint32Array,
  offset: number,
  first: number,
  end: number,
  masks: Uint16Array,
  codes: Uint32Array | undefined,
): number {
  const { units: toUnits, keys, codes: toCodes } = chunk
  let at = chunk.count
  for (let index = first; index < end; index++) {
    const unit = units[index] as number
    const mask = masks[index] as number
    if (unit === 0 || mask === 0) continue
    toUnits[at] = unit
    keys[at] = (offset + (times[index] as number)) * maskRange + mask
    if (toCodes && codes) toCodes[at] = codes[index] as number
    at++
  }
  return at
}

function count(counts: Uint32Array, units: Uint32Array, first: number, end: number): void {
  for (let index = first; index < end; index++) {
    const unit = units[index] as number
    counts[unit] = (counts[unit] as number) + 1
  }
}

function scatter(chunk: Chunk, next: Uint32Array, keys: Float64Array, codes: Uint32Array | undefined): void {
  const { count, units, keys: fromKeys, codes: fromCodes } = chunk
  for (let index = 0; index < count; index++) {
    const unit = units[index] as number
    const at = next[unit] as number
    next[unit] = at + 1
    keys[at] = fromKeys[index] as number
    if (codes && fromCodes) codes[at] = fromCodes[index] as number
  }
}

/** Sorts a short range of entries that are already nearly sorted. */
export function insertionSort(
  keys: Float64Array,
  codes: Uint32Array | undefined,
  first: number,
  end: number,
): void {
  for (let index = first + 1; index < end; index++) {
    const key = keys[index] as number
    let at = index - 1
    if ((keys[at] as number) <= key) continue
    const code = codes ? (codes[index] as number) : 0
    for (; at >= first && (keys[at] as number) > key; at--) {
      keys[at + 1] = keys[at] as number
      if (codes) codes[at + 1] = codes[at] as number
    }
    keys[at + 1] = key
    if (codes) codes[at + 1] = code
  }
}

/** Sorts the keys, then moves each code to the new index of its key. */
export function sortBoth(keys: Float64Array, codes: Uint32Array, first: number, end: number): void {
  const before = keys.slice(first, end)
  const codesBefore = codes.slice(first, end)
  const sorted = keys.subarray(first, end).sort()
  const used = new Uint32Array(sorted.length)
  for (let index = 0; index < before.length; index++) {
    const key = before[index] as number
    let [low, high] = [0, sorted.length]
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((sorted[middle] as number) < key) low = middle + 1
      else high = middle
    }
    codes[first + low + (used[low] as number)] = codesBefore[index] as number
    used[low] = (used[low] as number) + 1
  }
}
