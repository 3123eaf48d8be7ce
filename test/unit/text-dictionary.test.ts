import { describe, expect, test } from "bun:test"
import { CodeCounts } from "../../src/query/structures/code-counts.ts"
import { MemoryBudget } from "../../src/query/structures/memory-budget.ts"
import { hashOf, TextDictionary } from "../../src/query/structures/text-dictionary.ts"

const seed = 0x9e37_79b9
const budget = () => new MemoryBudget(2 ** 30)

const texts: Record<string, string[]> = {
  "empty and short texts": ["", "a", "b", "ab", "ba"],
  "texts with the same characters in one and two bytes": ["é", "é ", "ā", "\u0001\u0001", "\u0001\u0002"],
  "halves of surrogate pairs": ["\ud800", "\udc00", "\ud800\udc00", "😀", "\ufffd"],
  "long texts": ["x".repeat(10_000), "x".repeat(10_001), `${"x".repeat(9_999)}ÿ`, `${"x".repeat(9_999)}Ā`],
  "thousands of texts": Array.from({ length: 5_000 }, (_, index) => `order number ${index * 7_919}`),
}

describe("a dictionary returns the texts that were added", () => {
  test.each(Object.entries(texts))("%s", (_, added) => {
    const dictionary = new TextDictionary(budget(), seed)
    const codes = added.map((text) => dictionary.codeOf(text))
    expect(new Set(codes).size).toBe(added.length)
    expect(added.map((text) => dictionary.codeOf(text))).toEqual(codes)
    expect(codes.map((code) => dictionary.textOf(code))).toEqual(added)
    expect(codes.map((code) => dictionary.textLengthOf(code))).toEqual(added.map(({ length }) => length))
    expect(dictionary.find("not added")).toBeUndefined()
    const sorted = codes.toSorted((left, right) => dictionary.compare(left, right))
    expect(sorted.map((code) => dictionary.textOf(code))).toEqual(added.toSorted())
  })

  test.each(Object.entries(texts))("to it, to its base, or to another dictionary: %s", (_, added) => {
    const [first, second] = [new TextDictionary(budget(), seed), new TextDictionary(budget(), seed)]
    const half = Math.ceil(added.length / 2)
    for (const text of added.slice(0, half)) first.codeOf(text)
    const over = new TextDictionary(budget(), seed, first)
    for (const text of added.toReversed().slice(1)) second.codeOf(text)
    const mapping = over.mappingOf(second) as Uint32Array
    for (const text of added) {
      const code = second.find(text)
      if (code !== undefined) expect(mapping[code]).toBe(over.codeOf(text))
      expect(over.textOf(over.codeOf(text))).toBe(text)
    }
    expect(over.mappingOf(first)).toBeUndefined()
    expect(over.size - 2).toBe(added.length)
  })
})

test("counts stay exact when they are stored in fewer bytes, in a base, and when they grow again", () => {
  const dictionary = new TextDictionary(budget(), seed)
  const [rare, often] = [dictionary.codeOf("rare"), dictionary.codeOf("often")]
  for (const times of [1, 255, 256, 65_535, 65_536]) {
    const counts = new CodeCounts(dictionary, budget())
    counts.add(rare, 1)
    counts.add(often, times)
    counts.shrink()
    const over = new CodeCounts(dictionary, budget(), counts)
    over.add(often, 1)
    counts.add(rare, 1)
    const found = new Map<number, number>()
    over.forEach((code, count) => {
      found.set(code, count)
    })
    expect(found).toEqual(
      new Map([
        [rare, 2],
        [often, times + 1],
      ]),
    )
  }
})

test("texts reserve the memory that they use, which is less than that of strings", () => {
  const memory = budget()
  const dictionary = new TextDictionary(memory, seed)
  for (let index = 0; index < 100_000; index++) dictionary.codeOf(`order number ${index}`)
  const characters = 18
  expect(memory.reserved).toBeGreaterThan(100_000 * characters)
  expect(memory.reserved).toBeLessThan(100_000 * characters * 3)
})

test("hashes depend on the seed, and are spread evenly", () => {
  const numbered = Array.from({ length: 10_000 }, (_, index) => `order ${index}`)
  const hashes = (seed: number) => numbered.map((text) => hashOf(text, seed))
  const [first, second] = [hashes(1), hashes(2)]
  expect(first.filter((hash, index) => hash === second[index]).length).toBeLessThan(3)
  for (const own of [first, second]) {
    expect(new Set(own).size).toBeGreaterThan(9_990)
    // Half of the hashes in each half of the range, and in even and odd slots of a hash table.
    for (const isInHalf of [(hash: number) => hash < 2 ** 31, (hash: number) => (hash & 2) === 0])
      expect(Math.abs(own.filter(isInHalf).length - 5_000)).toBeLessThan(300)
  }
})
