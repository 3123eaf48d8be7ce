import type { Batch, IdKind } from "../../columns/batch.ts"
import type { Stamps } from "../../columns/stamps.ts"
import { copyInto, lowerBound } from "../../columns/typed-arrays.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { indexAt, type Selection, sizeOf } from "../structures/selection.ts"
import type { Measurement } from "./measurement.ts"

/** Number of pairs to collect before sorting them (8 MB). Each sort reads all IDs that are already in lists. */
const minPending = 1_048_576
/** Lists with at least this many IDs are shared with the other table in a merge. Shorter lists are copied. */
const minSharedIds = 64
/**
 * If a group has at most this many IDs, they are compared with each other, which needs no stamps and creates no
 * objects. In a breakdown by many values, most groups have one ID.
 */
const fewIds = 16
/** Number of IDs that can be counted in the time that one step of a binary search takes. */
const idsPerStep = 2

/** The IDs of one group in a table. They must not change. */
interface IdList {
  table: GroupedIds
  group: number
}

/**
 * Counts distinct IDs in many groups. Collects pairs of a group and an ID. Once there are many pairs, sorts them by
 * group and removes duplicates. This takes up 4 bytes per ID, whereas a set per group would take up a hundred bytes per
 * group and need one lookup per event. If there is a `base`, which must not change afterwards, only IDs that are added
 * later are stored here. A table, its base, the base of its base, and so on, are called levels. A merge shares the
 * lists of the other table, so the same ID can be in several lists of a group. Duplicates across lists and levels are
 * not found until the IDs are counted. If only a few IDs were added, they are looked up in the base, whose own count is
 * cached.
 */
export class GroupedIds implements Measurement {
  #groups: number
  #pendingGroups = new Uint32Array(256)
  #pendingIds = new Uint32Array(256)
  #pending = 0
  /** The IDs of group n are at `#ids[#ends[n - 1]]` to `#ids[#ends[n]]`, exclusive. */
  #ends = new Uint32Array(0)
  #ids = new Uint32Array(0)
  /** For each group: the lists shared with merged tables. */
  readonly #shared = new Map<number, IdList[]>()
  /** For each group: 1 if its IDs are sorted in ascending order. Undefined until the first group is sorted. */
  #isSorted: Uint8Array | undefined
  /** The cached result of `#bound`. */
  #largest: number | undefined
  /** Number of distinct IDs in each group. Undefined until counted. */
  #sizes: Uint32Array | undefined
  #bytes = 0

  /** `range` is one more than the largest ID. */
  constructor(
    private readonly kind: IdKind,
    private readonly range: number,
    private readonly stamps: Stamps,
    private readonly budget: MemoryBudget,
    private readonly base?: GroupedIds,
  ) {
    this.#groups = base ? base.#groups : 0
    this.#account()
  }

  grow(): void {
    this.#groups++
    this.#sizes = undefined
  }

  count(): void {}

  addAll(group: number, batch: Batch, selection: Selection): void {
    const size = sizeOf(selection)
    this.#makeRoom(size)
    const ids = batch[this.kind]()
    const [groups, pending] = [this.#pendingGroups, this.#pendingIds]
    let at = this.#pending
    for (let n = 0; n < size; n++) {
      const id = ids[indexAt(selection, n)] as number
      groups[at] = group
      pending[at] = id
      at += id === 0 ? 0 : 1
    }
    this.#pending = at
  }

  addEach(groupOf: Uint32Array, batch: Batch, { first, at: positions }: Selection): void {
    this.#makeRoom(groupOf.length)
    const ids = batch[this.kind]()
    const [groups, pending] = [this.#pendingGroups, this.#pendingIds]
    let at = this.#pending
    for (let n = 0; n < groupOf.length; n++) {
      const id = ids[positions ? (positions[n] as number) : first + n] as number
      groups[at] = groupOf[n] as number
      pending[at] = id
      at += id === 0 ? 0 : 1
    }
    this.#pending = at
  }

  merge(group: number, other: GroupedIds, from: number): void {
    if (other.base && from < other.base.#groups) this.merge(group, other.base, from)
    other.#sort()
    this.#mergeList(group, other, from)
    const shared = other.#shared.get(from)
    if (shared) for (const list of shared) this.#mergeList(group, list.table, list.group)
  }

  #mergeList(group: number, table: GroupedIds, from: number): void {
    const start = table.#startOf(from)
    const count = table.#countOf(from)
    if (count >= minSharedIds) {
      // Reserves memory as if the list were copied, because `#shared` keeps the other table alive even if it is evicted
      // from the cache.
      this.budget.reserve(count * Uint32Array.BYTES_PER_ELEMENT)
      const list = { table, group: from }
      const shared = this.#shared.get(group)
      if (shared) shared.push(list)
      else this.#shared.set(group, [list])
      this.#sizes = undefined
    } else if (count > 0) {
      this.#makeRoom(count)
      const ids = table.#ids
      const pendingIds = this.#pendingIds
      const pendingGroups = this.#pendingGroups
      const pending = this.#pending
      for (let n = 0; n < count; n++) {
        pendingIds[pending + n] = ids[start + n] as number
        pendingGroups[pending + n] = group
      }
      this.#pending += count
    }
  }

  pack(): void {
    this.#sort()
    this.#pendingGroups = new Uint32Array(0)
    this.#pendingIds = new Uint32Array(0)
    this.#account()
  }

  value(group: number): number {
    this.#sizes ??= this.#countSizes()
    return this.#sizes[group] as number
  }

  /**
   * Returns the IDs of a group on this level, some of which may also be in the base. Creates an array view, so code
   * that runs for each of many groups calls the next two methods instead.
   */
  #ownIds(group: number): Uint32Array {
    const start = this.#startOf(group)
    return this.#ids.subarray(start, start + this.#countOf(group))
  }

  #startOf(group: number): number {
    return group === 0 ? 0 : (this.#ends[group - 1] ?? 0)
  }

  #countOf(group: number): number {
    const start = this.#startOf(group)
    return (this.#ends[group] ?? start) - start
  }

  #makeRoom(more: number): void {
    this.#sizes = undefined
    const limit = Math.max(minPending, this.#ids.length)
    if (this.#pending > 0 && this.#pending + more > limit) this.#sort()
    const size = this.#pendingIds.length
    if (this.#pending + more <= size) return
    const larger = Math.max(size * 2, 256, this.#pending + more)
    this.#pendingGroups = copyInto(new Uint32Array(larger), this.#pendingGroups)
    this.#pendingIds = copyInto(new Uint32Array(larger), this.#pendingIds)
    this.#account()
  }

  /** Moves the collected pairs into the lists. */
  #sort(): void {
    if (this.#pending === 0) return
    const [groups, pending, count] = [this.#pendingGroups, this.#pendingIds, this.#pending]
    // Counting sort by group. `ends` first contains the number of pairs in each group, then the start of each group,
    // and finally its end.
    const ends = new Uint32Array(this.#groups)
    for (let n = 0; n < count; n++) {
      const group = groups[n] as number
      ends[group] = (ends[group] as number) + 1
    }
    let sum = 0
    for (let group = 0; group < ends.length; group++) {
      const size = ends[group] as number
      ends[group] = sum
      sum += size
    }
    const sorted = new Uint32Array(count)
    for (let n = 0; n < count; n++) {
      const group = groups[n] as number
      const at = ends[group] as number
      sorted[at] = pending[n] as number
      ends[group] = at + 1
    }
    const before = this.#ids
    const ids = new Uint32Array(before.length + count)
    const newEnds = new Uint32Array(this.#groups)
    let [at, old, next] = [0, 0, 0]
    for (let group = 0; group < this.#groups; group++) {
      const oldEnd = this.#ends[group] ?? old
      const nextEnd = ends[group] as number
      if (next === nextEnd) {
        if (oldEnd - old >= minSharedIds) {
          ids.set(before.subarray(old, oldEnd), at)
          at += oldEnd - old
          old = oldEnd
        } else for (; old < oldEnd; old++) ids[at++] = before[old] as number
      } else if (oldEnd - old + nextEnd - next <= fewIds) {
        const start = at
        for (; old < oldEnd; old++) ids[at++] = before[old] as number
        for (; next < nextEnd; next++) {
          const id = sorted[next] as number
          if (!isIn(ids, start, at, id)) ids[at++] = id
        }
      } else {
        const { array, stamp } = this.stamps.of(this.range)
        for (; old < oldEnd; old++) {
          const id = before[old] as number
          array[id] = stamp
          ids[at++] = id
        }
        for (; next < nextEnd; next++) {
          const id = sorted[next] as number
          if (array[id] === stamp) continue
          array[id] = stamp
          ids[at++] = id
        }
      }
      newEnds[group] = at
    }
    this.#ids = at === ids.length ? ids : ids.slice(0, at)
    this.#ends = newEnds
    this.#isSorted = undefined
    this.#pending = 0
    this.#account()
  }

  #countSizes(): Uint32Array {
    // All levels are sorted before counting starts, because sorting would overwrite the marks of counting.
    for (let level: GroupedIds | undefined = this; level; level = level.base) level.#sort()
    const sizes = new Uint32Array(this.#groups)
    const found = new Uint32Array(fewIds)
    const { base } = this
    for (let group = 0; group < sizes.length; group++) {
      const isNewGroup = !base || group >= base.#groups
      const length = this.#countOf(group)
      if (this.#shared.has(group) || (!isNewGroup && length > 0))
        sizes[group] = this.#countFew(group, found) ?? this.#countDistinct(group)
      else sizes[group] = isNewGroup ? length : base.value(group)
    }
    return sizes
  }

  /**
   * Counts the distinct IDs of a group across all levels if there are up to `fewIds` IDs and no shared lists.
   * Otherwise, returns undefined. `found` is an array with room for `fewIds` IDs. Its content is overwritten.
   */
  #countFew(group: number, found: Uint32Array): number | undefined {
    let total = 0
    for (let level: GroupedIds | undefined = this; level; level = level.base) {
      total += level.#countOf(group)
      if (total > fewIds || level.#shared.has(group)) return undefined
    }
    let count = 0
    for (let level: GroupedIds | undefined = this; level; level = level.base) {
      const ids = level.#ids
      const start = level.#startOf(group)
      const end = start + level.#countOf(group)
      for (let at = start; at < end; at++) {
        const id = ids[at] as number
        if (!isIn(found, 0, count, id)) found[count++] = id
      }
    }
    return count
  }

  /** Counts the distinct IDs of a group across all lists and levels. */
  #countDistinct(group: number): number {
    const { base } = this
    const addedLists = this.#listsOf(group)
    const below: IdList[] = []
    for (let level = base; level; level = level.base) below.push(...level.#listsOf(group))
    // Most added IDs are larger than all IDs in the base, so they need no search.
    const bound = base ? base.#bound() : 0
    const total = below.reduce((sum, { table, group }) => sum + table.#countOf(group), 0)
    // If there is no base, there is nothing to search, and reading all IDs once more would take a quarter of the time.
    const searched = base
      ? addedLists.reduce((sum, { table, group }) => sum + countUpTo(table.#ownIds(group), bound), 0)
      : 0
    const steps = searched * below.length * Math.log2(total + 1)
    const isSearch = base !== undefined && steps * idsPerStep < total
    // Counting the base also takes a stamp, so it is done before this level takes its own.
    const baseCount = isSearch ? base.value(group) : 0
    const { array, stamp } = this.stamps.of(this.range)
    if (!isSearch)
      return [...addedLists, ...below].reduce(
        (sum, { table, group }) => sum + markNew(table.#ownIds(group), array, stamp),
        0,
      )
    const known = searched > 0 ? below.map(({ table, group }) => table.#sortedIds(group)) : []
    let count = baseCount
    for (const { table, group } of addedLists) {
      for (const id of table.#ownIds(group)) {
        if (array[id] === stamp) continue
        array[id] = stamp
        if (id > bound || !known.some((ids) => ids[lowerBound(ids, id)] === id)) count++
      }
    }
    return count
  }

  /**
   * Returns an upper bound of the IDs of all groups on this level and the levels below. Only call it on tables that no
   * longer change.
   */
  #bound(): number {
    if (this.#largest === undefined) {
      this.#sort()
      let largest = this.base ? this.base.#bound() : 0
      const ids = this.#ids
      for (let index = 0; index < ids.length; index++) largest = Math.max(largest, ids[index] as number)
      for (const lists of this.#shared.values())
        for (const { table } of lists) largest = Math.max(largest, table.#bound())
      this.#largest = largest
    }
    return this.#largest
  }

  /**
   * Returns the IDs of a group on this level in ascending order. Sorts them on first use, which is safe because nothing
   * else depends on their order.
   */
  #sortedIds(group: number): Uint32Array {
    const ids = this.#ownIds(group)
    this.#isSorted ??= new Uint8Array(this.#groups)
    if (this.#isSorted[group] === 0) ids.sort()
    this.#isSorted[group] = 1
    return ids
  }

  /** Returns the non-empty lists of a group on this level. */
  #listsOf(group: number): IdList[] {
    const shared = this.#shared.get(group) ?? []
    return this.#countOf(group) > 0 ? [{ table: this, group }, ...shared] : shared
  }

  #account(): void {
    const bytes =
      this.#pendingGroups.byteLength * 2 + this.#ids.byteLength + this.#ends.byteLength + this.#groups * 5
    this.budget.reserve(bytes - this.#bytes)
    this.#bytes = bytes
  }
}

/** True if an ID is in `ids` from `start` to `end`, exclusive. */
function isIn(ids: Uint32Array, start: number, end: number, id: number): boolean {
  for (let at = start; at < end; at++) if (ids[at] === id) return true
  return false
}

/** Marks IDs with a stamp, and returns how many did not have that stamp before. */
function markNew(ids: Uint32Array, array: Uint16Array, stamp: number): number {
  let count = 0
  for (let index = 0; index < ids.length; index++) {
    const id = ids[index] as number
    if (array[id] === stamp) continue
    array[id] = stamp
    count++
  }
  return count
}

/** Returns how many IDs are at most `bound`. */
function countUpTo(ids: Uint32Array, bound: number): number {
  let count = 0
  for (let index = 0; index < ids.length; index++) if ((ids[index] as number) <= bound) count++
  return count
}
