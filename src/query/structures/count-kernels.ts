import type { Codes } from "../../columns/batch.ts"
import { firstCode } from "./number-dictionary.ts"

/** Number of counts per piece. Counts stored in fewer than 4 bytes are converted to 4 bytes piece by piece. */
const pieceLength = 8_192

// Each loop over all values is in a separate function, because small functions are compiled sooner and optimized
// better.

/**
 * Calls `visit` with each piece of the counts, converted to 4 bytes per count, and the code of the first count in the
 * piece. All pieces share one buffer.
 */
export function forEachPiece(counts: Codes, visit: (piece: Uint32Array, first: number) => void): void {
  if (counts instanceof Uint32Array) {
    visit(counts, 0)
    return
  }
  const buffer = new Uint32Array(Math.min(counts.length, pieceLength))
  for (let first = 0; first < counts.length; first += pieceLength) {
    const part = counts.subarray(first, first + pieceLength)
    buffer.set(part)
    visit(buffer.subarray(0, part.length), first)
  }
}

export function totalOf(counts: Codes): number {
  let total = 0
  forEachPiece(counts, (piece, first) => {
    total += sumFrom(piece, first < firstCode ? firstCode - first : 0)
  })
  return total
}

function sumFrom(counts: Uint32Array, start: number): number {
  let total = 0
  for (let at = start; at < counts.length; at++) total += counts[at] as number
  return total
}

export function addAllCounts(counts: Uint32Array, more: Codes): void {
  forEachPiece(more, (piece, first) => addCounts(counts, piece, first))
}

export function maximum(counts: Uint32Array): number {
  let largest = 0
  for (let code = 0; code < counts.length; code++)
    if ((counts[code] as number) > largest) largest = counts[code] as number
  return largest
}

export function countCodes(counts: Uint32Array, codes: Uint32Array): void {
  for (let n = 0; n < codes.length; n++) {
    const code = codes[n] as number
    counts[code] = (counts[code] as number) + 1
  }
}

/** Counts only codes whose count is not 0. */
export function countMarked(counts: Uint32Array, codes: Uint32Array): void {
  for (let n = 0; n < codes.length; n++) {
    const code = codes[n] as number
    const count = counts[code] as number
    if (count > 0) counts[code] = count + 1
  }
}

/** Counts codes of any width. There is one loop for each type of array, because a loop for all types would be slow. */
export function countMappedCodes(counts: Uint32Array, codes: Codes, mapping: Uint32Array): void {
  if (codes instanceof Uint8Array) countMappedBytes(counts, codes, mapping)
  else if (codes instanceof Uint16Array) countMappedShorts(counts, codes, mapping)
  else countMapped(counts, codes, mapping)
}

function countMappedBytes(counts: Uint32Array, codes: Uint8Array, mapping: Uint32Array): void {
  for (let n = 0; n < codes.length; n++) {
    const code = mapping[codes[n] as number] as number
    counts[code] = (counts[code] as number) + 1
  }
}

function countMappedShorts(counts: Uint32Array, codes: Uint16Array, mapping: Uint32Array): void {
  for (let n = 0; n < codes.length; n++) {
    const code = mapping[codes[n] as number] as number
    counts[code] = (counts[code] as number) + 1
  }
}

export function countMapped(counts: Uint32Array, codes: Uint32Array, mapping: Uint32Array): void {
  for (let n = 0; n < codes.length; n++) {
    const code = mapping[codes[n] as number] as number
    counts[code] = (counts[code] as number) + 1
  }
}

/** Counts only the codes at the positions `at`. The first code is at position `first`. */
export function countMappedAt(
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

// The next two functions write the mapped codes that stand for values to `list`, and return their number.

export function listMapped(list: Uint32Array, codes: Uint32Array, mapping: Uint32Array): number {
  let count = 0
  for (let n = 0; n < codes.length; n++) {
    const code = mapping[codes[n] as number] as number
    if (code < firstCode) continue
    list[count++] = code
  }
  return count
}

export function listMappedAt(
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

/** Returns a list that contains each code as often as it was counted. `total` is the sum of all counts. */
export function listOf(counts: Uint32Array, total: number, mapping: Uint32Array | undefined): Uint32Array {
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

// In the next two functions, `first` is the code of the first element of `more`. Counts of codes that stand for no
// value are added too.

function addCounts(counts: Uint32Array, more: Uint32Array, first: number): void {
  // Elements of `more` beyond the length of `counts` are spare.
  const end = Math.min(counts.length - first, more.length)
  for (let at = 0; at < end; at++) counts[first + at] = (counts[first + at] as number) + (more[at] as number)
}

export function addMapped(counts: Uint32Array, more: Uint32Array, mapping: Uint32Array, first: number): void {
  const end = Math.min(mapping.length - first, more.length)
  for (let at = 0; at < end; at++) {
    const mapped = mapping[first + at] as number
    counts[mapped] = (counts[mapped] as number) + (more[at] as number)
  }
}
