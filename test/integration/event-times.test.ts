import { afterEach, beforeEach, expect, test } from "bun:test"
import { RowReader } from "../../src/columns/row-reader.ts"
import { findProblems } from "../../src/store/check.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { hasExpired, sweepExpired } from "../../src/store/data-retention.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { EventReader } from "../../src/store/event-reader.ts"
import { timesOf } from "../../src/store/event-times.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { openTestDatabase, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { eventRow } from "../support/event.ts"
import { mulberry32 } from "../support/random.ts"

const start = Date.UTC(2026, 0, 1)
const hour = 3_600_000

let folder: TemporaryFolder
let db: Db
beforeEach(() => {
  folder = temporaryFolder()
  db = openTestDatabase(folder.file("test.db"))
})
afterEach(() => {
  db.close()
  folder[Symbol.dispose]()
})

function inserter(withIds = false): (rows: EventRow[]) => number {
  const made = new EventInserter(db, new DailyHash(db, (bytes) => crypto.getRandomValues(bytes)), { withIds })
  return (rows) => db.transaction(() => made.insert(rows)).immediate()
}

/** Two inserters take turns to commit different numbers of events: late events, repeated event ids, ids with gaps. */
function fill(seed: number): void {
  const random = mulberry32(seed)
  const below = (limit: number) => Math.floor(random() * limit)
  const [first, second, importing] = [inserter(), inserter(), inserter(true)]
  let now = start
  let id = 0
  for (let commit = 0; commit < 60; commit++) {
    const rows = Array.from({ length: 1 + below(90) }, (): EventRow => {
      now += below(2_000)
      const ts = now - (random() < 0.1 ? below(30 * hour) : below(300))
      return eventRow({
        websiteRid: below(3),
        ts,
        receivedAt: now,
        eventId: random() < 0.5 ? null : `e${below(500)}`,
      })
    })
    const last = db.prepare("select coalesce(max(id), 0) from event_rows").pluck().get() as number
    id = last + 1 + below(200)
    if (commit % 7 === 3) importing(rows.map((row, index) => ({ ...row, id: id + index * 3 })))
    else (commit % 2 ? first : second)(rows)
  }
  db.exec("delete from event_rows where id % 11 = 0")
  db.exec("update event_rows set ts = ts - 86400000 where id % 13 = 0")
  db.exec("update event_rows set website_rid = 2 where id % 17 = 0 and event_id is null")
  db.exec("update event_rows set id = id + 1000000 where id % 19 = 0")
}

interface Expected {
  id: number
  ts: number
}

test("searches by website and time find the same events as a full scan", () => {
  for (const seed of [1, 2]) {
    db.exec("delete from event_rows; delete from event_times")
    fill(seed)
    const random = mulberry32(seed)
    const reader = new RowReader(db)
    const all = db.prepare(
      "select id, ts from event_rows where website_rid = ? and ts >= ? and ts < ? and id > ? and id <= ? order by ts, id",
    )
    const lastId = db.prepare("select max(id) from event_rows").pluck().get() as number
    for (let round = 0; round < 60; round++) {
      const website = Math.floor(random() * 4)
      const from = Math.floor(start - 40 * hour + random() * 80 * hour)
      const to = from + Math.floor(random() ** 4 * 90 * hour) + 1
      const [after, last] = round % 3 ? [0, Number.MAX_SAFE_INTEGER] : [random() * 900, 1_500]
      const expected = all.all(website, from, to, after, last) as Expected[]
      const found = [...reader.byTime(website, from, to, after, last)]
      expect(found.map(([id, , , ts]) => ({ id, ts }))).toEqual(expected)
      if (round % 3 === 0) continue
      const newest = reader.newest(website, from, to, 20).map(([id, , , ts]) => ({ id, ts }))
      expect(newest).toEqual(expected.toReversed().slice(0, 20))
      const events = [
        ...new EventReader(db, { websites: new Map([[website, null]]), from, to }).all(1_000),
      ].flat()
      expect(events.map(({ id }) => id)).toEqual(expected.map(({ id }) => id).sort((a, b) => a - b))
      const times = [...new Set(expected.slice(0, 30).map(({ ts }) => ts))]
      const atTimes = expected.filter(({ ts }) => times.includes(ts)).map(({ id }) => id)
      expect(
        reader
          .ids(website, times)
          .map(([id]) => id)
          .sort((a, b) => a - b),
      ).toEqual(atTimes.sort((a, b) => a - b))
      const [one] = expected
      if (one)
        expect(
          new EventReader(db, { websites: new Map(), from, to })
            .atTime(website, one.ts, lastId)
            .map(({ id }) => id),
        ).toEqual(expected.filter(({ ts }) => ts === one.ts).map(({ id }) => id))
    }
    expect(findProblems(db, "").filter((problem) => problem.includes("event_times"))).toEqual([])
  }
})

test("events that arrive together share entries, and check reports a missing entry", () => {
  const insert = inserter()
  for (let commit = 0; commit < 200; commit++)
    insert(
      Array.from({ length: 10 }, (_, index) => eventRow({ websiteRid: 0, ts: start + commit * 100 + index })),
    )
  const entries = db.prepare("select count(*) from event_times").pluck().get() as number
  // 2,000 events in 20 s make 32 groups, one of which is in two periods.
  expect(entries).toBe(33)
  expect(findProblems(db, "")).toEqual([])
  db.exec("delete from event_times where id_group = 5")
  expect(findProblems(db, "")).toEqual(["64 events are missing from event_times"])
})

test("retention deletes expired events exactly to the millisecond, oldest first, and entries without events", () => {
  fill(4)
  const retain = 24 * hour
  const now = start + 20 * hour
  const before = now - retain
  const expired = db.prepare("select count(*) from event_rows where website_rid = 0 and ts < ?").pluck()
  const others = () =>
    db.prepare("select id from event_rows where website_rid <> 0 or ts >= ? order by id").all(before)
  const [remaining, count] = [others(), expired.get(before) as number]
  expect(count).toBeGreaterThan(20)
  db.prepare("delete from event_rows where website_rid = 0 and ts < ? and id % 2 = 0").run(before)
  let last = 0
  while (hasExpired(db, retain, now)) {
    sweepExpired(db, retain, now, 7)
    const oldest = db
      .prepare("select coalesce(min(ts), 1e15) from event_rows where website_rid = 0")
      .pluck()
      .get()
    expect(oldest as number).toBeGreaterThanOrEqual(last - 10_000)
    last = oldest as number
  }
  expect(expired.get(before)).toBe(0)
  expect(others()).toEqual(remaining)
  const entries = "select count(*) from event_times where website_rid = 0 and period < ?"
  expect(
    db
      .prepare(entries)
      .pluck()
      .get(Math.trunc(before / 10_000)),
  ).toBe(0)
  expect(timesOf(db, 0)?.from).toBeLessThanOrEqual(last)
  expect(timesOf(db, 99)).toBeUndefined()
})
