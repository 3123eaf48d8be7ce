import type { MemoryBudget } from "./memory-budget.ts"

/** Bytes that a tally takes without values, measured. */
const tallyBytes = 300
/** Bytes that a value and its number take beside what the value itself takes, measured; and without the place by which it is found. */
const entryBytes = 90
const packedBytes = 16

/** How often each of some values is there. Over a `base`, which must not change any more, only what comes on top is kept. */
export class Counter<Value> {
  /** Where each value stands in the lists; undefined once it is packed. */
  #places: Map<Value, number> | undefined = new Map()
  readonly #values: Value[] = []
  readonly #times: number[] = []
  /** Values that the base has not. */
  #fresh = 0

  /** `bytesOf`: what a value takes itself. */
  constructor(
    private readonly bytesOf: (value: Value) => number,
    private readonly budget: MemoryBudget,
    private readonly base?: Counter<Value>,
  ) {
    budget.reserve(tallyBytes)
  }

  /** One that begins with what `base` has. */
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
    return this.#places === undefined
  }

  /** Distinct values. */
  get size(): number {
    return this.#fresh + (this.base?.size ?? 0)
  }

  /** True where the value was not there. */
  add(value: Value, times: number): boolean {
    const places = this.#places as Map<Value, number>
    const place = places.get(value)
    if (place !== undefined) {
      this.#times[place] = (this.#times[place] as number) + times
      return false
    }
    this.budget.reserve(entryBytes + this.bytesOf(value))
    places.set(value, this.#times.push(times) - 1)
    this.#values.push(value)
    if (this.base?.has(value)) return false
    this.#fresh++
    return true
  }

  has(value: Value): boolean {
    return this.#places?.has(value) || (this.base?.has(value) ?? false)
  }

  times(value: Value): number {
    const place = this.#places?.get(value)
    return (place === undefined ? 0 : (this.#times[place] as number)) + (this.base?.times(value) ?? 0)
  }

  /** Those of another one. */
  merge(other: Counter<Value>): void {
    if (other.base) this.merge(other.base)
    for (let place = 0; place < other.#times.length; place++)
      this.add(other.#values[place] as Value, other.#times[place] as number)
  }

  /** Makes it as small as it can be. From then on it is only merged into others, or a base of which a copy is made. */
  pack(): void {
    this.#places = undefined
    this.budget.reserve((packedBytes - entryBytes) * this.#times.length)
  }

  /** Without what the base has. */
  *gained(): Generator<[Value, number]> {
    for (const [place, value] of this.#values.entries()) yield [value, this.#times[place] as number]
  }

  /** Each value once, and how often it is there in all. */
  *entries(): Generator<[Value, number]> {
    const { base } = this
    for (const [value, times] of this.gained()) yield [value, times + (base?.times(value) ?? 0)]
    for (const entry of base?.entries() ?? []) if (!this.#places?.has(entry[0])) yield entry
  }
}
