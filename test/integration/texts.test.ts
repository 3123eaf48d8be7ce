import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { differences } from "../../src/columns/check.ts"
import { IdDictionary } from "../../src/columns/id-dictionary.ts"
import { RowReader } from "../../src/columns/row-reader.ts"
import { sealAll } from "../../src/columns/sealer.ts"
import { findProblems } from "../../src/store/check.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { truncateWal } from "../../src/store/db/open.ts"
import { DatabaseFiles } from "../../src/store/db/unallocated-space.ts"
import { EventReader } from "../../src/store/event-reader.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { forgetPerson, holdsPerson } from "../../src/store/forget.ts"
import { Writer } from "../../src/store/ingest/writer.ts"
import { packId } from "../../src/store/packed-ids.ts"
import { TextInterner } from "../../src/store/texts.ts"
import { deleteUnusedTypes, hasUncheckedTypes } from "../../src/store/unused-event-types.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { openTestDatabase, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { eventRow, oddEvents } from "../support/event.ts"
import { pageView } from "../support/page-event.ts"

const now = Date.UTC(2026, 7, 1, 12)
const farDay = 30_000

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

const at = (row: EventRow): EventRow => ({ ...row, ts: now, receivedAt: now })
function writerOf(to = db): Writer {
  const dailyHash = new DailyHash(to, (bytes) => crypto.getRandomValues(bytes))
  return new Writer(to, new EventInserter(to, dailyHash), dailyHash)
}
const store = (writer: Writer, ...rows: EventRow[]) => writer.commit([{ rows: rows.map(at), size: 0 }])
const uuidOf = (number: number) => `0189a1b2-c3d4-7e5f-8a9b-${number.toString(16).padStart(12, "0")}`
/** A page view from the page script, with ids in the form that browsers create. */
const viewOf = (visitor: number, changes: Partial<EventRow> = {}) =>
  pageView({
    anonymousId: `anon_${uuidOf(visitor)}`,
    sessionId: `sess_${uuidOf(visitor)}`,
    path: "/pricing",
    keys: '["title"]',
    properties: '"All prices, and how to pay"',
    ...changes,
  })
const column = (name: string, from = "event_rows") =>
  db.prepare(`select ${name} from ${from} order by id`).pluck().all()
const texts = () => column("text", "text_values")
const deletionSchedule = (between = () => {}) => ({
  write: <Result>(work: () => Result) => db.transaction(work).immediate(),
  pause: async () => {
    between()
    return true
  },
})
const schedule = {
  write: <Result>(work: () => Result) => db.transaction(work).immediate(),
  sleep: async () => {},
}

describe("ids", () => {
  const uuid = uuidOf(7)
  const ids: [id: string, type: string, eventIdType: string][] = [
    [uuid, "integer", "blob"],
    ["00000000-0000-0000-0000-000000000000", "integer", "blob"],
    [`anon_${uuid}`, "integer", "text"],
    [`sess_${uuid}`, "integer", "text"],
    [uuid.toUpperCase(), "text", "text"],
    [`ANON_${uuid}`, "text", "text"],
    [`user_${uuid}`, "text", "text"],
    [`anon_${uuid.toUpperCase()}`, "text", "text"],
    [uuid.replaceAll("-", ""), "text", "text"],
    [`${uuid.slice(1)}-`, "text", "text"],
    [uuid.replace("0", "g"), "text", "text"],
    [`${uuid} `, "text", "text"],
    ["12", "text", "text"],
    ["1", "text", "text"],
  ]
  for (const [id, type, eventIdType] of ids) {
    test(`${id} is stored as ${type}, or as ${eventIdType} if it is an event id, and is read unchanged`, () => {
      const row = eventRow({ anonymousId: id, sessionId: id, eventId: id, kind: "page_view" })
      expect(store(writerOf(), row, { ...row, eventId: `other ${id}` })).toEqual([undefined])
      for (const name of ["anonymous_id", "session_id"])
        expect([name, ...column(`typeof(${name})`)]).toEqual([name, type, type])
      expect(column("typeof(event_id)")).toEqual([eventIdType, "text"])
      for (const name of ["anonymous_id", "session_id"]) expect(column(name, "events")).toEqual([id, id])
      expect(column("event_id", "events")[0]).toBe(id)
      const [exported] = readAll()
      expect(exported).toMatchObject({ anonymous_id: id, session_id: id, event_id: id })
      expect([...new RowReader(db).byId(0, 10)][0]?.slice(5, 7)).toEqual([id, id])
      expect(new RowReader(db).event(1)).toMatchObject({ anonymousId: id, sessionId: id, eventId: id })
    })
  }

  test("an event id is unique in both forms, even if an earlier version stored it as text", () => {
    store(writerOf(), viewOf(1, { eventId: uuid }), viewOf(2, { eventId: uuid }), viewOf(3, { eventId: "e" }))
    expect(column("event_id", "events")).toEqual([uuid, "e"])
    db.prepare("update event_rows set event_id = ? where id = 1").run(uuid)
    db.exec("update type_state set unpacked_id = 1")
    const writer = writerOf()
    store(
      writer,
      viewOf(4, { eventId: uuid }),
      viewOf(5, { eventId: uuidOf(8) }),
      viewOf(6, { eventId: "e" }),
    )
    expect(writer.lastCommit).toEqual({ stored: 1, duplicates: 2 })
    expect(column("event_id", "events")).toEqual([uuid, "e", uuidOf(8)])
    // With another website or another kind of credential, it is a different event.
    store(writer, viewOf(4, { eventId: uuid, websiteRid: 5 }), viewOf(4, { eventId: uuid, viaKey: 1 }))
    expect(column("count(*)")).toEqual([5])
  })
})

describe("event ids that are equal in the half that the index compares", () => {
  /** Differs from `uuid` in the other half only. */
  const sameHalf = (number: number) => uuidOf(1).replace("c3d4", number.toString(16).padStart(4, "0"))

  test("are stored once each, and again only after their events have been deleted", () => {
    const writer = writerOf()
    const views = Array.from({ length: 40 }, (_, index) => viewOf(1, { eventId: sameHalf(index) }))
    const others = Array.from({ length: 40 }, (_, index) => viewOf(2, { eventId: uuidOf(100 + index) }))
    const mixed = views.flatMap((view, index) => [view, others[index] as EventRow])
    store(writer, ...mixed, views[3] as EventRow)
    expect(writer.lastCommit).toEqual({ stored: 80, duplicates: 1 })
    const ids = mixed.map(({ eventId }) => eventId)
    expect(column("event_id", "events").sort()).toEqual(ids.sort())
    for (const again of [writer, writerOf()]) {
      store(again, ...mixed)
      expect(again.lastCommit).toEqual({ stored: 0, duplicates: 80 })
    }
    expect(column("typeof(event_id)").filter((type) => type === "blob")).toHaveLength(41)
    db.exec("delete from event_rows where typeof(event_id) = 'blob'")
    store(writer, ...mixed)
    expect(writer.lastCommit).toEqual({ stored: 41, duplicates: 39 })
    expect(column("event_id", "events").sort()).toEqual(ids)
    expect(findProblems(db, "")).toEqual([])
  })

  test("are detected by an inserter that started before the first of them, and after a rollback", () => {
    const [early, late] = [writerOf(), writerOf()]
    const [first, second] = [viewOf(1, { eventId: sameHalf(1) }), viewOf(1, { eventId: sameHalf(2) })]
    store(early, first)
    db.exec("begin")
    const inserter = new EventInserter(db, new DailyHash(db, (bytes) => crypto.getRandomValues(bytes)))
    inserter.insert([at(second)])
    db.exec("rollback")
    inserter.clearCaches()
    store(late, second)
    db.exec("delete from event_rows where id = 1")
    for (const writer of [early, late]) {
      store(writer, second)
      expect(writer.lastCommit).toEqual({ stored: 0, duplicates: 1 })
    }
    expect(db.transaction(() => inserter.insert([at(second)]))()).toBe(0)
    expect(column("event_id", "events")).toEqual([sameHalf(2)])
  })

  test("can belong to two websites and two kinds of credentials", () => {
    const rows = [{}, { websiteRid: 5 }, { viaKey: 1 as const }, { websiteRid: 5, eventId: sameHalf(9) }].map(
      (changes) => viewOf(1, { eventId: sameHalf(1), ...changes }),
    )
    const writer = writerOf()
    for (const stored of [4, 0]) {
      store(writer, ...rows)
      expect(writer.lastCommit.stored).toBe(stored)
    }
  })
})

function readAll() {
  const all = { from: Number.MIN_SAFE_INTEGER, to: Number.MAX_SAFE_INTEGER }
  const reader = new EventReader(db, { websites: new Map([[0, null]]), ...all })
  return [...reader.all(1_000)].flat()
}

test("repeated paths and properties of the page script are interned, unlike those of custom events", () => {
  const [short, long] = ["/a", `/${"long".repeat(300)}`]
  const writer = writerOf()
  const custom = eventRow({ path: "/pricing", keys: '["title"]', properties: '"All prices, and how to pay"' })
  store(writer, custom, custom, custom, viewOf(1), viewOf(1), viewOf(2))
  store(writer, viewOf(1, { path: short }), viewOf(1, { path: short, properties: '"short"' }))
  store(writer, viewOf(1, { path: long }), viewOf(1, { path: long }))
  const types = (name: string) => column(`typeof(${name})`)
  expect(types("path").slice(0, 6)).toEqual(["text", "text", "text", "text", "integer", "integer"])
  expect(types("properties").slice(0, 6)).toEqual(["text", "text", "text", "text", "integer", "integer"])
  expect(types("path").slice(6)).toEqual(["text", "text", "text", "text"])
  expect(types("properties")[7]).toBe("text")
  expect(column("path", "events")).toEqual([...Array(6).fill("/pricing"), short, short, long, long])
  expect(readAll().map(({ path }) => path)).toEqual(column("path", "events") as string[])
  const titles = column("properties ->> 'title'", "events")
  expect(titles).toEqual([
    ...Array(7).fill("All prices, and how to pay"),
    "short",
    ...Array(2).fill(titles[0]),
  ])
  expect(readAll().map(({ properties }) => properties)).toEqual(column("properties", "events") as string[])
})

test("texts that are hard to store are the same in the view, an export, blocks and rows", () => {
  const odd = oddEvents({ websiteRid: 0, kind: "page_view" }).map((row) => ({ ...row, eventId: null }))
  const writer = writerOf()
  for (let round = 0; round < 3; round++) writer.commit([{ rows: odd, size: 0 }])
  expect(column("count(*)", "event_rows where typeof(properties) = 'integer'")[0]).toBeGreaterThan(5)
  const exported = readAll()
  const third = exported.length / 3
  expect(third).toBe(odd.length)
  const contents = exported.map(({ id: _, ...event }) => event)
  expect(contents.slice(third, 2 * third)).toEqual(contents.slice(0, third))
  expect(contents.slice(2 * third)).toEqual(contents.slice(0, third))
  const shown = db.prepare("select path, properties, anonymous_id from events order by id").raw().all()
  expect(shown.slice(2 * third)).toEqual(shown.slice(0, third))
  sealAll(db, farDay)
  expect(differences(db)).toEqual([])
  expect(findProblems(db, folder.file("test.db"))).toEqual([])
})

test("the id of a returning visitor is stored once, even after many other sessions", () => {
  const interner = new TextInterner(db)
  const visitor = () => interner.storedId(`anon_${uuidOf(1)}`, "anonymous_id")
  const session = (number: number) => interner.storedId(`sess_${uuidOf(number)}`, "session_id")
  const [firstVisitor, firstSession] = [visitor(), session(1)]
  // More sessions than the cache holds.
  for (let number = 2; number < 50_000; number++) session(number)
  expect(visitor()).toBe(firstVisitor)
  expect(session(1)).not.toBe(firstSession)
})

test("the text of a path can later be used as an id, and vice versa", () => {
  const [first, second] = [uuidOf(11), uuidOf(12)]
  const writer = writerOf()
  store(writer, viewOf(1, { path: first, sessionId: null }), viewOf(1, { path: "/", sessionId: first }))
  store(writer, viewOf(1, { path: "/", sessionId: second }), viewOf(1, { path: second, sessionId: second }))
  store(writer, viewOf(1, { path: second, sessionId: null }))
  const expected = [
    [first, null],
    ["/", first],
    ["/", second],
    [second, second],
    [second, null],
  ]
  expect(readAll().map(({ path, session_id }) => [path, session_id])).toEqual(expected)
  expect([...new RowReader(db).byId(0, 10)]).toHaveLength(5)
  sealAll(db, farDay)
  expect(findProblems(db, folder.file("test.db"))).toEqual([])
  expect(readAll().map(({ path, session_id }) => [path, session_id])).toEqual(expected)
})

test("a text whose insertion was rolled back is created again", () => {
  const writer = writerOf()
  const failing = {
    rows: [at(viewOf(1)), at(viewOf(1))],
    size: 0,
    apply: () => {
      throw new Error("the request fails")
    },
  }
  expect(writer.commit([failing])).toEqual([expect.any(Error)])
  expect(texts()).toEqual([])
  expect(writer.commit([failing, { rows: [at(viewOf(1))], size: 0 }])[1]).toBeUndefined()
  expect(column("anonymous_id", "events")).toEqual([`anon_${uuidOf(1)}`])
  expect(findProblems(db, folder.file("test.db"))).toEqual([])
})

describe("texts without events", () => {
  test("are deleted, including those of skipped events, and no other texts are", async () => {
    const writer = writerOf()
    store(writer, viewOf(1), viewOf(2), viewOf(2, { eventId: "1" }))
    store(writer, viewOf(3, { eventId: "1" }))
    expect(texts()).toHaveLength(8)
    db.exec("delete from event_rows where id = 1")
    expect(await deleteUnusedTypes(db, deletionSchedule())).toBe(4)
    expect(texts()).toEqual([
      `anon_${uuidOf(2)}`,
      `sess_${uuidOf(2)}`,
      "/pricing",
      '"All prices, and how to pay"',
    ])
    expect(hasUncheckedTypes(db)).toBe(false)
    db.exec("update event_rows set anonymous_id = null, session_id = 'x', path = null, properties = '1'")
    expect(await deleteUnusedTypes(db, deletionSchedule())).toBe(4)
    expect(texts()).toEqual([])
  })

  test("a text that is used again during the check stays, whichever process stores the event", async () => {
    const other = openTestDatabase(folder.file("test.db"))
    const [writer, another] = [writerOf(), writerOf(other)]
    const pages = Array.from({ length: 20 }, (_, index) => viewOf(index, { path: `/page/${index}` }))
    for (let round = 0; round < 2; round++) {
      store(writer, ...pages)
      store(another, ...pages)
    }
    store(writer, ...Array.from({ length: 12_000 }, () => eventRow()))
    db.exec("delete from event_rows where path is not null")
    let step = 0
    const between = () => {
      if (step < 3) {
        for (let round = 0; round < 2; round++) {
          store(writer, pages[step] as EventRow)
          store(another, pages[step + 10] as EventRow)
        }
      }
      step++
    }
    await deleteUnusedTypes(db, deletionSchedule(between))
    expect(step).toBeGreaterThan(3)
    await deleteUnusedTypes(db, deletionSchedule())
    const expected = [0, 0, 10, 10, 1, 1, 11, 11, 2, 2, 12, 12].map((page) => `/page/${page}`)
    const paths = column("path", "events where kind = 'page_view'")
    expect(paths.sort()).toEqual(expected.sort())
    expect(column("text", "text_values where text like '/page/%'").sort()).toEqual(
      [...new Set(expected)].sort(),
    )
    expect(findProblems(db, folder.file("test.db"))).toEqual([])
    other.close()
  })

  test("the id of a deleted text is not reused", async () => {
    const writer = writerOf()
    store(writer, viewOf(1))
    const [used] = column("max(id)", "texts")
    db.exec("delete from event_rows")
    await deleteUnusedTypes(db, deletionSchedule())
    store(writer, viewOf(2))
    expect(column("min(id)", "texts")[0]).toBeGreaterThan(used as number)
  })
})

test("check reports events whose text does not exist", () => {
  store(writerOf(), viewOf(1), viewOf(1))
  db.exec("delete from texts where id = 1")
  expect(findProblems(db, folder.file("test.db"))).toEqual(["2 events have a text that does not exist"])
})

test("a row whose text does not exist can be read and sealed", () => {
  const writer = writerOf()
  store(writer, viewOf(1), viewOf(1), viewOf(2))
  db.prepare("update event_rows set session_id = 999, path = 998 where id = 2").run()
  const rows = [...new RowReader(db).byId(0, 10)]
  expect(rows.map((row) => row[6])).toEqual([`sess_${uuidOf(1)}`, null, `sess_${uuidOf(2)}`])
  sealAll(db, farDay)
  expect(db.prepare("select count(*) from blocks").pluck().get()).toBe(1)
})

describe("forget", () => {
  const person = { anonymousId: `anon_${uuidOf(1)}` }
  const theirs = { path: "/invoices/of-ann", properties: '"The invoices of Ann, overdue"' }

  test.each([
    ["removes the dictionary entry of an id that has no other events", false],
    ["keeps the dictionary entry of an id that has an event on another website", true],
  ])("%s", async (_, isUsed) => {
    const writer = writerOf()
    store(writer, viewOf(1, { websiteRid: 1 }), viewOf(2))
    if (isUsed) store(writer, viewOf(1))
    sealAll(db, farDay)
    await forgetPerson(db, new DatabaseFiles(), { websiteRid: 1, id: person }, now, schedule)
    const { ids } = new IdDictionary(db).find("visitors", [person.anonymousId, `anon_${uuidOf(2)}`])
    expect([...ids].map((id) => id > 0)).toEqual([isUsed, true])
    expect(column("count(*)")).toEqual([isUsed ? 2 : 1])
  })

  test("removes every byte of a person's texts, except texts that others share", async () => {
    const settings = { domain: "localhost", name: "test", anonymize: "off" as const, allowedOrigins: [] }
    const { rid } = createWebsite(db, "site", settings, now)
    const writer = writerOf()
    const shared = { websiteRid: rid, path: "/shared-page" }
    for (let round = 0; round < 3; round++) {
      store(writer, viewOf(1, { ...shared, ...theirs, eventId: uuidOf(100 + round) }), viewOf(1, shared))
      store(writer, ...Array.from({ length: 50 }, (_, index) => viewOf(10 + index, shared)))
    }
    sealAll(db, farDay)
    // A process that does not know the session skips the event, but leaves its texts behind.
    store(writerOf(), viewOf(1, { ...shared, eventId: uuidOf(100) }))
    const packed = [person.anonymousId, `sess_${uuidOf(1)}`, uuidOf(100)].map((id) => packId(id) as Buffer)
    const marks = [...packed, Buffer.from(theirs.path), Buffer.from("invoices of Ann")]
    const file = () => {
      expect(truncateWal(db)).toBe(true)
      return readFileSync(folder.file("test.db"))
    }
    for (const mark of marks) expect(file().includes(mark)).toBe(true)
    expect(holdsPerson(db, "site", person, [])).toBe(false)
    expect(holdsPerson(db, "site", person, [person.anonymousId])).toBe(true)
    expect(
      await forgetPerson(db, new DatabaseFiles(), { websiteRid: rid, id: person }, now, schedule),
    ).toEqual({
      events: 6,
      profiles: 0,
      links: 0,
      removedEvents: 0,
      overwritten: true,
    })
    for (const mark of marks) expect(file().includes(mark)).toBe(false)
    expect(file().includes("/shared-page")).toBe(true)
    expect(column("count(*)", "events where path = '/shared-page'")).toEqual([150])
    expect(findProblems(db, folder.file("test.db"))).toEqual([])
  })
})
