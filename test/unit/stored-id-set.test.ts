import { expect, test } from "bun:test"
import { packIdSet, StoredIdSet } from "../../src/columns/stored-id-set.ts"
import { IdSet } from "../../src/query/structures/id-set.ts"
import { MemoryBudget } from "../../src/query/structures/memory-budget.ts"
import { mulberry32, picker } from "../support/random.ts"

const random = picker(mulberry32(1))
const below = (limit: number, count: number) => Array.from({ length: count }, () => random.whole(0, limit))

const cases: Record<string, number[]> = {
  "no id": [],
  "only a missing id": [0, 0],
  "ids at the ends of words and chunks": [1, 31, 32, 63, 64, 65_535, 65_536, 131_071],
  "an odd number of ids in each of several chunks": [5, 5, 7, 9, 65_537, 200_000],
  "few ids of a large dictionary": below(5_000_000, 700),
  "many ids of a small dictionary": below(30_000, 40_000),
  "chunks with many ids and chunks with few": [...below(65_536, 30_000), ...below(1_000_000, 500)],
}

for (const [name, ids] of Object.entries(cases)) {
  const expected = [...new Set(ids)].filter((id) => id !== 0).sort((a, b) => a - b)
  const stored = new StoredIdSet(packIdSet(Uint32Array.from(ids)))

  test(`${name}: a packed set has the distinct ids`, () => {
    expect(stored.size).toBe(expected.length)
    expect([...stored.ids()]).toEqual(expected)
  })

  // With the first range, the ids are stored in a table. With the others, they are stored in a bitset.
  for (const range of [2 ** 31, 5_000_001, Math.max(1, ...ids) + 1])
    test(`${name}: adding the set to other ids up to ${range} returns the union`, () => {
      const budget = new MemoryBudget(2 ** 30)
      const base = new IdSet(range, budget)
      const others = expected.filter((_, index) => index % 3 === 0).concat(1)
      for (const id of others) base.add(id)
      for (const set of [base, IdSet.over(base, range, budget)]) {
        const before = set === base ? "alone" : "with a base"
        set.addStored(stored)
        expect(`${before} ${set.size}`).toBe(`${before} ${new Set([...expected, 1]).size}`)
        for (const id of expected) if (!set.has(id)) throw new Error(`${before}: ${id} is missing`)
      }
    })
}
