import { expect, test } from "bun:test"
import { histogram } from "../../src/query/structures/histogram.ts"
import { sortByValue } from "../../src/query/structures/statistics.ts"

/** Numbers, maximum bins, bounds, and the counts between the bounds. */
const cases: [sentence: string, numbers: number[], most: number, bounds: number[], counts: number[]][] = [
  ["one integer has one bin", [5], 20, [5, 6], [1]],
  ["one fraction has one bin around it", [0.37], 20, [0.36, 0.38], [1]],
  ["the last bin includes its end", [0, 4, 9, 10], 5, [0, 2, 4, 6, 8, 10], [1, 0, 1, 0, 2]],
  ["bins of integers have at least the width 1", [1, 2, 3], 20, [1, 2, 3], [1, 2]],
  [
    "bounds are not sums, which would accumulate rounding errors",
    [0.1, 0.7],
    4,
    [0, 0.2, 0.4, 0.6, 0.8],
    [1, 0, 0, 1],
  ],
  ["numbers on both sides of 0 have at least two bins", [-3, 3], 1, [-5, 0, 5], [1, 1]],
  [
    "the largest numbers have bins that JSON can hold",
    [-1.7e308, 1.7e308],
    2,
    [-Number.MAX_VALUE, 0, Number.MAX_VALUE],
    [1, 1],
  ],
  ["the smallest numbers have bins", [0, Number.MIN_VALUE], 9, [0, Number.MIN_VALUE], [2]],
  [
    "numbers that differ by less than the precision share a bin",
    [9007199254740990, 9007199254740992],
    20,
    [9007199254740000, 9007199254750000],
    [2],
  ],
]

for (const [sentence, numbers, most, bounds, counts] of cases) {
  test(sentence, () => {
    const bins = histogram(sortByValue(numbers.map((number) => [number, 1])), most)
    expect([...bins.slice(0, 1).map(({ from }) => from), ...bins.map(({ to }) => to)]).toEqual(bounds)
    expect(bins.map(({ count }) => count)).toEqual(counts)
    expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(numbers.length)
    for (const [index, { from }] of bins.entries()) if (index > 0) expect(bins[index - 1]?.to).toBe(from)
  })
}
