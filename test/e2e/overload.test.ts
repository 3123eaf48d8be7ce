import { expect, test } from "bun:test"
import { complaintsOf, overload } from "./overload.ts"

test("clients that never pause and a store that is slowed: refusals are 503 or 429, what is answered is stored, the process answers and stays small", async () => {
  const report = await overload({ clients: 600, seconds: 2, few: [32], queue: 1_000, held: 100, left: 50 })
  expect(complaintsOf(report)).toEqual([])
}, 60_000)
