import { expect, test } from "bun:test"
import type { Batch } from "../../src/columns/batch.ts"
import { Stamps } from "../../src/columns/stamps.ts"
import { DistinctIds } from "../../src/query/aggregate/distinct-ids.ts"
import { MemoryBudget } from "../../src/query/structures/memory-budget.ts"
import { mulberry32 } from "../support/random.ts"

const seed = Number(process.env.DATABUDDY_FUZZ_SEED ?? 1)
/** Large enough that most groups have a list of ids, and some a set. */
const range = 40_000
const words = Math.ceil((range + 1) / 32)

/** A batch that has only visitor ids. The ids of a block never change. */
const batchOf = (ids: Uint32Array, block?: number) =>
  ({ visitors: () => ids, count: -1, block }) as unknown as Batch

test(`the distinct ids in lists equal those of Sets, over a base, merged and packed (DATABUDDY_FUZZ_SEED=${seed})`, () => {
  const random = mulberry32(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const stamps = new Stamps()
  const budget = new MemoryBudget(2 ** 30)

  /** Adds random ids to a group, and to its set. */
  function addSome(ids: DistinctIds, group: number, sets: readonly Set<number>[]): void {
    const isSealed = below(2) === 0
    // From a small range, ids repeat; from a large one, most of them are distinct.
    const largest = below(2) === 0 ? 20 : range
    const batchIds = Uint32Array.from({ length: 1 + below(600) }, () => below(largest))
    const at = below(3) === 0 ? Uint32Array.from(batchIds.keys()).filter(() => below(2) === 0) : undefined
    const selection = { first: below(batchIds.length), end: batchIds.length, at }
    if (at?.length === 0) return
    ids.addAll(group, batchOf(batchIds, isSealed ? 1 : undefined), selection)
    for (const index of at ?? [...batchIds.keys()].slice(selection.first))
      if (batchIds[index] !== 0) sets[group]?.add(batchIds[index] as number)
    // The next rows can be read into the same array.
    if (!isSealed) batchIds.fill(1)
  }

  for (let round = 0; round < 100; round++) {
    let expected: Set<number>[] = []
    let base: DistinctIds | undefined
    for (let level = 0; level < 3; level++) {
      const ids = new DistinctIds("visitors", range, stamps, budget, base)
      const sets = expected.map((set) => new Set(set))
      for (let step = 0; step < 6; step++) {
        for (const groups = 1 + below(4); sets.length < groups; sets.push(new Set())) ids.grow()
        addSome(ids, below(sets.length), sets)
      }
      const other = new DistinctIds("visitors", range, stamps, budget)
      const otherSets = [new Set<number>()]
      other.grow()
      for (let step = below(6); step >= 0; step--) addSome(other, 0, otherSets)
      if (below(2) === 0) other.pack()
      ids.merge(0, other, 0)
      for (const id of otherSets[0] ?? []) sets[0]?.add(id)
      if (below(2) === 0) ids.pack()
      const isChecked = level === 2 || below(2) === 0
      if (isChecked) expect(sets.map((_, group) => ids.value(group))).toEqual(sets.map(({ size }) => size))
      ;[base, expected] = [ids, sets]
    }
  }
  expect(budget.reserved).toBeGreaterThan(0)
  expect(stamps.emptyBits(words).every((word) => word === 0)).toBe(true)
})

test("packing a list releases the memory of repeated ids", () => {
  const budget = new MemoryBudget(2 ** 20)
  const ids = new DistinctIds("visitors", range, new Stamps(), budget)
  ids.grow()
  const repeated = Uint32Array.from({ length: 500 }, (_, n) => 1 + (n % 10))
  for (let n = 0; n < 2; n++) ids.addAll(0, batchOf(repeated, 1), { first: 0, end: 500, at: undefined })
  expect(budget.reserved).toBeGreaterThanOrEqual(4_000)
  ids.pack()
  expect(budget.reserved).toBeLessThan(500)
  expect(ids.value(0)).toBe(10)
})
