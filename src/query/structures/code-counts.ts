import type { Codes } from "../../columns/batch.ts"
import { copyInto, wideCodes } from "../../columns/typed-arrays.ts"
import {
  addAllCounts,
  addMapped,
  countCodes,
  countMapped,
  countMappedAt,
  countMappedCodes,
  countMarked,
  forEachPiece,
  listMapped,
  listMappedAt,
  listOf,
  maximum,
  totalOf,
} from "./count-kernels.ts"
import type { MemoryBudget } from "./memory-budget.ts"
import { firstCode } from "./number-dictionary.ts"
import type { Selection } from "./selection.ts"

/** Assigns codes to distinct values. Codes start at `firstCode`. */
export interface CodeDictionary<Self> {
  /** One more than the largest code. */
  readonly size: number
  /**
   * Returns a mapping from codes of another dictionary to codes of this one, or undefined if their codes are the same.
   */
  mappingOf(other: Self): Uint32Array | undefined
  /** Returns an array with a zero for each code. The caller must reset the elements that it changes. */
  scratch(): Uint32Array
}

/** Measured bytes of an object without values. */
const objectBytes = 300
/** Overhead of a list in bytes, not counting its codes. */
const listBytes = 100
/**
 * If at least this many codes are added at once, they get a list of their own. Fewer codes are appended to the growing
 * list, which is copied as it grows.
 */
const minListLength = 64
const initialLength = 4
/**
 * If the dictionary has more than this many values for each value that was counted, the counted values are collected in
 * a Map. Otherwise, all codes of the dictionary are scanned.
 */
export const sparseFactor = 4
/**
 * An array of counts is longer than the dictionary by this factor, so that it seldom has to be replaced as the
 * dictionary grows.
 */
const spareRoom = 1.25

/**
 * Counts how often each value of a dictionary occurs. Stores lists with a code for each occurrence, or an array with a
 * count for each code once the array is smaller. If there is a `base`, only additions are stored. The base must not
 * change afterwards, and `dictionary` must have the same codes as the dictionary of the base.
 */
export class CodeCounts<Dictionary extends CodeDictionary<Dictionary>> {
  /** Lists that never change, so that merged objects can share them. */
  #lists: Uint32Array[] = []
  /** The growing list. Only its first `#appended` codes are used. */
  #growing = new Uint32Array(initialLength)
  #appended = 0
  /** Number of codes in all lists. */
  #length = 0
  /**
   * The array of counts, if there is one. Each count takes up 4 bytes, which is enough because a database holds fewer
   * than 2^32 events. After `shrink`, a count can take up fewer bytes. Codes that stand for no value are counted too,
   * but their counts are never read.
   */
  #counts: Codes | undefined

  constructor(
    readonly dictionary: Dictionary,
    private readonly budget: MemoryBudget,
    private readonly base?: CodeCounts<Dictionary>,
  ) {
    budget.reserve(objectBytes)
  }

  add(code: number, times: number): void {
    const counts = this.#makeRoom(times)
    if (counts) counts[code] = (counts[code] as number) + times
    else this.#roomFor(times).fill(code)
  }

  /** Adds the value of each selected event. `mapping` maps codes of the column to codes of the dictionary. */
  addAll(codes: Codes, mapping: Uint32Array, { first, end, at }: Selection): void {
    const size = at ? at.length : end - first
    const counts = this.#makeRoom(size)
    if (counts && !at) {
      countMappedCodes(counts, codes.subarray(first, end), mapping)
      return
    }
    const selectedCodes = wideCodes(codes.subarray(first, end))
    if (counts && at) countMappedAt(counts, selectedCodes, mapping, first, at)
    else {
      const list = new Uint32Array(size)
      const count = at
        ? listMappedAt(list, selectedCodes, mapping, first, at)
        : listMapped(list, selectedCodes, mapping)
      this.#append(count === size ? list : list.slice(0, count))
    }
  }

  /** Adds the counts of another object. */
  merge(other: CodeCounts<Dictionary>): void {
    if (other.base) this.merge(other.base)
    const mapping = this.dictionary.mappingOf(other.dictionary)
    const more = other.#counts
    const total = more ? totalOf(more) : other.#length
    const counts = this.#makeRoom(total)
    if (more) {
      if (!counts) this.#append(listOf(wideCodes(more), total, mapping))
      else if (mapping) forEachPiece(more, (piece, first) => addMapped(counts, piece, mapping, first))
      else addAllCounts(counts, more)
      return
    }
    for (const list of other.#allLists()) {
      if (counts && mapping) countMapped(counts, list, mapping)
      else if (counts) countCodes(counts, list)
      else this.#append(mapping ? list.map((code) => mapping[code] as number) : list)
    }
  }

  /** Yields all lists, including the used part of the growing list. */
  *#allLists(): Generator<Uint32Array> {
    yield* this.#lists
    if (this.#appended > 0) yield this.#growing.subarray(0, this.#appended)
  }

  /**
   * Adds a list that never changes. Reserves memory as if the list were copied, because this object keeps the list
   * alive even if its owner is evicted from the cache.
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

  /** Extends the growing list by `count` codes, and returns the part that the caller must fill. */
  #roomFor(count: number): Uint32Array {
    const start = this.#appended
    const end = start + count
    if (end > this.#growing.length) this.#resize(Math.max(end, this.#growing.length * 2))
    this.#appended = end
    this.#length += count
    return this.#growing.subarray(start, end)
  }

  /**
   * Makes room for `more` values. Returns the array of counts, with an element for each code, or undefined if the
   * values must be added to lists.
   */
  #makeRoom(more: number): Uint32Array | undefined {
    const { size } = this.dictionary
    const before = this.#widen()
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

  /** Frees the unused part of the growing list. */
  pack(): void {
    // Copying the list takes longer than adding its values did, so a list that is at least half full is left unchanged.
    if (this.#appended * 2 < this.#growing.length) this.#resize(this.#appended)
  }

  /**
   * Reduces memory use once counting is complete. Lists become an array of counts if that is smaller, and each count in
   * the array takes up only as many bytes as the largest count needs. If values are added later, the array is converted
   * back to 4 bytes per count.
   */
  shrink(): void {
    const { size } = this.dictionary
    const hasRoom = this.budget.available > size * spareRoom * 4
    if (!this.#counts && this.#length * 4 > size && hasRoom) this.#toCounts()
    this.pack()
    const before = this.#counts
    if (!(before instanceof Uint32Array)) return
    const counts = before.subarray(0, size)
    const largest = maximum(counts)
    const narrow =
      largest < 256 ? new Uint8Array(counts) : largest < 65_536 ? new Uint16Array(counts) : undefined
    if (!narrow) return
    this.budget.reserve(narrow.byteLength - before.byteLength)
    this.#counts = narrow
  }

  #widen(): Uint32Array | undefined {
    const before = this.#counts
    if (!before || before instanceof Uint32Array) return before
    this.budget.reserve(before.length * 4 - before.byteLength)
    const counts = wideCodes(before)
    this.#counts = counts
    return counts
  }

  /**
   * Returns the count of each code, including the base, in the dictionary's scratch array. The caller must call
   * `fill(0)` on the array after use. Elements below `firstCode` are meaningless.
   */
  counts(): Uint32Array {
    const total = this.dictionary.scratch()
    for (const { counts, lists } of this.#levels()) {
      if (counts) addAllCounts(total, counts)
      else for (const list of lists()) countCodes(total, list)
    }
    return total
  }

  /** Calls `visit` with each counted code and its count, including the base. */
  forEach(visit: (code: number, count: number) => void): void {
    const { total, isList } = this.totals()
    if (isList && total * sparseFactor < this.dictionary.size) {
      const few = new Map<number, number>()
      for (const list of this.listsOfAllLevels())
        for (const code of list) if (code >= firstCode) few.set(code, (few.get(code) ?? 0) + 1)
      for (const [code, count] of few) visit(code, count)
      return
    }
    const counts = this.counts()
    for (let code = firstCode; code < counts.length; code++) {
      const count = counts[code] as number
      if (count > 0) visit(code, count)
    }
    counts.fill(0)
  }

  /** True if so few values were added to the base that `forEachAddition` is faster than `forEach`. */
  get hasFewAdditions(): boolean {
    return this.base !== undefined && !this.#counts && this.#length * sparseFactor < this.dictionary.size
  }

  /**
   * Calls `visit` with each code that was added to the base, how often it was added, and its count in the base.
   * Requires the additions to be in lists.
   */
  forEachAddition(visit: (code: number, added: number, before: number) => void): void {
    const added = new Map<number, number>()
    for (const list of this.#allLists())
      for (const code of list) if (code >= firstCode) added.set(code, (added.get(code) ?? 0) + 1)
    // For each added code: its count in the base, plus 1. 0 for all other codes.
    const counts = this.dictionary.scratch()
    for (const code of added.keys()) counts[code] = 1
    for (let level = this.base; level; level = level.base) {
      const known = level.#counts
      if (known) for (const code of added.keys()) counts[code] = (counts[code] as number) + (known[code] ?? 0)
      else for (const list of level.#allLists()) countMarked(counts, list)
    }
    for (const [code, count] of added) {
      const before = (counts[code] as number) - 1
      counts[code] = 0
      visit(code, count, before)
    }
  }

  /** Returns the number of counted values, including the base, and whether all of them are in lists. */
  protected totals(): { total: number; isList: boolean } {
    let [total, isList] = [0, true]
    for (const { counts, length } of this.#levels()) {
      total += counts ? totalOf(counts) : length
      if (counts) isList = false
    }
    return { total, isList }
  }

  protected *listsOfAllLevels(): Generator<Uint32Array> {
    for (const { lists } of this.#levels()) yield* lists()
  }

  /** Yields the counts of this object, then those of its base, and so on. */
  *#levels(): Generator<{ counts: Codes | undefined; lists: () => Iterable<Uint32Array>; length: number }> {
    for (let level: CodeCounts<Dictionary> | undefined = this; level; level = level.base)
      yield { counts: level.#counts, lists: level.#allLists.bind(level), length: level.#length }
  }
}
