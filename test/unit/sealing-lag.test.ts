import { expect, test } from "bun:test"
import { SealingLag } from "../../src/store/ingest/sealing-lag.ts"

/** `sealsPerSecond` is the number of rows that were sealed in each of the last three seconds. */
function lagOf(unsealed: number, sealsPerSecond = 0) {
  let now = 0
  const lag = new SealingLag(() => now)
  lag.report(unsealed)
  if (sealsPerSecond > 0) {
    for (let second = 0; second < 3; second++) {
      lag.sealed(sealsPerSecond)
      lag.stored(sealsPerSecond)
      now += 1_000
    }
  }
  return lag
}

const cases: [unsealed: number, sealsPerSecond: number, rows: number, ms: number][] = [
  [131_072, 100_000, 5_000, 0],
  [200_000, 100_000, 5_000, 100],
  [3_000_000, 100_000, 5_000, 100],
  // Even if sealing is slow, 10,000 rows per second are stored.
  [3_000_000, 0, 5_000, 500],
  [3_000_000, 0, 1, 0.1],
]
for (const [unsealed, sealsPerSecond, rows, ms] of cases) {
  test(`with ${unsealed} unsealed rows and ${sealsPerSecond} sealed per second, a commit of ${rows} rows is followed by a delay of ${ms} ms`, () => {
    expect(lagOf(unsealed, sealsPerSecond).delayAfter(rows)).toBeCloseTo(ms)
  })
}

test("nothing is delayed before the number of unsealed rows is known", () => {
  const lag = new SealingLag(() => 0)
  lag.stored(1_000_000)
  expect([lag.isKnown, lag.isFull, lag.delayAfter(5_000)]).toEqual([false, false, 0])
})

test("a sealing pass is requested as soon as there are enough rows for it", () => {
  const lag = lagOf(65_000)
  let calls = 0
  lag.onFull = () => calls++
  lag.stored(535)
  expect(calls).toBe(0)
  lag.stored(1)
  expect(calls).toBe(1)
})
