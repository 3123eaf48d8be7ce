import type { Selection } from "./selection.ts"

// Operations on bitsets, which have one bit per dictionary ID. Words are signed, because unsigned 32-bit words are
// slower in JavaScript. Each operation processes a whole array: small functions with one loop are compiled sooner and
// optimized better, and calling a function for each element would cost more than the work itself.

/** One bit per dictionary ID, including ID 0 (a missing ID). */
export type Bitset = Int32Array

export const bitsPerWord = 32
/** Number of adjacent words that can be cleared in the time that it takes to clear one word at a random index. */
const wordsPerReset = 8

/** Returns the size of a bitset for IDs up to `size`, in bytes. */
export function bitsetBytes(size: number): number {
  return ((size >>> 5) + 1) * 4
}

/** Creates an empty bitset for IDs up to `size`. */
export function newBitset(size: number): Bitset {
  return new Int32Array((size >>> 5) + 1)
}

/** Sets the bits of the selected IDs, and returns how many were not set before. */
export function addToBitset(bits: Bitset, ids: Uint32Array, { first, end, at }: Selection): number {
  return at ? addAt(bits, ids, at) : addRange(bits, ids, first, end)
}

function addRange(bits: Bitset, ids: Uint32Array, first: number, end: number): number {
  let added = 0
  for (let index = first; index < end; index++) {
    const id = ids[index] as number
    const word = bits[id >>> 5] as number
    const bit = 1 << (id & 31)
    if ((word & bit) === 0) {
      bits[id >>> 5] = word | bit
      added++
    }
  }
  return added
}

function addAt(bits: Bitset, ids: Uint32Array, at: Uint32Array): number {
  let added = 0
  for (let n = 0; n < at.length; n++) {
    const id = ids[at[n] as number] as number
    const word = bits[id >>> 5] as number
    const bit = 1 << (id & 31)
    if ((word & bit) === 0) {
      bits[id >>> 5] = word | bit
      added++
    }
  }
  return added
}

/**
 * Sets the bit at `first` plus each offset, and returns how many bits were not set before. Shares no code with
 * `addToBitset`, because a loop over two types of arrays is slower.
 */
export function addOffsets(bits: Bitset, offsets: Uint16Array, first: number): number {
  let added = 0
  for (let n = 0; n < offsets.length; n++) {
    const id = first + (offsets[n] as number)
    const word = bits[id >>> 5] as number
    const bit = 1 << (id & 31)
    if ((word & bit) === 0) {
      bits[id >>> 5] = word | bit
      added++
    }
  }
  return added
}

/** Sets the bits of the selected IDs. Faster than `addToBitset`, because it does not count new IDs. */
export function setBits(bits: Bitset, ids: Uint32Array, { first, end, at }: Selection): void {
  if (at) setAt(bits, ids, at)
  else setRange(bits, ids, first, end)
}

function setRange(bits: Bitset, ids: Uint32Array, first: number, end: number): void {
  for (let index = first; index < end; index++) {
    const id = ids[index] as number
    bits[id >>> 5] = (bits[id >>> 5] as number) | (1 << (id & 31))
  }
}

function setAt(bits: Bitset, ids: Uint32Array, at: Uint32Array): void {
  for (let n = 0; n < at.length; n++) {
    const id = ids[at[n] as number] as number
    bits[id >>> 5] = (bits[id >>> 5] as number) | (1 << (id & 31))
  }
}

/**
 * Moves the distinct IDs of a list (except 0) to its start, and returns how many there are. `marks` must be an empty
 * bitset, and is empty again afterwards.
 */
export function moveDistinct(ids: Uint32Array, count: number, marks: Bitset): number {
  let distinct = 0
  marks[0] = 1
  // The loop has no branch, because a branch would often be mispredicted if many IDs repeat.
  for (let n = 0; n < count; n++) {
    const id = ids[n] as number
    const word = marks[id >>> 5] as number
    marks[id >>> 5] = word | (1 << (id & 31))
    ids[distinct] = id
    distinct += ~(word >>> (id & 31)) & 1
  }
  if (distinct * wordsPerReset > marks.length) marks.fill(0)
  else for (let n = 0; n < distinct; n++) marks[(ids[n] as number) >>> 5] = 0
  marks[0] = 0
  return distinct
}

/** Writes the indexes of the selected IDs whose bit is set to `indexes`, and returns how many there are. */
export function findInBitset(
  bits: Bitset,
  ids: Uint32Array,
  { first, end, at }: Selection,
  indexes: Uint32Array,
): number {
  return at ? findAt(bits, ids, at, indexes) : findRange(bits, ids, first, end, indexes)
}

function findRange(bits: Bitset, ids: Uint32Array, first: number, end: number, indexes: Uint32Array): number {
  let found = 0
  for (let index = first; index < end; index++) {
    const id = ids[index] as number
    if (((bits[id >>> 5] as number) & (1 << (id & 31))) !== 0) indexes[found++] = index
  }
  return found
}

function findAt(bits: Bitset, ids: Uint32Array, at: Uint32Array, indexes: Uint32Array): number {
  let found = 0
  for (let n = 0; n < at.length; n++) {
    const index = at[n] as number
    const id = ids[index] as number
    if (((bits[id >>> 5] as number) & (1 << (id & 31))) !== 0) indexes[found++] = index
  }
  return found
}

/** Sets the bits that are set in `other`, which must not be longer, and returns how many were not set before. */
export function uniteBitsets(bits: Bitset, other: Bitset): number {
  let added = 0
  for (let index = 0; index < other.length; index++) {
    const word = bits[index] as number
    const more = (other[index] as number) & ~word
    if (more === 0) continue
    bits[index] = word | more
    added += popcount(more)
  }
  return added
}

/** Returns the number of set bits in a word. */
function popcount(word: number): number {
  let sum = word - ((word >>> 1) & 0x5555_5555)
  sum = (sum & 0x3333_3333) + ((sum >>> 2) & 0x3333_3333)
  sum = (sum + (sum >>> 4)) & 0x0f0f_0f0f
  return Math.imul(sum, 0x0101_0101) >>> 24
}

/** Returns the IDs whose bits are set (except 0), in ascending order. `count` is their number. */
export function idsInBitset(bits: Bitset, count: number): Uint32Array {
  const ids = new Uint32Array(count)
  let at = 0
  for (let index = 0; index < bits.length; index++) {
    for (let left = (bits[index] as number) & (index === 0 ? ~1 : ~0); left !== 0; left &= left - 1)
      ids[at++] = index * bitsPerWord + 31 - Math.clz32(left & -left)
  }
  return ids
}

/** Sets `labels[id]` to `label` for each ID in the set whose label is 0, except for ID 0. Returns how many were set. */
export function labelUnlabeled(bits: Bitset, labels: Uint32Array, label: number): number {
  let labeled = 0
  for (let index = 0; index < bits.length; index++) {
    for (let left = (bits[index] as number) & (index === 0 ? ~1 : ~0); left !== 0; left &= left - 1) {
      const id = index * bitsPerWord + 31 - Math.clz32(left & -left)
      if (labels[id] !== 0) continue
      labels[id] = label
      labeled++
    }
  }
  return labeled
}

/** For each label, adds the number of IDs in the set that have this label to `counts`. Includes ID 0. */
export function countByLabel(bits: Bitset, labels: Uint32Array, counts: Uint32Array): void {
  for (let index = 0; index < bits.length; index++) {
    for (let left = bits[index] as number; left !== 0; left &= left - 1) {
      const label = labels[index * bitsPerWord + 31 - Math.clz32(left & -left)] as number
      counts[label] = (counts[label] as number) + 1
    }
  }
}

/** Calls `visit` with each ID in the set that has the label, except for ID 0. */
export function eachWithLabel(
  bits: Bitset,
  labels: Uint32Array,
  label: number,
  visit: (id: number) => void,
): void {
  for (let index = 0; index < bits.length; index++) {
    for (let left = (bits[index] as number) & (index === 0 ? ~1 : ~0); left !== 0; left &= left - 1) {
      const id = index * bitsPerWord + 31 - Math.clz32(left & -left)
      if (labels[id] === label) visit(id)
    }
  }
}
