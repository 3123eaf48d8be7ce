import { describe, expect, test } from "bun:test"
import type { Column } from "../../src/columns/batch.ts"
import { numberOf } from "../../src/query/json-values.ts"
import { MemoryBudget } from "../../src/query/structures/memory-budget.ts"
import { NumberCounts } from "../../src/query/structures/number-counts.ts"
import { NumberDictionaries, NumberDictionary } from "../../src/query/structures/number-dictionary.ts"
import { mulberry32 } from "../support/random.ts"

interface Counted {
  dictionary: NumberDictionary
  counts: NumberCounts
}

const budget = () => new MemoryBudget(64 * 1_048_576)

/** The nearest-rank percentile, from a sorted list of all numbers. */
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
    test.each([0, 1, 7, 1_500, 20_000])(`for %d numbers (${name}), however they are added`, (size) => {
      const random = mulberry32(size + 1)
      const numbers = Array.from({ length: size }, () => draw(random))
      const half = Math.floor(size / 2)
      const counted = (some: readonly number[], base?: Counted) => {
        const dictionary = new NumberDictionary(budget(), base?.dictionary)
        const counts = new NumberCounts(dictionary, budget(), base?.counts)
        const third = Math.floor(some.length / 3)
        for (const number of some.slice(0, third)) counts.add(dictionary.codeOf(number), 1)
        // Adds these as if they came from two columns.
        for (const values of [some.slice(third, 2 * third), some.slice(2 * third)]) {
          const mapping = new Uint32Array(values.length + 1)
          values.forEach((value, index) => {
            mapping[index + 1] = dictionary.codeOf(value)
          })
          const codes = Uint32Array.from(values, (_, index) => index + 1)
          counts.addAll(codes, mapping, { first: 0, end: codes.length, at: undefined })
        }
        return { dictionary, counts }
      }
      const first = counted(numbers.slice(0, half))
      first.counts.pack()
      const { counts: merged } = counted(numbers.slice(half))
      merged.merge(first.counts)
      const second = counted(numbers.slice(half), first)
      const { counts: over } = second
      const { counts: overOver } = counted([], second)
      const { counts: ascending } = counted([...numbers].sort((left, right) => left - right))
      const { counts: mergedTwice } = counted([])
      mergedTwice.merge(over)
      for (const share of [0.01, 0.5, 0.95, 1]) {
        const expected = plainPercentile(numbers, share)
        const results = [merged, over, overOver, ascending, mergedTwice].map((counts) =>
          counts.percentile(share),
        )
        // 0 and -0 are the same number.
        expect(results.map((result) => result === expected)).toEqual([true, true, true, true, true])
      }
    })
  }

  test("even if each number has a count", () => {
    const dictionary = new NumberDictionary(budget())
    const counts = new NumberCounts(dictionary, budget())
    counts.add(dictionary.codeOf(1), 94)
    counts.add(dictionary.codeOf(2), 6)
    expect([counts.percentile(0.94), counts.percentile(0.95)]).toEqual([1, 2])
  })
})

test("percentiles are correct for a few numbers of a large dictionary", () => {
  const dictionary = new NumberDictionary(budget())
  for (let number = 5_000; number > 0; number--) dictionary.codeOf(number)
  const counts = new NumberCounts(dictionary, budget())
  for (const number of [40, 7, 3_000, 7]) counts.add(dictionary.codeOf(number), 2)
  expect([0.1, 0.5, 0.75, 0.76, 1].map((share) => counts.percentile(share))).toEqual([7, 7, 40, 3_000, 3_000])
})

test("using cached counts reserves no memory in the budget of the cached result", () => {
  const memory = budget()
  const dictionary = new NumberDictionary(memory)
  const base = new NumberCounts(dictionary, memory)
  const mapping = Uint32Array.from({ length: 3_001 }, (_, code) =>
    code === 0 ? 0 : dictionary.codeOf(code * 7),
  )
  const codes = Uint32Array.from({ length: 3_000 }, (_, index) => index + 1)
  base.addAll(codes, mapping, { first: 0, end: 3_000, at: undefined })
  const before = memory.reserved
  const own = budget()
  const over = new NumberCounts(new NumberDictionary(own, dictionary), own, base)
  const merged = new NumberCounts(new NumberDictionary(own), own)
  merged.merge(base)
  expect([base, over, merged].map((counts) => counts.percentile(0.5))).toEqual([10_500, 10_500, 10_500])
  expect(memory.reserved).toBe(before)
})

test.each([0, 1])("counted numbers reserve the memory that they use (%d)", (repeated) => {
  const memory = new MemoryBudget(1_048_576)
  const dictionary = new NumberDictionary(repeated ? budget() : memory)
  const counts = new NumberCounts(dictionary, memory)
  expect(() => {
    for (let number = 0; number < 600_000; number++) counts.add(dictionary.codeOf(number), 1)
  }).toThrow()
})

describe("codes of columns count like their numbers", () => {
  const ascending = [-3, -0.5, 0, 0.1, 7, 1e9]
  const columns: [sentence: string, column: Column][] = [
    ["of a block", { codes: codesOf(Uint8Array), values: ascending, numbers: Float64Array.from(ascending) }],
    [
      "of a block of an earlier version",
      {
        codes: codesOf(Uint16Array),
        values: ascending.toReversed(),
        numbers: Float64Array.from(ascending).reverse(),
      },
    ],
    [
      "of rows, as numbers and text",
      { codes: codesOf(Uint32Array), values: [7, "0.1", "plan", true, "-3", 0] },
    ],
  ]
  for (const [sentence, column] of columns) {
    test.each([undefined, Uint32Array.of(1, 2, 6, 9)])(`${sentence}, at %p`, (at) => {
      const dictionary = new NumberDictionary(budget())
      dictionary.codeOf(0.1)
      const counts = new NumberCounts(dictionary, budget())
      const selection = { first: 1, end: 10, at }
      const before = dictionary.codesOfColumn(column, selection)
      counts.addAll(column.codes, before, selection)
      expect(dictionary.codesOfColumn(column, selection)).toEqual(before)
      const indexes = at ? [...at] : [1, 2, 3, 4, 5, 6, 7, 8, 9]
      const numbers = indexes.flatMap(
        (index) => numberOf(column.values[(column.codes[index] as number) - 1]) ?? [],
      )
      for (const share of [0.01, 0.3, 0.5, 0.8, 1])
        expect(counts.percentile(share)).toBe(plainPercentile(numbers, share))
    })
  }
})

function codesOf<Codes>(type: { of: (...codes: number[]) => Codes }): Codes {
  return type.of(6, 1, 2, 0, 3, 3, 4, 5, 6, 1)
}

test("a query shares one dictionary, also with cached results while the codes are the same", () => {
  const cached = new NumberDictionary(budget())
  cached.codeOf(5)
  const numbers = new NumberDictionaries(budget())
  const own = numbers.of("property.amount", cached)
  expect(numbers.of("property.amount", undefined)).toBe(own)
  expect(numbers.of("property.amount", cached)).toBe(own)
  expect(own.mappingOf(cached)).toBeUndefined()
  own.codeOf(6)
  // Another query adds a number to the cached dictionary.
  cached.codeOf(7)
  expect(numbers.of("property.amount", cached)).not.toBe(own)
  expect(numbers.of("property.other", undefined)).not.toBe(own)
  const mapping = own.mappingOf(cached) as Uint32Array
  expect([5, 7].map((number) => own.numberOf(mapping[cached.codeOf(number)] as number))).toEqual([5, 7])
})
