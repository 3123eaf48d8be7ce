import { copyInto } from "../../columns/typed-arrays.ts"
import type { MemoryBudget } from "./memory-budget.ts"

/** Bytes that an object takes without numbers, measured. */
const objectBytes = 400
/** Bytes of one entry: a number and its count. */
const entryBytes = 16
/** Entries above which they are sorted for the first time: a sort of fewer costs more than the memory is worth. */
const minSorted = 1_024

/**
 * Counts how often each number occurs. Entries are appended, and sorted and combined whenever their number has doubled since the last
 * time, so that adding a number costs about 0.1 us however many distinct ones there are; a Map takes 0.3 us and five times the memory.
 * With a `base`, which must no longer change, it stores only the additions.
 */
export class NumberCounts {
  #values = new Float64Array(4)
  #times = new Float64Array(4)
  #count = 0
  /** The first entries are sorted and distinct. */
  #sorted = 0

  readonly #base: NumberCounts | undefined

  constructor(
    private readonly budget: MemoryBudget,
    base?: NumberCounts,
  ) {
    budget.reserve(objectBytes)
    if (!base) return
    base.#sort()
    // `percentile` walks two lists.
    if (base.#base) this.merge(base)
    else this.#base = base
  }

  add(value: number, times: number): void {
    if (this.#count === this.#values.length) this.#makeRoom(1)
    this.#values[this.#count] = value
    this.#times[this.#count++] = times
  }

  /** Adds the counts of others. */
  merge(other: NumberCounts): void {
    if (other.#base) this.merge(other.#base)
    if (this.#count + other.#count > this.#values.length) this.#makeRoom(other.#count)
    this.#values.set(other.#values.subarray(0, other.#count), this.#count)
    this.#times.set(other.#times.subarray(0, other.#count), this.#count)
    this.#count += other.#count
  }

  /** Shrinks it to its minimum. */
  pack(): void {
    this.#sort()
    this.#resize(this.#count)
  }

  /** The nearest-rank percentile; null if there are no numbers. `share`: 0.95 for the 95th. */
  percentile(share: number): number | null {
    this.#sort()
    const lists = this.#base ? [this, this.#base] : [this]
    let total = 0
    for (const list of lists) for (let at = 0; at < list.#count; at++) total += list.#times[at] as number
    if (total === 0) return null
    const rank = Math.max(1, Math.ceil(share * total))
    const [left, right] = [lists[0] as NumberCounts, lists[1]]
    for (let [seen, here, there] = [0, 0, 0]; ; ) {
      const isLeft =
        here < left.#count &&
        !(right && there < right.#count && (right.#values[there] as number) < (left.#values[here] as number))
      const list = isLeft ? left : (right as NumberCounts)
      const at = isLeft ? here++ : there++
      seen += list.#times[at] as number
      if (seen >= rank) return list.#values[at] as number
    }
  }

  #makeRoom(more: number): void {
    if (this.#count >= Math.max(minSorted, this.#sorted * 2)) this.#sort()
    const needed = this.#count + more
    // More than half full after combining: the next sort should find as many new entries again.
    if (needed * 2 > this.#values.length) this.#resize(needed * 2)
  }

  #resize(length: number): void {
    this.budget.reserve((length - this.#values.length) * entryBytes)
    this.#values = copyInto(new Float64Array(length), this.#values.subarray(0, this.#count))
    this.#times = copyInto(new Float64Array(length), this.#times.subarray(0, this.#count))
  }

  /** Sorts all entries by number, and combines those of the same number. */
  #sort(): void {
    const count = this.#count
    if (count === this.#sorted) return
    const distinct = this.#values.slice(0, count).sort()
    let size = 0
    // 0 and -0 are the same number.
    for (let at = 0; at < count; at++)
      if (size === 0 || distinct[at] !== distinct[size - 1]) distinct[size++] = distinct[at] as number
    const times = new Float64Array(size)
    let hint = 0
    for (let at = 0; at < count; at++) {
      const value = this.#values[at] as number
      // Entries were often added in ascending order.
      if (distinct[hint] !== value)
        hint = distinct[hint + 1] === value && hint + 1 < size ? hint + 1 : indexOf(distinct, size, value)
      times[hint] = (times[hint] as number) + (this.#times[at] as number)
    }
    this.#values.set(distinct.subarray(0, size))
    this.#times.set(times)
    this.#count = size
    this.#sorted = size
  }
}

/** The index of a number among the first `size` ascending ones, which include it. */
function indexOf(ascending: Float64Array, size: number, value: number): number {
  let [low, high] = [0, size - 1]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((ascending[middle] as number) < value) low = middle + 1
    else high = middle
  }
  return low
}
