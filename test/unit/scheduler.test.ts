import { describe, expect, test } from "bun:test"
import { type Job, TaskScheduler } from "../../src/query/engine/scheduler.ts"
import { type MemoryBudget, OutOfMemoryBudgetError } from "../../src/query/structures/memory-budget.ts"

/** A scheduler whose clock makes each step a separate turn. */
function newScheduler({ memory = 100, ofQuery = 80 } = {}): TaskScheduler {
  let ms = 0
  return new TaskScheduler({ memory, memoryPerQuery: ofQuery, now: () => (ms += 20) })
}

/** A scheduler whose clock advances only with `steps`, which never end. `taken` is the time of each kind, in ms. */
function timedScheduler() {
  let ms = 0
  const taken = { query: 0, sealing: 0 }
  function* steps(what: keyof typeof taken, each: number): Generator<void, void> {
    for (;;) {
      ms += each
      taken[what] += each
      yield
    }
  }
  const scheduler = new TaskScheduler({ memory: 100, memoryPerQuery: 80, now: () => ms })
  return { scheduler, taken, steps, advance: (by: number) => (ms += by) }
}

/** A job that adds `name` to `seen` at each step, and at its end. */
function job(name: string, seen: string[], steps: number, more: Partial<Job> = {}): Job {
  return {
    id: Number(name.slice(1)),
    caller: name.slice(0, 1),
    *start() {
      for (let step = 0; step < steps; step++) {
        seen.push(name)
        yield
      }
      seen.push(`${name} done`)
    },
    fail: (error) => seen.push(`${name} failed: ${(error as Error).constructor.name}`),
    ...more,
  }
}

/** A job that reserves some memory at each step. */
function taking(name: string, seen: string[], bytes: readonly number[]): Job {
  return job(name, seen, 0, {
    *start(budget: MemoryBudget) {
      for (const some of bytes) {
        budget.reserve(some)
        seen.push(name)
        yield
      }
      seen.push(`${name} done`)
    },
  })
}

function runAll(scheduler: TaskScheduler, most = 1_000): void {
  for (let turns = 0; turns < most && scheduler.runNext(); turns++);
}

describe("turns", () => {
  test("go to callers round-robin, so thirty long queries of one do not delay a short query of another", () => {
    const scheduler = newScheduler()
    const seen: string[] = []
    for (let id = 1; id <= 30; id++) scheduler.add(job(`a${id}`, seen, 1_000))
    runAll(scheduler, 10)
    scheduler.add(job("b31", seen, 5))
    seen.length = 0
    runAll(scheduler, 12)
    expect(seen.filter((name) => name.startsWith("b"))).toEqual([...Array(5).fill("b31"), "b31 done"])
  })

  test("go to the queries of one caller round-robin", () => {
    const scheduler = newScheduler()
    const seen: string[] = []
    for (const name of ["a1", "a2", "a3"]) scheduler.add(job(name, seen, 2))
    runAll(scheduler)
    expect(seen.slice(0, 6)).toEqual(["a1", "a2", "a3", "a1", "a2", "a3"])
  })

  test("are equal in time, so a query with short steps does not wait for as many long steps of another caller", () => {
    const { scheduler, taken, steps } = timedScheduler()
    scheduler.add({ id: 1, caller: "a", start: () => steps("query", 300), fail: () => {} })
    runAll(scheduler, 20)
    let done = -1
    const before = taken.query
    scheduler.add({
      id: 2,
      caller: "b",
      *start() {
        const short = steps("sealing", 15)
        for (let step = 0; step < 20; step++) {
          short.next()
          yield
        }
        done = taken.query - before
      },
      fail: () => {},
    })
    runAll(scheduler, 40)
    // The short steps take 300 ms. One long step can run before them, and one in between.
    expect(done).toBeGreaterThanOrEqual(0)
    expect(done).toBeLessThanOrEqual(600)
  })

  test("can be saved up to 250 ms: a caller that had no queries runs first, but then gets no more than others", () => {
    const { scheduler, taken, steps } = timedScheduler()
    scheduler.add({ id: 1, caller: "a", start: () => steps("query", 10), fail: () => {} })
    runAll(scheduler, 1_000)
    const before = taken.query
    scheduler.add({ id: 2, caller: "b", start: () => steps("sealing", 10), fail: () => {} })
    runAll(scheduler, 12)
    expect([taken.query - before, taken.sealing]).toEqual([0, 240])
    runAll(scheduler, 100)
    expect(taken.sealing - (taken.query - before)).toBeGreaterThanOrEqual(240)
    expect(taken.sealing - (taken.query - before)).toBeLessThanOrEqual(280)
  })

  test("that are saved do not add up: each new caller delays an older one by only 250 ms", () => {
    const { scheduler, taken, steps } = timedScheduler()
    scheduler.add({ id: 0, caller: "a", start: () => steps("query", 10), fail: () => {} })
    runAll(scheduler, 100)
    const before = taken.query
    for (let id = 1; id <= 5; id++) {
      scheduler.add({ id, caller: `b${id}`, start: () => steps("sealing", 10), fail: () => {} })
      runAll(scheduler, 13)
      scheduler.cancel(id)
    }
    expect(taken.sealing).toBeLessThanOrEqual(5 * 260)
    runAll(scheduler, 1)
    expect(taken.query).toBeGreaterThan(before)
  })

  test("are not saved up by a query that waits for memory: it then does not delay a new caller for seconds", () => {
    const { scheduler, taken, steps } = timedScheduler()
    function* holding(budget: MemoryBudget, bytes: number, what: keyof typeof taken): Generator<void, void> {
      budget.reserve(bytes)
      yield* steps(what, 10)
    }
    scheduler.add({ id: 1, caller: "a", start: (budget) => holding(budget, 70, "query"), fail: () => {} })
    runAll(scheduler, 1)
    scheduler.add({ id: 2, caller: "b", start: (budget) => holding(budget, 50, "sealing"), fail: () => {} })
    runAll(scheduler, 300)
    expect([taken.query > 2_000, taken.sealing]).toEqual([true, 0])
    scheduler.cancel(1)
    let delay = -1
    function* brief(): Generator<void, void> {
      const short = steps("query", 10)
      for (let step = 0; step < 5; step++) {
        short.next()
        yield
      }
      delay = taken.sealing
    }
    scheduler.add({ id: 3, caller: "c", start: brief, fail: () => {} })
    runAll(scheduler, 20)
    expect(delay).toBeGreaterThanOrEqual(0)
    expect(delay).toBeLessThanOrEqual(100)
  })

  test("go to callers in proportion to their weights", () => {
    const { scheduler, taken, steps } = timedScheduler()
    scheduler.add({ id: 1, caller: "a", start: () => steps("query", 10), fail: () => {} })
    scheduler.add({ id: 2, caller: "b", weight: 4, start: () => steps("sealing", 10), fail: () => {} })
    runAll(scheduler, 500)
    expect(taken.sealing / taken.query).toBeGreaterThan(3.8)
    expect(taken.sealing / taken.query).toBeLessThan(4.2)
  })

  test("go to sealing every third time, for any number of callers", () => {
    const { scheduler, taken, steps } = timedScheduler()
    // The length of a time slice.
    const ms = 15
    for (let id = 0; id < 20; id++) {
      scheduler.add({ id, caller: `caller ${id}`, start: () => steps("query", ms), fail: () => {} })
    }
    scheduler.startSealing(steps("sealing", ms))
    runAll(scheduler, 300)
    expect(taken).toEqual({ query: 200 * ms, sealing: 100 * ms })
  })

  test("give sealing a third of the time, even if one step of a query takes seconds", () => {
    const { scheduler, taken, steps } = timedScheduler()
    scheduler.add({ id: 1, caller: "a", start: () => steps("query", 2_000), fail: () => {} })
    scheduler.startSealing(steps("sealing", 5))
    runAll(scheduler, 2_000)
    expect(taken.sealing / taken.query).toBeGreaterThan(0.45)
    expect(taken.sealing / taken.query).toBeLessThan(0.55)
  })

  test("all go to urgent sealing until it is done", () => {
    const scheduler = newScheduler()
    const seen: string[] = []
    scheduler.add(job("a1", seen, 10))
    scheduler.startSealing(job("seal", seen, 5).start({} as MemoryBudget), true)
    runAll(scheduler, 8)
    expect(seen.slice(0, 7)).toEqual([...Array(5).fill("seal"), "seal done", "a1"])
  })

  test("do not go to queries while part of a backlog is stored, until the next part arrives or the wait ends", () => {
    const { scheduler, taken, steps, advance } = timedScheduler()
    scheduler.add({ id: 1, caller: "a", start: () => steps("query", 15), fail: () => {} })
    const seal = () => scheduler.startSealing(job("seal", [], 0).start({} as MemoryBudget), true, 1_000)
    seal()
    expect([scheduler.runNext(), scheduler.runNext(), scheduler.waitMs]).toEqual([true, false, 1_000])
    advance(999)
    seal()
    expect([scheduler.runNext(), scheduler.runNext(), scheduler.waitMs]).toEqual([true, false, 1_000])
    advance(1_000)
    expect([taken.query, scheduler.waitMs, scheduler.runNext()]).toEqual([0, 0, true])
    expect(taken.query).toBe(15)
  })

  test("end if there is nothing to do", () => {
    const scheduler = newScheduler()
    expect(scheduler.runNext()).toBe(false)
    scheduler.startSealing(job("seal", [], 1).start({} as MemoryBudget))
    expect([scheduler.runNext(), scheduler.runNext(), scheduler.runNext()]).toEqual([true, true, false])
  })
})

describe("the memory", () => {
  test("goes to the older query: the younger one restarts when there is enough, and both complete", () => {
    const scheduler = newScheduler()
    const seen: string[] = []
    scheduler.add(taking("a1", seen, [30, 30, 10]))
    scheduler.add(taking("b2", seen, [40, 20]))
    let most = 0
    while (scheduler.runNext()) most = Math.max(most, scheduler.memory.taken)
    expect(most).toBeLessThanOrEqual(100)
    expect(seen.filter((one) => one.endsWith("done"))).toEqual(["a1 done", "b2 done"])
    expect(seen.filter((one) => one === "b2").length).toBeGreaterThan(2)
    expect(scheduler.memory.taken).toBe(0)
  })

  test("is enough for ten queries that each need nearly all of it, one after another", () => {
    const scheduler = newScheduler()
    const seen: string[] = []
    for (let id = 0; id < 10; id++) scheduler.add(taking(`a${id}`, seen, [20, 20, 20, 15]))
    let most = 0
    while (scheduler.runNext()) most = Math.max(most, scheduler.memory.taken)
    expect(most).toBeLessThanOrEqual(100)
    expect(seen.filter((one) => one.endsWith("done")).length).toBe(10)
  })

  test("is given to large queries one by one, so each of six starts at most three times", () => {
    const scheduler = newScheduler()
    const starts = new Map<number, number>()
    for (let id = 0; id < 6; id++) {
      const { start, ...rest } = taking(`a${id}`, [], Array(15).fill(5))
      scheduler.add({
        ...rest,
        start: (budget) => {
          starts.set(id, (starts.get(id) ?? 0) + 1)
          return start(budget)
        },
      })
    }
    runAll(scheduler)
    expect(Math.max(...starts.values())).toBeLessThanOrEqual(3)
    expect([starts.size, scheduler.memory.taken]).toEqual([6, 0])
  })

  test("of a small query is not taken away while a large one has more, and it does not wait for large ones", () => {
    const scheduler = newScheduler()
    const seen: string[] = []
    for (let id = 0; id < 3; id++) scheduler.add(taking(`a${id}`, seen, Array(15).fill(5)))
    runAll(scheduler, 9)
    scheduler.add(taking("b9", seen, [5, 5]))
    runAll(scheduler)
    const ends = seen.filter((one) => one.endsWith("done"))
    expect(ends[0]).toBe("b9 done")
    expect(ends.length).toBe(4)
    expect(seen.filter((one) => one === "b9").length).toBe(2)
  })

  test("held by a query keeps other queries of the same caller from starting only if it is a large part", () => {
    for (const { bytes, isAlternating } of [
      { bytes: 20, isAlternating: false },
      { bytes: 10, isAlternating: true },
    ]) {
      const scheduler = newScheduler()
      const seen: string[] = []
      scheduler.add(taking("a1", seen, [bytes, 0, 0, 0]))
      runAll(scheduler, 1)
      scheduler.add(taking("a2", seen, [1]))
      scheduler.add(taking("b3", seen, [1]))
      runAll(scheduler)
      const ends = seen.filter((one) => one.endsWith("done"))
      expect(ends.indexOf("a2 done") < ends.indexOf("a1 done")).toBe(isAlternating)
      expect(ends.indexOf("b3 done")).toBeLessThan(ends.indexOf("a1 done"))
    }
  })

  test("of a single query is limited to a share", () => {
    const scheduler = newScheduler()
    const seen: string[] = []
    scheduler.add(taking("a1", seen, [50, 50]))
    scheduler.add(taking("b2", seen, [10]))
    runAll(scheduler)
    expect(seen).toContain(`a1 failed: ${OutOfMemoryBudgetError.name}`)
    expect(seen).toContain("b2 done")
    expect(scheduler.memory.taken).toBe(0)
  })

  test("held by unsent responses delays younger queries, but never the oldest", () => {
    const scheduler = newScheduler()
    const seen: string[] = []
    scheduler.memory.reserve(90)
    scheduler.add(taking("a1", seen, [20, 20]))
    scheduler.add(taking("b2", seen, [20]))
    runAll(scheduler)
    expect(seen.filter((one) => one.endsWith("done"))).toEqual(["a1 done", "b2 done"])
    scheduler.memory.reserve(-90)
    expect(scheduler.memory.taken).toBe(0)
  })

  test("of a canceled query is released immediately, whether it has started or not", () => {
    const scheduler = newScheduler()
    const ended: number[] = []
    const held = (id: number): Job =>
      job(`a${id}`, [], 0, {
        caller: String(id),
        *start(budget: MemoryBudget) {
          budget.reserve(30)
          try {
            for (;;) yield
          } finally {
            ended.push(id)
          }
        },
      })
    for (const id of [1, 2, 3]) scheduler.add(held(id))
    runAll(scheduler, 2)
    for (const id of [1, 2, 3]) scheduler.cancel(id)
    expect([ended, scheduler.memory.taken, scheduler.runNext()]).toEqual([[1, 2], 0, false])
  })
})
