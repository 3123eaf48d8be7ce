import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { differences } from "../../src/columns/check.ts"
import { applySealedBatch } from "../../src/columns/sealed-batch.ts"
import { nextWork, reset, Sealer, sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { executeQuery } from "../../src/query/engine/execute.ts"
import type { Operator } from "../../src/query/operators.ts"
import type { Filter } from "../../src/query/query.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { DatabaseFiles } from "../../src/store/db/unallocated-space.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { forgetPerson } from "../../src/store/forget.ts"
import { hashBytes, type IdChunk, PackedTexts, packTexts } from "../../src/store/identities.ts"
import { openTestDatabase, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { runToEnd } from "../support/batches.ts"
import { eventRow } from "../support/event.ts"

const dayMs = 86_400_000
const start = Date.UTC(2026, 0, 1)
const farDay = 30_000

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

function insert(...rows: Partial<EventRow>[]): void {
  const inserter = new EventInserter(db, new DailyHash(db, (bytes) => bytes))
  db.transaction(() =>
    inserter.insert(rows.map((row) => eventRow({ ts: start, receivedAt: start, ...row }))),
  )()
}

const seal = () => sealAll(db, farDay)

/** Runs all background work of a server, including the daily search for unused ids. */
function maintain(): void {
  const sealer = new Sealer(db)
  for (;;) {
    const batch = runToEnd(nextWork(sealer, { minimum: 1, today: farDay, collect: true }))
    if (!batch) return
    expect(applySealedBatch(db, batch)).toBe(true)
  }
}

/** Returns the texts of visitors and profiles in the dictionary, or undefined for a range without texts. */
function storedTexts(): (string[] | undefined)[] {
  const chunks = db
    .prepare("select kind, first, hashes, texts from identities where kind in (0, 2) order by kind, first")
    .all() as IdChunk[]
  return chunks.map(({ hashes, texts }) =>
    texts ? new PackedTexts(texts, hashes.length / hashBytes).all() : undefined,
  )
}

/** Returns the number of hashes in the dictionary, not counting erased ids. */
function hashCount(): number {
  const chunks = db.prepare("select hashes from identities").pluck().all() as Buffer[]
  const hashes = chunks.flatMap((bytes) =>
    Array.from({ length: bytes.length / hashBytes }, (_, index) =>
      bytes.subarray(index * hashBytes, (index + 1) * hashBytes),
    ),
  )
  return hashes.filter((hash) => hash.some((byte) => byte !== 0)).length
}

/** Returns the names of matching events, and the number of rows that were read. */
function search(
  field: "anonymous_id" | "profile_id" | "session_id",
  op: Operator,
  value: string,
  reader = new SnapshotReader(db),
): string {
  const filters: Filter[] = [{ field, op, value }]
  const query = {
    kind: "groups" as const,
    scope: {
      websites: [0],
      from: 0,
      to: start + 1_000 * dayMs,
      zone: "UTC",
      crawlers: false,
      kinds: ["custom" as const],
      filters,
    },
    by: ["event_name" as const],
    measures: ["events" as const],
  }
  const { result } = runToEnd(executeQuery(reader, query))
  return result.groups
    .map(({ by: [name] }) => name)
    .sort()
    .join(" ")
}

describe("packed texts", () => {
  const lists: [what: string, texts: string[]][] = [
    ["ASCII", ["anon_1", "anon_2", "b"]],
    ["other characters", ["é", "日本", "\u{1f600}", "\ufeffx", "a\nb"]],
    ["erased texts", ["", "a", "", ""]],
    ["texts that occur in their neighbors", ["ab", "ab", "ba", "aab", "b"]],
  ]
  for (const [what, texts] of lists)
    test(`can be unpacked and searched: ${what}`, () => {
      const packed = new PackedTexts(packTexts(texts), texts.length)
      expect(packed.all()).toEqual(texts)
      for (const part of [
        undefined,
        "a",
        "b",
        "ab",
        "aab",
        "bab",
        "anon_",
        "é",
        "本",
        "\u{1f600}",
        "\ud83d",
        "x",
      ]) {
        const found = Array.from(packed.containing(part)).filter(([, text]) => text.includes(part ?? ""))
        expect(found).toEqual([...texts.entries()].filter(([, text]) => text.includes(part ?? "")))
      }
      expect(() => new PackedTexts(packTexts(texts), texts.length + 1)).toThrow()
    })
})

describe("text filters on ids", () => {
  const events: Partial<EventRow>[] = [
    { name: "a", anonymousId: "anon_12", profileId: "customer 1", sessionId: "s1" },
    { name: "b", anonymousId: "Anon_2", profileId: "Customer 12" },
    { name: "c", anonymousId: "7" },
    { name: "d", profileId: "12" },
    { name: "e", anonymousId: "日本_12" },
  ]
  /** `later` is the result after an event f of the visitor and profile "new 12" was added. */
  const cases: [
    field: "anonymous_id" | "profile_id" | "session_id",
    op: Operator,
    value: string,
    found: string,
    later: string,
  ][] = [
    ["anonymous_id", "contains", "12", "a e", "a e f"],
    ["anonymous_id", "contains", "Anon", "b", "b"],
    ["anonymous_id", "not_contains", "Anon", "a c d e", "a c d e f"],
    ["anonymous_id", "starts_with", "日", "e", "e"],
    ["anonymous_id", "not_starts_with", "anon", "b c d e", "b c d e f"],
    ["anonymous_id", "ends_with", "2", "a b e", "a b e f"],
    ["anonymous_id", "gt", "6", "c", "c"],
    ["anonymous_id", "contains", "nothing", "", ""],
    ["profile_id", "contains", "12", "b d", "b d f"],
    ["profile_id", "not_contains", "12", "a c e", "a c e"],
    ["session_id", "starts_with", "s", "a", "a f"],
  ]
  const states: [state: string, make: () => void][] = [
    ["unsealed", () => insert(...events)],
    [
      "sealed",
      () => {
        insert(...events)
        seal()
      },
    ],
    [
      "partly sealed",
      () => {
        insert(...events.slice(0, 2))
        seal()
        insert(...events.slice(2))
      },
    ],
    [
      "sealed by an earlier version that did not store texts",
      () => {
        insert(...events.slice(0, 3))
        seal()
        db.exec("update identities set texts = null")
        insert(...events.slice(3))
      },
    ],
  ]
  for (const [state, make] of states)
    test(`find the events that are ${state}`, () => {
      make()
      const reader = new SnapshotReader(db, 2 ** 20)
      const answers = () => cases.map(([field, op, value]) => search(field, op, value, reader))
      expect(answers()).toEqual(cases.map(([, , , found]) => found))
      // The result of the first search is cached and extended with the ids that have been sealed since.
      insert({ name: "f", anonymousId: "new 12", profileId: "new 12", sessionId: "s 12" })
      seal()
      expect(answers()).toEqual(cases.map(([, , , , later]) => later))
    })

  test("read no rows once all events are sealed", () => {
    insert(...events)
    seal()
    db.exec("drop trigger event_rows_updated")
    db.exec("update event_rows set anonymous_id = 'changed behind the dictionary'")
    expect(search("anonymous_id", "contains", "12")).toBe("a e")
  })

  test("find ids in rows that do not fit into memory", () => {
    insert(...events)
    const limits = { rows: 0, bytes: 20_000, partBytes: 10_000, idBytes: 134_217_728 }
    for (const [field, op, value, found] of cases)
      expect(search(field, op, value, new SnapshotReader(db, 0, undefined, limits))).toBe(found)
    // The same must work if no text filter ran before.
    for (const op of ["eq", "ne", "in"] as const)
      expect(search("anonymous_id", op, "7", new SnapshotReader(db, 0, undefined, limits))).toBe(
        op === "ne" ? "a b d e" : "c",
      )
  })
})

describe("the dictionary of ids", () => {
  test("stores the texts of visitors and profiles in ranges of at most 4,096, but no texts of sessions", () => {
    const many = Array.from({ length: 5_000 }, (_, index) => ({
      anonymousId: `visitor ${index}`,
      sessionId: `s${index}`,
    }))
    insert(...many.slice(0, 4_000))
    seal()
    insert(...many.slice(4_000), { profileId: "profile" })
    seal()
    const texts = many.map(({ anonymousId }) => anonymousId)
    expect(storedTexts()).toEqual([texts.slice(0, 4_096), texts.slice(4_096), ["profile"]])
    expect(
      db.prepare("select count(*) from identities where kind = 1 and texts is not null").pluck().get(),
    ).toBe(0)
    expect(differences(db)).toEqual([])
  })

  test("adds texts that an earlier version did not store, except those of ids without events", () => {
    insert(
      ...Array.from({ length: 30 }, (_, index) => ({
        name: `event ${index % 3}`,
        ts: start + (index % 4) * dayMs,
        anonymousId: `visitor ${index % 10}`,
        profileId: index % 2 ? `profile ${index % 5}` : null,
      })),
    )
    seal()
    db.exec("update identities set texts = null")
    insert({ anonymousId: "new" })
    db.exec("delete from event_rows where anonymous_id = 'visitor 3'")
    sealAll(db, farDay)
    const visitors = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((index) => (index === 3 ? "" : `visitor ${index}`))
    expect(storedTexts()).toEqual([
      visitors,
      ["new"],
      ["profile 1", "", "profile 0", "profile 2", "profile 4"],
    ])
    expect(differences(db)).toEqual([])
    expect(search("anonymous_id", "ends_with", "4")).toBe("event 0 event 1 event 2")
  })

  test("erases ids without events once a day", () => {
    insert(
      { anonymousId: "a", sessionId: "1" },
      { anonymousId: "b", sessionId: "2", profileId: "p" },
      { anonymousId: "c" },
    )
    seal()
    expect(hashCount()).toBe(6)
    db.exec("delete from event_rows where anonymous_id = 'b'")
    maintain()
    expect(storedTexts()).toEqual([["a", "", "c"], [""]])
    expect(hashCount()).toBe(3)
    insert({ anonymousId: "b", name: "again" })
    expect(search("anonymous_id", "contains", "b")).toBe("again")
    seal()
    expect(search("anonymous_id", "contains", "b")).toBe("again")
    expect(storedTexts()).toEqual([["a", "", "c", "b"], [""]])
    expect(differences(db)).toEqual([])
  })

  test("is completely replaced by a rebuild", () => {
    insert(
      ...Array.from({ length: 40 }, (_, index) => ({
        anonymousId: `visitor ${index}`,
        ts: start + index * dayMs,
      })),
    )
    seal()
    db.exec("delete from event_rows where anonymous_id = 'visitor 7'")
    reset(db)
    seal()
    expect(storedTexts()[0]).toHaveLength(39)
    expect(db.prepare("select count(*) from identities where kind >= 10").pluck().get()).toBe(0)
  })

  test("is replaced while a query runs, which is then run again", () => {
    insert(
      ...Array.from({ length: 5_000 }, (_, index) => ({
        name: `n${index % 2}`,
        anonymousId: `visitor ${index}`,
      })),
    )
    seal()
    db.exec("delete from event_rows where anonymous_id = 'visitor 0'")
    const reader = new SnapshotReader(db)
    const scope = {
      websites: [0],
      from: 0,
      to: start + dayMs,
      zone: "UTC",
      crawlers: false,
      kinds: ["custom" as const],
    }
    const filters: Filter[] = [{ field: "anonymous_id", op: "ends_with", value: "4999" }]
    const query = executeQuery(reader, {
      kind: "visitors",
      scope: { ...scope, filters },
      limit: 10,
      offset: 0,
    })
    query.next()
    reset(db)
    seal()
    expect(runToEnd(query).result.visitors.map(({ anonymousId }) => anonymousId)).toEqual(["visitor 4999"])
  })
})

describe("forget", () => {
  const schedule = { write: <Result>(work: () => Result) => db.transaction(work)(), sleep: async () => {} }
  const forget = (id: { anonymousId: string } | { profileId: string }) =>
    forgetPerson(db, new DatabaseFiles(), { websiteRid: 0, id }, start, schedule)

  test("immediately erases the person's ids, except those that other events have", async () => {
    insert(
      { anonymousId: "shared", profileId: "ann" },
      { anonymousId: "phone", profileId: "ann" },
      { anonymousId: "shared", profileId: "bob" },
      { anonymousId: "elsewhere", profileId: "ann" },
    )
    insert({ anonymousId: "elsewhere", websiteRid: 7 }, { profileId: "cleo" })
    seal()
    await forget({ profileId: "ann" })
    expect(storedTexts()).toEqual([
      ["shared", "", "elsewhere"],
      ["", "bob", "cleo"],
    ])
    seal()
    expect(differences(db)).toEqual([])
    expect(search("profile_id", "eq", "bob")).not.toBe("")
  })

  test("does not erase an id if an event with it arrives in the meantime", async () => {
    insert({ anonymousId: "ann" })
    seal()
    let arrived = false
    await forgetPerson(db, new DatabaseFiles(), { websiteRid: 0, id: { anonymousId: "ann" } }, start, {
      ...schedule,
      write: (work) => {
        const isErasing =
          db.prepare("select count(*) from event_rows where website_rid >= 0").pluck().get() === 0
        if (isErasing && !arrived) {
          arrived = true
          insert({ anonymousId: "ann", name: "again" })
          seal()
        }
        return schedule.write(work)
      },
    })
    expect(storedTexts()).toEqual([["ann"]])
    expect(search("anonymous_id", "contains", "n")).toBe("again")
    expect(differences(db)).toEqual([])
  })

  test("erases ids in the previous dictionary during a rebuild", async () => {
    insert({ anonymousId: "ann" }, { anonymousId: "bob" })
    seal()
    reset(db)
    await forget({ anonymousId: "ann" })
    const earlier = db.prepare("select hashes, texts from identities where kind = 10").get() as IdChunk
    expect(new PackedTexts(earlier.texts as Uint8Array, 2).all()).toEqual(["", "bob"])
  })

  test("erases ids even if their events are being sealed", async () => {
    insert({ anonymousId: "ann" }, { anonymousId: "bob" })
    const batch = runToEnd(new Sealer(db).pass())
    await forget({ anonymousId: "ann" })
    expect(batch && applySealedBatch(db, batch)).toBe(false)
    seal()
    expect(storedTexts()).toEqual([["bob"]])
  })
})
