import type { Column, Value } from "../../columns/batch.ts"
import { copyInto, lowerBoundOfDoubles } from "../../columns/typed-arrays.ts"
import { numberOf } from "../json-values.ts"
import type { MemoryBudget } from "./memory-budget.ts"
import type { Selection } from "./selection.ts"

/** Measured bytes of an object without numbers. */
const objectBytes = 400
/**
 * Bytes per number: two copies of the number (one by code, one sorted), its code, the length of its text, and a count
 * in the scratch array. A number that was added individually takes up `pendingBytes` more until it is sorted. All
 * memory is reserved when numbers are added, because a dictionary in the cache no longer has a budget.
 */
const numberBytes = 25
const pendingBytes = 60
/** From this size on, a dictionary grows by this factor instead of 2. */
const manyNumbers = 16_384
const manyGrowth = 1.25
/**
 * Numbers added individually are sorted once there are more than this minimum, and more than this share of the sorted
 * numbers.
 */
const minPending = 1_024
const pendingShare = 1 / 4
/**
 * If the dictionary has more than this many times as many numbers as a column, the numbers of the column are looked up
 * individually. Otherwise, they are merged with the sorted numbers.
 */
const mergeFactor = 16
/**
 * The numbers of a column are also looked up individually if the column has more than this many distinct numbers per
 * selected event.
 */
const fewEventsFactor = 64

/**
 * Codes of numbers start at 2. In a mapping of codes, 0 marks a code that has not been mapped yet, and 1 a code that
 * does not stand for a number.
 */
export const [noNumber, firstCode] = [1, 2] as const

/** Assigns codes to distinct numbers. Counting by code is ten times as fast as counting by number. */
export class NumberDictionary {
  /** Numbers by code. */
  #numbers: Float64Array
  #size: number
  /** The base, and its size when this dictionary was created. */
  readonly #origin: { base: NumberDictionary; size: number } | undefined
  /** The numbers in ascending order, and their codes. These arrays are replaced, never changed. */
  #sorted: Float64Array
  #order: Uint32Array
  /** Numbers that are not sorted yet, and their codes. */
  readonly #pending = new Map<number, number>()
  #scratch = new Uint32Array(0)
  /** The length of each number's text, by code. 0 if it has not been computed yet. */
  #textLengths = new Uint8Array(0)
  /** The code and the text of `left` in the last comparison. */
  #compared: { code: number; text: string } | undefined
  #mapping: { other: NumberDictionary; codes: Uint32Array } | undefined
  /** Maps the codes of columns. Keyed by the array of a column's values, which all slices of a block share. */
  #columns = new WeakMap<readonly Value[] | Float64Array, { mapping: Uint32Array; isComplete: boolean }>()

  /** If `base` is given, the dictionary starts with the numbers and codes of the base. */
  constructor(
    private readonly budget: MemoryBudget,
    base?: NumberDictionary,
  ) {
    if (base) base.#sort()
    this.#origin = base && { base, size: base.#size }
    this.#size = base ? base.#size : firstCode
    this.#numbers = base ? base.#numbers.slice(0, this.#size) : new Float64Array(firstCode)
    this.#sorted = base ? base.#sorted : new Float64Array(0)
    this.#order = base ? base.#order : new Uint32Array(0)
    budget.reserve(this.bytes)
  }

  /** One more than the largest code. */
  get size(): number {
    return this.#size
  }

  /** Memory in bytes, not including the `pendingBytes` of numbers that have not been sorted yet. */
  get bytes(): number {
    return objectBytes + this.#numbers.length * numberBytes
  }

  /** Returns true if this dictionary has all numbers of another dictionary, with the same codes. */
  hasCodesOf(other: NumberDictionary): boolean {
    return other === this || (this.#origin?.base === other && this.#origin.size === other.#size)
  }

  /** Returns the code of a number. Adds the number if it is new. */
  codeOf(number: number): number {
    // 0 and -0 are the same number.
    const value = number === 0 ? 0 : number
    const at = lowerBoundOfDoubles(this.#sorted, value)
    if (this.#sorted[at] === value) return this.#order[at] as number
    let code = this.#pending.get(value)
    if (code === undefined) {
      code = this.#add(value)
      this.budget.reserve(pendingBytes)
      this.#pending.set(value, code)
      if (this.#pending.size > Math.max(minPending, this.#sorted.length * pendingShare)) this.#sort()
    }
    return code
  }

  #add(value: number): number {
    if (this.#size === this.#numbers.length) {
      const length = Math.ceil(this.#size * (this.#size < manyNumbers ? 2 : manyGrowth))
      this.budget.reserve((length - this.#size) * numberBytes)
      this.#numbers = copyInto(new Float64Array(length), this.#numbers)
    }
    this.#numbers[this.#size] = value
    return this.#size++
  }

  numberOf(code: number): number {
    return this.#numbers[code] as number
  }

  textOf(code: number): string {
    return String(this.numberOf(code))
  }

  /**
   * Returns the length of a number's text. The base stores the lengths for its own numbers, so that all dictionaries
   * based on it share them.
   */
  textLengthOf(code: number): number {
    const origin = this.#origin
    if (origin && code < origin.size) return origin.base.textLengthOf(code)
    if (code >= this.#textLengths.length) {
      const lengths = new Uint8Array(this.#numbers.length)
      lengths.set(this.#textLengths)
      this.#textLengths = lengths
    }
    let length = this.#textLengths[code] as number
    if (length === 0) {
      length = this.textOf(code).length
      this.#textLengths[code] = length
    }
    return length
  }

  /** Compares the texts of two different numbers, given by code. Faster if `left` is the same as in the last call. */
  compare(left: number, right: number): number {
    if (this.#compared?.code !== left) this.#compared = { code: left, text: this.textOf(left) }
    return this.#compared.text < this.textOf(right) ? -1 : 1
  }

  /**
   * Returns a mapping from the codes of a column to codes of this dictionary. It contains at least the codes of the
   * selected events.
   */
  codesOfColumn(column: Column, { first, end, at }: Selection): Uint32Array {
    const { codes, numbers } = column
    const distinct = numbers ?? column.values
    const known = this.#columns.get(distinct)
    if (known?.isComplete) return known.mapping
    const mapping = known?.mapping ?? new Uint32Array(distinct.length + 1)
    const size = at ? at.length : end - first
    const isComplete =
      numbers !== undefined && size * fewEventsFactor > numbers.length && this.#mapAll(numbers, mapping)
    this.#columns.set(distinct, { mapping, isComplete })
    if (isComplete) return mapping
    for (let n = 0; n < size; n++) {
      const code = codes[at ? (at[n] as number) : first + n] as number
      if (code === 0 || mapping[code] !== 0) continue
      const number = numbers ? numbers[code - 1] : numberOf(column.values[code - 1])
      mapping[code] = number === undefined ? noNumber : this.codeOf(number)
    }
    return mapping
  }

  /**
   * Sets `mapping[index + 1]` to the code of each number. If there are so few numbers that individual lookups are
   * faster, returns false and changes nothing.
   */
  #mapAll(numbers: Float64Array, mapping: Uint32Array): boolean {
    if (numbers.length * mergeFactor < this.#size) return false
    if (areAscending(numbers)) {
      mapping.set(this.#codesOfAscending(numbers), 1)
      return true
    }
    // In blocks written by earlier versions, numbers can be in any order.
    const sorted = numbers.slice().sort()
    const codes = this.#codesOfAscending(sorted)
    for (let index = 0; index < numbers.length; index++)
      mapping[index + 1] = codes[lowerBoundOfDoubles(sorted, numbers[index] as number)] as number
    return true
  }

  /**
   * Returns a mapping from codes of another dictionary to codes of this one, or undefined if their codes are the same.
   */
  mappingOf(other: NumberDictionary): Uint32Array | undefined {
    if (this.hasCodesOf(other)) return undefined
    const known = this.#mapping
    if (known?.other === other && known.codes.length === other.#size) return known.codes
    other.#sort()
    const codes = this.#codesOfAscending(other.#sorted)
    const mapping = new Uint32Array(other.#size)
    for (let rank = 0; rank < codes.length; rank++)
      mapping[other.#order[rank] as number] = codes[rank] as number
    this.#mapping = { other, codes: mapping }
    return mapping
  }

  /** Returns the codes of ascending numbers, and adds new numbers. Reads `values` and the sorted numbers only once. */
  #codesOfAscending(values: Float64Array): Uint32Array {
    this.#sort()
    const [sorted, order] = [this.#sorted, this.#order]
    const codes = new Uint32Array(values.length)
    const before = this.#size
    let rank = 0
    for (let index = 0; index < values.length; index++) {
      const value = values[index] as number
      while (rank < sorted.length && (sorted[rank] as number) < value) rank++
      codes[index] = sorted[rank] === value ? (order[rank] as number) : this.#add(value === 0 ? 0 : value)
    }
    if (this.#size > before) this.#mergeSorted(this.#numbers.subarray(before, this.#size), before)
    return codes
  }

  /** Merges ascending numbers, whose codes start at `first`, into the sorted numbers. */
  #mergeSorted(added: Float64Array, first: number): void {
    const [before, beforeOrder] = [this.#sorted, this.#order]
    const sorted = new Float64Array(before.length + added.length)
    const order = new Uint32Array(sorted.length)
    mergeAscending(before, beforeOrder, added, first, sorted, order)
    this.#sorted = sorted
    this.#order = order
  }

  /** Moves pending numbers to the sorted numbers. */
  #sort(): void {
    const pending = this.#pending
    if (pending.size === 0) return
    const added = Float64Array.from(pending.keys()).sort()
    const codes = Uint32Array.from(added, (value) => pending.get(value) as number)
    pending.clear()
    const first = this.#size
    this.#mergeSorted(added, first)
    for (let at = 0; at < this.#order.length; at++) {
      const code = this.#order[at] as number
      if (code >= first) this.#order[at] = codes[code - first] as number
    }
  }

  /** Returns all codes in the order of their numbers. */
  order(): Uint32Array {
    this.#sort()
    return this.#order
  }

  /** Returns an array with a zero for each code. The caller must reset the elements that it changes. */
  scratch(): Uint32Array {
    if (this.#scratch.length < this.#size) {
      this.#scratch = new Uint32Array(this.#numbers.length)
    }
    return this.#scratch
  }

  /** Reduces memory use once the dictionary is complete. */
  shrink(): void {
    this.trim()
    this.budget.reserve((this.#size - this.#numbers.length) * numberBytes)
    this.#numbers = this.#numbers.slice(0, this.#size)
  }

  /** Releases data that can be recomputed. */
  trim(): void {
    this.#sort()
    this.#scratch = new Uint32Array(0)
    this.#mapping = undefined
    this.#columns = new WeakMap()
  }
}

/** Merges two ascending lists of numbers. Destructuring would make the loop several times as slow. */
function mergeAscending(
  before: Float64Array,
  beforeOrder: Uint32Array,
  added: Float64Array,
  first: number,
  sorted: Float64Array,
  order: Uint32Array,
): void {
  let left = 0
  for (let right = 0; right < added.length; right++) {
    const value = added[right] as number
    while (left < before.length && (before[left] as number) < value) {
      sorted[left + right] = before[left] as number
      order[left + right] = beforeOrder[left] as number
      left++
    }
    sorted[left + right] = value
    order[left + right] = first + right
  }
  sorted.set(before.subarray(left), left + added.length)
  order.set(beforeOrder.subarray(left), left + added.length)
}

function areAscending(numbers: Float64Array): boolean {
  for (let index = 1; index < numbers.length; index++)
    if ((numbers[index - 1] as number) >= (numbers[index] as number)) return false
  return true
}

/**
 * The number dictionaries of a query, one per property. All aggregates of the query share them, so that codes need no
 * mapping when aggregates are merged.
 */
export class NumberDictionaries {
  readonly #byProperty = new Map<string, NumberDictionary>()

  constructor(private readonly budget: MemoryBudget) {}

  /**
   * Returns the dictionary of a property. If `base`, the dictionary of a cached aggregate, is given, the numbers of the
   * base keep their codes.
   */
  of(property: string, base: NumberDictionary | undefined): NumberDictionary {
    const known = this.#byProperty.get(property)
    if (known && (!base || known.hasCodesOf(base))) return known
    const created = new NumberDictionary(this.budget, base)
    if (!known) this.#byProperty.set(property, created)
    return created
  }
}
