import { afterEach, expect, test } from "bun:test"
import { Streams } from "../../src/query-api/stream.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { closeDatabase } from "../../src/store/db/open.ts"
import { EventFollower } from "../../src/store/event-follower.ts"
import { EventInserter } from "../../src/store/events.ts"
import { eventually, openTestDatabase, temporaryFolder } from "../harness.ts"
import { eventRow } from "../support/event.ts"

let streams: Streams | undefined
afterEach(() => streams?.close())

test("streams at different positions share the time of a poll, and all of them catch up", async () => {
  const newest = 1_000
  /** Number of reads, by poll. */
  const polls: number[] = []
  let clock = 0
  const positions = new Map<number, number>()
  const follower = {
    newest: () => {
      polls.push(0)
      return newest
    },
    read: (after: number, last: number, maxCharacters: number) => {
      expect(maxCharacters).toBeLessThan(1_000_000)
      polls.push((polls.pop() as number) + 1)
      clock += 3
      positions.set(after, last)
      return { events: [], last }
    },
  }
  streams = new Streams(
    follower,
    () => clock,
    (error) => {
      throw error
    },
  )
  const owner = (index: number) => ({ caller: `key ${index}`, address: `10.0.0.${index}` })
  const { signal } = new AbortController()
  for (let index = 0; index < 8; index++) {
    const subscription = { websites: () => [1], names: undefined, crawlers: false, after: String(index * 10) }
    streams.open(subscription, owner(index), signal, {})
  }
  await eventually(() => positions.size === 8)
  expect(Math.max(...polls)).toBe(2)
})

test("a batch ends with the event whose text reaches the limit, even if the text is in paths", () => {
  using folder = temporaryFolder()
  const db = openTestDatabase(folder.file("a.db"))
  const inserter = new EventInserter(db, new DailyHash(db, (bytes) => crypto.getRandomValues(bytes)))
  inserter.insert(
    Array.from({ length: 100 }, (_, index) => eventRow({ path: `/${index}${"x".repeat(2_000)}` })),
  )
  const follower = new EventFollower(db)
  const { events, last } = follower.read(0, follower.newest(), 10_000)
  expect(events.length).toBeLessThanOrEqual(5)
  expect(last).toBe(events.at(-1)?.id ?? 0)
  closeDatabase(db)
})
