import type { Batch, IdKind } from "../../columns/batch.ts"
import type { Stamps } from "../../columns/stamps.ts"
import { copyInto } from "../../columns/typed-arrays.ts"
import { bitsetBytes, bitsPerWord, moveDistinct } from "../structures/bitset.ts"
import { IdSet } from "../structures/id-set.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { indexAt, type Selection, sizeOf } from "../structures/selection.ts"
import type { Measurement } from "./measurement.ts"

/** Overhead of a list or of a shared array, in bytes, not counting its IDs. */
const listBytes = 130
/**
 * A list that holds more than this fraction of the dictionary's IDs is converted to a set, because a bitset is then
 * smaller.
 */
const listedShare = 1 / bitsPerWord

/**
 * A list shares an array of at least this many IDs instead of copying it. Otherwise, the IDs would be copied again each
 * time the list grows.
 */
const minSharedIds = 256

/**
 * A list of IDs: the first `count` elements of `ids`, and all elements of the shared arrays, which belong to other
 * objects and never change. Duplicates are removed when the IDs are counted, which is faster than a hash table.
 */
interface IdList {
  ids: Uint32Array
  count: number
  shared: Uint32Array[]
  /** Number of IDs in `ids` and in the shared arrays. */
  total: number
  isDistinct: boolean
}

/**
 * Counts distinct IDs in a few groups, with a list or a set per group. For many groups, use `GroupedIds`. Most groups
 * have only one ID, which is stored directly rather than in a list. If there is a `base`, its groups are read from it,
 * and a group is not stored here until an ID is added to it. The base must not change afterwards.
 */
export class DistinctIds implements Measurement {
  /** For each group: a set, a list, a single ID, or 0 if there are only the IDs of the base. */
  readonly #groups: (IdSet | IdList | number)[]

  constructor(
    private readonly kind: IdKind,
    private readonly range: number,
    private readonly stamps: Stamps,
    private readonly budget: MemoryBudget,
    private readonly base?: DistinctIds,
  ) {
    this.#groups = base ? base.#groups.map(() => 0) : []
  }

  grow(): void {
    this.#groups.push(0)
  }

  count(): void {}

  addAll(group: number, batch: Batch, selection: Selection): void {
    const stored = sizeOf(selection) === batch.count ? batch.distinct?.(this.kind) : undefined
    if (stored) {
      this.#ownSet(group).addStored(stored)
      return
    }
    const ids = batch[this.kind]()
    if (sizeOf(selection) === 1) this.#add(group, ids[indexAt(selection, 0)] as number)
    else this.#addAll(group, ids, selection, batch.block !== undefined)
  }

  /** Adds the selected IDs to a group. `isConstant` is true if the array of IDs never changes. */
  #addAll(group: number, ids: Uint32Array, selection: Selection, isConstant: boolean): void {
    const size = sizeOf(selection)
    const known = this.#of(group)
    const before = isList(known) && this.#groups[group] === known ? known : undefined
    if ((!before && known !== 0) || (before?.total ?? 0) + size > this.range * listedShare) {
      this.#ownSet(group).addAll(ids, selection)
      return
    }
    const list = before ?? this.#newList(group)
    const { first, end, at } = selection
    if (isConstant && !at && size >= minSharedIds) {
      // Reserves memory as if the array were copied, because the list keeps the array alive even if its owner is
      // evicted from the cache.
      this.budget.reserve(listBytes + size * 4)
      list.shared.push(ids.subarray(first, end))
    } else {
      const start = this.#makeRoom(list, size)
      if (at) for (let n = 0; n < at.length; n++) list.ids[start + n] = ids[at[n] as number] as number
      else list.ids.set(ids.subarray(first, end), start)
      list.count += size
    }
    list.total += size
    list.isDistinct = false
  }

  #newList(group: number): IdList {
    this.budget.reserve(listBytes)
    const list = { ids: new Uint32Array(0), count: 0, shared: [], total: 0, isDistinct: true }
    this.#groups[group] = list
    return list
  }

  /** Makes room for `more` IDs in the list's own array, and returns the position for the first of them. */
  #makeRoom(list: IdList, more: number): number {
    const { length } = list.ids
    const count = list.count + more
    if (length < count) {
      const longer = Math.max(count, length * 2)
      this.budget.reserve((longer - length) * 4)
      list.ids = copyInto(new Uint32Array(longer), list.ids)
    }
    return list.count
  }

  addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    const ids = batch[this.kind]()
    for (let n = 0; n < groups.length; n++)
      this.#add(groups[n] as number, ids[indexAt(selection, n)] as number)
  }

  #add(group: number, id: number): void {
    const stored = this.#groups[group] as IdSet | IdList | number
    if (typeof stored === "object") this.#ownSet(group).add(id)
    else if (id !== 0 && stored !== id) {
      const known = this.#of(group)
      if (known === 0) this.#groups[group] = id
      else if (known !== id) this.#ownSet(group).add(id)
    }
  }

  merge(group: number, other: DistinctIds, from: number): void {
    const ids = other.#of(from)
    if (typeof ids === "number") this.#add(group, ids)
    else if (isList(ids))
      this.#addAll(group, other.#distinct(ids), { first: 0, end: ids.count, at: undefined }, true)
    else this.#ownSet(group).merge(ids)
  }

  pack(): void {
    for (const group of this.#groups) {
      if (typeof group === "number") continue
      if (!isList(group)) {
        group.pack()
        continue
      }
      const before = bytesOf(group)
      if (this.#distinct(group).length > group.count * 2) group.ids = group.ids.slice(0, group.count)
      this.budget.reserve(bytesOf(group) - before)
    }
  }

  value(group: number): number {
    const ids = this.#of(group)
    if (typeof ids === "number") return Math.min(ids, 1)
    if (!isList(ids)) return ids.size
    this.#distinct(ids)
    return ids.count
  }

  /**
   * Copies the shared IDs of a list to the list's own array, and removes duplicates and 0. Returns the array, of which
   * the first `count` elements are the IDs.
   */
  #distinct(list: IdList): Uint32Array {
    if (list.isDistinct) return list.ids
    if (list.shared.length > 0) this.#unshare(list)
    list.count = moveDistinct(list.ids, list.count, this.stamps.emptyBits(bitsetBytes(this.range) / 4))
    list.total = list.count
    list.isDistinct = true
    return list.ids
  }

  /** Copies the shared IDs of a list to the list's own array. Their memory is already reserved (see `#addAll`). */
  #unshare(list: IdList): void {
    const { count, shared, total } = list
    const ids = new Uint32Array(total)
    ids.set(list.ids.subarray(0, count))
    let at = count
    for (const part of shared) {
      ids.set(part, at)
      at += part.length
    }
    list.ids = ids
    list.count = total
    list.shared = []
  }

  #of(group: number): IdSet | IdList | number {
    return this.#groups[group] || (this.base ? this.base.#of(group) : 0)
  }

  /** Returns the IDs of a group as a set that the caller can modify. */
  #ownSet(group: number): IdSet {
    const stored = this.#groups[group] as IdSet | IdList | number
    if (stored instanceof IdSet) return stored
    const known = this.#of(group)
    const set =
      known instanceof IdSet ? IdSet.over(known, this.range, this.budget) : new IdSet(this.range, this.budget)
    if (typeof known === "number") set.add(known)
    else if (isList(known))
      for (const part of [known.ids.subarray(0, known.count), ...known.shared])
        set.addAll(part, { first: 0, end: part.length, at: undefined })
    if (typeof stored === "object") this.budget.reserve(-bytesOf(stored))
    this.#groups[group] = set
    return set
  }
}

function isList(ids: IdSet | IdList | number): ids is IdList {
  return typeof ids === "object" && !(ids instanceof IdSet)
}

/** Returns the number of bytes reserved for a list. */
function bytesOf({ ids, count, shared, total }: IdList): number {
  return listBytes * (1 + shared.length) + (ids.length + total - count) * 4
}
