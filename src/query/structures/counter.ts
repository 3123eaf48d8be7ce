import { copyInto } from "../../columns/typed-arrays.ts"
import type { MemoryBudget } from "./memory-budget.ts"

/** Measured bytes of a counter without values. */
const counterBytes = 300
/** Measured overhead per entry in bytes, not counting the value itself, before and after packing. */
const entryBytes = 90
const packedBytes = 16

/** Whole numbers below this limit are looked up in a table of at most 256 KiB. */
const tableEnd = 65_536

/** Maps values to indexes. */
class ValueIndex<Value> {
  readonly #others = new Map<Value, number>()
  /**
   * The indexes of small whole numbers, plus 1. The values of many properties are all small whole numbers, and looking
   * them up in a Map would take ten times as long.
   */
  #table = new Uint32Array(0)

  get(value: Value): number | undefined {
    if (!isSmall(value)) return this.#others.get(value)
    const index = this.#table[value] ?? 0
    return index === 0 ? undefined : index - 1
  }

  has(value: Value): boolean {
    return this.get(value) !== undefined
  }

  set(value: Value, index: number): void {
    if (!isSmall(value)) {
      this.#others.set(value, index)
      return
    }
    if (value >= this.#table.length) {
      this.#table = copyInto(new Uint32Array(Math.min(tableEnd, Math.max(256, value * 2))), this.#table)
    }
    this.#table[value] = index + 1
  }
}

function isSmall(value: unknown): value is number {
  return typeof value === "number" && value >= 0 && value < tableEnd && Number.isInteger(value)
}

/**
 * Counts how often each value occurs. If there is a `base`, only additions are stored. The base must not change
 * afterwards.
 */
export class Counter<Value> {
  /** Index of each value in `#values` and `#times`. Undefined after `pack`. */
  #indexes: ValueIndex<Value> | undefined = new ValueIndex()
  readonly #values: Value[] = []
  readonly #times: number[] = []
  /** Number of values that are not in the base. */
  #newCount = 0

  /** `bytesOf` returns the size of a value in bytes. */
  constructor(
    private readonly bytesOf: (value: Value) => number,
    private readonly budget: MemoryBudget,
    private readonly base?: Counter<Value>,
  ) {
    budget.reserve(counterBytes)
  }

  /** Creates a counter that starts with the counts of `base`. */
  static over<Value>(
    base: Counter<Value>,
    bytesOf: (value: Value) => number,
    budget: MemoryBudget,
  ): Counter<Value> {
    if (!base.isPacked) return new Counter(bytesOf, budget, base)
    const copy = new Counter(bytesOf, budget)
    copy.merge(base)
    return copy
  }

  get isPacked(): boolean {
    return this.#indexes === undefined
  }

  /** Number of distinct values. */
  get size(): number {
    return this.#newCount + (this.base?.size ?? 0)
  }

  /** Adds `times` to the count of a value. Returns true if the value is new. */
  add(value: Value, times: number): boolean {
    const indexes = this.#indexes as ValueIndex<Value>
    const index = indexes.get(value)
    if (index !== undefined) {
      this.#times[index] = (this.#times[index] as number) + times
      return false
    }
    this.budget.reserve(entryBytes + this.bytesOf(value))
    indexes.set(value, this.#times.push(times) - 1)
    this.#values.push(value)
    if (this.base?.has(value)) return false
    this.#newCount++
    return true
  }

  has(value: Value): boolean {
    return this.#indexes?.has(value) || (this.base?.has(value) ?? false)
  }

  times(value: Value): number {
    const index = this.#indexes?.get(value)
    return (index === undefined ? 0 : (this.#times[index] as number)) + (this.base?.times(value) ?? 0)
  }

  /** Adds the counts of another counter. */
  merge(other: Counter<Value>): void {
    if (other.base) this.merge(other.base)
    for (let index = 0; index < other.#times.length; index++)
      this.add(other.#values[index] as Value, other.#times[index] as number)
  }

  /** Frees the lookup table. Afterwards, the counter can only be merged into other counters or passed to `over`. */
  pack(): void {
    this.#indexes = undefined
    this.budget.reserve((packedBytes - entryBytes) * this.#times.length)
  }

  /** Yields each value that was added to the base, and how often it was added. */
  *additions(): Generator<[Value, number]> {
    for (const [index, value] of this.#values.entries()) yield [value, this.#times[index] as number]
  }

  /** Yields each value with its total count, including the base. */
  *entries(): Generator<[Value, number]> {
    const { base } = this
    for (const [value, times] of this.additions()) yield [value, times + (base?.times(value) ?? 0)]
    for (const entry of base?.entries() ?? []) if (!this.#indexes?.has(entry[0])) yield entry
  }
}
