import { afterEach, beforeEach, expect, test } from "bun:test"
import { differences } from "../../src/columns/check.ts"
import { eventKinds } from "../../src/event-kinds.ts"
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

/** Starts the engine and waits until its thread has opened the database, as the server does before it listens. */
async function startEngine(memory = 268_435_456): Promise<void> {
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
  await engine.opened
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

/** Inserts events with a different visitor each, because this needs the most memory. */
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

function eventsQuery(query: Partial<GroupsQuery>): GroupsQuery {
  const scope = {
    websites: [0],
    from: start,
    to: start + 86_400_000,
    zone: "UTC",
    filters: [],
    crawlers: false,
    kinds: eventKinds,
  }
  return { kind: "groups", scope, by: [], measures: ["events", "users"], ...query }
}

const never = new AbortController().signal

test("a query sees events as soon as they are stored, and reads blocks once they are sealed", async () => {
  await startEngine()
  await insert(20_000)
  const before = await engine.run(eventsQuery({}), "a key", never)
  expect([before.result.groups[0]?.values, before.statistics.source]).toEqual([[20_000, 20_000], "rows"])
  engine.start()
  await eventually(
    async () => (await engine.run(eventsQuery({}), "a key", never)).statistics.source === "blocks",
  )
  await insert(1)
  const after = await engine.run(eventsQuery({}), "a key", never)
  expect([after.result.groups[0]?.values, after.statistics.source]).toEqual([[20_001, 20_000], "blocks+rows"])
  expect(differences(store.db)).toEqual([])
  expect(faults).toEqual([])
})

test("the query of a disconnected client is canceled, and other queries do not wait for it", async () => {
  await startEngine()
  await insert(100_000)
  const asker = new AbortController()
  let ended = false
  const slow = engine
    .run(eventsQuery({ by: ["anonymous_id"] }), "a key", asker.signal)
    .finally(() => (ended = true))
  const quick = engine.run(
    eventsQuery({ scope: { ...eventsQuery({}).scope, websites: [7] } }),
    "a key",
    never,
  )
  asker.abort(new Error("gone"))
  await expect(slow).rejects.toThrow("gone")
  expect((await quick).result.groups[0]?.values).toEqual([0, 0])
  expect(ended).toBe(true)
})

test("a query that exceeds its memory budget fails, and the next one succeeds", async () => {
  await startEngine(16_777_216)
  await insert(60_000)
  const all = engine.run(eventsQuery({ by: ["anonymous_id"] }), "a key", never)
  await expect(all).rejects.toBeInstanceOf(OutOfMemoryBudgetError)
  expect((await engine.run(eventsQuery({}), "a key", never)).result.groups[0]?.values).toEqual([
    60_000, 60_000,
  ])
})

test("concurrent queries get their own results", async () => {
  await startEngine()
  await insert(30_000)
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) => {
      const { scope } = eventsQuery({})
      return engine.run(eventsQuery({ scope: { ...scope, to: start + (index + 1) * 1_000 } }), "a key", never)
    }),
  )
  expect(answers.map(({ result: answer }) => answer.groups[0]?.values[0])).toEqual(
    Array.from({ length: 20 }, (_, index) => (index + 1) * 1_000),
  )
})

test("a query that has been answered or has failed leaves no abort listener behind", async () => {
  await startEngine(16_777_216)
  await insert(60_000)
  const { signal } = new AbortController()
  let listeners = 0
  const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)]
  signal.addEventListener = (...listener: Parameters<typeof add>) => {
    listeners++
    add(...listener)
  }
  signal.removeEventListener = (...listener: Parameters<typeof remove>) => {
    listeners--
    remove(...listener)
  }
  const failing = engine.run(eventsQuery({ by: ["anonymous_id"] }), "a key", signal)
  expect(listeners).toBe(1)
  await expect(failing).rejects.toBeInstanceOf(OutOfMemoryBudgetError)
  expect(listeners).toBe(0)
  const running = engine.run(eventsQuery({}), "a key", signal)
  expect(listeners).toBe(1)
  await running
  expect(listeners).toBe(0)
})

test("after a start with a backlog of unsealed rows, the first query waits until they are sealed", async () => {
  await startEngine()
  const count = 150_000
  await insert(count)
  await engine.close()
  await store.close()
  await startEngine()
  const query = engine.run(eventsQuery({}), "a", new AbortController().signal)
  engine.start()
  const { result, statistics } = await query
  expect(result.groups).toMatchObject([{ values: [count, count] }])
  expect(statistics.rows).toBeLessThanOrEqual(16_384)
  expect(statistics.blockEvents + statistics.rows).toBe(count)
  expect(faults).toEqual([])
}, 60_000)
