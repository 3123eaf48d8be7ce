import { expect, test } from "bun:test"
import { overload, violationsOf } from "./overload.ts"

test("under overload with a slow store, rejections are 503 or 429, acknowledged events are stored, and memory stays bounded", async () => {
  const report = await overload({ clients: 600, seconds: 2, few: [32], queue: 1_000, held: 100, left: 50 })
  expect(violationsOf(report)).toEqual([])
}, 60_000)
