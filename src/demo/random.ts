/**
 * Returns a seeded generator of random numbers from 0 up to, but not including, 1. Its state is a 32-bit counter, so
 * the sequence repeats after 2^32 numbers.
 */
export function mulberry32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** A row of a table that is drawn by weight. */
export interface Weighted {
  weight: number
}

/** The random distributions of the demo data. The same seed always draws the same values. */
export class SeededRandom {
  readonly fraction: () => number

  constructor(seed: number) {
    this.fraction = mulberry32(seed)
  }

  /** Returns true with the probability `share`. */
  chance(share: number): boolean {
    return this.fraction() < share
  }

  /** Draws an integer from `min` to `max`, both inclusive. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1))
  }

  pick<Item>(items: readonly Item[]): Item {
    // The type assertion is safe because tables are never empty.
    return items[Math.floor(this.fraction() * items.length)] as Item
  }

  /** Draws a row of a table by its weight. */
  weighted<Row extends Weighted>(rows: readonly Row[]): Row {
    let rest = this.fraction() * rows.reduce((sum, { weight }) => sum + weight, 0)
    for (const row of rows) {
      rest -= row.weight
      if (rest < 0) return row
    }
    // The type assertion is safe because tables are never empty.
    return rows[rows.length - 1] as Row
  }

  /**
   * Draws from a log-normal distribution, which is typical of durations and sizes. Half of the values are below
   * `median`. `spread`: standard deviation of the logarithms.
   */
  around(median: number, spread: number): number {
    const normal = Math.sqrt(-2 * Math.log(1 - this.fraction())) * Math.cos(2 * Math.PI * this.fraction())
    return median * Math.exp(spread * normal)
  }

  /**
   * Draws from an exponential distribution: the time until the next occurrence of something that happens once per
   * `mean` on average.
   */
  wait(mean: number): number {
    return -mean * Math.log(1 - this.fraction())
  }

  /** Draws from a Poisson distribution: the number of occurrences of something that happens `mean` times on average. */
  count(mean: number): number {
    const floor = Math.floor(mean)
    // For large means, approximates with a normal distribution, which takes 12 draws instead of one per occurrence.
    if (floor > 30) return Math.max(0, Math.round(mean + Math.sqrt(mean) * (this.#sum(12) - 6)))
    let count = 0
    for (let time = this.wait(1); time < mean; time += this.wait(1)) count++
    return count
  }

  /** Draws a version 4 UUID. */
  uuid(): string {
    const parts = [this.#hex(), this.#hex(), this.#hex(), this.#hex()] as const
    const [first, second, third, last] = parts
    const variant = "89ab"[this.integer(0, 3)]
    return `${first}-${second.slice(0, 4)}-4${second.slice(5)}-${variant}${third.slice(1, 4)}-${third.slice(4)}${last}`
  }

  /** Draws 8 hexadecimal digits. */
  #hex(): string {
    return (2 ** 32 + Math.floor(this.fraction() * 2 ** 32)).toString(16).slice(1)
  }

  #sum(count: number): number {
    let sum = 0
    for (let index = 0; index < count; index++) sum += this.fraction()
    return sum
  }
}
