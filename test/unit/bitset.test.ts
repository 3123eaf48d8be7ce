import { describe, expect, test } from "bun:test"
import {
  addToBitset,
  countByLabel,
  findInBitset,
  idsInBitset,
  labelUnlabeled,
  moveDistinct,
  newBitset,
  setBits,
  uniteBitsets,
} from "../../src/query/structures/bitset.ts"
import type { Selection } from "../../src/query/structures/selection.ts"
import { mulberry32, picker } from "../support/random.ts"

const size = 1_000
const random = picker(mulberry32(1))
const ids = Uint32Array.from({ length: 400 }, () => random.whole(0, size))
// Includes every bit of a word, even the sign bit, and the last id.
ids.set(Uint32Array.from({ length: 32 }, (_, bit) => 64 + bit))
ids[50] = size

const selections: Record<string, Selection> = {
  "all events": { first: 0, end: ids.length, at: undefined },
  "a range": { first: 20, end: 300, at: undefined },
  "some indexes": { first: 0, end: ids.length, at: Uint32Array.from({ length: 100 }, (_, n) => n * 3) },
  "no event": { first: 5, end: 5, at: undefined },
}

function indexesOf({ first, end, at }: Selection): number[] {
  return at ? [...at] : Array.from({ length: end - first }, (_, n) => first + n)
}

describe("a bitset behaves like a Set", () => {
  for (const [name, selection] of Object.entries(selections)) {
    const selected = indexesOf(selection).map((index) => ids[index] as number)
    const expected = [...new Set(selected)].filter((id) => id !== 0).sort((a, b) => a - b)

    test(`with ${name}`, () => {
      const bits = newBitset(size)
      expect(addToBitset(bits, ids, selection)).toBe(new Set(selected).size)
      expect(addToBitset(bits, ids, selection)).toBe(0)
      expect([...idsInBitset(bits, expected.length)]).toEqual(expected)
      const uncounted = newBitset(size)
      setBits(uncounted, ids, selection)
      expect(uncounted).toEqual(bits)
      const list = Uint32Array.from(selected)
      const marks = newBitset(size)
      const distinct = list.subarray(0, moveDistinct(list, list.length, marks))
      expect([...distinct].sort((a, b) => a - b)).toEqual(expected)
      expect(marks).toEqual(newBitset(size))
    })

    test(`with ${name} searched for the ids in a bitset`, () => {
      const bits = newBitset(size)
      setBits(
        bits,
        Uint32Array.from({ length: size / 2 }, (_, n) => n * 2),
        {
          first: 0,
          end: size / 2,
          at: undefined,
        },
      )
      const indexes = new Uint32Array(ids.length)
      const found = findInBitset(bits, ids, selection, indexes)
      expect([...indexes.subarray(0, found)]).toEqual(
        indexesOf(selection).filter((index) => (ids[index] as number) % 2 === 0 && ids[index] !== size),
      )
    })

    test(`with ${name} added to other ids`, () => {
      const [bits, other] = [newBitset(size), newBitset(size)]
      const half = { first: 0, end: 100, at: undefined }
      addToBitset(bits, ids, half)
      addToBitset(other, ids, selection)
      const before = new Set(ids.subarray(0, 100))
      expect(uniteBitsets(bits, other)).toBe(new Set(selected.filter((id) => !before.has(id))).size)
    })

    test(`with ${name} labeled and counted by label`, () => {
      const bits = newBitset(size)
      setBits(bits, ids, selection)
      const labels = new Uint32Array(size + 1)
      const labeled = expected.slice(0, 10)
      for (const id of labeled) labels[id] = 1
      expect(labelUnlabeled(bits, labels, 2)).toBe(expected.length - labeled.length)
      expect(labels[0]).toBe(0)
      const counts = new Uint32Array(3)
      countByLabel(bits, labels, counts)
      const missing = selected.includes(0) ? 1 : 0
      expect([...counts]).toEqual([missing, labeled.length, expected.length - labeled.length])
    })
  }
})
