import { expect, test } from "bun:test"
import { Batcher, type Committer } from "../../src/store/ingest/batcher.ts"
import { StoreLockedError, type Write } from "../../src/store/ingest/writer.ts"
import { eventRow } from "../support/event.ts"

const write = (events: number, size = 10): Write => ({ rows: Array(events).fill(eventRow()), size })

function batcherOver(
  commit: Committer["commit"],
  limits = {},
  delayAfter: (rows: number) => number = () => 0,
) {
  const clock = { now: 0 }
  const faults: unknown[] = []
  const options = { maxEvents: 10, maxBytes: 100, maxWait: 1_000, ...limits }
  const batcher = new Batcher(
    { commit, unavailableReason: () => undefined, delayAfter },
    options,
    () => clock.now,
    (error) => faults.push(error),
  )
  return { batcher, clock, faults }
}

/** Returns "stored" or, if the promise is rejected, the reason. */
async function outcome(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
    return "stored"
  } catch (error) {
    return (error as { reason: string }).reason
  }
}

test("writes from one turn of the event loop are committed together, and a single request is not delayed", async () => {
  const batches: number[] = []
  const { batcher } = batcherOver((writes) => {
    batches.push(writes.length)
    return []
  })
  await Promise.all([batcher.submit(write(1)), batcher.submit(write(2)), batcher.submit(write(3))])
  await batcher.submit(write(1))
  expect(batches).toEqual([3, 1])
})

test("large writes are split into several commits, and other requests are read in between", async () => {
  const batches: number[] = []
  const turns: number[] = []
  const { batcher } = batcherOver(
    (writes) => {
      batches.push(writes.length)
      setImmediate(() => turns.push(batches.length))
      return []
    },
    { maxBytes: 67_108_864 },
  )
  const megabytes = [2, 2, 1, 1, 1, 0.1]
  await Promise.all(megabytes.map((size) => batcher.submit(write(1, size * 1_048_576))))
  expect(batches).toEqual([1, 1, 2, 2])
  expect(turns.length).toBeGreaterThan(1)
})

test("small writes do not wait for earlier large ones, and large ones wait for at most one commit of small ones", async () => {
  const commits: number[][] = []
  const { batcher } = batcherOver(
    (writes) => {
      commits.push(writes.map(({ rows }) => rows.length))
      // Small writes keep arriving.
      if (commits.length < 4) void batcher.submit(write(2))
      return []
    },
    { maxEvents: 50_000, maxBytes: 67_108_864 },
  )
  const sizes = [1_000, 3_000, 2_000, 1, 1_000, 3, 1_000]
  await Promise.all(sizes.map((events) => batcher.submit(write(events, events * 100))))
  expect(commits).toEqual([
    [1, 3],
    [1_000, 3_000, 2_000],
    [2, 2],
    [1_000, 1_000],
  ])
})

test("requests beyond the queue limits are rejected immediately while nothing can be committed, and accepted afterwards", async () => {
  let locked = true
  const { batcher } = batcherOver(() => {
    if (locked) throw new StoreLockedError()
    return []
  })
  const first = [batcher.submit(write(9)), batcher.submit(write(1))]
  expect(await outcome(batcher.submit(write(1)))).toBe("queue_full")
  locked = false
  await Promise.all(first)
  expect(await outcome(batcher.submit(write(10, 100)))).toBe("stored")
})

test("a request that is larger than the queue is accepted if nothing else is waiting", async () => {
  const { batcher } = batcherOver(() => [])
  for (const large of [write(11), write(1, 101)]) {
    const [first, second] = [outcome(batcher.submit(write(1))), outcome(batcher.submit(large))]
    // Both arrive in one turn, so the queue is committed before the large request is added.
    expect([await first, await second]).toEqual(["stored", "stored"])
    expect(await outcome(batcher.submit(large))).toBe("stored")
    expect(batcher.queued).toEqual({ events: 0, bytes: 0 })
  }
})

test("if one turn of the event loop brings more requests than the queue holds, the queue is committed and none is rejected", async () => {
  const batches: number[] = []
  const { batcher } = batcherOver((writes) => {
    batches.push(writes.length)
    return []
  })
  const outcomes = Array.from({ length: 25 }, () => outcome(batcher.submit(write(1))))
  expect(new Set(await Promise.all(outcomes))).toEqual(new Set(["stored"]))
  expect(batches).toEqual([10, 10, 5])
})

test("a request frees its slots in the queue whatever its outcome", async () => {
  let turn = 0
  const { batcher } = batcherOver(() => {
    turn++
    if (turn === 1) throw Object.assign(new Error("disk full"), { code: "SQLITE_FULL" })
    if (turn === 2) return [new Error("refused")]
    return []
  })
  expect(await outcome(batcher.submit(write(10)))).toBe("store_failed")
  expect(await outcome(batcher.submit(write(10)))).toBe("row_refused")
  expect(await outcome(batcher.submit(write(10)))).toBe("stored")
})

test("while the database is locked, requests wait in order, up to the maximum wait", async () => {
  let locked = true
  const stored: number[] = []
  const { batcher, clock } = batcherOver((writes) => {
    if (locked) throw new StoreLockedError()
    for (const { rows } of writes) stored.push(rows.length)
    return []
  })
  const early = outcome(batcher.submit(write(1)))
  await Bun.sleep(20)
  clock.now = 600
  const late = [outcome(batcher.submit(write(2))), outcome(batcher.submit(write(3)))]
  clock.now = 1_100
  expect(await early).toBe("store_locked")
  locked = false
  expect(await Promise.all(late)).toEqual(["stored", "stored"])
  expect(stored).toEqual([2, 3])
})

test("an error in one write rejects only that write", async () => {
  const { batcher, faults } = batcherOver(() => [undefined, new Error("refused"), undefined])
  const outcomes = [1, 2, 3].map((events) => outcome(batcher.submit(write(events))))
  expect(await Promise.all(outcomes)).toEqual(["stored", "row_refused", "stored"])
  expect(faults).toHaveLength(1)
})

test("drain resolves when the last queued request has been answered", async () => {
  const answered: string[] = []
  const { batcher } = batcherOver(() => [])
  void batcher.submit(write(1)).then(() => answered.push("request"))
  await batcher.drain()
  await Bun.sleep(0)
  expect(answered).toEqual(["request"])
  await batcher.drain()
})

test("requests without events take up a slot in the queue, but maintenance does not", async () => {
  let locked = true
  const { batcher } = batcherOver((writes) => {
    if (locked) throw new StoreLockedError()
    for (const write of writes) write.apply?.()
    return []
  })
  const asked = Array.from({ length: 12 }, () => outcome(batcher.run(() => "done")))
  const own = outcome(batcher.run(() => "done", 0))
  locked = false
  expect(await Promise.all(asked)).toEqual([...Array(10).fill("stored"), ...Array(2).fill("queue_full")])
  expect(await own).toBe("stored")
})

test("between delayed commits, rows wait, writes without rows do not, and a full queue rejects requests; a stop does not wait", async () => {
  const batches: number[][] = []
  const { batcher, clock } = batcherOver(
    (writes) => {
      batches.push(writes.map(({ rows }) => rows.length))
      return []
    },
    {},
    (rows) => rows * 1_000,
  )
  await batcher.submit(write(1))
  const delayed = batcher.submit(write(8))
  const other = batcher.run(() => undefined)
  await other
  expect(batches).toEqual([[1], [0]])
  expect(await outcome(batcher.submit(write(3)))).toBe("queue_full")
  clock.now = 1_000
  await batcher.run(() => undefined)
  await delayed
  expect(batches.slice(2)).toEqual([[8, 0]])
  const last = batcher.submit(write(1))
  await batcher.drain()
  expect(await outcome(last)).toBe("stored")
})
