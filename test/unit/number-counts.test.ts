import { describe, expect, test } from "bun:test"
import { MemoryBudget } from "../../src/query/structures/memory-budget.ts"
import { NumberCounts } from "../../src/query/structures/number-counts.ts"
import { mulberry32 } from "../support/random.ts"

const budget = () => new MemoryBudget(64 * 1_048_576)

/** Nearest rank, from a list of all numbers. */
function plainPercentile(numbers: readonly number[], share: number): number | null {
  const sorted = [...numbers].sort((left, right) => left - right)
  return sorted[Math.max(1, Math.ceil(share * sorted.length)) - 1] ?? null
}

describe("the percentiles of counted numbers are those of a sorted list", () => {
  const draws: [name: string, draw: (random: () => number) => number][] = [
    ["few distinct numbers", (random) => Math.floor(random() * 5) - 2],
    ["mostly distinct numbers", (random) => random() * 1e9 - 5e8],
    ["zero and negative zero", (random) => (random() < 0.5 ? 0 : -0)],
    ["the ends of the range of doubles", (random) => (random() < 0.5 ? -1 : 1) * Number.MAX_VALUE * random()],
  ]
  for (const [name, draw] of draws) {
    test.each([0, 1, 7, 1_500, 20_000])(`for %d times ${name}, in any way of adding them`, (size) => {
      const random = mulberry32(size + 1)
      const numbers = Array.from({ length: size }, () => draw(random))
      const half = Math.floor(size / 2)
      const add = (counts: NumberCounts, some: readonly number[]) => {
        for (const number of some) counts.add(number, 1)
        return counts
      }
      const first = add(new NumberCounts(budget()), numbers.slice(0, half))
      first.pack()
      const merged = add(new NumberCounts(budget()), numbers.slice(half))
      merged.merge(first)
      const over = add(new NumberCounts(budget(), first), numbers.slice(half))
      const overOver = new NumberCounts(budget(), over)
      const ascending = add(
        new NumberCounts(budget()),
        [...numbers].sort((left, right) => left - right),
      )
      for (const share of [0.01, 0.5, 0.95, 1]) {
        const expected = plainPercentile(numbers, share)
        const results = [merged, over, overOver, ascending].map((counts) => counts.percentile(share))
        // 0 and -0 are the same number.
        expect(results.map((result) => result === expected)).toEqual([true, true, true, true])
      }
    })
  }

  test("and an entry counts as often as it says", () => {
    const counts = new NumberCounts(budget())
    counts.add(1, 94)
    counts.add(2, 6)
    expect([counts.percentile(0.94), counts.percentile(0.95)]).toEqual([1, 2])
  })
})

test("counted numbers reserve the memory that they take", () => {
  const memory = new MemoryBudget(1_048_576)
  const counts = new NumberCounts(memory)
  expect(() => {
    for (let number = 0; number < 100_000; number++) counts.add(number, 1)
  }).toThrow()
})
