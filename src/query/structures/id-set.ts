import type { StoredIdSet } from "../../columns/stored-id-set.ts"
import {
  addOffsets,
  addToBitset,
  type Bitset,
  bitsetBytes,
  bitsPerWord,
  idsInBitset,
  newBitset,
  uniteBitsets,
} from "./bitset.ts"
import type { MemoryBudget } from "./memory-budget.ts"
import { type Selection, sizeOf } from "./selection.ts"

/** Measured bytes of a set without its table. */
const setBytes = 130
const initialSlots = 8
/**
 * Maximum share of the available memory that a bitset can take up even if a hash table would be smaller. Each set thus
 * leaves most of the available memory to later sets.
 */
const spareShare = 1 / 64

/**
 * A set of dictionary IDs from 1 to `range`, stored as a small hash table, or as a bitset if there are many IDs. If
 * there is a `base`, only IDs that the base does not have are stored. The base must not change afterwards.
 */
export class IdSet {
  #added = 0
  #slots: Uint32Array | undefined = new Uint32Array(initialSlots)
  #bits: Bitset | undefined
  /** The IDs as a plain list, if `pack` has replaced the hash table or bitset with it. */
  #list: Uint32Array | undefined

  constructor(
    private readonly range: number,
    private readonly budget: MemoryBudget,
    private readonly base?: IdSet,
  ) {
    budget.reserve(setBytes + initialSlots * 4)
  }

  /** Creates a set that starts with the IDs of `base`. */
  static over(base: IdSet, range: number, budget: MemoryBudget): IdSet {
    if (!base.#list) return new IdSet(range, budget, base)
    const copy = new IdSet(range, budget)
    copy.merge(base)
    return copy
  }

  get size(): number {
    return this.#added + (this.base?.size ?? 0)
  }

  has(id: number): boolean {
    const { base } = this
    if (base?.has(id)) return true
    const bits = this.#bits
    // The bitset is too short for IDs that were added to the dictionary later.
    if (bits) return ((bits[id >>> 5] ?? 0) & (1 << (id & 31))) !== 0
    return hasSlot(this.#slots as Uint32Array, id)
  }

  /** Adds the IDs of the selected events, except 0 (a missing ID). */
  addAll(ids: Uint32Array, selection: Selection): void {
    const { first, end, at } = selection
    this.#expect(sizeOf(selection))
    if (this.#bits && !this.base) this.#added += addToBitset(this.#bits, ids, selection)
    else if (at) for (let n = 0; n < at.length; n++) this.add(ids[at[n] as number] as number)
    else for (let index = first; index < end; index++) this.add(ids[index] as number)
  }

  add(id: number): void {
    if (id === 0 || this.base?.has(id)) return
    const bits = this.#bits
    if (bits) {
      const word = bits[id >>> 5] as number
      const bit = 1 << (id & 31)
      if ((word & bit) !== 0) return
      bits[id >>> 5] = word | bit
      this.#added++
      return
    }
    const slots = this.#slots as Uint32Array
    if (insertSlot(slots, id)) {
      this.#added++
      if (this.#added * 2 > slots.length) this.#grow(slots)
    }
  }

  /** Adds a set of IDs that is stored in a block. */
  addStored(stored: StoredIdSet): void {
    this.#expect(stored.size)
    const bits = this.#bits
    if (!bits || this.base) {
      this.addAll(stored.ids(), { first: 0, end: stored.size, at: undefined })
      return
    }
    for (const { first, content } of stored.chunks) {
      if (content instanceof Uint16Array) this.#added += addOffsets(bits, content, first)
      else {
        const own = bits.subarray(first / bitsPerWord)
        this.#added += uniteBitsets(own, content.subarray(0, own.length))
      }
    }
  }

  /** Adds the IDs of another set. */
  merge(other: IdSet): void {
    if (other.base) this.merge(other.base)
    this.#expect(other.#added)
    if (this.#bits && other.#bits && !this.base) this.#added += uniteBitsets(this.#bits, other.#bits)
    else {
      const ids = other.#ids()
      this.addAll(ids, { first: 0, end: ids.length, at: undefined })
    }
  }

  /** Shrinks the set to its minimum size. Afterwards, it can only be merged into other sets or passed to `over`. */
  pack(): void {
    const { byteLength } = (this.#bits ?? this.#slots) as Int32Array | Uint32Array
    if (this.#added * 4 >= byteLength) return
    this.#list = this.#ids()
    this.budget.reserve(this.#list.byteLength - byteLength)
    this.#bits = undefined
    this.#slots = undefined
  }

  /** Returns the IDs that are not in the base. */
  #ids(): Uint32Array {
    if (this.#list) return this.#list
    if (this.#bits) return idsInBitset(this.#bits, this.#added)
    return idsInSlots(this.#slots as Uint32Array, this.#added)
  }

  /**
   * Prepares for up to `more` new IDs. A bitset is faster than a hash table, and takes up as much memory as a table
   * with range / 64 IDs. If there is memory to spare, a bitset is already used for more than a sixteenth of that number
   * of IDs.
   */
  #expect(more: number): void {
    if (this.#bits || this.#list) return
    const isCheap = this.range / 8 < this.budget.available * spareShare
    const slots = this.#slots as Uint32Array
    if (more > this.range / 64 || (isCheap && more > this.range / 1_024)) this.#toBits()
    // Most IDs are usually new. Growing once takes less time than growing in many steps.
    else if ((this.#added + more) * 2 > slots.length)
      this.#grow(slots, 2 ** Math.ceil(Math.log2(this.#added + more)))
  }

  #grow(slots: Uint32Array, length = slots.length * 2): void {
    if (length <= slots.length) return
    if (length * bitsPerWord >= this.range) {
      this.#toBits()
      return
    }
    this.budget.reserve(length * slots.BYTES_PER_ELEMENT - slots.byteLength)
    const larger = new Uint32Array(length)
    for (let slot = 0; slot < slots.length; slot++) {
      const id = slots[slot] as number
      if (id !== 0) insertSlot(larger, id)
    }
    this.#slots = larger
  }

  #toBits(): void {
    const slots = this.#slots as Uint32Array
    this.budget.reserve(bitsetBytes(this.range) - slots.byteLength)
    const bits = newBitset(this.range)
    // The bit of ID 0 is always set, so that a missing ID never counts as new.
    bits[0] = 1
    addToBitset(bits, slots, { first: 0, end: slots.length, at: undefined })
    this.#bits = bits
    this.#slots = undefined
  }
}

// The hash table uses open addressing with linear probing. The number of slots is a power of two. An empty slot is 0.

function idsInSlots(slots: Uint32Array, count: number): Uint32Array {
  const ids = new Uint32Array(count)
  let at = 0
  for (let slot = 0; slot < slots.length; slot++) {
    const id = slots[slot] as number
    if (id !== 0) ids[at++] = id
  }
  return ids
}

function hasSlot(slots: Uint32Array, id: number): boolean {
  const last = slots.length - 1
  for (let slot = Math.imul(id, 0x9e37_79b1) & last; slots[slot] !== 0; slot = (slot + 1) & last)
    if (slots[slot] === id) return true
  return false
}

/** Inserts an ID. Returns false if the ID is already in the table. */
function insertSlot(slots: Uint32Array, id: number): boolean {
  const last = slots.length - 1
  let slot = Math.imul(id, 0x9e37_79b1) & last
  while (slots[slot] !== 0) {
    if (slots[slot] === id) return false
    slot = (slot + 1) & last
  }
  slots[slot] = id
  return true
}
