import { expect, test } from "bun:test"
import { Sweeper } from "../../src/query-api/sweeper.ts"

const mib = 1_048_576
const memory = 128 * mib

/** A sweeper whose collections take 100 ms each, and what it collected. `step` takes 20 ms and reserves some bytes. */
function sweeperAt(start: number) {
  let rss = start
  const found = { all: 0, new: 0 }
  let [ms, total] = [0, 0]
  const collect = (what: keyof typeof found) => () => {
    found[what]++
    ms += 100
  }
  const sweeper = new Sweeper(memory, {
    now: () => ms,
    rss: () => rss,
    collectAll: collect("all"),
    collectNew: collect("new"),
  })
  const step = (bytes: number, growth = 0) => {
    rss += growth
    ms += 20
    total += bytes
    sweeper.sweep(total)
  }
  return { found, step, ms: () => ms }
}

test("queries that reserve 3 MiB in each step wait for collections a fifth of the time at most", () => {
  const { found, step, ms } = sweeperAt(600 * mib)
  while (ms() < 60_000) step(3 * mib)
  expect((found.all + found.new) * 100).toBeLessThanOrEqual(60_000 / 5)
  expect(found.all).toBeGreaterThan(20)
})

test("the whole heap is collected at a quarter of the query memory, new objects at less if the process uses much", () => {
  for (const { rss, bytes, found } of [
    { rss: 100, bytes: 31, found: { all: 0, new: 0 } },
    { rss: 100, bytes: 32, found: { all: 1, new: 0 } },
    { rss: 600, bytes: 3, found: { all: 0, new: 0 } },
    { rss: 600, bytes: 4, found: { all: 0, new: 1 } },
  ]) {
    const sweeper = sweeperAt(rss * mib)
    sweeper.step(bytes * mib)
    expect({ rss, bytes, found: sweeper.found }).toEqual({ rss, bytes, found })
  }
})

test("garbage of half the query memory is collected at once, soon after another collection", () => {
  const { found, step } = sweeperAt(100 * mib)
  step(memory / 2)
  step(memory / 2 - 1)
  expect(found.all).toBe(1)
  step(1)
  expect(found.all).toBe(2)
})

test("the whole heap is collected if the process has grown by a quarter of the query memory since the smallest size", () => {
  const { found, step } = sweeperAt(100 * mib)
  step(1)
  step(4 * mib, 31 * mib)
  expect(found.all).toBe(0)
  step(4 * mib, -21 * mib)
  step(4 * mib, 22 * mib)
  expect(found.all).toBe(1)
  // Without garbage of queries, others have grown.
  step(1, 90 * mib)
  expect(found.all).toBe(1)
})

test("collections go on while the size of the process cannot be read", () => {
  let collected = 0
  const unreadable = () => {
    throw new Error("EMFILE: too many open files")
  }
  const sweeper = new Sweeper(memory, {
    now: () => 0,
    rss: unreadable,
    collectAll: () => collected++,
    collectNew: () => undefined,
  })
  sweeper.sweep(memory)
  expect(collected).toBe(1)
})
