import type { Column, Value } from "../../columns/batch.ts"
import { copyInto, lowerBoundOfDoubles } from "../../columns/typed-arrays.ts"
import { numberOf } from "../json-values.ts"
import type { MemoryBudget } from "./memory-budget.ts"
import type { Selection } from "./selection.ts"

/** Measured bytes of an object without numbers. */
const objectBytes = 400
/**
 * Bytes of a number: the number by code, the sorted number, its code, and a count in the scratch array. A number that
 * was added alone takes more until it is sorted. All memory is reserved when numbers are added, because a dictionary in
 * the cache no longer has a budget.
 */
const numberBytes = 24
const pendingBytes = 60
/**
 * Numbers that are added one by one are sorted when there are more than this minimum, and more than this share of the
 * sorted numbers.
 */
const minPending = 1_024
const pendingShare = 1 / 4
/**
 * Values are looked up one by one if there are more than this many numbers per value; otherwise they are merged with
 * the sorted numbers.
 */
const mergeFactor = 16

/**
 * The codes of numbers start at 2. In a mapping of codes, 0 marks a code that is not mapped yet, and 1 a code that
 * stands for no number.
 */
export const [noNumber, firstCode] = [1, 2] as const

/** Distinct numbers and their codes. Counting by code takes a tenth of the time of counting by number. */
export class NumberDictionary {
  /** By code. */
  #numbers: Float64Array
  #size: number
  /** The base, and its size when this dictionary was created. */
  readonly #origin: { base: NumberDictionary; size: number } | undefined
  /** Ascending, and the code of each. These arrays are replaced, never changed. */
  #sorted: Float64Array
  #order: Uint32Array
  /** Numbers that are not sorted yet, and their codes. */
  readonly #pending = new Map<number, number>()
  #scratch = new Uint32Array(0)
  #mapping: { other: NumberDictionary; codes: Uint32Array } | undefined
  /** The codes of columns, by their values: all slices of a block share their values. */
  #columns = new WeakMap<readonly Value[] | Float64Array, { mapping: Uint32Array; isComplete: boolean }>()

  /** `base`: the dictionary starts with its numbers, which have the same codes. */
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

  /** Bytes of memory, without numbers that are not sorted yet. */
  get bytes(): number {
    return objectBytes + this.#numbers.length * numberBytes
  }

  /** True if all numbers of another dictionary have the same codes here. */
  hasCodesOf(other: NumberDictionary): boolean {
    return other === this || (this.#origin?.base === other && this.#origin.size === other.#size)
  }

  /** The code of a number, which is added if it is new. */
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
      const length = this.#size * 2
      this.budget.reserve((length - this.#size) * numberBytes)
      this.#numbers = copyInto(new Float64Array(length), this.#numbers)
    }
    this.#numbers[this.#size] = value
    return this.#size++
  }

  numberOf(code: number): number {
    return this.#numbers[code] as number
  }

  /** Maps the codes of a column to codes of this dictionary; at least those of the selected events. */
  codesOfColumn(column: Column, { first, end, at }: Selection): Uint32Array {
    const { codes, numbers } = column
    const distinct = numbers ?? column.values
    const known = this.#columns.get(distinct)
    if (known?.isComplete) return known.mapping
    const mapping = known?.mapping ?? new Uint32Array(distinct.length + 1)
    const isComplete = !known && numbers !== undefined && this.#mapAll(numbers, mapping)
    this.#columns.set(distinct, { mapping, isComplete })
    if (isComplete) return mapping
    const { values } = column
    const size = at ? at.length : end - first
    for (let n = 0; n < size; n++) {
      const code = codes[at ? (at[n] as number) : first + n] as number
      if (code === 0 || mapping[code] !== 0) continue
      const number = numberOf(values[code - 1])
      mapping[code] = number === undefined ? noNumber : this.codeOf(number)
    }
    return mapping
  }

  /**
   * Fills `mapping` with the code of each number, at 1 + its index. Returns false and changes nothing if there are too
   * few numbers to be worth it.
   */
  #mapAll(numbers: Float64Array, mapping: Uint32Array): boolean {
    if (numbers.length * mergeFactor < this.#size) return false
    if (areAscending(numbers)) {
      mapping.set(this.#codesOfAscending(numbers), 1)
      return true
    }
    // Blocks of earlier versions store numbers in any order.
    const sorted = numbers.slice().sort()
    const codes = this.#codesOfAscending(sorted)
    for (let index = 0; index < numbers.length; index++)
      mapping[index + 1] = codes[lowerBoundOfDoubles(sorted, numbers[index] as number)] as number
    return true
  }

  /** Maps the codes of another dictionary to codes of this one; undefined if they are the same. */
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

  /** Returns the codes of ascending numbers, and adds new numbers. Reads both lists once. */
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

  /** Merges ascending numbers, with codes from `first` on, into the sorted numbers. */
  #mergeSorted(added: Float64Array, first: number): void {
    const [before, beforeOrder] = [this.#sorted, this.#order]
    if (before.length === 0) {
      this.#sorted = added.slice()
      this.#order = Uint32Array.from(added, (_, index) => first + index)
      return
    }
    const sorted = new Float64Array(before.length + added.length)
    const order = new Uint32Array(sorted.length)
    for (let [at, left, right] = [0, 0, 0]; at < sorted.length; at++) {
      if (right === added.length || (before[left] as number) < (added[right] as number)) {
        sorted[at] = before[left] as number
        order[at] = beforeOrder[left++] as number
      } else {
        sorted[at] = added[right] as number
        order[at] = first + right++
      }
    }
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

  /** All codes in the order of their numbers. */
  order(): Uint32Array {
    this.#sort()
    return this.#order
  }

  /** An array with a zero for each code. Reset the elements that you change. */
  scratch(): Uint32Array {
    if (this.#scratch.length < this.#size) {
      this.#scratch = new Uint32Array(this.#numbers.length)
    }
    return this.#scratch
  }

  /** Releases data that can be recomputed. */
  trim(): void {
    this.#sort()
    this.#scratch = new Uint32Array(0)
    this.#mapping = undefined
    this.#columns = new WeakMap()
  }
}

function areAscending(numbers: Float64Array): boolean {
  for (let index = 1; index < numbers.length; index++)
    if ((numbers[index - 1] as number) >= (numbers[index] as number)) return false
  return true
}

/**
 * The dictionaries of a query, by property. The aggregates of the query share them, so merging aggregates needs no
 * mapping of codes.
 */
export class NumberDictionaries {
  readonly #byProperty = new Map<string, NumberDictionary>()

  constructor(private readonly budget: MemoryBudget) {}

  /** `base`: the dictionary of an aggregate in the cache. The result has the same codes. */
  of(property: string, base: NumberDictionary | undefined): NumberDictionary {
    const known = this.#byProperty.get(property)
    if (known && (!base || known.hasCodesOf(base))) return known
    const created = new NumberDictionary(this.budget, base)
    if (!known) this.#byProperty.set(property, created)
    return created
  }
}
