import { expect, test } from "bun:test"
import { ConcurrencyLimit } from "../../src/dashboard/state/concurrency.ts"

/** A task that ends on demand. */
function task(name: string, started: string[]) {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const run = () => {
    started.push(name)
    return promise
  }
  return { run, end: () => resolve(name), fail: () => reject(new Error(name)) }
}

test("tasks beyond the limit wait for their turn, even after one that fails or is canceled", async () => {
  const limit = new ConcurrencyLimit(2)
  const started: string[] = []
  const tasks = ["a", "b", "c", "d", "e"].map((name) => task(name, started))
  const [a, b, , d, e] = tasks
  const controllers = tasks.map(() => new AbortController())
  const results = tasks.map(({ run }, index) =>
    limit.run(run, (controllers[index] as AbortController).signal).then(
      (value) => value,
      (error: Error) => `failed: ${error.name === "AbortError" ? "aborted" : error.message}`,
    ),
  )
  expect(started).toEqual(["a", "b"])
  controllers[2]?.abort()
  a?.fail()
  expect(await results[0]).toBe("failed: a")
  expect(await results[2]).toBe("failed: aborted")
  expect(started).toEqual(["a", "b", "d"])
  b?.end()
  await results[1]
  expect(started).toEqual(["a", "b", "d", "e"])
  d?.end()
  e?.end()
  expect(await Promise.all(results)).toEqual(["failed: a", "b", "failed: aborted", "d", "e"])
  const last = task("f", started)
  const result = limit.run(last.run, new AbortController().signal)
  expect(started.at(-1)).toBe("f")
  last.end()
  expect(await result).toBe("f")
})
