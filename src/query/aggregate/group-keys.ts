import type { GroupKey } from "../query.ts"
import { PairNumbers, pairBytes } from "../structures/pair-numbers.ts"

/** Measured bytes per value, not counting its characters. Each value is stored in a list and in a map. */
const valueBytes = 110
const characterBytes = 2

/**
 * Assigns numbers to combinations of a bucket and dimension values, starting at 0, in the order in which they are
 * added. There is no object per combination, because a garbage collection would take 100 ms if each of 200,000 groups
 * had a string and two objects. If there is a `base`, only the combinations that it lacks are stored here. The base
 * must not change afterwards.
 */
export class GroupKeys {
  readonly #start: number
  readonly #values: (string | null)[] = []
  readonly #numberOfValue = new Map<string | null, number>()
  readonly #firstValue: number
  /**
   * A trie. Level n assigns a number to each pair of a node and the nth value. These numbers are the nodes of the next
   * level. The nodes of the first level are the buckets. The numbers assigned by the last level identify the
   * combinations.
   */
  readonly #levels: readonly PairNumbers[]

  constructor(
    private readonly dimensions: number,
    private readonly base?: GroupKeys,
  ) {
    this.#start = base?.count ?? 0
    this.#firstValue = base ? base.#firstValue + base.#values.length : 0
    // If there are no dimensions, there is one combination per bucket.
    this.#levels = Array.from({ length: Math.max(1, dimensions) }, () => new PairNumbers())
  }

  get count(): number {
    return this.#start + (this.#levels.at(-1) as PairNumbers).count
  }

  find(by: GroupKey, bucket: number): number | undefined {
    const known = this.base?.find(by, bucket)
    if (known !== undefined) return known
    let node = bucket
    for (let level = 0; level < this.#levels.length; level++) {
      const value = this.#numberOf(by[level] ?? null)
      const next = value === undefined ? undefined : this.#levels[level]?.find(node, value)
      if (next === undefined) return undefined
      node = next
    }
    return this.#start + node
  }

  /** Adds a new combination and returns its number. */
  add(by: GroupKey, bucket: number): number {
    let node = bucket
    for (let level = 0; level < this.#levels.length; level++) {
      const value = by[level] ?? null
      let number = this.#numberOf(value)
      if (number === undefined) {
        number = this.#firstValue + this.#values.push(value) - 1
        this.#numberOfValue.set(value, number)
      }
      node = (this.#levels[level] as PairNumbers).add(node, number)
    }
    return this.#start + node
  }

  /** Returns the number of bytes needed to add a combination. */
  bytesOf(by: GroupKey): number {
    let bytes = pairBytes
    for (let level = 0; level < by.length; level++) {
      const value = by[level] ?? null
      if (this.#numberOf(value) === undefined) bytes += valueBytes + (value?.length ?? 0) * characterBytes
    }
    return bytes
  }

  bucketOf(number: number): number {
    if (this.base && number < this.#start) return this.base.bucketOf(number)
    return (this.#levels[0] as PairNumbers).leftOf(this.#nodeOf(number, 0))
  }

  valueOf(number: number, dimension: number): string | null {
    if (this.base && number < this.#start) return this.base.valueOf(number, dimension)
    return this.#textOf((this.#levels[dimension] as PairNumbers).rightOf(this.#nodeOf(number, dimension)))
  }

  /** Writes the dimension values of a combination to `by`. */
  copyTo(by: (string | null)[], number: number): void {
    for (let dimension = 0; dimension < this.dimensions; dimension++)
      by[dimension] = this.valueOf(number, dimension)
  }

  #nodeOf(number: number, level: number): number {
    let node = number - this.#start
    for (let below = this.#levels.length - 1; below > level; below--)
      node = (this.#levels[below] as PairNumbers).leftOf(node)
    return node
  }

  #numberOf(value: string | null): number | undefined {
    const { base } = this
    return (base ? base.#numberOf(value) : undefined) ?? this.#numberOfValue.get(value)
  }

  #textOf(value: number): string | null {
    const { base } = this
    return base && value < this.#firstValue
      ? base.#textOf(value)
      : (this.#values[value - this.#firstValue] as string | null)
  }
}
