import { expect, test } from "bun:test"
import type { Batch } from "../../src/columns/batch.ts"
import { Stamps } from "../../src/columns/stamps.ts"
import { GroupedIds } from "../../src/query/aggregate/grouped-ids.ts"
import { MemoryBudget } from "../../src/query/structures/memory-budget.ts"
import { mulberry32 } from "../support/random.ts"

/** A table with one group over `base`. Each list of ids is merged into it from another table. */
function tableOf(lists: readonly number[][], stamps: Stamps, base?: GroupedIds): GroupedIds {
  const budget = new MemoryBudget(2 ** 30)
  const table = new GroupedIds("visitors", 10_000, stamps, budget, base)
  if (!base) table.grow()
  for (const list of lists) {
    const other = new GroupedIds("visitors", 10_000, stamps, budget)
    other.grow()
    const ids = Uint32Array.from(list)
    other.addAll(0, batchOf(ids), { first: 0, end: ids.length, at: undefined })
    other.pack()
    table.merge(0, other, 0)
  }
  return table
}

const range = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => to - 1 - index)

test.each([
  ["new ids", [[9_001, 9_002]], 2],
  ["ids of the first, of the last and of both lists", [[1, 2_000, 3_000, 4_999]], 0],
  ["new and known ids", [[1, 9_001]], 1],
  ["the same new id in two tables", [[9_001], [9_001, 1]], 1],
  ["ids of a long list", [range(4_900, 5_100)], 100],
] as const)("over a base with many ids, %s are counted once", (_, lists, added) => {
  const stamps = new Stamps()
  // In descending order, because ids can arrive in any order.
  const base = tableOf([range(1, 3_000), range(2_000, 5_000)], stamps)
  const more = tableOf(
    lists.map((list) => [...list]),
    stamps,
    base,
  )
  expect(more.value(0)).toBe(4_999 + added)
  expect(base.value(0)).toBe(4_999)
  expect(tableOf([[9_999]], stamps, more).value(0)).toBe(5_000 + added)
})

const seed = Number(process.env.DATABUDDY_FUZZ_SEED ?? 1)

/** A batch that has only visitor ids. */
const batchOf = (ids: Uint32Array) => ({ visitors: () => ids }) as unknown as Batch

test(`the distinct ids of groups equal those of Sets, over a base, merged and packed (DATABUDDY_FUZZ_SEED=${seed})`, () => {
  const random = mulberry32(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const stamps = new Stamps()
  const budget = new MemoryBudget(2 ** 30)
  for (let round = 0; round < 300; round++) {
    // Some merges copy a few ids, and others share many.
    const range = 2 + below(round % 2 === 0 ? 30 : 400)
    let expected: Set<number>[] = []
    let base: GroupedIds | undefined
    for (let level = 0; level < 3; level++) {
      const ids = new GroupedIds("visitors", range, stamps, budget, base)
      const sets = expected.map((set) => new Set(set))
      for (let step = 0; step < 5; step++) {
        for (const groups = 1 + below(5); sets.length < groups; sets.push(new Set())) ids.grow()
        const batchIds = Uint32Array.from({ length: below(20) }, () => below(range))
        const groups = Uint32Array.from(batchIds, () => below(sets.length))
        ids.addEach(groups, batchOf(batchIds), { first: 0, end: batchIds.length, at: undefined })
        for (const [n, id] of batchIds.entries()) if (id !== 0) sets[groups[n] as number]?.add(id)
      }
      const other = new GroupedIds("visitors", range, stamps, budget)
      other.grow()
      const batchIds = Uint32Array.from({ length: 1 + below(range * 2) }, () => below(range))
      other.addAll(0, batchOf(batchIds), { first: 0, end: batchIds.length, at: undefined })
      if (below(2) === 0) other.pack()
      ids.merge(0, other, 0)
      for (const id of batchIds) if (id !== 0) sets[0]?.add(id)
      if (below(2) === 0) ids.pack()
      const isChecked = level === 2 || below(2) === 0
      if (isChecked) expect(sets.map((_, group) => ids.value(group))).toEqual(sets.map(({ size }) => size))
      ;[base, expected] = [ids, sets]
    }
  }
})
