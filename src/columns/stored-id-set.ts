import { arrayOf, lowerBound } from "./typed-arrays.ts"

// The format of a set of dictionary ids. Like a Roaring bitmap, it has a chunk for each range of 65,536 consecutive ids
// in which the set has at least one id. A chunk is a list of 2-byte offsets from the start of its range, or a bitmap if
// that is smaller. The set starts with the number of chunks, followed by the index and the number of ids of each chunk,
// and then the chunks. Each number before the chunks takes up 4 bytes, and chunks are padded to a multiple of 4 bytes.

const idsPerChunk = 65_536
const wordsPerChunk = idsPerChunk / 32
/** Maximum number of ids in a list. A longer list would be larger than a bitmap. */
const maxListed = idsPerChunk / 16

/**
 * A chunk of a set. `content`: its ids as offsets from `first`, or as a bitmap whose first bit stands for `first`.
 * `size`: number of ids.
 */
interface IdChunk {
  first: number
  size: number
  content: Uint16Array | Int32Array
}

/** Encodes the set of the distinct ids in `ids`. Leaves out 0, which stands for a missing id. */
export function packIdSet(ids: Uint32Array): Uint8Array {
  const sorted = ids.slice().sort()
  const header: number[] = []
  const chunks: Uint8Array[] = []
  for (let at = lowerBound(sorted, 1); at < sorted.length; ) {
    const chunk = Math.floor((sorted[at] as number) / idsPerChunk)
    const end = lowerBound(sorted, (chunk + 1) * idsPerChunk, at)
    const bits = new Int32Array(wordsPerChunk)
    const size = addToBits(bits, sorted.subarray(at, end))
    header.push(chunk, size)
    const { buffer } = size > maxListed ? bits : offsetsIn(bits, size)
    chunks.push(new Uint8Array(buffer))
    at = end
  }
  return Buffer.concat([new Uint8Array(Uint32Array.of(chunks.length, ...header).buffer), ...chunks])
}

/** Sets the bits for ids of one chunk. Returns the number of distinct ids. */
function addToBits(bits: Int32Array, ids: Uint32Array): number {
  let size = 0
  for (let n = 0; n < ids.length; n++) {
    const offset = (ids[n] as number) % idsPerChunk
    const word = bits[offset >>> 5] as number
    const bit = 1 << (offset & 31)
    if ((word & bit) !== 0) continue
    bits[offset >>> 5] = word | bit
    size++
  }
  return size
}

/** Returns the indexes of the set bits, followed by a zero if their number is odd. */
function offsetsIn(bits: Int32Array, count: number): Uint16Array<ArrayBuffer> {
  const offsets = new Uint16Array(evenOf(count))
  let at = 0
  for (let index = 0; index < bits.length; index++)
    for (let left = bits[index] as number; left !== 0; left &= left - 1)
      offsets[at++] = index * 32 + 31 - Math.clz32(left & -left)
  return offsets
}

function evenOf(count: number): number {
  return count + (count & 1)
}

/** A set of dictionary ids, as stored in a block. */
export class StoredIdSet {
  readonly chunks: readonly IdChunk[]
  /** Number of ids. */
  readonly size: number

  /** `bytes`: the result of `packIdSet`. */
  constructor(bytes: Uint8Array) {
    const [count = 0] = arrayOf(bytes, 0, 1, 4)
    const header = arrayOf(bytes, 4, count * 2, 4)
    const chunks: IdChunk[] = []
    let [at, total] = [4 + count * 8, 0]
    for (let n = 0; n < header.length; n += 2) {
      const first = (header[n] as number) * idsPerChunk
      const size = header[n + 1] as number
      total += size
      if (size > maxListed) {
        const { buffer, byteOffset, length } = arrayOf(bytes, at, wordsPerChunk, 4)
        chunks.push({ first, size, content: new Int32Array(buffer, byteOffset, length) })
        at += wordsPerChunk * 4
      } else {
        chunks.push({ first, size, content: arrayOf(bytes, at, size, 2) })
        at += evenOf(size) * 2
      }
    }
    this.chunks = chunks
    this.size = total
  }

  /** Returns all ids in ascending order. */
  ids(): Uint32Array {
    const ids = new Uint32Array(this.size)
    let at = 0
    for (const { first, size, content } of this.chunks) {
      const offsets = content instanceof Uint16Array ? content : offsetsIn(content, size)
      for (let n = 0; n < size; n++) ids[at++] = first + (offsets[n] as number)
    }
    return ids
  }
}
