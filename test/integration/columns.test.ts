import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import type { Segment } from "../../src/columns/block-format.ts"
import { differences } from "../../src/columns/check.ts"
import { RowReader } from "../../src/columns/row-reader.ts"
import { applySealedBatch, type SealedBatch } from "../../src/columns/sealed-batch.ts"
import { nextWork, reset, Sealer, sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { executeQuery, executeQuerySync } from "../../src/query/engine/execute.ts"
import type { Measure } from "../../src/query/query.ts"
import { OutOfMemoryBudgetError } from "../../src/query/structures/memory-budget.ts"
import { countContents } from "../../src/store/check.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { openTestDatabase, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { runToEnd } from "../support/batches.ts"
import { eventRow } from "../support/event.ts"

const dayMs = 86_400_000
const start = Date.UTC(2026, 0, 1)

let folder: TemporaryFolder
let db: Db

beforeEach(() => {
  folder = temporaryFolder()
  db = openTestDatabase(folder.file("a.db"))
})
afterEach(() => {
  db.close()
  folder[Symbol.dispose]()
})

function insert(rows: readonly Partial<EventRow>[]): void {
  const inserter = new EventInserter(db, new DailyHash(db, (bytes) => bytes))
  db.transaction(() => inserter.insert(rows.map(eventRow)))()
}

/** Returns `count` events, one per hour, with three names and five visitors. */
function hourly(count: number, from = start): Partial<EventRow>[] {
  return Array.from({ length: count }, (_, index) => ({
    name: `event ${index % 3}`,
    ts: from + index * 3_600_000,
    receivedAt: from + index * 3_600_000,
    anonymousId: `visitor ${index % 5}`,
    keys: '["plan","amount"]',
    properties: `"${index % 2 ? "pro" : "free"}",${index}`,
  }))
}

const scope = {
  websites: [0],
  from: 0,
  to: start + 4_000 * dayMs,
  zone: "UTC",
  filters: [],
  crawlers: false,
  kinds: eventKinds,
}

function measure(measures: Measure[]): { values: (number | null)[] | undefined; source: string } {
  const { result: answer, statistics: meta } = executeQuerySync(db, {
    kind: "groups",
    scope,
    by: [],
    measures,
  })
  return { values: answer.groups[0]?.values, source: meta.source }
}

const summary: Measure[] = ["events", "users", "event_types", { what: "sum", of: "property.amount" }]
const sumTo = (count: number) => (count * (count - 1)) / 2

function work(): SealedBatch | undefined {
  return runToEnd(nextWork(new Sealer(db), { today: Number.MAX_SAFE_INTEGER }))
}

const seal = () => sealAll(db, Number.MAX_SAFE_INTEGER)
const blocks = () => db.prepare("select count(*) from blocks").pluck().get()

describe("column blocks", () => {
  test("return the same results as the rows, before and after they are built", () => {
    insert(hourly(200))
    expect(measure(summary)).toEqual({ values: [200, 5, 3, sumTo(200)], source: "rows" })
    seal()
    expect(measure(summary)).toEqual({ values: [200, 5, 3, sumTo(200)], source: "blocks" })
    expect(measure(["events"])).toEqual({ values: [200], source: "counts" })
    expect(differences(db)).toEqual([])
  })

  test("are combined with later events, also for a past day", () => {
    insert(hourly(100))
    seal()
    insert(hourly(10))
    expect(measure(summary)).toEqual({ values: [110, 5, 3, sumTo(100) + sumTo(10)], source: "blocks+rows" })
    const before = blocks()
    seal()
    expect(measure(summary)).toEqual({ values: [110, 5, 3, sumTo(100) + sumTo(10)], source: "blocks" })
    expect(blocks()).toBe(before)
    expect(differences(db)).toEqual([])
  })

  test("omit an event that was deleted by any program", () => {
    insert(hourly(100))
    seal()
    db.exec(`delete from event_rows where anonymous_id = 'visitor 3' and ts < ${start + dayMs}`)
    expect(measure(["events", "users"])).toEqual({ values: [95, 5], source: "blocks+rows" })
    expect(db.prepare("select count(*) from segments where data like '%visitor%'").pluck().get()).toBe(0)
    seal()
    expect(measure(["events", "users"])).toEqual({ values: [95, 5], source: "blocks" })
    expect(differences(db)).toEqual([])
  })

  test("return the new version of a changed event", () => {
    insert(hourly(10))
    seal()
    db.exec("update event_rows set properties = '\"pro\",1000' where id = 1")
    expect(measure([{ what: "max", of: "property.amount" }]).values).toEqual([1_000])
  })

  test("include an event that is inserted after the newest one was deleted", () => {
    insert(hourly(10))
    seal()
    db.exec("delete from event_rows where id > 5")
    insert(hourly(3))
    expect(measure(["events"]).values).toEqual([8])
    seal()
    expect(measure(["events"]).values).toEqual([8])
    expect(db.prepare("select count(*) from events").pluck().get()).toBe(8)
    expect(db.prepare("select count(*) from event_rows").pluck().get()).toBe(8)
  })

  test("are not stored if one of their events was deleted while they were built", () => {
    insert(hourly(10))
    const made = work() as SealedBatch
    db.exec("delete from event_rows where id = 4")
    expect(applySealedBatch(db, made)).toBe(false)
    expect(blocks()).toBe(0)
    seal()
    expect(measure(["events"])).toEqual({ values: [9], source: "counts" })
  })

  test("are stored once if two processes build them", () => {
    insert(hourly(10))
    const [one, other] = [work() as SealedBatch, work() as SealedBatch]
    expect(applySealedBatch(db, one)).toBe(true)
    expect(applySealedBatch(db, other)).toBe(false)
    expect(measure(["events"]).values).toEqual([10])
  })

  test("return the same results after many small ones are merged", () => {
    for (let part = 0; part < 20; part++) {
      insert(hourly(7, start + part * 60_000))
      const made = work() as SealedBatch
      applySealedBatch(db, made)
    }
    const before = { ...measure(summary), blocks: blocks() as number }
    seal()
    expect(measure(summary).values).toEqual(before.values)
    expect(blocks()).toBe(1)
    expect(before.blocks).toBe(20)
    expect(differences(db)).toEqual([])
  })

  test("stay readable for running queries after they are replaced, unless an event was deleted", () => {
    for (let part = 0; part < 8; part++) {
      insert(hourly(3, start + part * 60_000))
      applySealedBatch(db, work() as SealedBatch)
    }
    const openNow = () => runToEnd(new SnapshotReader(db).open(scope))
    const [before, later] = [openNow(), openNow()]
    applySealedBatch(db, work() as SealedBatch)
    const count = (source: ReturnType<typeof openNow>) =>
      [...source.batches({})].reduce((sum, batch) => sum + batch.times().length, 0)
    expect(count(before)).toBe(24)
    db.exec("delete from event_rows where id = 1")
    expect(() => count(later)).toThrow()
    expect(measure(["events"]).values).toEqual([23])
  })

  test("are replaced completely by a rebuild", () => {
    insert(hourly(100))
    seal()
    reset(db)
    expect(measure(summary)).toEqual({ values: [100, 5, 3, sumTo(100)], source: "rows" })
    seal()
    expect(measure(summary)).toEqual({ values: [100, 5, 3, sumTo(100)], source: "blocks" })
    expect(db.prepare("select count(*) from blocks where website_rid < 0").pluck().get()).toBe(0)
    expect(db.prepare("select count(*) from identities where kind >= 10").pluck().get()).toBe(0)
    expect(
      db
        .prepare("select count(*) from segments where id / 1024 not in (select id from blocks)")
        .pluck()
        .get(),
    ).toBe(0)
  })

  test("leave a tombstone for a deleted event, which does not count as the newest event", () => {
    insert(hourly(2))
    db.exec("update sealed set id = 2; delete from event_rows where id = 2")
    expect(db.prepare("select website_rid from event_rows order by id").pluck().all()).toEqual([0, -1])
    expect(countContents(db)).toMatchObject({ events: 1, newestEvent: start })
  })

  test("free dictionary ids once all their events are deleted, and assign new ones if the texts are used again", () => {
    const stretches = () => db.prepare("select count(*) from identities where kind = 0").pluck().get()
    // At least as many as there are in a range of dictionary ids.
    const visitors = 4_096
    for (const month of [0, 1, 2]) {
      const ts = start + month * 30 * dayMs
      insert(
        Array.from({ length: visitors }, (_, index) => ({
          ts,
          receivedAt: ts,
          anonymousId: `visitor ${index} of month ${month}`,
        })),
      )
      seal()
    }
    db.exec(`delete from event_rows where website_rid = 0 and ts < ${start + 20 * dayMs}`)
    seal()
    expect(stretches()).toBe(3)
    const batch = runToEnd(nextWork(new Sealer(db), { today: 0, collect: true }))
    expect(applySealedBatch(db, batch as SealedBatch)).toBe(true)
    expect(stretches()).toBe(2)
    expect(measure(["events", "users"]).values).toEqual([2 * visitors, 2 * visitors])
    insert([{ ts: start, receivedAt: start, anonymousId: "visitor 1 of month 0" }])
    expect(measure(["events", "users"]).values).toEqual([2 * visitors + 1, 2 * visitors + 1])
    seal()
    expect(measure(["events", "users"]).values).toEqual([2 * visitors + 1, 2 * visitors + 1])
    expect(differences(db)).toEqual([])
  })

  test("assign ids that arrive in small batches to few ranges, and find each of them", () => {
    const come = (from: number) => {
      for (let index = from; index < from + 10; index++) {
        insert([
          { ts: start, receivedAt: start, anonymousId: `visitor ${index}` },
          { ts: start, receivedAt: start, anonymousId: `visitor ${from}` },
        ])
        seal()
      }
    }
    come(0)
    const reader = new SnapshotReader(db)
    const known = () => reader.identities.find("visitors", ["visitor 0", "visitor 12", "nobody"]).ids
    expect([...known()]).toEqual([1, 0, 0])
    come(10)
    expect([...known()]).toEqual([1, 13, 0])
    expect(db.prepare("select count(*) from identities where kind = 0").pluck().get()).toBe(1)
    expect(measure(["events", "users"]).values).toEqual([40, 20])
    // Another reader assigns the dictionary ids again, in a different order.
    db.exec("delete from event_rows where anonymous_id = 'visitor 0'")
    reset(db)
    seal()
    expect(known()[0]).toBe(0)
    expect(known()[1]).toBe(12)
    expect(differences(db)).toEqual([])
  })

  const damages: [string, string][] = [
    [
      "the texts of other ids",
      "update identities set texts = (select texts from identities where kind = 2) where kind = 0",
    ],
    ["texts that cannot be decompressed", "update identities set texts = x'00' where kind = 0"],
    ["a missing segment", "delete from segments where rowid = (select max(id) from segments)"],
    ["wrong numbers in a column", "update segments set data = zeroblob(length(data)) where id % 1024 = 0"],
    [
      "a segment that cannot be decompressed",
      "update segments set data = x'00', size = 100 where id % 1024 = 0",
    ],
    ["a missing block", "drop trigger blocks_deleted; delete from blocks where id = 1"],
  ]
  for (const [what, damage] of damages) {
    test(`are compared with the rows, which reveals ${what}`, () => {
      insert(hourly(100).map((event, index) => ({ ...event, profileId: `profile ${index % 5}` })))
      seal()
      expect(differences(db)).toEqual([])
      db.exec(damage)
      expect(differences(db)).not.toEqual([])
    })
  }

  test("use the stored sets of ids to count whole days, and the ids of events to count parts of days", () => {
    const minutes = (count: number, from: number) =>
      Array.from({ length: count }, (_, index) => ({
        name: `event ${index % 3}`,
        ts: from + index * 60_000,
        receivedAt: from + index * 60_000,
        anonymousId: index % 7 === 0 ? null : `visitor ${(from + index) % 50}`,
        sessionId: `session ${Math.floor(index / 20)}`,
      }))
    insert([...minutes(1_440, start), ...minutes(1_440, start + dayMs)])
    const results = () =>
      [start, start + 3_600_000].flatMap((from) =>
        [start + dayMs, start + 2 * dayMs, start + 2 * dayMs - 1].map((to) =>
          executeQuerySync(db, {
            kind: "groups",
            scope: { ...scope, from, to },
            by: [],
            measures: ["events", "event_types", "users", "sessions"],
          }).result.groups.map(({ values }) => values),
        ),
      )
    const expected = results()
    seal()
    const sets = "select json_extract(layout, '$.distinct.visitors') from blocks"
    expect(db.prepare(sets).pluck().all()).not.toContain(null)
    expect(results()).toEqual(expected)
    expect(differences(db)).toEqual([])
    db.exec(
      "update blocks set layout = json_set(layout, '$.distinct.visitors', json_extract(layout, '$.distinct.sessions'))",
    )
    expect(differences(db)).toEqual([expect.stringContaining("the set of visitors"), expect.anything()])
  })

  for (const [sentence, order, isStored] of [
    [
      "leave long strings in the rows if nearly all of them differ",
      (n: number) => `${"long ".repeat(8)}${n}`,
      false,
    ],
    ["contain short strings even if nearly all of them differ", (n: number) => `order ${n}`, true],
  ] as const)
    test(`${sentence}, and can be filtered by them`, () => {
      insert(
        Array.from({ length: 1_000 }, (_, index) => ({
          name: "order",
          ts: start + index,
          receivedAt: start,
          keys: '["order"]',
          properties: `"${order((index * 7) % 1_000)}"`,
        })),
      )
      seal()
      const filters = [{ field: "property.order" as const, op: "eq" as const, value: order(7) }]
      const { result: answer } = executeQuerySync(db, {
        kind: "groups",
        scope: { ...scope, filters },
        by: [],
        measures: ["events", "first"],
      })
      expect(answer.groups[0]?.values).toEqual([1, start + 1])
      expect(db.prepare("select max(length(data)) from segments").pluck().get()).toBeLessThan(
        isStored ? 20_000 : 10_000,
      )
      const segments = db.prepare("select data, size from segments").all() as Segment[]
      const stored = segments.filter(({ data, size }) =>
        Buffer.from(size === null ? data : Bun.zstdDecompressSync(new Uint8Array(data))).includes(order(7)),
      )
      expect(stored).toHaveLength(isStored ? 1 : 0)
    })
})

describe("reading in steps", () => {
  const seen = (name: string, anonymousId: string, index: number): Partial<EventRow> => ({
    name,
    anonymousId,
    ts: start + index,
    receivedAt: start,
  })

  test("keeps its dictionary ids even if the rows are sealed before all of them have been read", () => {
    insert([seen("a", "one", 0), seen("a", "two", 1), seen("b", "one", 2)])
    const reader = new SnapshotReader(db)
    const filters = [{ field: "event_name" as const, op: "eq" as const, value: "b" }]
    const question = {
      kind: "groups" as const,
      scope: { ...scope, filters },
      by: [],
      measures: ["users" as const],
    }
    const users = (steps = executeQuery(reader, question)) => runToEnd(steps).result.groups[0]?.values
    expect(users()).toEqual([1])
    insert([seen("b", "two", 3)])
    const underWay = executeQuery(reader, question)
    underWay.next()
    // When they are sealed, the two ids get different dictionary ids than they had in unsealed rows.
    db.exec("delete from event_rows where id = 1")
    seal()
    expect(users(underWay)).toEqual([2])
    expect(users()).toEqual([2])
  })

  test("finds the ids of each step in its rows, without reading the whole range again", () => {
    const told: string[] = []
    const prepare = (text: string) => {
      told.push(text)
      return db.prepare(text)
    }
    new RowReader({ prepare } as unknown as Db)
    const texts = told.filter((text) => text.includes("not indexed"))
    expect(texts).toHaveLength(3)
    for (const text of texts) {
      const plan = db
        .prepare(`explain query plan ${text}`)
        .all({ after: 0, last: 1, from: 0, to: 1, websites: "[0]" }) as { detail: string }[]
      expect(plan[0]?.detail).toContain("INTEGER PRIMARY KEY")
    }
  })
})

describe("a page of events", () => {
  const listed = (limit: number, offset: number, memory?: number) => {
    const filters = [{ field: "property.plan" as const, op: "eq" as const, value: "pro" }]
    const question = { kind: "events" as const, scope: { ...scope, filters }, limit, offset }
    return executeQuerySync(db, question, memory).result.events.map(({ id }) => id)
  }

  test("is the matching part of the whole list, even if it starts between events with the same time", () => {
    const rows = hourly(60)
    insert([...rows, ...rows, ...rows.slice(20, 40)])
    for (const sealed of [false, true]) {
      if (sealed) seal()
      const all = listed(1_000, 0)
      expect(all).toHaveLength(70)
      for (const limit of [2, 100]) {
        for (let offset = 0; offset <= 72; offset += 6) {
          expect(listed(limit, offset)).toEqual(all.slice(offset, offset + limit))
        }
      }
    }
  })

  test("stays within its memory limit, however large the properties are", () => {
    const properties = `"pro","${"x".repeat(30_000)}"`
    insert(hourly(20).map((row) => ({ ...row, keys: '["plan","text"]', properties })))
    expect(listed(20, 0)).toHaveLength(20)
    expect(listed(1, 0, 200_000)).toHaveLength(1)
    expect(() => listed(20, 0, 200_000)).toThrow(OutOfMemoryBudgetError)
  })
})
