import { expect, test } from "bun:test"
import { annotationsSince } from "../../src/dashboard/state/range.ts"

const annotations = ["2026-11-23", "2026-11-15", "2026-11-30", "2026-11-18", "2026-11-14", "2026-11-15"].map(
  (date, index) => ({ id: String(index), date }),
)

const range = { preset: undefined, from: "2026-11-15", to: "2026-11-29", days: 15 }

test("annotations on the first day of a range are separate from later ones, which are sorted by date", () => {
  const { first, later } = annotationsSince(annotations, range)
  expect(first.map(({ id }) => id)).toEqual(["1", "5"])
  expect(later.map(({ date }) => date)).toEqual(["2026-11-18", "2026-11-23"])
})

test.each([
  { name: "a preset", range: { ...range, preset: "last_30d" } },
  { name: "an hour", range: { ...range, hour: "2026-11-15T13:00:00Z" } },
] as const)("no annotations are returned for $name", ({ range }) => {
  expect(annotationsSince(annotations, range)).toEqual({ first: [], later: [] })
})
