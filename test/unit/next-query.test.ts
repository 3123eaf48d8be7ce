import { expect, test } from "bun:test"
import { NextQuery } from "../../src/query-api/next-query.ts"

/** Returns a function that returns true once the promise has resolved. */
function observe(promise: Promise<void>): () => boolean {
  let isResolved = false
  void promise.then(() => {
    isResolved = true
  })
  return () => isResolved
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

test("queries wait until the expected next query of a request arrives", async () => {
  const next = new NextQuery()
  next.expect()
  const isResolved = observe(next.wait())
  await turn()
  expect(isResolved()).toBe(false)
  next.arrive()
  await turn()
  expect(isResolved()).toBe(true)
})

test("queries stop waiting if the expected query does not arrive", async () => {
  const next = new NextQuery()
  next.expect()
  await next.wait()
  // Nothing waits for the same query twice.
  const isResolved = observe(next.wait())
  await turn()
  await turn()
  expect(isResolved()).toBe(true)
})

test.each([
  ["no query is expected", () => {}],
  [
    "the expected query has already arrived",
    (next: NextQuery) => {
      next.expect()
      next.arrive()
    },
  ],
])("queries wait only for a turn of the event loop if %s", async (_, prepare) => {
  const next = new NextQuery()
  prepare(next)
  const isResolved = observe(next.wait())
  await turn()
  await turn()
  expect(isResolved()).toBe(true)
})
