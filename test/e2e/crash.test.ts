import { expect, test } from "bun:test"
import { crashRepeatedly } from "./crash.ts"

test("a server that is killed twenty times under load loses, duplicates and splits no request", async () => {
  const report = await crashRepeatedly(20, 7)
  expect(report).toMatchObject({ kills: 20, lostOrDoubled: 0, torn: 0, integrity: "ok", blocks: [] })
  // Guards against a vacuous test: the load must have arrived.
  expect(report.answered).toBeGreaterThan(20)
}, 120_000)
