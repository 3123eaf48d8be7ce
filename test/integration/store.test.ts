import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DailyHash, deleteOldSalts } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { sweepDeleted } from "../../src/store/deleted-websites.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { Registry } from "../../src/store/ingest/registry.ts"
import { StoreLockedError, Writer } from "../../src/store/ingest/writer.ts"
import { createKey } from "../../src/store/keys.ts"
import { createWebsite, deleteWebsite } from "../../src/store/websites.ts"
import { openTestDatabase } from "../harness.ts"
import { eventRow } from "../support/event.ts"

const day = 86_400_000
const noon = 20_000 * day + day / 2

const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)

let folder: string
let db: Db
let dailyHash: DailyHash
let writer: Writer

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "databuddy-test-"))
  db = openTestDatabase(join(folder, "test.db"))
  dailyHash = new DailyHash(db, random)
  writer = new Writer(db, new EventInserter(db, dailyHash), dailyHash)
})
afterEach(() => {
  db.close()
  rmSync(folder, { recursive: true })
})

function event(changes: Partial<EventRow> = {}): EventRow {
  const standard = {
    keys: '["plan","amount"]',
    properties: '"pro",5',
    ts: noon,
    receivedAt: noon,
    anonymousId: "ann",
  }
  return eventRow({ ...standard, ...changes })
}

const store = (...rows: EventRow[]) => writer.commit(rows.map((row) => ({ rows: [row], size: 0 })))
const column = (name: string) => db.prepare(`select ${name} from events order by id`).pluck().all()

test("events of one type share one dictionary entry", () => {
  store(...Array.from({ length: 100 }, () => event()), event({ name: "left" }))
  expect(db.prepare("select count(*) from event_types").pluck().get()).toBe(2)
  expect(column("properties")[0]).toBe('{"plan":"pro","amount":5}')
})

test("a name with hundreds of key sets does not fill the dictionary, and its events are read unchanged", () => {
  const rows = Array.from({ length: 300 }, (_, index) =>
    event({ keys: `["item_${index}"]`, properties: `${index}` }),
  )
  store(...rows)
  store(...rows)
  expect(db.prepare("select count(*) from event_types").pluck().get()).toBe(201) // 200 key sets, and one for the rest
  const expected = rows.map((_, index) => `{"item_${index}":${index}}`)
  expect(column("properties")).toEqual([...expected, ...expected])
})

test("a row that cannot be stored fails only its own request, and rolled-back types are created again", () => {
  db.exec(`
    create trigger refuse before insert on event_rows when new.session_id = 'bad'
    begin select raise(abort, 'refused by a test'); end`)
  const errors = store(
    event({ name: "one" }),
    event({ name: "two", sessionId: "bad" }),
    event({ name: "three" }),
  )
  expect(errors.map((error) => (error as Error | undefined)?.message)).toEqual([
    undefined,
    "refused by a test",
    undefined,
  ])
  store(event({ name: "two" }))
  expect(column("name")).toEqual(["one", "three", "two"])
})

test("all events of a failing request are rolled back, including those before the failing row", () => {
  db.exec(`
    create trigger refuse before insert on event_rows when new.session_id = 'bad'
    begin select raise(abort, 'refused by a test'); end`)
  const rows = Array.from({ length: 100 }, (_, index) => event({ sessionId: index === 99 ? "bad" : "good" }))
  const errors = writer.commit([
    { rows, size: 0 },
    { rows: [event({ name: "other" })], size: 0 },
  ])
  expect(errors[0]).toBeInstanceOf(Error)
  expect(column("name")).toEqual(["other"])
})

test("while another process holds the lock, a commit throws StoreLockedError and writes nothing", () => {
  const other = openTestDatabase(join(folder, "test.db"))
  other.exec("begin immediate")
  expect(() => store(event())).toThrow(StoreLockedError)
  other.exec("rollback")
  other.close()
  expect(store(event())).toEqual([undefined])
})

test("the daily hash is stable for a day, differs by website and day, and never contains the id", () => {
  const at = (websiteRid: number, receivedAt: number) => event({ hashVisitor: true, websiteRid, receivedAt })
  store(at(0, noon), at(0, noon + 1), at(0, noon + day), at(0, noon + day + 1))
  const [first, second, third, fourth] = column("anonymous_id")
  expect(second).toBe(first)
  expect(third).not.toBe(first)
  expect(fourth).toBe(third)
  expect(first).not.toContain("ann")
  expect(dailyHash.hash("ann", 1, noon)).not.toBe(dailyHash.hash("ann", 2, noon))
})

test("the salt of a past day is deleted", () => {
  store(event({ hashVisitor: true }))
  expect(db.prepare("select day from salts").pluck().all()).toEqual([20_000])
  deleteOldSalts(db, noon + day)
  expect(db.prepare("select day from salts").pluck().all()).toEqual([])
})

test("a deleted website disappears immediately, its events are deleted in steps, and its rid is never reused", () => {
  const settings = { domain: "a.example", name: "a", allowedOrigins: [], anonymize: "off" as const }
  const { rid } = createWebsite(db, "a", settings, noon)
  store(...Array.from({ length: 25 }, () => event({ websiteRid: rid })), event())
  deleteWebsite(db, "a", noon)
  expect(column("name")).toHaveLength(1)
  let steps = 0
  while (sweepDeleted(db, noon, 10)) steps++
  expect(steps).toBe(3)
  expect(db.prepare("select count(*) from event_rows").pluck().get()).toBe(1)
  // A request that was in flight during the deletion.
  store(event({ websiteRid: rid }))
  while (sweepDeleted(db, noon + 3_600_000, 10));
  expect(db.prepare("select count(*) from event_rows").pluck().get()).toBe(1)
  expect(createWebsite(db, "a", settings, noon).rid).toBeGreaterThan(rid)
})

test("the last use of a key is pending until it is written, and a later use until the next write", () => {
  const key = createKey(
    db,
    "k",
    { name: "k", scopes: [], websites: null, rateLimit: null, expiresAt: null },
    random,
    noon,
  )
  const registry = new Registry(db, () => 0)
  registry.recordUse(key.key, noon)
  const written = registry.pendingUses()
  expect(registry.pendingUses()).toEqual(written) // a failed write loses none
  registry.recordUse(key.key, noon + 1)
  registry.clearUses(written)
  expect([...registry.pendingUses()]).toEqual([["k", noon + 1]])
  registry.clearUses(registry.pendingUses())
  expect(registry.pendingUses().size).toBe(0)
})
