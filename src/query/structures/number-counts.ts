import type { Codes } from "../../columns/batch.ts"
import { copyInto, wideCodes } from "../../columns/typed-arrays.ts"
import type { MemoryBudget } from "./memory-budget.ts"
import { firstCode, type NumberDictionary } from "./number-dictionary.ts"
import { quickselect } from "./quickselect.ts"
import type { Selection } from "./selection.ts"

/** Measured bytes of an object without numbers. */
const objectBytes = 300
/** Bytes per list, in addition to its codes. */
const listBytes = 100
/**
 * Fewer codes than this are appended to a shared list. More codes get their own list, because a growing list has to be
 * copied.
 */
const minListLength = 64
const initialLength = 4
/**
 * If the dictionary has more than this many times as many numbers, a percentile uses quickselect. Otherwise, it scans
 * all codes.
 */
const sparseFactor = 4
/**
 * An array of counts is longer than the dictionary by this factor, so that it seldom has to be replaced when the
 * dictionary grows.
 */
const spareRoom = 1.25

/**
 * Counts how often each number of a dictionary occurs. It holds lists with one code per occurrence, or an array with
 * one count per code once that is smaller. With a `base`, which must not change afterwards and must have the same
 * codes, only additions are stored.
 */
export class NumberCounts {
  /** Lists that never change, so that others can share them. */
  #lists: Uint32Array[] = []
  /** A growing list, in which only the first `#appended` codes are used. */
  #growing = new Uint32Array(initialLength)
  #appended = 0
  /** Number of codes in all lists. */
  #length = 0
  /**
   * Counts by code. They cannot overflow, because a database holds fewer than 2^32 events. The counts of codes without
   * a number are never read.
   */
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
    else this.#roomFor(times).fill(code)
  }

  /** Adds the number of each selected event. `mapping` converts codes of the column to codes of the dictionary. */
  addAll(codes: Codes, mapping: Uint32Array, { first, end, at }: Selection): void {
    const size = at ? at.length : end - first
    const counts = this.#makeRoom(size)
    const selectedCodes = wideCodes(codes.subarray(first, end))
    if (counts && at) countMappedAt(counts, selectedCodes, mapping, first, at)
    else if (counts) countMapped(counts, selectedCodes, mapping)
    else {
      const list = new Uint32Array(size)
      const count = at
        ? listMappedAt(list, selectedCodes, mapping, first, at)
        : listMapped(list, selectedCodes, mapping)
      this.#append(count === size ? list : list.slice(0, count))
    }
  }

  /** Adds the counts of another object. */
  merge(other: NumberCounts): void {
    if (other.base) this.merge(other.base)
    const mapping = this.dictionary.mappingOf(other.dictionary)
    const more = other.#counts
    const total = more ? totalOf(more) : other.#length
    const counts = this.#makeRoom(total)
    if (more) {
      if (!counts) this.#append(listOf(more, total, mapping))
      else if (mapping) addMapped(counts, more, mapping)
      else addCounts(counts, more)
      return
    }
    for (const list of other.#allLists()) {
      if (counts && mapping) countMapped(counts, list, mapping)
      else if (counts) countCodes(counts, list)
      else this.#append(mapping ? list.map((code) => mapping[code] as number) : list)
    }
  }

  /** All lists that are in use. */
  *#allLists(): Generator<Uint32Array> {
    yield* this.#lists
    if (this.#appended > 0) yield this.#growing.subarray(0, this.#appended)
  }

  /**
   * Adds a list that does not change. Its memory is reserved as if it were copied, because its owner can be evicted
   * from the cache.
   */
  #share(list: Uint32Array): void {
    this.budget.reserve(listBytes + list.byteLength)
    this.#lists.push(list)
    this.#length += list.length
  }

  #append(codes: Uint32Array): void {
    if (codes.length >= minListLength) this.#share(codes)
    else this.#roomFor(codes.length).set(codes)
  }

  /** Returns the part of the growing list for the next codes. */
  #roomFor(count: number): Uint32Array {
    const start = this.#appended
    const end = start + count
    if (end > this.#growing.length) this.#resize(Math.max(end, this.#growing.length * 2))
    this.#appended = end
    this.#length += count
    return this.#growing.subarray(start, end)
  }

  /**
   * Makes room for `more` numbers. Returns the array of counts, with one element per code, or undefined if the numbers
   * belong in lists.
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
    if (before) this.#append(listOf(before, totalOf(before), undefined))
    return undefined
  }

  #toCounts(): Uint32Array {
    const before = this.#counts
    const counts = new Uint32Array(Math.ceil(this.dictionary.size * spareRoom))
    this.budget.reserve(counts.byteLength - (before?.byteLength ?? 0))
    if (before) counts.set(before)
    else for (const list of this.#allLists()) countCodes(counts, list)
    for (const { byteLength } of this.#lists) this.budget.reserve(-listBytes - byteLength)
    this.#lists = []
    this.#counts = counts
    this.#length = 0
    this.#appended = 0
    this.#resize(0)
    return counts
  }

  #resize(length: number): void {
    this.budget.reserve((length - this.#growing.length) * 4)
    this.#growing = copyInto(new Uint32Array(length), this.#growing.subarray(0, this.#appended))
  }

  /** Reduces memory use. */
  pack(): void {
    // Shrinking is only worth a copy if less than half of the list is used.
    if (this.#appended * 2 < this.#growing.length) this.#resize(this.#appended)
  }

  /** Returns the nearest-rank percentile, or null if there are no numbers. `share` is 0.95 for the 95th percentile. */
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
      for (const list of level.#allLists())
        for (let at = 0; at < list.length; at++)
          numbers[count++] = this.dictionary.numberOf(list[at] as number)
    return quickselect(numbers, rank - 1, 0, total)
  }

  #percentileOfMany(rank: number): number {
    const { dictionary } = this
    const counts = dictionary.scratch()
    for (let level: NumberCounts | undefined = this; level; level = level.base) {
      if (level.#counts) addCounts(counts, level.#counts)
      else for (const list of level.#allLists()) countCodes(counts, list)
    }
    const code = codeOfRank(counts, dictionary.order(), rank)
    counts.fill(0)
    return dictionary.numberOf(code)
  }
}

// Each loop over all numbers is in its own function, because small functions are compiled sooner and better.

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

/** `at` contains the positions of the codes, plus `first`. */
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

// The next two functions write the codes of numbers to a list, and return how many they wrote.

function listMapped(list: Uint32Array, codes: Uint32Array, mapping: Uint32Array): number {
  let count = 0
  for (let n = 0; n < codes.length; n++) {
    const code = mapping[codes[n] as number] as number
    if (code < firstCode) continue
    list[count++] = code
  }
  return count
}

function listMappedAt(
  list: Uint32Array,
  codes: Uint32Array,
  mapping: Uint32Array,
  first: number,
  at: Uint32Array,
): number {
  let count = 0
  for (let n = 0; n < at.length; n++) {
    const code = mapping[codes[(at[n] as number) - first] as number] as number
    if (code < firstCode) continue
    list[count++] = code
  }
  return count
}

/** Returns a list that repeats each code as often as `counts` says. `total` is the resulting length. */
function listOf(counts: Uint32Array, total: number, mapping: Uint32Array | undefined): Uint32Array {
  const list = new Uint32Array(total)
  let next = 0
  for (let code = firstCode; code < counts.length; code++) {
    const times = counts[code] as number
    if (times === 0) continue
    list.fill(mapping ? (mapping[code] as number) : code, next, next + times)
    next += times
  }
  return list
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
    const mapped = mapping[code] as number
    counts[mapped] = (counts[mapped] as number) + (more[code] as number)
  }
}
