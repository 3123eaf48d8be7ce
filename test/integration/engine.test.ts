import { afterEach, beforeEach, expect, test } from "bun:test"
import { differences } from "../../src/columns/check.ts"
import { WorkerQueryEngine } from "../../src/query/engine/engine.ts"
import type { GroupsQuery } from "../../src/query/query.ts"
import { OutOfMemoryBudgetError } from "../../src/query/structures/memory-budget.ts"
import type { QuerySpec } from "../../src/query-api/query-spec.ts"
import type { EventRow } from "../../src/store/events.ts"
import { Store } from "../../src/store/store.ts"
import { eventually, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { eventRow } from "../support/event.ts"

let folder: TemporaryFolder
let store: Store
let engine: WorkerQueryEngine<QuerySpec>
const faults: unknown[] = []
const start = Date.UTC(2026, 5, 1)

function begin(memory = 268_435_456): void {
  const path = folder.file("a.db")
  const environment = {
    now: Date.now,
    elapsed: () => performance.now(),
    random: (bytes: Uint8Array) => bytes,
    pid: process.pid,
  }
  const limits = { maxEvents: 1e6, maxBytes: 1e9, maxWait: 1_000, durability: "os" as const, minFree: 0 }
  store = new Store({ path, ...limits }, environment, {
    onFault: (error) => faults.push(error),
    onWarning: () => {},
  })
  engine = new WorkerQueryEngine<QuerySpec>(
    {
      path,
      memory,
      now: environment.now,
      elapsed: environment.elapsed,
      onFault: (error) => faults.push(error),
    },
    store,
  )
}

beforeEach(() => {
  folder = temporaryFolder()
  faults.length = 0
})
afterEach(async () => {
  await engine.close()
  expect(await store.close()).toBe(true)
  folder[Symbol.dispose]()
})

/** Visitors that all differ: what costs an answer most. */
async function insert(count: number): Promise<void> {
  for (let from = 0; from < count; from += 5_000) {
    const rows = Array.from(
      { length: Math.min(5_000, count - from) },
      (_, index): EventRow =>
        eventRow({ ts: start + from + index, receivedAt: start, anonymousId: `visitor ${from + index}` }),
    )
    await store.batcher.submit({ rows, size: 1 })
  }
}

function about(question: Partial<GroupsQuery>): GroupsQuery {
  const scope = {
    websites: [0],
    from: start,
    to: start + 86_400_000,
    zone: "UTC",
    filters: [],
    crawlers: false,
  }
  return { kind: "groups", scope, by: [], measures: ["events", "users"], ...question }
}

const never = new AbortController().signal

test("a question is answered of what was stored a moment ago, and of blocks once they are made behind the commits", async () => {
  begin()
  await insert(20_000)
  const before = await engine.run(about({}), "a key", never)
  expect([before.result.groups[0]?.values, before.statistics.source]).toEqual([[20_000, 20_000], "rows"])
  engine.start()
  await eventually(async () => (await engine.run(about({}), "a key", never)).statistics.source === "blocks")
  await insert(1)
  const after = await engine.run(about({}), "a key", never)
  expect([after.result.groups[0]?.values, after.statistics.source]).toEqual([[20_001, 20_000], "blocks+rows"])
  expect(differences(store.db)).toEqual([])
  expect(faults).toEqual([])
})

test("a question whose asker has gone is given up, and others do not wait for it", async () => {
  begin()
  await insert(100_000)
  const asker = new AbortController()
  let ended = false
  const slow = engine
    .run(about({ by: ["anonymous_id"] }), "a key", asker.signal)
    .finally(() => (ended = true))
  const quick = engine.run(about({ scope: { ...about({}).scope, websites: [7] } }), "a key", never)
  asker.abort(new Error("gone"))
  expect(slow).rejects.toThrow("gone")
  expect((await quick).result.groups[0]?.values).toEqual([0, 0])
  expect(ended).toBe(true)
})

test("an answer that needs more memory than it may take is refused, and the next one is not", async () => {
  begin(16_777_216)
  await insert(60_000)
  const all = engine.run(about({ by: ["anonymous_id"] }), "a key", never)
  expect(all).rejects.toBeInstanceOf(OutOfMemoryBudgetError)
  await all.catch(() => {})
  expect((await engine.run(about({}), "a key", never)).result.groups[0]?.values).toEqual([60_000, 60_000])
})

test("questions at once are answered each for itself", async () => {
  begin()
  await insert(30_000)
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => {
      const { scope } = about({})
      return engine.run(about({ scope: { ...scope, to: start + (index + 1) * 1_000 } }), "a key", never)
    }),
  )
  expect(answers.map(({ result: answer }) => answer.groups[0]?.values[0])).toEqual(
    Array.from({ length: 20 }, (_, index) => (index + 1) * 1_000),
  )
})
