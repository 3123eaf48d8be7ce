import { expect, test } from "bun:test"
import { GroupKeys } from "../../src/query/aggregate/group-keys.ts"
import { mulberry32 } from "../support/random.ts"

const seed = Number(process.env.DATABUDDY_FUZZ_SEED ?? 1)

for (const dimensions of [0, 1, 2, 3])
  test(`group numbers with ${dimensions} dimensions equal those in a Map, also over a base (DATABUDDY_FUZZ_SEED=${seed})`, () => {
    const random = mulberry32(seed + dimensions)
    const below = (limit: number) => Math.floor(random() * limit)
    // The empty text, a missing value and the text "null" are different.
    const values = [null, "", "null", ...Array.from({ length: 40 }, (_, index) => `value ${index}`)]
    const expected = new Map<string, number>()
    let keys = new GroupKeys(dimensions)
    for (let level = 0; level < 3; level++) {
      for (let step = 0; step < 2_000; step++) {
        const by = Array.from({ length: dimensions }, () => values[below(values.length)] ?? null)
        const bucket = below(5)
        const text = JSON.stringify([bucket, by])
        const known = expected.get(text)
        expect(keys.find(by, bucket)).toBe(known)
        if (known !== undefined) continue
        expect(keys.add(by, bucket)).toBe(expected.size)
        expected.set(text, expected.size)
      }
      expect(keys.count).toBe(expected.size)
      const listed = Array.from({ length: keys.count }, (_, group) => {
        const by: (string | null)[] = []
        keys.copyTo(by, group)
        return [keys.bucketOf(group), by]
      })
      expect(listed.map((entry) => JSON.stringify(entry))).toEqual([...expected.keys()])
      keys = new GroupKeys(dimensions, keys)
    }
  })
