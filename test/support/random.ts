/** Numbers from 0 up to 1, the same for the same seed. 32 bits of state and no product above 2^53: it does not repeat early. */
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
  /** From `least` to `most`, both included. */
  whole(least: number, most: number): number
  of<Item>(items: readonly Item[]): Item
  /** True in this share of calls. */
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
