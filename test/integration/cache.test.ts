import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { Cache } from "../../src/columns/result-cache.ts"
import { reset, sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { executeQuery } from "../../src/query/engine/execute.ts"
import type { Filter, Measure, Query, Scope, Step } from "../../src/query/query.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { openTestDatabase, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { difference } from "../reference/compare.ts"
import { runToEnd } from "../support/batches.ts"
import { eventRow } from "../support/event.ts"

// Results of earlier queries are cached and used for later queries as long as they are correct. They are compared with
// results computed without a cache, which the fuzz tests compare with the reference.

const hour = 3_600_000
const day = 24 * hour
const days = 24
const start = Date.UTC(2026, 0, 1)
const end = start + days * day
const enough = 2 ** 24

let folder: TemporaryFolder
let db: Db

beforeEach(() => {
  folder = temporaryFolder()
  db = openTestDatabase(folder.file("a.db"))
  insert(Array.from({ length: days * 8 }, (_, index) => happened(start + index * 3 * hour, index)))
  // One day has a block in which only a few events match a filter.
  insert(Array.from({ length: 66 }, (_, index) => happened(start + 20 * day + index, index * 3)))
  seal()
})
afterEach(() => {
  db.close()
  folder[Symbol.dispose]()
})

function insert(rows: readonly Partial<EventRow>[]): void {
  const inserter = new EventInserter(db, new DailyHash(db, (bytes) => bytes))
  db.transaction(() => inserter.insert(rows.map(eventRow)))()
}

const seal = () => sealAll(db, Number.MAX_SAFE_INTEGER)

function happened(ts: number, index: number): Partial<EventRow> {
  return {
    name: `event ${index % 3}`,
    ts,
    receivedAt: ts,
    anonymousId: `visitor ${index % 7}`,
    sessionId: `session ${Math.floor(index / 5)}`,
    path: `/${index % 4}`,
    keys: '["plan","amount"]',
    properties: `"${index % 2 ? "pro" : "free"}",${index % 11}`,
  }
}

const scopeOf = (from: number, to: number, filters: Filter[] = [], zone = "UTC"): Scope => ({
  websites: [0],
  from,
  to,
  zone,
  filters,
  crawlers: false,
  kinds: eventKinds,
})
const measures: Measure[] = [
  "events",
  "users",
  "sessions",
  "pages",
  "event_types",
  "with_properties",
  "first",
  "last",
  { what: "sum", of: "property.amount" },
  { what: "p50", of: "property.amount" },
]
const rare: Filter[] = [{ field: "property.amount", op: "eq", value: 5 }]
const pro: Filter[] = [{ field: "property.plan", op: "eq", value: "pro" }]
const scopes = [
  scopeOf(start, end),
  scopeOf(start, end, pro),
  scopeOf(start, end, rare),
  scopeOf(start + 5 * hour, end - 19 * hour, [], "America/New_York"),
  // These end on the same day, at noon and in the evening.
  scopeOf(start + 3 * day, end - 12 * hour),
  scopeOf(start + 3 * day, end - 4 * hour),
  scopeOf(start + 3 * day + 1, end - 1),
  // Ends in the middle of a minute, like the period that an unfinished range is compared with.
  scopeOf(start + 2 * day, end - 5 * hour - 1),
  scopeOf(end - day, end - 5 * hour + 7),
]
const questions: Query[] = scopes.flatMap((scope): Query[] => [
  { kind: "groups", scope, by: [], measures },
  { kind: "groups", scope, by: ["event_name"], measures },
  { kind: "groups", scope, by: ["property.plan", "path"], measures: ["events", "users"] },
  { kind: "groups", scope, by: ["anonymous_id"], measures: ["events"] },
  ...(["daily", "weekly", "monthly"] as const).map(
    (granularity): Query => ({ kind: "groups", scope, by: [], granularity, measures }),
  ),
  { kind: "values", scope, top: 3 },
  { kind: "values", scope, top: 10 },
])
// Only one of the three names is on the page.
const page = { order: { measure: 0 }, descending: true, offset: 0, limit: 1 }
for (const scope of scopes) {
  questions.push({ kind: "groups", scope, by: ["event_name", "path"], measures, page })
  questions.push({ kind: "groups", scope, by: ["event_name"], measures, page })
}
for (const by of [[], ["event_name"]] as const) {
  const scope = scopeOf(start + 8 * day, start + 13 * day)
  questions.push({ kind: "groups", scope, by, granularity: "hourly", measures: ["events", "users"] })
}

for (const scope of scopes.slice(0, 4)) {
  const [startEvent, returnEvent]: [Step, Step] = [
    { name: "event 0", filters: [] },
    { name: "event 1", filters: [] },
  ]
  const steps = [startEvent, returnEvent]
  questions.push({ kind: "funnel", scope, steps, window: day, unit: "anonymous_id" })
  questions.push({ kind: "funnel", scope, steps, window: hour, unit: "session_id", by: "property.plan" })
  questions.push({
    kind: "retention",
    scope,
    startEvent,
    returnEvent,
    granularity: "weekly",
    unit: "anonymous_id",
  })
  questions.push({ kind: "paths", scope, event: startEvent, before: 2, after: 2 })
}

// One day that ends in the middle of a minute: the same events and measures with different granularities.
for (const granularity of ["hourly", "minute", "daily"] as const) {
  const scope = scopeOf(end - day, end - 5 * hour + 7)
  questions.push({ kind: "groups", scope, by: [], granularity, measures })
}

function answerOf(reader: SnapshotReader, question: Query): { answer: unknown; source: string } {
  const { result, statistics } = runToEnd(executeQuery(reader, question))
  return { answer: result, source: statistics.source }
}

/** Also caches the matching events of the smallest blocks. */
const newReader = () => new SnapshotReader(db, enough, 1)

/** Results computed without a cache. */
function uncachedAnswers(): unknown[] {
  const reader = new SnapshotReader(db)
  return questions.map((question) => answerOf(reader, question).answer)
}

/** Runs each query twice. The second run uses what the first one cached. */
function differences(reader: SnapshotReader, expected = uncachedAnswers()): string[] {
  return questions.flatMap((question, index) =>
    [1, 2].flatMap(() => difference(question, answerOf(reader, question).answer, expected[index]) ?? []),
  )
}

const cases: [sentence: string, ...happens: (() => void)[]][] = [
  ["an event has just arrived", () => insert([happened(end - 1, 1)]), seal],
  ["there is a new visitor", () => insert([{ ...happened(end, 1), anonymousId: "new" }]), seal],
  ["an event arrived late", () => insert([happened(start + 10 * day + 1, 1)]), seal],
  [
    "an event of each day arrived late",
    () => insert(Array.from({ length: days }, (_, index) => happened(start + index * day + 1, index + 5))),
    seal,
  ],
  [
    "an old event was deleted, and its block was rebuilt",
    () => db.exec("delete from event_rows where id = 100"),
    seal,
  ],
  ["the oldest events were deleted", () => db.exec("delete from event_rows where id < 30"), seal],
  ["a whole day was deleted", () => db.exec("delete from event_rows where id between 81 and 88"), seal],
  [
    "a person was deleted",
    () => db.exec("delete from event_rows where anonymous_id = 'visitor 3' and id > 150"),
    seal,
  ],
  ["an event was changed", () => db.exec("update event_rows set path = '/new' where id = 150"), seal],
  ["the blocks are rebuilt", () => reset(db), seal],
  [
    "a person was deleted while others were added, and the dictionary ids changed",
    () => insert([{ ...happened(end, 1), anonymousId: "new", sessionId: "new" }]),
    () => db.exec("delete from event_rows where anonymous_id = 'visitor 3' and id > 150"),
    () => reset(db),
    seal,
  ],
  [
    "events of a crawler arrived",
    () => insert([{ ...happened(start + 10 * day + 1, 1), crawler: 1 }]),
    seal,
    () => insert([{ ...happened(start + 10 * day + 2, 1), crawler: 1 }]),
    seal,
  ],
]

/** Sizes of cached values, in bytes. Keys and entries, which count too, are much smaller. */
const unit = 100_000

/** A cache with room for values of `units`, and for their keys and entries. */
function newCache(units: number, now?: () => number): Cache {
  return new Cache(units * unit + unit / 2, undefined, now)
}

function unitsIn(cache: Cache): number {
  return Math.round(cache.bytes / unit)
}

describe("the cached results of earlier queries", () => {
  /** The uncached results for the events that each case starts with. */
  let initial: unknown[] | undefined

  for (const [sentence, ...steps] of cases) {
    test(`are correct when ${sentence}`, () => {
      const reader = newReader()
      initial ??= uncachedAnswers()
      expect(differences(reader, initial)).toEqual([])
      for (const happens of steps) {
        happens()
        expect(differences(reader)).toEqual([])
      }
    })
  }

  test("are sufficient if no event was added since, and are combined with rows otherwise", () => {
    const reader = newReader()
    const sources = () => [...new Set(questions.map((question) => answerOf(reader, question).source))].sort()
    sources()
    // Ranges that do not start at a minute, and breakdowns by ids, are computed again.
    expect(sources()).toEqual(["blocks", "kept", "kept+blocks"])
    const summary: Query = { kind: "groups", scope: scopeOf(start, end), by: [], measures }
    insert([happened(start + 10 * day, 1)])
    expect(answerOf(reader, summary).source).toBe("kept+rows")
  })

  test("are recomputed only for the day of a late event", () => {
    const reader = newReader()
    const summary: Query = { kind: "groups", scope: scopeOf(start, end), by: [], measures }
    answerOf(reader, summary)
    insert([happened(end - day + 1, 1)])
    seal()
    expect(runToEnd(executeQuery(reader, summary)).statistics).toEqual({
      source: "kept+blocks",
      blockEvents: 9,
      rows: 0,
    })
  })

  test("are evicted if there is no room: first those that others were computed from, then the oldest of equal cost", () => {
    const cache = newCache(100)
    for (const key of ["a", "b", "spare"])
      expect(cache.put(key, "", key, { bytes: 30 * unit, isSpare: key === "spare" })).toBe(true)
    cache.find("a", "")
    expect(cache.put("c", "", "c", { bytes: 30 * unit })).toBe(true)
    expect(cache.find("spare", "")).toBeUndefined()
    expect(cache.put("d", "", "d", { bytes: 40 * unit, cost: 1_000 })).toBe(true)
    expect(["a", "b", "c", "d"].map((key) => cache.find(key, ""))).toEqual(["a", undefined, "c", "d"])
    expect(cache.put("too large", "", "", { bytes: 51 * unit })).toBe(false)
    expect(cache.find("a", "another state")).toBeUndefined()
    expect(unitsIn(cache)).toBe(100)
  })

  test("count their keys and states, so that many empty results do not fill the memory", () => {
    const cache = newCache(10)
    for (let query = 0; query < 20_000; query++) {
      cache.startQuery()
      cache.put(`${query}`.padEnd(2_000), "state".padEnd(3_000), {}, { bytes: 0, cost: 5 })
    }
    let found = 0
    for (let query = 0; query < 20_000; query++)
      if (cache.has(`${query}`.padEnd(2_000), "state".padEnd(3_000))) found++
    expect(found).toBeGreaterThan(0)
    expect(found).toBeLessThanOrEqual(110)
  })

  test("stay if they save more time per byte, whatever other queries run in between", () => {
    const cache = newCache(1_000)
    const values = Array.from({ length: 32 }, (_, index) => ({
      key: `page ${index}`,
      bytes: (100 + ((index * 37) % 100)) * unit,
      // Every fourth value takes far longer to compute.
      cost: index % 4 === 0 ? 2_000 : 100,
    }))
    const missedMs = () => {
      let missed = 0
      for (const { key, bytes, cost } of values) {
        cache.startQuery()
        if (cache.find(key, "") !== undefined) continue
        missed += cost
        cache.put(key, "", key, { bytes, cost })
      }
      return missed
    }
    // An LRU cache would have evicted each value before it was needed again.
    expect([missedMs(), missedMs(), missedMs()]).toEqual([18_400, 6_400, 6_400])
  })

  test("are replaced once computing other results has taken long enough", () => {
    const cache = newCache(1_000)
    for (const key of ["unused", "used"]) cache.put(key, "", key, { bytes: 400 * unit, cost: 1_000 })
    let puts = 0
    for (; cache.has("unused", ""); puts++) {
      cache.startQuery()
      cache.find("used", "")
      cache.put(`other ${puts}`, "", {}, { bytes: 400 * unit, cost: 500 })
    }
    expect([cache.has("used", ""), puts]).toEqual([true, 29])
  })

  test("are evicted by results that a query has no memory for", () => {
    const cache = newCache(1_000)
    for (const key of ["a", "b"]) cache.put(key, "", key, { bytes: 400 * unit, cost: 1_000 })
    cache.find("b", "")
    expect(cache.put("cheap", "", "cheap", { bytes: 400 * unit, cost: 1 })).toBe(false)
    expect(cache.put("cheap", "", "cheap", { bytes: 400 * unit, cost: 1, isRequired: true })).toBe(true)
    expect(["a", "b", "cheap"].map((key) => cache.has(key, ""))).toEqual([false, true, true])
  })

  test("are replaced if they have not been used for ten minutes", () => {
    let now = 0
    const cache = newCache(1_000, () => now)
    for (const key of ["unused", "used"]) cache.put(key, "", key, { bytes: 400 * unit, cost: 1_000 })
    expect(cache.put("cheap", "", "cheap", { bytes: 400 * unit, cost: 1 })).toBe(false)
    now = 600_001
    cache.find("used", "")
    expect(cache.put("cheap", "", "cheap", { bytes: 400 * unit, cost: 1 })).toBe(true)
    expect([cache.has("unused", ""), cache.has("used", "")]).toEqual([false, true])
  })

  test("are not evicted by other spare results of the same query", () => {
    const cache = newCache(100)
    const put = (keys: string[]) =>
      keys.map((key) => cache.put(key, "", key, { bytes: 40 * unit, isSpare: true }))
    cache.startQuery()
    expect(put(["a", "b", "c"])).toEqual([true, true, false])
    cache.startQuery()
    cache.find("a", "")
    expect(put(["d", "e"])).toEqual([true, false])
    expect(["a", "b", "c", "d", "e"].map((key) => cache.find(key, ""))).toEqual([
      "a",
      undefined,
      undefined,
      "d",
      undefined,
    ])
    expect(cache.put("final", "", "final", { bytes: 50 * unit })).toBe(true)
    expect(put(["f"])).toEqual([false])
  })

  test("grow while there is room, evict others, and are evicted once they are too large", () => {
    const cache = newCache(100)
    const [growing, other] = [{}, {}]
    cache.put("other", "", other, { bytes: 50 * unit, cost: 10 })
    cache.put("growing", "", growing, { bytes: 0, cost: 1_000 })
    expect(cache.grow("growing", growing, 40 * unit)).toBe(true)
    expect([unitsIn(cache), cache.find("other", "")]).toEqual([90, other])
    cache.find("growing", "")
    expect(cache.grow("growing", growing, 10 * unit)).toBe(true)
    expect(cache.grow("growing", other, 1 * unit)).toBe(false)
    cache.put("third", "", {}, { bytes: 20 * unit, cost: 1_000 })
    expect([unitsIn(cache), cache.find("other", "")]).toEqual([70, undefined])
    expect(cache.grow("growing", growing, 1 * unit)).toBe(false)
    expect([unitsIn(cache), cache.find("growing", "")]).toEqual([20, undefined])
    expect(cache.grow("growing", growing, 1 * unit)).toBe(false)
    expect(unitsIn(cache)).toBe(20)
  })
})
