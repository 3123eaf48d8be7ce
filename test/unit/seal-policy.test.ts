import { expect, test } from "bun:test"
import { backlogRows, SealPolicy } from "../../src/columns/seal-policy.ts"

/** `last` is the last row id after one second, and so the number of rows that arrived in that second. */
const arrivals: [sentence: string, last: number, includeFew: boolean, rows: number, parts: number][] = [
  ["once no more rows arrive, 1,024 are sealed", 0, false, 1_024, 2],
  ["while rows arrive, 8,192 are sealed", 1, false, 8_192, 2],
  ["while 4,096 rows a second arrive, 8,192 are sealed", 4_096, false, 8_192, 2],
  ["while more arrive, 65,536 are sealed, and more blocks are merged at once", 4_097, false, 65_536, 8],
  ["in a maintenance round, a single row is sealed", 4_097, true, 1, 8],
]

test.each(arrivals)("%s", (_, last, includeFew, rows, parts) => {
  const policy = new SealPolicy(0, 0)
  policy.update(0, last, 1_000)
  expect([policy.minRows(includeFew), policy.minParts]).toEqual([rows, parts])
})

const backlogs: [sentence: string, unsealed: number, rate: number, now: number, waits: boolean][] = [
  ["queries do not wait for a small backlog", backlogRows, 0, 1_000, false],
  ["queries wait for a large backlog", backlogRows + 1, 0, 1_000, true],
  ["queries do not wait for the same backlog while events arrive", backlogRows + 1, 65, 1_000, false],
  ["queries wait for a very large backlog while events arrive", 131_073, 65, 1_000, true],
  ["queries wait for at most 30 s", backlogRows + 1, 0, 31_000, false],
]

test.each(backlogs)("%s", (_, unsealed, rate, now, waits) => {
  const policy = new SealPolicy(0, 0)
  policy.update(unsealed, rate, 1_000)
  expect(policy.hasBacklog(now)).toBe(waits)
})

test("the time limit for waiting starts again after the backlog has been sealed", () => {
  const policy = new SealPolicy(0, 0)
  policy.update(backlogRows + 1, 0, 0)
  policy.update(backlogRows, 0, 29_000)
  policy.update(backlogRows + 1, 0, 30_000)
  expect(policy.hasBacklog(59_999)).toBe(true)
})
