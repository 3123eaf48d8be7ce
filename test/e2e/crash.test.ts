import { expect, test } from "bun:test"
import { crashRepeatedly } from "./crash.ts"

test("a server that is killed twenty times under load loses, doubles and tears no event", async () => {
  const report = await crashRepeatedly(20, 7)
  expect(report).toMatchObject({ kills: 20, lostOrDoubled: 0, torn: 0, integrity: "ok", blocks: [] })
  // The test would prove nothing had the load not come through.
  expect(report.answered).toBeGreaterThan(20)
}, 120_000)
