import type { Codes } from "../../columns/batch.ts"
import { copyInto } from "../../columns/typed-arrays.ts"
import type { MemoryBudget } from "./memory-budget.ts"
import { firstMapped, type NumberDictionary } from "./number-dictionary.ts"
import type { Selection } from "./selection.ts"

/** Bytes that an object takes without numbers, measured. */
const objectBytes = 400
/** Bytes of an entry of a list: a code and its count. */
const entryBytes = 8
const initialEntries = 4
/** A list of fewer entries than one in this many numbers is sorted for a percentile, which otherwise walks all numbers. */
const sparseFactor = 16
/** Added codes that are counted together: the counts of a group are in the processor's cache only while they are used. */
const maxPending = 65_536
/** Adding this share of the numbers of a dictionary at once turns a list into an array. */
const denseShare = 1 / 8

/**
 * Counts how often each number of a dictionary occurs: a list of codes and counts, or an array with a count for each code once that is
 * smaller. With a `base`, which must no longer change, and whose dictionary is the base of this one's, it stores only the additions.
 */
export class NumberCounts {
  #codes = new Uint32Array(initialEntries)
  /** Fewer than 2^32 events fit a database. */
  #times = new Uint32Array(initialEntries)
  #length = 0
  #dense: Uint32Array | undefined
  /** Codes that are not counted yet. */
  #pending = new Uint32Array(0)
  #pendingCount = 0

  constructor(
    private readonly dictionary: NumberDictionary,
    private readonly budget: MemoryBudget,
    private readonly base?: NumberCounts,
  ) {
    budget.reserve(objectBytes)
  }

  add(code: number, times: number): void {
    const dense = this.#dense
    if (dense) {
      const array = code < dense.length ? dense : this.#toDense(code + 1)
      array[code] = (array[code] as number) + times
      return
    }
    if (this.#length === this.#codes.length) {
      this.#makeRoom()
      this.add(code, times)
      return
    }
    this.#codes[this.#length] = code
    this.#times[this.#length++] = times
  }

  /** Adds the numbers of selected events once each. The codes are mapped already. */
  addAll(codes: Codes, mapping: Uint32Array, { first, end, at }: Selection): void {
    const size = at ? at.length : end - first
    const pending = this.#pendingFor(size)
    let count = this.#pendingCount
    for (let n = 0; n < size; n++) {
      const mapped = mapping[codes[at ? (at[n] as number) : first + n] as number] as number
      pending[count] = mapped - firstMapped
      count += mapped < firstMapped ? 0 : 1
    }
    this.#pendingCount = count
  }

  /** The pending codes, with room for more. */
  #pendingFor(more: number): Uint32Array {
    if (this.#pendingCount + more > maxPending) this.#countPending()
    const { length } = this.#pending
    const needed = this.#pendingCount + more
    if (needed > length) {
      const longer = Math.max(needed, Math.min(length * 2, maxPending))
      this.budget.reserve((longer - length) * 4)
      this.#pending = copyInto(new Uint32Array(longer), this.#pending.subarray(0, this.#pendingCount))
    }
    return this.#pending
  }

  #countPending(): void {
    const [pending, count] = [this.#pending, this.#pendingCount]
    if (count === 0) return
    this.#pendingCount = 0
    const { size } = this.dictionary
    const length = this.#length + count
    if (this.#dense || length * entryBytes >= size * 4) {
      countCodes(this.#toDense(size), pending, count, undefined)
      return
    }
    if (length > this.#codes.length) this.#resize(length)
    this.#codes.set(pending.subarray(0, count), this.#length)
    this.#times.fill(1, this.#length, length)
    this.#length = length
    this.#combine()
  }

  /** Adds the counts of others. */
  merge(other: NumberCounts): void {
    if (other.base) this.merge(other.base)
    const mapping = this.dictionary.mappingOf(other.dictionary)
    const [more, length, pending] = [other.#dense, other.#length, other.#pendingCount]
    const dense = this.#room((more ? more.length : length) + pending)
    if (!dense) other.#each((code, times) => this.add(mapping[code] as number, times))
    else {
      if (more) addDense(dense, more, mapping)
      else addList(dense, other.#codes.subarray(0, length), other.#times, mapping)
      countCodes(dense, other.#pending, pending, mapping)
    }
  }

  /** The array of counts, which has a place for each code, if `more` entries make it worth one. */
  #room(more: number): Uint32Array | undefined {
    const { size } = this.dictionary
    if (!this.#dense && more < size * denseShare) return undefined
    return this.#toDense(size)
  }

  #toDense(size: number): Uint32Array {
    const before = this.#dense
    if (before && before.length >= size) return before
    const dense = new Uint32Array(Math.ceil(size * 1.25))
    this.budget.reserve((dense.length - (before?.length ?? 0)) * 4)
    if (before) dense.set(before)
    else addList(dense, this.#codes.subarray(0, this.#length), this.#times, undefined)
    this.#dense = dense
    this.#length = 0
    this.#resize(0)
    return dense
  }

  /** Visits all counts and pending codes. A code can come several times. */
  #each(visit: (code: number, times: number) => void): void {
    const dense = this.#dense
    if (!dense)
      for (let at = 0; at < this.#length; at++) visit(this.#codes[at] as number, this.#times[at] as number)
    else
      for (let code = 0; code < dense.length; code++)
        if (dense[code] !== 0) visit(code, dense[code] as number)
    for (let n = 0; n < this.#pendingCount; n++) visit(this.#pending[n] as number, 1)
  }

  /** Shrinks it to its minimum. */
  pack(): void {
    this.#countPending()
    this.budget.reserve(-this.#pending.byteLength)
    this.#pending = new Uint32Array(0)
    const dense = this.#dense
    if (dense) {
      let used = 0
      for (let code = 0; code < dense.length; code++) if (dense[code] !== 0) used++
      if (used * entryBytes >= dense.length * 4) return
      this.#dense = undefined
      this.budget.reserve(-dense.length * 4)
      this.#resize(used)
      this.#length = 0
      for (let code = 0; code < dense.length; code++)
        if (dense[code] !== 0) {
          this.#codes[this.#length] = code
          this.#times[this.#length++] = dense[code] as number
        }
      return
    }
    this.#combine()
    this.#resize(this.#length)
  }

  /** The nearest-rank percentile; null if there are no numbers. `share`: 0.95 for the 95th. */
  percentile(share: number): number | null {
    const { dictionary } = this
    const [total, entries, isList] = this.#extent()
    if (total === 0) return null
    const rank = Math.max(1, Math.ceil(share * total))
    return isList && entries * sparseFactor < dictionary.size
      ? this.#percentileOfFew(rank, entries)
      : this.#percentileOfMany(rank)
  }

  /** Numbers and entries of all levels, and whether all of them are lists. */
  #extent(): [total: number, entries: number, isList: boolean] {
    let [total, entries, isList] = [0, 0, true]
    for (let level: NumberCounts | undefined = this; level; level = level.base) {
      const times = level.#dense ?? level.#times.subarray(0, level.#length)
      for (let at = 0; at < times.length; at++) total += times[at] as number
      total += level.#pendingCount
      entries += times.length + level.#pendingCount
      if (level.#dense) isList = false
    }
    return [total, entries, isList]
  }

  #percentileOfFew(rank: number, entries: number): number {
    const { dictionary } = this
    const ranks = dictionary.ranks()
    const times = new Float64Array(entries)
    const keys = new Float64Array(entries)
    let count = 0
    for (let level: NumberCounts | undefined = this; level; level = level.base)
      level.#each((code, own) => {
        times[count] = own
        keys[count] = (ranks[code] as number) * entries + count
        count++
      })
    keys.sort()
    let at = 0
    for (let seen = times[(keys[0] as number) % entries] as number; seen < rank; )
      seen += times[(keys[++at] as number) % entries] as number
    return dictionary.numberOf(dictionary.order()[Math.floor((keys[at] as number) / entries)] as number)
  }

  #percentileOfMany(rank: number): number {
    const { dictionary } = this
    const order = dictionary.order()
    const counts = dictionary.scratch()
    for (let level: NumberCounts | undefined = this; level; level = level.base)
      level.#each((code, times) => {
        counts[code] = (counts[code] as number) + times
      })
    let at = 0
    for (let seen = counts[order[0] as number] as number; seen < rank; )
      seen += counts[order[++at] as number] as number
    counts.fill(0)
    return dictionary.numberOf(order[at] as number)
  }

  /** Combines entries of the same number. Becomes an array, or gets a longer list, if that does not help. */
  #makeRoom(): void {
    this.#combine()
    const { length } = this.#codes
    if (this.#length * 2 < length) return
    const { size } = this.dictionary
    const longer = Math.max(length * 2, initialEntries)
    if (longer === initialEntries || longer * entryBytes < size * 4) {
      this.#resize(longer)
      return
    }
    this.#toDense(size)
  }

  #combine(): void {
    const [codes, times] = [this.#codes, this.#times]
    const counts = this.dictionary.scratch()
    for (let at = 0; at < this.#length; at++) {
      const code = codes[at] as number
      counts[code] = (counts[code] as number) + (times[at] as number)
    }
    let length = 0
    for (let at = 0; at < this.#length; at++) {
      const code = codes[at] as number
      const count = counts[code] as number
      if (count === 0) continue
      counts[code] = 0
      codes[length] = code
      times[length++] = count
    }
    this.#length = length
  }

  #resize(length: number): void {
    this.budget.reserve((length - this.#codes.length) * entryBytes)
    this.#codes = copyInto(new Uint32Array(length), this.#codes.subarray(0, this.#length))
    this.#times = copyInto(new Uint32Array(length), this.#times.subarray(0, this.#length))
  }
}

function countCodes(
  counts: Uint32Array,
  codes: Uint32Array,
  count: number,
  mapping: Uint32Array | undefined,
): void {
  for (let n = 0; n < count; n++) {
    const code = codes[n] as number
    const own = mapping ? (mapping[code] as number) : code
    counts[own] = (counts[own] as number) + 1
  }
}

function addDense(counts: Uint32Array, more: Uint32Array, mapping: Uint32Array): void {
  const end = Math.min(mapping.length, more.length)
  for (let code = 0; code < end; code++) {
    const own = mapping[code] as number
    counts[own] = (counts[own] as number) + (more[code] as number)
  }
}

function addList(
  counts: Uint32Array,
  codes: Uint32Array,
  times: Uint32Array,
  mapping: Uint32Array | undefined,
): void {
  for (let at = 0; at < codes.length; at++) {
    const code = codes[at] as number
    const own = mapping ? (mapping[code] as number) : code
    counts[own] = (counts[own] as number) + (times[at] as number)
  }
}
