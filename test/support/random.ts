export { mulberry32 } from "../../src/demo/random.ts"

export interface Pick {
  fraction(): number
  /** An integer from `least` to `most`, both inclusive. */
  whole(least: number, most: number): number
  of<Item>(items: readonly Item[]): Item
  /** True with this probability. */
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
