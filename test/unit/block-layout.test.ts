import { expect, test } from "bun:test"
import type { BlockRow } from "../../src/columns/block.ts"
import { findInRest, openRest } from "../../src/columns/block-layout.ts"

const slice = { name: "n", kind: "custom" as const, crawler: false, first: 0 }
const slices = [3, 5, 7].map((events, index) => ({ ...slice, index, events }))
// Only the slices of a block are read.
const block = { slices } as unknown as BlockRow

const keys = [
  "plan",
  "",
  "a[",
  ",b",
  ",[1],[4]],[",
  ",3],[",
  '"',
  '\\"',
  "\\",
  '["plan",',
  "[",
  "]]",
  "über",
  "\ud800",
]
const lists: [list: string, entries: unknown[][]][] = [
  ["slices and events", keys.map((key, index) => [key, index % 2 ? [0, 2] : [1], index % 2 ? [1, 2] : [4]])],
  ["events, as stored before blocks had slices", keys.map((key, index) => [key, index + 1])],
]

test.each(lists)("a key is found in a list of keys with %s, whatever other keys contain", (_, entries) => {
  const text = JSON.stringify(entries)
  const all = openRest(block, text)
  const numbersOf = (property: ReturnType<typeof findInRest>) =>
    property && [
      ...slices.map(({ index }) => [property.eventsOf(index), property.firstOf(index)]),
      property.count,
    ]
  for (const key of keys) expect(numbersOf(findInRest(block, text, key))).toEqual(numbersOf(all.get(key)))
  for (const key of ["pla", "plan2", ",", '],["', "0"]) expect(findInRest(block, text, key)).toBeUndefined()
})
