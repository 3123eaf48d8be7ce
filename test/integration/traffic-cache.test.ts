import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { Sealer, sealAll, sealRows } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { executeQuery, executeQuerySync } from "../../src/query/engine/execute.ts"
import { type TrafficQuery, trafficKinds } from "../../src/query/query.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { openDatabase } from "../../src/store/db/open.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { difference } from "../reference/compare.ts"
import { runToEnd } from "../support/batches.ts"
import { acquisition, pageView } from "../support/page-event.ts"

// Tests what page view queries reuse while events arrive. test/fuzz/traffic.test.ts compares results with a reference.

const minute = 60_000
const day = 1_440 * minute
const days = 3
const start = Date.UTC(2026, 9, 20)
const end = start + days * day
/** A session starts every half hour, so the last one of a day starts at 23:30. */
const sessionsPerDay = 48
const eventsPerDay = sessionsPerDay * 2

let folder: TemporaryFolder
let db: Db
let reader: SnapshotReader

beforeEach(() => {
  folder = temporaryFolder()
  db = openDatabase({ path: folder.file("a.db"), durability: "os", busyTimeout: 0, now: start })
  insert(Array.from({ length: days * sessionsPerDay }, (_, index) => session(index)).flat())
  sealAll(db, Number.MAX_SAFE_INTEGER)
  insert(session(days * sessionsPerDay - 1, "new"))
  reader = new SnapshotReader(db, 2 ** 24, 1)
})
afterEach(() => {
  db.close()
  folder[Symbol.dispose]()
})

function insert(rows: readonly EventRow[]): void {
  const inserter = new EventInserter(db, new DailyHash(db, (bytes) => bytes))
  db.transaction(() => inserter.insert(rows))()
}

/** A page view, and its page exit one minute later. */
function session(index: number, id = `session ${index}`): EventRow[] {
  const ts = start + index * 30 * minute
  const from = `site${index % 5}.example`
  const ids = { sessionId: id, anonymousId: `visitor of ${id}`, path: `/${index % 3}` }
  return [
    pageView({ ...ids, ts, receivedAt: ts, acquisition: acquisition({ referrer_domain: from }) }),
    exitAt(ts + minute, index, id),
  ]
}

function exitAt(ts: number, index: number, id = `session ${index}`): EventRow {
  const ids = { sessionId: id, anonymousId: `visitor of ${id}`, path: `/${index % 3}` }
  const kind = { name: "page_exit", kind: "page_exit" } as const
  return pageView({
    ...ids,
    ...kind,
    ts,
    receivedAt: ts,
    keys: '["time_on_page"]',
    properties: String(index),
  })
}

const scope = { websites: [0], zone: "UTC", crawlers: false, filters: [], from: start, to: end }
const trend: TrafficQuery = {
  kind: "traffic",
  scope: { ...scope, kinds: trafficKinds },
  granularity: "daily",
}
const by = (view: "first" | "last", field: "path" | "referrer_domain"): TrafficQuery => ({
  kind: "traffic",
  scope: { ...scope, kinds: ["page_view"] },
  by: { view, fields: [field] },
})
const queries = [trend, by("first", "referrer_domain"), by("last", "path")]

function expectExact(query: TrafficQuery, result: unknown): void {
  expect(difference(query, result, executeQuerySync(db, query).result)).toBeUndefined()
}

test.each([
  ["does not count the day again if the session was open in the last hour", 46, false],
  ["counts the day again if the session ended earlier", 20, true],
] as const)("a late event %s", (_, lateSession, isCounted) => {
  runToEnd(executeQuery(reader, trend))
  insert([exitAt(end - minute, (days - 1) * sessionsPerDay + lateSession)])
  const { result, statistics } = runToEnd(executeQuery(reader, trend))
  expect(statistics.blockEvents > eventsPerDay / 2).toBe(isCounted)
  expectExact(trend, result)
})

test.each([
  ["a small block of the newest day does not count the day again", 1, false],
  ["a large block of the newest day counts the day again", sessionsPerDay / 2, true],
] as const)("%s", (_, sessions, isCounted) => {
  runToEnd(executeQuery(reader, trend))
  const last = days * sessionsPerDay - 1
  insert(Array.from({ length: sessions }, (_, index) => session(last, `later ${index}`)).flat())
  sealRows(db, new Sealer(db), 1)
  const { result, statistics } = runToEnd(executeQuery(reader, trend))
  expect(statistics.blockEvents > eventsPerDay / 2).toBe(isCounted)
  expectExact(trend, result)
})

describe("facts about sessions", () => {
  const pairs = queries.flatMap((one) => queries.map((other) => [one, other] as const))

  test("are not shared by queries that run at the same time", () => {
    for (const [one, other] of pairs) {
      for (let steps = 1; steps < 60; steps += 7) {
        const running = executeQuery(reader, one)
        for (let step = 0; step < steps; step++) if (running.next().done) break
        expectExact(other, runToEnd(executeQuery(reader, other)).result)
      }
    }
  })

  test("are not left over from a canceled query", () => {
    for (const [one, other] of pairs) {
      for (let steps = 1; steps < 60; steps += 7) {
        const canceled = executeQuery(reader, one)
        for (let step = 0; step < steps; step++) if (canceled.next().done) break
        canceled.return({
          result: { buckets: [], groups: [] },
          statistics: { source: "", blockEvents: 0, rows: 0 },
        })
        expectExact(other, runToEnd(executeQuery(reader, other)).result)
      }
    }
  })
})
