import type { Codes } from "../../columns/batch.ts"
import { copyInto, wideCodes } from "../../columns/typed-arrays.ts"
import type { MemoryBudget } from "./memory-budget.ts"
import { firstCode, type NumberDictionary } from "./number-dictionary.ts"
import { quickselect } from "./quickselect.ts"
import type { Selection } from "./selection.ts"

/** Measured bytes of an object without numbers. */
const objectBytes = 300
const initialLength = 4
/**
 * A percentile uses quickselect if the dictionary has more than this many times as many numbers; otherwise, it scans
 * all codes.
 */
const sparseFactor = 4
/**
 * An array of counts is longer than the dictionary by this factor, so that a growing dictionary seldom needs a new one.
 */
const spareRoom = 1.25

/**
 * Counts how often each number of a dictionary occurs. Holds a list with a code for each occurrence, or an array with a
 * count for each code once that is smaller. With a `base`, which must not change any more, and whose codes this
 * dictionary shares, it stores only the additions.
 */
export class NumberCounts {
  #list = new Uint32Array(initialLength)
  #length = 0
  /** A database holds fewer than 2^32 events. The codes that stand for no number are counted too, but not read. */
  #counts: Uint32Array | undefined

  constructor(
    private readonly dictionary: NumberDictionary,
    private readonly budget: MemoryBudget,
    private readonly base?: NumberCounts,
  ) {
    budget.reserve(objectBytes)
  }

  add(code: number, times: number): void {
    const counts = this.#makeRoom(times)
    if (counts) counts[code] = (counts[code] as number) + times
    else {
      this.#list.fill(code, this.#length, this.#length + times)
      this.#length += times
    }
  }

  /** Adds the number of each selected event. `mapping`: codes of the dictionary by code of the column. */
  addAll(codes: Codes, mapping: Uint32Array, { first, end, at }: Selection): void {
    const counts = this.#makeRoom(at ? at.length : end - first)
    const own = wideCodes(codes.subarray(first, end))
    if (counts && at) countMappedAt(counts, own, mapping, first, at)
    else if (counts) countMapped(counts, own, mapping)
    else if (at) this.#length = listMappedAt(this.#list, this.#length, own, mapping, first, at)
    else this.#length = listMapped(this.#list, this.#length, own, mapping)
  }

  /** Adds other counts. */
  merge(other: NumberCounts): void {
    if (other.base) this.merge(other.base)
    const mapping = this.dictionary.mappingOf(other.dictionary)
    const more = other.#counts
    const list = other.#list.subarray(0, other.#length)
    const counts = this.#makeRoom(more ? totalOf(more) : list.length)
    if (!more) {
      if (!counts) this.#length = listMapped(this.#list, this.#length, list, mapping)
      else if (mapping) countMapped(counts, list, mapping)
      else countCodes(counts, list)
    } else if (!counts) this.#length = listCounts(this.#list, this.#length, more, mapping)
    else if (mapping) addMapped(counts, more, mapping)
    else addCounts(counts, more)
  }

  /**
   * Makes room for `more` numbers. Returns the array of counts, with an element for each code; undefined if the numbers
   * belong in the list.
   */
  #makeRoom(more: number): Uint32Array | undefined {
    const { size } = this.dictionary
    const before = this.#counts
    if (before && before.length >= size) return before
    const total = more + (before ? totalOf(before) : this.#length)
    if (total >= size) return this.#toCounts()
    if (before) {
      // The dictionary has grown so much that a list is smaller again.
      this.#counts = undefined
      this.budget.reserve(-before.byteLength)
    }
    if (total > this.#list.length)
      this.#resize(Math.ceil(Math.min(Math.max(total, this.#list.length * 2), size * spareRoom)))
    if (before) this.#length = listCounts(this.#list, 0, before, undefined)
    return undefined
  }

  #toCounts(): Uint32Array {
    const before = this.#counts
    const counts = new Uint32Array(Math.ceil(this.dictionary.size * spareRoom))
    this.budget.reserve(counts.byteLength - (before?.byteLength ?? 0))
    if (before) counts.set(before)
    else countCodes(counts, this.#list.subarray(0, this.#length))
    this.#counts = counts
    this.#length = 0
    this.#resize(0)
    return counts
  }

  #resize(length: number): void {
    this.budget.reserve((length - this.#list.length) * 4)
    this.#list = copyInto(new Uint32Array(length), this.#list.subarray(0, this.#length))
  }

  /** Reduces memory use. */
  pack(): void {
    // Copying the list takes longer than adding to it.
    if (this.#length * 2 < this.#list.length) this.#resize(this.#length)
  }

  /** The nearest-rank percentile; null if there are no numbers. `share`: 0.95 for the 95th. */
  percentile(share: number): number | null {
    let [total, isList] = [0, true]
    for (let level: NumberCounts | undefined = this; level; level = level.base) {
      total += level.#counts ? totalOf(level.#counts) : level.#length
      if (level.#counts) isList = false
    }
    if (total === 0) return null
    const rank = Math.max(1, Math.ceil(share * total))
    return isList && total * sparseFactor < this.dictionary.size
      ? this.#percentileOfFew(rank, total)
      : this.#percentileOfMany(rank)
  }

  #percentileOfFew(rank: number, total: number): number {
    const numbers = new Float64Array(total)
    let count = 0
    for (let level: NumberCounts | undefined = this; level; level = level.base)
      for (let at = 0; at < level.#length; at++)
        numbers[count++] = this.dictionary.numberOf(level.#list[at] as number)
    return quickselect(numbers, rank - 1, 0, total)
  }

  #percentileOfMany(rank: number): number {
    const { dictionary } = this
    const counts = dictionary.scratch()
    for (let level: NumberCounts | undefined = this; level; level = level.base) {
      if (level.#counts) addCounts(counts, level.#counts)
      else countCodes(counts, level.#list.subarray(0, level.#length))
    }
    const code = codeOfRank(counts, dictionary.order(), rank)
    counts.fill(0)
    return dictionary.numberOf(code)
  }
}

// Each loop over all numbers is a separate function: small functions are compiled sooner and better.

function totalOf(counts: Uint32Array): number {
  let total = 0
  for (let code = firstCode; code < counts.length; code++) total += counts[code] as number
  return total
}

function codeOfRank(counts: Uint32Array, order: Uint32Array, rank: number): number {
  let at = 0
  for (let seen = counts[order[0] as number] as number; seen < rank; )
    seen += counts[order[++at] as number] as number
  return order[at] as number
}

function countCodes(counts: Uint32Array, codes: Uint32Array): void {
  for (let n = 0; n < codes.length; n++) {
    const code = codes[n] as number
    counts[code] = (counts[code] as number) + 1
  }
}

function countMapped(counts: Uint32Array, codes: Uint32Array, mapping: Uint32Array): void {
  for (let n = 0; n < codes.length; n++) {
    const code = mapping[codes[n] as number] as number
    counts[code] = (counts[code] as number) + 1
  }
}

/** `at`: positions of the codes, plus `first`. */
function countMappedAt(
  counts: Uint32Array,
  codes: Uint32Array,
  mapping: Uint32Array,
  first: number,
  at: Uint32Array,
): void {
  for (let n = 0; n < at.length; n++) {
    const code = mapping[codes[(at[n] as number) - first] as number] as number
    counts[code] = (counts[code] as number) + 1
  }
}

// The functions below return the new length of the list.

function listMapped(
  list: Uint32Array,
  length: number,
  codes: Uint32Array,
  mapping: Uint32Array | undefined,
): number {
  if (!mapping) {
    list.set(codes, length)
    return length + codes.length
  }
  let next = length
  for (let n = 0; n < codes.length; n++) {
    const code = mapping[codes[n] as number] as number
    if (code < firstCode) continue
    list[next++] = code
  }
  return next
}

function listMappedAt(
  list: Uint32Array,
  length: number,
  codes: Uint32Array,
  mapping: Uint32Array,
  first: number,
  at: Uint32Array,
): number {
  let next = length
  for (let n = 0; n < at.length; n++) {
    const code = mapping[codes[(at[n] as number) - first] as number] as number
    if (code < firstCode) continue
    list[next++] = code
  }
  return next
}

function listCounts(
  list: Uint32Array,
  length: number,
  counts: Uint32Array,
  mapping: Uint32Array | undefined,
): number {
  let next = length
  for (let code = firstCode; code < counts.length; code++) {
    const times = counts[code] as number
    if (times === 0) continue
    list.fill(mapping ? (mapping[code] as number) : code, next, next + times)
    next += times
  }
  return next
}

function addCounts(counts: Uint32Array, more: Uint32Array): void {
  // Elements of `more` beyond the length of `counts` are spare.
  const end = Math.min(counts.length, more.length)
  for (let code = firstCode; code < end; code++)
    counts[code] = (counts[code] as number) + (more[code] as number)
}

function addMapped(counts: Uint32Array, more: Uint32Array, mapping: Uint32Array): void {
  const end = Math.min(mapping.length, more.length)
  for (let code = firstCode; code < end; code++) {
    const own = mapping[code] as number
    counts[own] = (counts[own] as number) + (more[code] as number)
  }
}
