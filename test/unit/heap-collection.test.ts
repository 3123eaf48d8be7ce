import { expect, test } from "bun:test"
import { HeapCollection } from "../../src/server/heap-collection.ts"

const mib = 1_048_576

test("the main thread collects once its heap has grown by 32 MiB since it was smallest", () => {
  const sizes = [20, 52, 10, 42, 43, 12, 44, 12, 13]
  let collected = 0
  const collection = new HeapCollection({
    heapSize: () => (sizes.shift() as number) * mib,
    collect: () => collected++,
  })
  const seen: number[] = []
  for (let turn = 0; turn < 6; turn++) {
    collection.check()
    seen.push(collected)
  }
  expect(seen).toEqual([0, 0, 0, 0, 1, 1])
})
