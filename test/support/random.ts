/** Seeded random numbers from 0 up to 1, with 32 bits of state. No product exceeds 2^53, so the period is full. */
export function mulberry32(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export interface Pick {
  fraction(): number
  /** An integer from `least` to `most`, both inclusive. */
  whole(least: number, most: number): number
  of<Item>(items: readonly Item[]): Item
  /** True for this share of calls. */
  chance(share: number): boolean
}

export function picker(fraction: () => number): Pick {
  const whole = (least: number, most: number) => least + Math.floor(fraction() * (most - least + 1))
  return {
    fraction,
    whole,
    of: (items) => items[whole(0, items.length - 1)] as (typeof items)[number],
    chance: (share) => fraction() < share,
  }
}
