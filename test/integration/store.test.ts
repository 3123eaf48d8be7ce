import { afterEach, beforeEach, expect, test } from "bun:test"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { Db } from "../../src/store/db/driver.ts"
import { openDatabase } from "../../src/store/db/open.ts"
import { EventInserter, type EventRow, sweepDeleted } from "../../src/store/events.ts"
import { Registry } from "../../src/store/ingest/registry.ts"
import { StoreLockedError, Writer } from "../../src/store/ingest/writer.ts"
import { createKey } from "../../src/store/keys.ts"
import { DailyHash, deleteOldSalts } from "../../src/store/daily-hash.ts"
import { createWebsite, deleteWebsite } from "../../src/store/websites.ts"
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
  db = openDatabase({ path: join(folder, "test.db"), durability: "os", busyTimeout: 0, now: noon })
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

test("events of one kind share one entry of what they have in common", () => {
  store(...Array.from({ length: 100 }, () => event()), event({ name: "left" }))
  expect(db.prepare("select count(*) from event_types").pluck().get()).toBe(2)
  expect(column("properties")[0]).toBe('{"plan":"pro","amount":5}')
})

test("a name with hundreds of different keys fills no dictionary, and reads the same", () => {
  const rows = Array.from({ length: 300 }, (_, index) =>
    event({ keys: `["item_${index}"]`, properties: `${index}` }),
  )
  store(...rows)
  store(...rows)
  expect(db.prepare("select count(*) from event_types").pluck().get()).toBe(201) // 200 sets of keys, and "stored whole"
  const expected = rows.map((_, index) => `{"item_${index}":${index}}`)
  expect(column("properties")).toEqual([...expected, ...expected])
})

test("a refused row takes down its own request, and types that were undone with it are made anew", () => {
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

test("every event of a refused request is undone, those before the bad row too", () => {
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

test("a lock of another process is said as such, and nothing is tried", () => {
  const other = openDatabase({ path: join(folder, "test.db"), durability: "os", busyTimeout: 0, now: noon })
  other.exec("begin immediate")
  expect(() => store(event())).toThrow(StoreLockedError)
  other.exec("rollback")
  other.close()
  expect(store(event())).toEqual([undefined])
})

test("the daily hash is the same all day, another on another website or day, and never the id", () => {
  const at = (websiteRid: number, receivedAt: number) => event({ hashVisitor: true, websiteRid, receivedAt })
  store(at(0, noon), at(0, noon + 1), at(0, noon + day), at(0, noon + day + 1))
  const [first, second, third, fourth] = column("anonymous_id")
  expect(second).toBe(first)
  expect(third).not.toBe(first)
  expect(fourth).toBe(third)
  expect(first).not.toContain("ann")
  expect(dailyHash.hash("ann", 1, noon)).not.toBe(dailyHash.hash("ann", 2, noon))
})

test("the salt of a day that is over is gone", () => {
  store(event({ hashVisitor: true }))
  expect(db.prepare("select day from salts").pluck().all()).toEqual([20_000])
  deleteOldSalts(db, noon + day)
  expect(db.prepare("select day from salts").pluck().all()).toEqual([])
})

test("a deleted website is gone from the view at once, its events go in small steps, its number is never used again", () => {
  const settings = { domain: "a.example", name: "a", allowedOrigins: [], anonymize: "off" as const }
  const { rid } = createWebsite(db, "a", settings, noon)
  store(...Array.from({ length: 25 }, () => event({ websiteRid: rid })), event())
  deleteWebsite(db, "a", noon)
  expect(column("name")).toHaveLength(1)
  let steps = 0
  while (sweepDeleted(db, noon, 10)) steps++
  expect(steps).toBe(3)
  expect(db.prepare("select count(*) from event_rows").pluck().get()).toBe(1)
  // A request that was under way when the website went, and its traces.
  store(event({ websiteRid: rid }))
  while (sweepDeleted(db, noon + 3_600_000, 10));
  expect(db.prepare("select count(*) from event_rows").pluck().get()).toBe(1)
  expect(createWebsite(db, "a", settings, noon).rid).toBeGreaterThan(rid)
})

test("when a key was last used is kept until it is written, and what came meanwhile until the next time", () => {
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
  expect(registry.pendingUses()).toEqual(written) // a writing that failed loses none
  registry.recordUse(key.key, noon + 1)
  registry.clearUses(written)
  expect([...registry.pendingUses()]).toEqual([["k", noon + 1]])
  registry.clearUses(registry.pendingUses())
  expect(registry.pendingUses().size).toBe(0)
})
