import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { sealAll } from "../../src/columns/sealer.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { executeQuerySync } from "../../src/query/engine/execute.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { truncateWal } from "../../src/store/db/open.ts"
import { DatabaseFiles } from "../../src/store/db/unallocated-space.ts"
import { sweepDeleted } from "../../src/store/deleted-websites.ts"
import { NewNameQuota } from "../../src/store/event-name-quota.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { forgetPerson } from "../../src/store/forget.ts"
import { Writer } from "../../src/store/ingest/writer.ts"
import { deleteUnusedTypes, hasUncheckedTypes } from "../../src/store/unused-event-types.ts"
import { createWebsite, deleteWebsite } from "../../src/store/websites.ts"
import { eventually, openTestDatabase, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { eventRow } from "../support/event.ts"

const settings = { domain: "a.example", name: "a", allowedOrigins: [], anonymize: "off" as const }
const numbered = (count: number, from = 0) =>
  Array.from({ length: count }, (_, index) => ({ name: `made_up_${from + index}` }))

describe("new names without a key", () => {
  let app: TestApp
  let key: string

  beforeEach(() => {
    app = openApp()
    const now = app.clock.now
    for (const id of ["a", "b"]) createWebsite(app.store.db, id, settings, now)
    key = giveKey(app).secret
  })
  afterEach(() => app.close())

  async function send(events: object | object[], { website = "a", withKey = false } = {}) {
    const headers: Record<string, string> = { "content-type": "application/json" }
    if (withKey) headers.authorization = `Bearer ${key}`
    const url = `http://localhost/track?website_id=${website}`
    const answer = await app.send(new Request(url, { method: "POST", headers, body: JSON.stringify(events) }))
    const reason = answer.headers.get("x-databuddy-reason")
    return {
      status: answer.status,
      reason,
      retryAfter: answer.headers.get("retry-after"),
      body: await answer.json(),
    }
  }
  const types = () => app.store.db.prepare("select count(*) from event_types").pluck().get()
  const stored = () => app.store.db.prepare("select count(*) from events").pluck().get()
  const rejection = { status: 429, reason: "too_many_new_names" }

  test("are accepted up to 1,000 per website and day, and after that, requests with any new name are rejected", async () => {
    expect(await send(numbered(999))).toMatchObject({ status: 200 })
    const twoMore = [{ name: "made_up_0" }, ...numbered(2, 5_000)]
    expect(await send(twoMore)).toEqual({
      ...rejection,
      retryAfter: String(12 * 3_600),
      body: { status: "error", message: "Rate limit exceeded" },
    })
    expect(stored()).toBe(999)
    expect(await send(numbered(1, 5_000))).toMatchObject({ status: 200 })
    expect(await send(numbered(1, 5_001))).toMatchObject(rejection)
    expect(await send(numbered(500))).toMatchObject({ status: 200 })
    expect(types()).toBe(1_000)
  })

  test.each(["namespace", "source"])(
    "count together with their %s, which senders can also invent",
    async (field) => {
      const events = Array.from({ length: 1_000 }, (_, index) => ({
        name: "one",
        [field]: `made up ${index}`,
      }))
      expect(await send(events)).toMatchObject({ status: 200 })
      expect(await send({ name: "one", [field]: "one more" })).toMatchObject(rejection)
      expect(await send({ name: "one", [field]: "made up 7", properties: { new: 1 } })).toMatchObject({
        status: 200,
      })
    },
  )

  test("are counted per website and UTC day, and are not limited with a key", async () => {
    await send(numbered(1_000))
    expect(await send(numbered(1, 1_000))).toMatchObject(rejection)
    expect(await send(numbered(1, 1_000), { website: "b" })).toMatchObject({ status: 200 })
    // The name is known now.
    expect(await send(numbered(1, 1_000))).toMatchObject({ status: 200 })
    expect(await send(numbered(1_000, 10_000), { withKey: true })).toMatchObject({ status: 200 })
    app.clock.now += 12 * 3_600_000 - 1
    expect(await send(numbered(1, 20_000))).toMatchObject({ ...rejection, retryAfter: "1" })
    app.clock.now += 1
    expect(await send(numbered(1_000, 20_000))).toMatchObject({ status: 200 })
    expect(await send(numbered(1, 30_000))).toMatchObject(rejection)
  })

  test("are rejected without affecting other writes in the commit, and the owner sees the request with advice", async () => {
    await send(numbered(999))
    const together = await Promise.all([
      send({ name: "first" }),
      send([{ name: "second" }, { name: "made_up_3" }]),
      send({ name: "made_up_3" }),
      send({ name: "third" }, { website: "b" }),
    ])
    expect(together.map(({ status }) => status)).toEqual([200, 429, 200, 200])
    expect(stored()).toBe(999 + 3)
    const answer = await app.send(
      new Request("http://localhost/v1/refusals", { headers: { authorization: `Bearer ${key}` } }),
    )
    const { refusals } = (await answer.json()) as { refusals: object[] }
    expect(refusals[0]).toMatchObject({
      reason: "too_many_new_names",
      websiteId: "a",
      names: ["second", "made_up_3"],
    })
    expect(JSON.stringify(refusals[0])).toContain("into properties, not into the name")
  })
})

test("a request with new names beyond the quota is rejected after a single lookup, not after one per row", () => {
  using folder = temporaryFolder()
  const db = openTestDatabase(folder.file("a.db"))
  try {
    let lookups = 0
    const prepare = db.prepare.bind(db)
    // The type assertion is needed because Object.create returns `any`.
    const counting = Object.assign(Object.create(db) as Db, {
      prepare: (text: string) => {
        const statement = prepare(text)
        if (!text.includes("select id from event_types")) return statement
        const get = statement.pluck().get.bind(statement)
        const counted = (...values: unknown[]) => {
          lookups++
          return get(...values)
        }
        return { pluck: () => ({ get: counted }) }
      },
    })
    const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)
    const inserter = new EventInserter(counting, new DailyHash(db, random), {
      newNames: new NewNameQuota(db),
    })
    const rowsOf = (prefix: string) =>
      numbered(1_000).map(({ name }) => eventRow({ name: `${prefix} ${name}`, websiteRid: 1, viaKey: 0 }))
    db.transaction(() => inserter.insert(rowsOf("first")))()
    lookups = 0
    expect(() => inserter.typesOf(rowsOf("second"))).toThrow("Rate limit exceeded")
    expect(lookups).toBe(1)
  } finally {
    db.close()
  }
})

test("a running server deletes the names of a deleted website", async () => {
  const app = openApp()
  try {
    const { db, batcher } = app.store
    const { rid } = createWebsite(db, "a", settings, app.clock.now)
    await batcher.submit({
      rows: [eventRow({ websiteRid: rid, name: "gone" }), eventRow({ name: "stays" })],
      size: 1,
    })
    deleteWebsite(db, "a", app.clock.now)
    app.store.start()
    const names = () => db.prepare("select name from event_types order by name").pluck().all()
    await eventually(() => Bun.deepEquals(names(), ["stays"]))
  } finally {
    await app.close()
  }
})

let folder: TemporaryFolder
let db: Db
let dailyHash: DailyHash
const now = Date.UTC(2026, 0, 1, 12)

describe("in a database", () => {
  beforeEach(() => {
    folder = temporaryFolder()
    db = openTestDatabase(folder.file("test.db"))
    dailyHash = new DailyHash(db, (bytes) => crypto.getRandomValues(bytes))
  })
  afterEach(() => {
    db.close()
    folder[Symbol.dispose]()
  })

  const writerOf = (on = db) =>
    new Writer(on, new EventInserter(on, dailyHash, { newNames: new NewNameQuota(on) }), dailyHash)
  const row = (changes: Partial<EventRow>) => eventRow({ ts: now, receivedAt: now, ...changes })
  const store = (writer: Writer, ...rows: EventRow[]) => writer.commit([{ rows, size: 0 }])[0]
  const types = () => db.prepare("select name || keys from event_types order by 1").pluck().all()
  const steps: string[] = []
  const schedule = (between: () => void = () => {}) => ({
    write: <Result>(work: () => Result) => db.transaction(work).immediate(),
    pause: async () => {
      steps.push("")
      between()
      return true
    },
  })

  test("a restart does not reset the quota", () => {
    const names = (count: number, from: number) =>
      numbered(count, from).map(({ name }) => row({ name, viaKey: 0 }))
    expect(store(writerOf(), ...names(1_000, 0))).toBeUndefined()
    expect(store(writerOf(), ...names(1, 1_000))).toMatchObject({ reason: "too_many_new_names" })
  })

  test("all types without events are deleted, and no others, including those that were never used", async () => {
    const writer = writerOf()
    store(
      writer,
      row({ name: "gone", keys: '["secret key"]' }),
      row({ name: "stays" }),
      row({ name: "stays", keys: "[]", properties: "" }),
    )
    // A row that is skipped as a duplicate leaves its type behind.
    store(writer, row({ name: "stays", eventId: "1" }), row({ name: "duplicate", eventId: "1" }))
    expect(types()).toHaveLength(4)
    db.exec("delete from event_rows where type_id = (select id from event_types where name = 'gone')")
    expect(await deleteUnusedTypes(db, schedule())).toBe(2)
    expect(types()).toEqual(['stays["plan"]', "stays[]"])
    expect(hasUncheckedTypes(db)).toBe(false)
    expect(await deleteUnusedTypes(db, schedule())).toBe(0)
  })

  test("a deletion invalidates the caches of all processes, and no id is reused", async () => {
    const other = openTestDatabase(folder.file("test.db"))
    const [writer, another] = [writerOf(), writerOf(other)]
    store(writer, row({ name: "first" }), row({ name: "last" }))
    store(another, row({ name: "last" }))
    const idOfLast = db.prepare("select id from event_types where name = 'last'").pluck().get() as number
    db.exec("delete from event_rows")
    expect(await deleteUnusedTypes(db, schedule())).toBe(2)
    store(another, row({ name: "last" }))
    store(writer, row({ name: "next" }), row({ name: "last" }))
    expect(db.prepare("select name from events order by id").pluck().all()).toEqual(["last", "next", "last"])
    expect(db.prepare("select min(id) from event_types").pluck().get()).toBeGreaterThan(idOfLast)
    other.close()
  })

  test("a type that is used again during the check is kept, whichever process stores the event", async () => {
    const other = openTestDatabase(folder.file("test.db"))
    const [writer, another] = [writerOf(), writerOf(other)]
    store(writer, ...numbered(20).map((one) => row(one)))
    store(another, ...numbered(20).map((one) => row(one)))
    store(writer, ...Array.from({ length: 12_000 }, () => row({ name: "filler" })))
    db.exec("delete from event_rows where type_id in (select id from event_types where name like 'made_up%')")
    let step = 0
    const between = () => {
      if (step < 10) store(writer, row({ name: `made_up_${step}` }))
      if (step < 3) store(another, row({ name: `made_up_${step + 10}` }))
      step++
    }
    await deleteUnusedTypes(db, schedule(between))
    expect(step).toBeGreaterThan(3)
    const dangling =
      "select count(*) from event_rows where website_rid >= 0 and type_id not in (select id from event_types)"
    expect(db.prepare(dangling).pluck().get()).toBe(0)
    const used = "select count(distinct type_id) from event_rows where website_rid >= 0"
    await deleteUnusedTypes(db, schedule())
    expect(types()).toHaveLength(db.prepare(used).pluck().get() as number)
    other.close()
  })

  test("rows are read from newest to oldest, and only as far as needed", async () => {
    const writer = writerOf()
    store(writer, row({ name: "old" }), ...Array.from({ length: 30_000 }, () => row({ name: "common" })))
    await deleteUnusedTypes(db, schedule())
    db.exec("delete from event_rows where id = 20000")
    steps.length = 0
    expect(await deleteUnusedTypes(db, schedule())).toBe(0)
    expect(steps.length).toBeLessThanOrEqual(2)
  })

  const marked = (text: string) => {
    truncateWal(db)
    return readFileSync(folder.file("test.db")).includes(text)
  }

  test("no name, namespace, source or key of a deleted website remains in the file, including its blocks", async () => {
    const { rid } = createWebsite(db, "a", settings, now)
    const writer = writerOf()
    store(
      writer,
      ...Array.from({ length: 50 }, (_, index) =>
        row({
          websiteRid: rid,
          name: `zq-name-${index}`,
          namespace: "zq-space",
          source: "zq-source",
          keys: '["zq-key"]',
        }),
      ),
    )
    sealAll(db, 0)
    expect(marked("zq-")).toBe(true)
    deleteWebsite(db, "a", now)
    while (db.transaction(() => sweepDeleted(db, now)).immediate());
    while (db.transaction(() => sweepDeleted(db, now + 3_600_000)).immediate());
    await deleteUnusedTypes(db, schedule())
    expect(types()).toEqual([])
    db.exec("vacuum")
    expect(marked("zq-")).toBe(false)
    // A tombstone reserves the highest id in blocks, so a new event gets a higher id.
    store(writer, row({ websiteRid: 0, name: "next" }))
    expect(
      executeQuerySync(db, {
        kind: "events",
        scope: {
          websites: [0],
          from: 0,
          to: now + 1,
          zone: "UTC",
          filters: [],
          crawlers: true,
          kinds: eventKinds,
        },
        limit: 5,
        offset: 0,
      }).result.events,
    ).toHaveLength(1)
  })

  test("forgetting a person deletes names and keys that no other events have", async () => {
    const writer = writerOf()
    store(
      writer,
      row({ name: "common" }),
      row({ name: "common", anonymousId: "ann", keys: '["zq-ann@example.com"]' }),
      row({ name: "zq-ann", anonymousId: "ann" }),
    )
    const forgetSchedule = { write: schedule().write, sleep: async () => {} }
    await forgetPerson(
      db,
      new DatabaseFiles(),
      { websiteRid: 0, id: { anonymousId: "ann" } },
      now,
      forgetSchedule,
    )
    expect(types()).toEqual(['common["plan"]'])
    expect(marked("zq-ann")).toBe(false)
  })
})
