import type { Batch, IdKind } from "../../columns/batch.ts"
import { copyInto } from "../../columns/typed-arrays.ts"
import { type Bitset, bitsetBytes, bitsPerWord, moveDistinct, newBitset } from "../structures/bitset.ts"
import { IdSet } from "../structures/id-set.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { indexAt, type Selection, sizeOf } from "../structures/selection.ts"
import type { Measurement } from "./measurement.ts"

/** Bytes per list, in addition to its IDs. */
const listBytes = 130
/**
 * A list that holds more than this share of the dictionary's IDs is converted to a set, because a bitset is smaller.
 */
const listedShare = 1 / bitsPerWord

/**
 * Only the first `count` IDs of the array are used. Duplicates are removed when IDs are counted: a hash table would be
 * slower.
 */
interface IdList {
  ids: Uint32Array
  count: number
  isDistinct: boolean
}

/**
 * Counts distinct IDs in a few groups, with a list or a set per group. For many groups, use `GroupedIds`. Most groups
 * have only one ID, which is stored directly instead of a list.
 */
export class DistinctIds implements Measurement {
  /** A set, a list, a single ID, or 0 if the group only has the contents of the base. */
  readonly #groups: (IdSet | IdList | number)[]
  /**
   * Used to find duplicates. Its memory is reserved together with the first list, because a cached aggregate no longer
   * has a budget.
   */
  #marks: Bitset | undefined
  #hasLists = false

  constructor(
    private readonly kind: IdKind,
    private readonly range: number,
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
    else this.#addAll(group, ids, selection)
  }

  #addAll(group: number, ids: Uint32Array, selection: Selection): void {
    const size = sizeOf(selection)
    const known = this.#of(group)
    const before = isList(known) && this.#groups[group] === known ? known : undefined
    const start = before ? before.count : 0
    if ((!before && known !== 0) || start + size > this.range * listedShare) {
      this.#ownSet(group).addAll(ids, selection)
      return
    }
    const list = this.#listWithRoom(group, before, start + size)
    const { first, end, at } = selection
    if (at) for (let n = 0; n < at.length; n++) list.ids[start + n] = ids[at[n] as number] as number
    else list.ids.set(ids.subarray(first, end), start)
    list.count = start + size
    list.isDistinct = false
  }

  #listWithRoom(group: number, list: IdList | undefined, count: number): IdList {
    if (!list) {
      if (!this.#hasLists) this.budget.reserve(bitsetBytes(this.range))
      this.#hasLists = true
      this.budget.reserve(listBytes + count * 4)
      const created = { ids: new Uint32Array(count), count: 0, isDistinct: true }
      this.#groups[group] = created
      return created
    }
    const { length } = list.ids
    if (length < count) {
      const longer = Math.max(count, length * 2)
      this.budget.reserve((longer - length) * 4)
      list.ids = copyInto(new Uint32Array(longer), list.ids)
    }
    return list
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
    else if (isList(ids)) this.#addAll(group, other.#distinct(ids), all(ids))
    else this.#ownSet(group).merge(ids)
  }

  pack(): void {
    for (const group of this.#groups) {
      if (typeof group === "number") continue
      if (!isList(group)) group.pack()
      else if (this.#distinct(group).length > group.count * 2) {
        this.budget.reserve((group.count - group.ids.length) * 4)
        group.ids = group.ids.slice(0, group.count)
      }
    }
    if (this.#hasLists) this.budget.reserve(-bitsetBytes(this.range))
    this.#hasLists = false
    this.#marks = undefined
  }

  value(group: number): number {
    const ids = this.#of(group)
    if (typeof ids === "number") return Math.min(ids, 1)
    if (!isList(ids)) return ids.size
    this.#distinct(ids)
    return ids.count
  }

  /** Removes duplicates and 0 from a list. */
  #distinct(list: IdList): Uint32Array {
    if (!list.isDistinct) {
      this.#marks ??= newBitset(this.range)
      list.count = moveDistinct(list.ids, list.count, this.#marks)
      list.isDistinct = true
    }
    return list.ids
  }

  #of(group: number): IdSet | IdList | number {
    return this.#groups[group] || (this.base ? this.base.#of(group) : 0)
  }

  /** Returns a set that the caller can modify. */
  #ownSet(group: number): IdSet {
    const stored = this.#groups[group] as IdSet | IdList | number
    if (stored instanceof IdSet) return stored
    const known = this.#of(group)
    const set =
      known instanceof IdSet ? IdSet.over(known, this.range, this.budget) : new IdSet(this.range, this.budget)
    if (typeof known === "number") set.add(known)
    else if (isList(known)) set.addAll(known.ids, all(known))
    if (typeof stored === "object") this.budget.reserve(-listBytes - stored.ids.length * 4)
    this.#groups[group] = set
    return set
  }
}

function isList(ids: IdSet | IdList | number): ids is IdList {
  return typeof ids === "object" && !(ids instanceof IdSet)
}

function all({ count }: IdList): Selection {
  return { first: 0, end: count, at: undefined }
}
