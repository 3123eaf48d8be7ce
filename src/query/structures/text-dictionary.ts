import type { Column, Value } from "../../columns/batch.ts"
import { copyInto } from "../../columns/typed-arrays.ts"
import { textOf } from "../json-values.ts"
import type { CodeDictionary } from "./code-counts.ts"
import type { MemoryBudget } from "./memory-budget.ts"
import { firstCode, noNumber } from "./number-dictionary.ts"
import type { Selection } from "./selection.ts"

/** Measured bytes of a dictionary without texts. */
const objectBytes = 500
/**
 * Overhead of a text in bytes, not counting its characters: where it ends, its hash, and a count in the scratch array.
 */
const textBytes = 12
/** Bytes of a slot in the hash table, and the maximum share of slots in use. */
const slotBytes = 4
const maxLoad = 4 / 5
const [minTexts, minSlots, minBytes] = [4, 8, 64] as const
/** Arrays grow by this factor, so that a large dictionary takes up only a little more memory than its texts. */
const growth = 1.5

/**
 * Assigns codes to distinct strings, which are called texts here. There is no object per text, because in a Map, a text
 * would take up five times as much memory. If there is a `base`, texts in the base keep their codes, and only other
 * texts are stored. The base must not change afterwards.
 */
export class TextDictionary implements CodeDictionary<TextDictionary> {
  /** The code of the first text that is not in the base. */
  readonly #first: number
  #count = 0
  /**
   * The UTF-16 code units of all texts. A text is wide if any of its units is above 255. A wide text takes up two bytes
   * per unit, and any other text takes up one.
   */
  #bytes = new Uint8Array(0)
  /**
   * For each text, by its position (its code minus `#first`): where it ends in `#bytes`, and its hash (see `hashOf`).
   */
  #ends = new Uint32Array(0)
  #hashes = new Uint32Array(0)
  /** Hash table. Each slot contains the position of a text, plus 1. An empty slot is 0. */
  #slots = new Uint32Array(0)
  #scratch = new Uint32Array(0)
  #mapping: { other: TextDictionary; codes: Uint32Array } | undefined
  /**
   * The codes of columns. Keyed by the array of a column's values, which all slices of a block share. Created on first
   * use.
   */
  #columns: WeakMap<readonly Value[], TextCodes> | undefined

  /** `seed` is the seed for `hashOf`. Dictionaries that are merged must have the same seed. */
  constructor(
    private readonly budget: MemoryBudget,
    private readonly seed: number,
    private readonly base?: TextDictionary,
  ) {
    budget.reserve(objectBytes)
    this.#first = base ? base.size : firstCode
  }

  /** One more than the largest code. */
  get size(): number {
    return this.#first + this.#count
  }

  /** Returns the code of a text. Adds the text if it is new. */
  codeOf(text: string): number {
    const hash = hashOf(text, this.seed)
    const known = this.#find(text, hash)
    if (known !== undefined) return known
    const isWide = (hash & 1) === 1
    const start = this.#reserve(isWide ? text.length * 2 : text.length)
    const bytes = this.#bytes
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index)
      if (isWide) {
        bytes[start + index * 2] = unit >>> 8
        bytes[start + index * 2 + 1] = unit & 255
      } else bytes[start + index] = unit
    }
    return this.#add(hash, start + (isWide ? text.length * 2 : text.length))
  }

  /** Returns the code of a text, or undefined if the dictionary does not contain it. */
  find(text: string): number | undefined {
    return this.#find(text, hashOf(text, this.seed))
  }

  #find(text: string, hash: number): number | undefined {
    const known = this.base ? this.base.#find(text, hash) : undefined
    if (known !== undefined) return known
    const slots = this.#slots
    const mask = slots.length - 1
    for (let slot = (hash >>> 1) & mask; ; slot = (slot + 1) & mask) {
      const position = slots[slot] ?? 0
      if (position === 0) return undefined
      if (this.#hashes[position - 1] === hash && this.#equals(position - 1, text, hash))
        return this.#first + position - 1
    }
  }

  #equals(position: number, text: string, hash: number): boolean {
    const isWide = (hash & 1) === 1
    const bytes = this.#bytes
    const start = this.#startOf(position)
    if ((this.#ends[position] as number) - start !== (isWide ? text.length * 2 : text.length)) return false
    for (let index = 0; index < text.length; index++) {
      const unit = isWide
        ? ((bytes[start + index * 2] as number) << 8) | (bytes[start + index * 2 + 1] as number)
        : bytes[start + index]
      if (text.charCodeAt(index) !== unit) return false
    }
    return true
  }

  #startOf(position: number): number {
    return position === 0 ? 0 : (this.#ends[position - 1] as number)
  }

  /** Makes room for a text of `length` bytes, and returns where it starts. */
  #reserve(length: number): number {
    const start = this.#startOf(this.#count)
    if (start + length > this.#bytes.length) {
      const size = Math.max(minBytes, start + length, Math.ceil(this.#bytes.length * growth))
      this.budget.reserve(size - this.#bytes.length)
      const bytes = new Uint8Array(size)
      bytes.set(this.#bytes)
      this.#bytes = bytes
    }
    if (this.#count === this.#ends.length) {
      const size = Math.max(minTexts, Math.ceil(this.#count * growth))
      this.budget.reserve((size - this.#count) * textBytes)
      this.#ends = copyInto(new Uint32Array(size), this.#ends)
      this.#hashes = copyInto(new Uint32Array(size), this.#hashes)
    }
    if (this.#count + 1 > this.#slots.length * maxLoad) {
      const size = Math.max(minSlots, this.#slots.length * 2)
      this.budget.reserve((size - this.#slots.length) * slotBytes)
      this.#slots = new Uint32Array(size)
      for (let position = 0; position < this.#count; position++) this.#link(position)
    }
    return start
  }

  /** Adds a text whose characters have already been written to `#bytes`. */
  #add(hash: number, end: number): number {
    const position = this.#count++
    this.#ends[position] = end
    this.#hashes[position] = hash
    this.#link(position)
    return this.#first + position
  }

  #link(position: number): void {
    const slots = this.#slots
    const mask = slots.length - 1
    let slot = ((this.#hashes[position] as number) >>> 1) & mask
    while (slots[slot] !== 0) slot = (slot + 1) & mask
    slots[slot] = position + 1
  }

  /**
   * Returns a mapping from the codes of a column to codes of this dictionary. It contains at least the codes of the
   * selected events. Objects and arrays are added as JSON. Numbers are not added.
   */
  codesOfColumn({ codes, values }: Column, { first, end, at }: Selection): TextCodes {
    this.#columns ??= new WeakMap()
    let known = this.#columns.get(values)
    if (!known) {
      known = { mapping: new Uint32Array(values.length + 1), hasNumbers: false }
      this.#columns.set(values, known)
    }
    const { mapping } = known
    const size = at ? at.length : end - first
    for (let n = 0; n < size; n++) {
      const code = codes[at ? (at[n] as number) : first + n] as number
      if (code === 0 || mapping[code] !== 0) continue
      const value = values[code - 1] as Value
      if (typeof value === "number") known.hasNumbers = true
      mapping[code] = typeof value === "number" ? noNumber : this.codeOf(textOf(value))
    }
    return known
  }

  mappingOf(other: TextDictionary): Uint32Array | undefined {
    for (let level: TextDictionary | undefined = this; level; level = level.base)
      if (level === other) return undefined
    const known = this.#mapping
    if (known?.other === other && known.codes.length === other.size) return known.codes
    const codes = new Uint32Array(other.size)
    this.#mapAll(other, codes)
    this.#mapping = { other, codes }
    return codes
  }

  #mapAll(other: TextDictionary, codes: Uint32Array): void {
    if (other.base) this.#mapAll(other.base, codes)
    for (let position = 0; position < other.#count; position++)
      codes[other.#first + position] = this.#codeOfCopy(other, position)
  }

  /** Returns the code of a text in another dictionary. Adds the text if it is new. */
  #codeOfCopy(other: TextDictionary, from: number): number {
    const hash = other.#hashes[from] as number
    const start = other.#startOf(from)
    const end = other.#ends[from] as number
    const known = this.#findCopy(other.#bytes, start, end, hash)
    if (known !== undefined) return known
    const to = this.#reserve(end - start)
    for (let index = 0; index < end - start; index++)
      this.#bytes[to + index] = other.#bytes[start + index] as number
    return this.#add(hash, to + end - start)
  }

  #findCopy(bytes: Uint8Array, start: number, end: number, hash: number): number | undefined {
    const known = this.base ? this.base.#findCopy(bytes, start, end, hash) : undefined
    if (known !== undefined) return known
    const slots = this.#slots
    const mask = slots.length - 1
    for (let slot = (hash >>> 1) & mask; ; slot = (slot + 1) & mask) {
      const position = (slots[slot] ?? 0) - 1
      if (position < 0) return undefined
      if (this.#hashes[position] !== hash) continue
      const ownStart = this.#startOf(position)
      if ((this.#ends[position] as number) - ownStart !== end - start) continue
      let index = 0
      while (index < end - start && this.#bytes[ownStart + index] === bytes[start + index]) index++
      if (index === end - start) return this.#first + position
    }
  }

  textOf(code: number): string {
    const level = this.#levelOf(code)
    const position = code - level.#first
    const bytes = level.#bytes
    const start = level.#startOf(position)
    const end = level.#ends[position] as number
    if (!level.#isWide(position))
      return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1")
    let text = ""
    for (let at = start; at < end; at += 2)
      text += String.fromCharCode(((bytes[at] as number) << 8) | (bytes[at + 1] as number))
    return text
  }

  /** Returns the length of a text in UTF-16 code units. */
  textLengthOf(code: number): number {
    const level = this.#levelOf(code)
    const position = code - level.#first
    const length = (level.#ends[position] as number) - level.#startOf(position)
    return level.#isWide(position) ? length / 2 : length
  }

  /** Returns the first UTF-16 code unit of a text, or 0 if the text is wide or empty. */
  firstUnitOf(code: number): number {
    const level = this.#levelOf(code)
    const position = code - level.#first
    const start = level.#startOf(position)
    return level.#isWide(position) || start === level.#ends[position] ? 0 : (level.#bytes[start] as number)
  }

  /** Compares two different texts by their UTF-16 code units. */
  compare(left: number, right: number): number {
    const one = this.#levelOf(left)
    const other = this.#levelOf(right)
    const position = left - one.#first
    const otherPosition = right - other.#first
    if (one.#isWide(position) !== other.#isWide(otherPosition))
      return this.textOf(left) < this.textOf(right) ? -1 : 1
    const start = one.#startOf(position)
    const otherStart = other.#startOf(otherPosition)
    const length = (one.#ends[position] as number) - start
    const otherLength = (other.#ends[otherPosition] as number) - otherStart
    for (let index = 0; index < Math.min(length, otherLength); index++) {
      const difference = (one.#bytes[start + index] as number) - (other.#bytes[otherStart + index] as number)
      if (difference !== 0) return difference
    }
    return length - otherLength
  }

  /**
   * Returns the dictionary that stores a text: this one or one of its bases. Does not also return the text's position
   * in an object, because creating an object would slow down the methods above, which run several times for each
   * distinct value.
   */
  #levelOf(code: number): TextDictionary {
    let level: TextDictionary = this
    while (level.base && code < level.#first) level = level.base
    return level
  }

  #isWide(position: number): boolean {
    return ((this.#hashes[position] as number) & 1) === 1
  }

  scratch(): Uint32Array {
    if (this.#scratch.length < this.size) this.#scratch = new Uint32Array(this.size)
    return this.#scratch
  }

  /** Reduces memory use once the dictionary is complete. */
  shrink(): void {
    const end = this.#startOf(this.#count)
    this.budget.reserve(end - this.#bytes.length + (this.#count - this.#ends.length) * textBytes)
    this.#bytes = this.#bytes.slice(0, end)
    this.#ends = this.#ends.slice(0, this.#count)
    this.#hashes = this.#hashes.slice(0, this.#count)
    this.#scratch = new Uint32Array(0)
    this.#mapping = undefined
    this.#columns = undefined
  }

  /** Like `shrink`, but also frees the hash table. Afterwards, the dictionary can only be merged into another one. */
  pack(): void {
    this.shrink()
    this.budget.reserve(-this.#slots.length * slotBytes)
    this.#slots = new Uint32Array(0)
  }
}

/** The result of `codesOfColumn`. The codes in `mapping` are described at `firstCode`. */
export interface TextCodes {
  mapping: Uint32Array
  /** True if some of the mapped values are numbers. */
  hasNumbers: boolean
}

/**
 * Returns a 32-bit hash of a string, similar to MurmurHash3. The lowest bit is 1 if the string has a UTF-16 code unit
 * above 255. `seed` is a secret number, so that clients cannot slow down lookups by sending strings that have the same
 * hash.
 */
export function hashOf(text: string, seed: number): number {
  let hash = seed
  let units = 0
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index)
    units |= unit
    hash = Math.imul(hash ^ Math.imul(unit + 1, 0xcc9e2d51), 0x1b873593)
    hash = (hash << 13) | (hash >>> 19)
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  hash ^= hash >>> 16
  return ((hash & ~1) | (units > 255 ? 1 : 0)) >>> 0
}
