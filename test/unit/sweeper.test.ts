import { expect, test } from "bun:test"
import { Sweeper } from "../../src/query-api/sweeper.ts"

const mib = 1_048_576
const memory = 128 * mib

/**
 * A sweeper, and the number of its collections. `step` takes 20 ms and reserves some bytes. A collection of new objects
 * takes 1 ms. A collection of the whole heap takes 100 ms and returns the heap to its initial size.
 */
function sweeperAt(start: number) {
  let rss = start
  let heap = 80 * mib
  const found = { all: 0, new: 0 }
  let [ms, total, collecting] = [0, 0, 0]
  const collect = (what: keyof typeof found, duration: number) => () => {
    found[what]++
    ms += duration
    collecting += duration
  }
  const sweeper = new Sweeper(memory, {
    now: () => ms,
    rss: () => rss,
    heapSize: () => heap,
    collectAll: () => {
      collect("all", 100)()
      heap = 80 * mib
    },
    collectNew: collect("new", 1),
  })
  const step = (bytes: number, { growth = 0, heapGrowth = 0 } = {}) => {
    rss += growth
    heap += heapGrowth
    ms += 20
    total += bytes
    sweeper.sweep(total)
  }
  return { found, step, ms: () => ms, collecting: () => collecting }
}

test("queries whose objects do not survive wait only for collections of new objects", () => {
  const { found, step, ms } = sweeperAt(600 * mib)
  while (ms() < 60_000) step(3 * mib)
  expect(found.all).toBe(0)
  expect(found.new).toBeGreaterThan(1_000)
})

test("queries wait for collections at most a fifth of the time if half of their memory survives", () => {
  const { found, step, ms, collecting } = sweeperAt(600 * mib)
  while (ms() < 60_000) step(3 * mib, { heapGrowth: 1.5 * mib })
  expect(collecting()).toBeLessThanOrEqual(60_000 / 5)
  expect(found.all).toBeGreaterThan(20)
})

test("new objects are collected at a quarter of the query memory, or earlier if the process is large", () => {
  for (const { rss, bytes, found } of [
    { rss: 100, bytes: 31, found: { all: 0, new: 0 } },
    { rss: 100, bytes: 32, found: { all: 0, new: 1 } },
    { rss: 600, bytes: 3, found: { all: 0, new: 0 } },
    { rss: 600, bytes: 4, found: { all: 0, new: 1 } },
  ]) {
    const sweeper = sweeperAt(rss * mib)
    sweeper.step(bytes * mib)
    expect({ rss, bytes, found: sweeper.found }).toEqual({ rss, bytes, found })
  }
})

test("the whole heap is collected if it still grows by a quarter of the query memory", () => {
  const { found, step } = sweeperAt(100 * mib)
  step(32 * mib)
  step(32 * mib, { heapGrowth: 31 * mib })
  expect(found).toEqual({ all: 0, new: 2 })
  step(32 * mib, { heapGrowth: mib })
  expect(found).toEqual({ all: 1, new: 3 })
})

test("garbage of half the query memory is collected immediately, even soon after another collection", () => {
  const { found, step } = sweeperAt(100 * mib)
  step(memory / 2)
  step(memory / 2, { heapGrowth: 32 * mib })
  expect(found).toEqual({ all: 1, new: 2 })
  step(memory / 2 - 1)
  expect(found.new).toBe(2)
  step(1)
  expect(found.new).toBe(3)
})

test("growth of the process since its smallest size counts as garbage", () => {
  const { found, step } = sweeperAt(100 * mib)
  step(1)
  step(4 * mib, { growth: 31 * mib })
  expect(found).toEqual({ all: 0, new: 0 })
  step(4 * mib, { growth: -21 * mib })
  step(4 * mib, { growth: 22 * mib })
  expect(found).toEqual({ all: 0, new: 1 })
  for (let grown = 32; grown < 60; grown += 2) step(mib, { growth: 2 * mib })
  expect(found.all).toBe(0)
  step(40 * mib, { growth: 4 * mib })
  expect(found.all).toBe(1)
  // If there is no garbage from queries, something else has grown.
  step(1, { growth: 90 * mib })
  expect(found.all).toBe(1)
})

test("collections continue if the size of the process cannot be read", () => {
  let collected = 0
  const unreadable = () => {
    throw new Error("EMFILE: too many open files")
  }
  const sweeper = new Sweeper(memory, {
    now: () => 0,
    rss: unreadable,
    heapSize: () => 0,
    collectAll: () => undefined,
    collectNew: () => collected++,
  })
  sweeper.sweep(memory)
  expect(collected).toBe(1)
})
