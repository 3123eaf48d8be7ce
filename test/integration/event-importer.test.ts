import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { eventRowOf } from "../../src/import/import.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { EventImporter, type ImportOutcome } from "../../src/store/event-importer.ts"
import { EventReader, type StoredEvent } from "../../src/store/event-reader.ts"
import { EventInserter } from "../../src/store/events.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { openTestDatabase, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { eventRow } from "../support/event.ts"

// The importer detects events that are already in the file.

const now = Date.UTC(2026, 0, 1, 12)
const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
const eventCount = 2_500

let folder: TemporaryFolder
let db: Db
let rid = 0
beforeEach(() => {
  folder = temporaryFolder()
  db = openTestDatabase(folder.file("test.db"))
  const settings = { domain: "a.com", name: "a", allowedOrigins: [], anonymize: "off" as const }
  rid = createWebsite(db, "shop", settings, now).rid
})
afterEach(() => {
  db.close()
  folder[Symbol.dispose]()
})

/** Inserts events with these names, and returns them. Events with the same name are identical. */
function insert(names: readonly string[], websiteRid = rid): StoredEvent[] {
  const rows = names.map((name) => eventRow({ name, websiteRid, ts: now, receivedAt: now }))
  db.transaction(() => new EventInserter(db, new DailyHash(db, random)).insert(rows)).immediate()
  return stored()
}

function stored(): StoredEvent[] {
  const websites = new Map([
    [0, null],
    [rid, "shop"],
  ])
  const reader = new EventReader(db, { websites, from: 0, to: Number.MAX_SAFE_INTEGER })
  return [...reader.all(100)].flat()
}

function importAll(events: readonly StoredEvent[]): ImportOutcome[] {
  const importer = new EventImporter(db, new DailyHash(db, random))
  return db
    .transaction(() => {
      importer.begin()
      const outcomes = events.map((event) =>
        importer.add(event, eventRowOf(event, event.website_id === null ? 0 : rid)),
      )
      importer.flush()
      return outcomes
    })
    .immediate()
}

describe("nothing is added if all events are in the file", () => {
  const orders: [order: string, apply: (events: StoredEvent[]) => StoredEvent[]][] = [
    ["in the order of their ids", (events) => events],
    ["in reverse order", (events) => events.reverse()],
    ["with gaps", (events) => events.filter((_, index) => index % 700 < 3)],
    ["with different ids", (events) => events.map((event) => ({ ...event, id: event.id + 1 }))],
    ["without ids", (events) => events.map((event) => ({ ...event, id: 0 }))],
  ]
  test.each(orders)("%s", (_, apply) => {
    const events = insert(Array.from({ length: eventCount }, (_, index) => `event ${index % 50}`))
    const outcomes = importAll(apply(events))
    expect(new Set(outcomes)).toEqual(new Set(["present"]))
    expect(stored()).toHaveLength(eventCount)
  })
})

const cases: [
  what: string,
  names: string[],
  change: (events: StoredEvent[]) => object[],
  outcomes: string[],
][] = [
  [
    "an event with the id of another one is added",
    ["a", "b"],
    ([a, b]) => [{ ...a, name: "new" }, { ...b }],
    ["renumbered", "present"],
  ],
  [
    "identical events are matched one to one",
    ["a", "a"],
    ([a, b]) => [{ ...a }, { ...b }, { ...a }, { ...a, id: 9 }],
    ["present", "present", "renumbered", "added"],
  ],
  [
    "an event that was matched by its time is not matched again by its id",
    ["a"],
    ([a]) => [{ ...a, id: 7 }, { ...a }],
    ["present", "renumbered"],
  ],
  [
    "an event of another website is a different event",
    ["a"],
    ([a]) => [{ ...a, website_id: null }],
    ["renumbered"],
  ],
  ["an event at another time is added", ["a"], ([a]) => [{ ...a, timestamp: now + 1 }], ["renumbered"]],
  [
    "an event that was deleted is added",
    ["a", "b", "c"],
    ([a, b, c]) => {
      db.exec("delete from event_rows where id = 2")
      return [{ ...a }, { ...b }, { ...c }]
    },
    ["present", "renumbered", "present"],
  ],
]
test.each(cases)("%s", (_, names, change, outcomes) => {
  const events = change(insert(names)) as StoredEvent[]
  expect(importAll(events) as string[]).toEqual(outcomes)
})
