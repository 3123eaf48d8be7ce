import { expect, test } from "bun:test"
import { memoryPlan } from "../../src/server/memory-plan.ts"

const mib = 1_048_576
const cases = [
  {
    available: 512,
    queryMemory: undefined,
    query: 128,
    one: 64,
    caches: 48,
    sqlite: 24,
    from: "the memory available",
  },
  {
    available: 2_048,
    queryMemory: undefined,
    query: 256,
    one: 128,
    caches: 96,
    sqlite: 48,
    from: "the memory available",
  },
  {
    available: 65_536,
    queryMemory: undefined,
    query: 512,
    one: 256,
    caches: 192,
    sqlite: 48,
    from: "the memory available",
  },
  { available: 2_048, queryMemory: 64, query: 64, one: 32, caches: 24, sqlite: 24, from: "--query-memory" },
]
for (const { available, queryMemory, query, one, caches, sqlite, from } of cases) {
  test(`with ${available} MiB and ${queryMemory ?? "no"} --query-memory, queries get ${query} MiB`, () => {
    const options = {
      queueBytes: 64 * mib,
      ...(queryMemory === undefined ? {} : { queryMemory: queryMemory * mib }),
    }
    expect(memoryPlan(options, available * mib)).toEqual({
      available_mib: available,
      query_memory_mib: query,
      query_memory_from: from,
      one_query_mib: one,
      caches_mib: caches,
      sqlite_cache_mib: sqlite,
      queue_mib: 64,
      bodies_mib: 64,
    })
  })
}
