import { expect, test } from "bun:test"
import { LruCache } from "../../src/ingest/lru-cache.ts"

test("a full cache drops the least recently used entry", () => {
  const cache = new LruCache<string>(2)
  const computed: string[] = []
  const get = (key: string) =>
    cache.get(key, (text) => {
      computed.push(text)
      return text.toUpperCase()
    })
  expect(["a", "b", "a", "c", "a", "b"].map(get)).toEqual(["A", "B", "A", "C", "A", "B"])
  expect(computed).toEqual(["a", "b", "c", "b"])
  expect(cache.size).toBe(2)
})

test("keys of more than 512 characters are computed each time", () => {
  const cache = new LruCache<number>(2)
  const long = "x".repeat(513)
  expect([cache.get(long, () => 1), cache.get(long, () => 2)]).toEqual([1, 2])
  expect([cache.get("x".repeat(512), () => 1), cache.get("x".repeat(512), () => 2)]).toEqual([1, 1])
  expect(cache.size).toBe(1)
})
