import { expect, test } from "bun:test"
import { HeapCollection } from "../../src/server/heap-collection.ts"

const mib = 1_048_576

test.each([
  ["collects new objects once its heap has grown by 8 MiB", [20, 28, 29], [12], "new"],
  [
    "collects all objects if the heap is still 32 MiB larger than at its smallest",
    [20, 12, 53],
    [45, 12],
    "new all",
  ],
  ["collects nothing while its heap grows slowly and shrinks", [20, 12, 20, 12, 19], [], ""],
  ["counts the growth of new objects from the last collection", [20, 30, 36, 38.5], [29, 30], "new new"],
  ["counts the growth of all objects from the last collection of all", [10, 60, 63, 60], [60, 55], "new all"],
])("the main thread %s", (_, sizes, after, expected) => {
  const collected: string[] = []
  let size = 0
  const collect = (what: string) => () => {
    collected.push(what)
    size = after.shift() as number
  }
  const collection = new HeapCollection({
    heapSize: () => size * mib,
    collectNew: collect("new"),
    collectAll: collect("all"),
  })
  for (size of sizes) collection.check()
  expect(collected.join(" ")).toBe(expected)
})
