import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { readFileSync } from "node:fs"
import { differences } from "../../src/columns/check.ts"
import { reset, sealAll } from "../../src/columns/sealer.ts"
import { findProblems } from "../../src/store/check.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { truncateWal } from "../../src/store/db/open.ts"
import { DatabaseFiles } from "../../src/store/db/unallocated-space.ts"
import { NewNameQuota } from "../../src/store/event-name-quota.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { forgetPerson } from "../../src/store/forget.ts"
import { Writer } from "../../src/store/ingest/writer.ts"
import { deleteUnusedTypes, hasUncheckedTypes } from "../../src/store/unused-event-types.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { openTestDatabase, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { eventRow } from "../support/event.ts"
import { acquisition, client, pageView } from "../support/page-event.ts"

const now = Date.UTC(2026, 7, 1, 12)
/** A day long after all test data, in days since 1970, so that all days are over and their blocks are merged. */
const farDay = 30_000

describe("storage", () => {
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
  const writerOf = (to = db) => {
    const dailyHash = new DailyHash(to, (bytes) => crypto.getRandomValues(bytes))
    return new Writer(to, new EventInserter(to, dailyHash, { newNames: new NewNameQuota(to) }), dailyHash)
  }
  const store = (writer: Writer, ...rows: EventRow[]) => writer.commit([{ rows: rows.map(at), size: 0 }])
  const countries = () => db.prepare("select country from client_contexts order by country").pluck().all()
  const shown = () =>
    db.prepare("select name, kind, country, referrer_type from events order by id").raw().all()
  const inGermany = client({ country: "DE" })
  const inFrance = client({ country: "FR" })
  const schedule = (between = () => {}) => ({
    write: <Result>(work: () => Result) => db.transaction(work).immediate(),
    pause: async () => {
      between()
      return true
    },
  })

  test("an event has a kind, and contexts are stored once", () => {
    store(
      writerOf(),
      pageView(),
      pageView(),
      pageView({ client: null, acquisition: null }),
      pageView({ client: client({}), acquisition: acquisition({}) }),
      eventRow({ name: "screen_view" }),
      eventRow({ name: "screen_view", client: inGermany }),
      pageView({ name: "LCP", kind: "web_vital" }),
      // These are inserted by other statements than the rows above: more rows at a time, with and without contexts.
      ...Array.from({ length: 40 }, (_, index) => (index < 30 ? eventRow() : pageView())),
    )
    const all = shown()
    const views = all.filter((row) => (row as string[])[2] === "DE")
    expect([all.length, views.length]).toEqual([47, 14])
    expect(all.slice(0, 7)).toEqual([
      ["screen_view", "page_view", "DE", "direct"],
      ["screen_view", "page_view", "DE", "direct"],
      ["screen_view", "page_view", null, null],
      ["screen_view", "page_view", null, null],
      ["screen_view", "custom", null, null],
      ["screen_view", "custom", "DE", null],
      ["LCP", "web_vital", "DE", "direct"],
    ])
    expect(countries()).toEqual(["DE", "DE"])
    expect(db.prepare("select count(*) from acquisition_contexts").pluck().get()).toBe(1)
    expect(findProblems(db, folder.file("test.db"))).toEqual([])
  })

  test("check reports contexts and kinds that do not exist", () => {
    store(writerOf(), pageView())
    db.exec("update event_rows set client_id = 7, acquisition_id = 8; update event_types set kind = 99")
    expect(findProblems(db, folder.file("test.db"))).toEqual([
      "1 events have a context that does not exist in client_contexts",
      "1 events have a context that does not exist in acquisition_contexts",
      "1 event types have a kind that does not exist",
    ])
  })

  test("a context that was rolled back is created again", () => {
    const writer = writerOf()
    const failing = {
      rows: [at(pageView({ client: inFrance }))],
      size: 0,
      apply: () => {
        throw new Error("the request fails")
      },
    }
    expect(writer.commit([failing])).toEqual([expect.any(Error)])
    expect(countries()).toEqual([])
    store(writer, pageView({ client: inFrance }))
    expect(
      writer.commit([failing, { rows: [at(pageView({ client: inFrance }))], size: 0 }])[1],
    ).toBeUndefined()
    expect(countries()).toEqual(["FR"])
    expect(shown().map((row) => (row as string[])[2])).toEqual(["FR", "FR"])
  })

  test("the names of events of the page script do not count as new names", () => {
    const writer = writerOf()
    const views = Array.from({ length: 1_200 }, (_, index) => pageView({ name: `view ${index}` }))
    expect(store(writer, ...views)).toEqual([undefined])
    const names = Array.from({ length: 1_001 }, (_, index) => eventRow({ name: `view ${index}`, viaKey: 0 }))
    expect(store(writer, ...names)).toMatchObject([{ reason: "too_many_new_names" }])
  })

  test("all contexts without events are deleted, and no others, including those that were never used", async () => {
    const writer = writerOf()
    store(writer, pageView({ client: inFrance }), pageView({ client: inGermany, eventId: "1" }))
    // A row that is skipped as a duplicate leaves its context behind.
    store(writer, pageView({ client: client({ country: "IT" }), eventId: "1" }))
    expect(countries()).toEqual(["DE", "FR", "IT"])
    db.exec("delete from event_rows where id = 1")
    expect(await deleteUnusedTypes(db, schedule())).toBe(2)
    expect(countries()).toEqual(["DE"])
    expect(hasUncheckedTypes(db)).toBe(false)
    db.exec("update event_rows set client_id = null")
    expect(await deleteUnusedTypes(db, schedule())).toBe(1)
    expect(countries()).toEqual([])
  })

  test("a context that is used again during the check is kept, whichever process stores the event", async () => {
    const other = openTestDatabase(folder.file("test.db"))
    const [writer, another] = [writerOf(), writerOf(other)]
    const places = Array.from({ length: 20 }, (_, index) => client({ city: `city ${index}` }))
    store(writer, ...places.map((place) => pageView({ client: place })))
    store(another, ...places.map((place) => pageView({ client: place })))
    store(writer, ...Array.from({ length: 12_000 }, () => eventRow()))
    db.exec("delete from event_rows where client_id is not null")
    let step = 0
    const between = () => {
      if (step < 3) {
        store(writer, pageView({ client: places[step] as (typeof places)[0] }))
        store(another, pageView({ client: places[step + 10] as (typeof places)[0] }))
      }
      step++
    }
    await deleteUnusedTypes(db, schedule(between))
    expect(step).toBeGreaterThan(3)
    await deleteUnusedTypes(db, schedule())
    const cities = db.prepare("select city from client_contexts order by id").pluck().all()
    expect(cities).toEqual(
      ["city 0", "city 10", "city 1", "city 11", "city 2", "city 12"].sort(inOrderOf(cities)),
    )
    expect(
      db.prepare("select count(*) from events where kind = 'page_view' and city is null").pluck().get(),
    ).toBe(0)
    expect(findProblems(db, folder.file("test.db"))).toEqual([])
    other.close()
  })

  test("the id of a deleted context is not reused", async () => {
    const writer = writerOf()
    store(writer, pageView({ client: inFrance }))
    const used = db.prepare("select max(id) from client_contexts").pluck().get() as number
    db.exec("delete from event_rows")
    await deleteUnusedTypes(db, schedule())
    store(writer, pageView({ client: inGermany }))
    expect(db.prepare("select min(id) from client_contexts").pluck().get()).toBe(used + 1)
  })

  test("forgetting a person deletes the contexts that no other events have", async () => {
    const writer = writerOf()
    store(
      writer,
      pageView({ client: inGermany }),
      pageView({ client: inGermany, anonymousId: "ann" }),
      pageView({
        anonymousId: "ann",
        client: client({ city: "zq-city" }),
        acquisition: acquisition({ referrer: "https://zq-referrer.example/ann", utm_term: "zq-term" }),
      }),
    )
    sealAll(db, 0)
    const holds = (text: string) => {
      truncateWal(db)
      return readFileSync(folder.file("test.db")).includes(text)
    }
    expect(holds("zq-")).toBe(true)
    const forgetSchedule = { write: schedule().write, sleep: async () => {} }
    await forgetPerson(
      db,
      new DatabaseFiles(),
      { websiteRid: 0, id: { anonymousId: "ann" } },
      now,
      forgetSchedule,
    )
    sealAll(db, 0)
    expect(countries()).toEqual(["DE"])
    db.exec("vacuum")
    expect(holds("zq-")).toBe(false)
    expect(holds("Firefox")).toBe(false)
  })

  test("check compares kinds and contexts, and blocks can be rebuilt from rows", () => {
    const writer = writerOf()
    const kinds = ["custom", "page_view", "error"] as const
    for (let part = 0; part < 4; part++) {
      const rows = kinds.map((kind) =>
        pageView({ name: "same", kind, client: part === 1 ? null : client({ country: `C${part % 2}` }) }),
      )
      store(writer, ...rows)
      sealAll(db, 0)
    }
    sealAll(db, farDay)
    expect(db.prepare("select slices from blocks where website_rid >= 0").pluck().all()).toEqual([
      '[["same",0,4],["same",0,4,1],["same",0,4,5]]',
    ])
    expect(differences(db)).toEqual([])
    db.exec("create table saved as select * from client_contexts")
    db.exec("update client_contexts set country = 'XX' where country = 'C0'")
    expect(differences(db)).toEqual([expect.stringContaining("differs from the rows: country")])
    db.exec("update client_contexts set country = 'C0' where country = 'XX'")
    db.exec("update event_types set kind = 2 where kind = 1")
    expect(differences(db)).toEqual([expect.stringContaining("a name is not in the rows")])
    db.transaction(() => reset(db))()
    sealAll(db, 0)
    expect(differences(db)).toEqual([])
  })
})

/** Compares texts by their position in a list. */
function inOrderOf(list: readonly unknown[]): (one: string, other: string) => number {
  return (one, other) => list.indexOf(one) - list.indexOf(other)
}

describe("the API", () => {
  let app: TestApp
  let key: string
  const start = Date.UTC(2026, 7, 1, 10)

  beforeEach(() => {
    app = openApp()
    const { db } = app.store
    const settings = { domain: "a.example", name: "a", allowedOrigins: [], anonymize: "off" as const }
    createWebsite(db, "site", settings, app.clock.now)
    key = giveKey(app).secret
    let minute = 0
    const event = (row: EventRow, anonymousId: string): EventRow => {
      const ts = start + minute++ * 60_000
      return { ...row, websiteRid: 1, ts, receivedAt: ts, anonymousId, sessionId: `s-${anonymousId}` }
    }
    const dailyHash = new DailyHash(db, (bytes) => crypto.getRandomValues(bytes))
    const french = { client: client({ country: "FR" }), acquisition: acquisition({ utm_source: "news" }) }
    const rows = [
      event(pageView({ path: "/", keys: '["query_string"]', properties: '"?a=1"' }), "ann"),
      event(pageView({ path: "/pricing" }), "ann"),
      event(eventRow({ name: "signed_up" }), "ann"),
      event(pageView({ path: "/blog/one", ...french }), "bob"),
      event(pageView({ path: "/pricing", ...french }), "bob"),
      event(pageView({ name: "error", kind: "error", path: "/pricing", ...french }), "bob"),
      event(eventRow({ name: "screen_view" }), "cat"),
    ]
    db.transaction(() => new EventInserter(db, dailyHash).insert(rows))()
  })
  afterEach(() => app.close())

  async function run(parameter: object, filters: object[] = []): Promise<Record<string, unknown>[]> {
    const body = { startDate: "2026-08-01", filters, parameters: [parameter] }
    const answer = await app.send(
      new Request("http://localhost/v1/query?website_id=site", {
        method: "POST",
        headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
        body: JSON.stringify(body),
      }),
    )
    const { data, errors } = (await answer.json()) as {
      data?: { error?: string; data: Record<string, unknown>[] }[]
      errors?: unknown
    }
    if (!data?.[0] || data[0].error) throw new Error(JSON.stringify(data?.[0]?.error ?? errors))
    return data[0].data
  }
  const people = (rows: Record<string, unknown>[]) => rows.map((row) => row.people ?? row.converted)

  test.each([
    { name: "custom_events", counts: "total_events", expected: [1, 1] },
    { name: "custom_events_summary", counts: "total_events", expected: [2] },
    { name: "custom_events_by_path", counts: "total_events", expected: [] },
    { name: "events", counts: "events", expected: [2] },
    { name: "events", kinds: ["page_view"], counts: "events", expected: [4] },
    { name: "events", kinds: ["error", "page_view"], by: ["kind"], counts: "events", expected: [4, 1] },
    { name: "events", anonymousId: "ann", counts: "events", expected: [3] },
    { name: "people", counts: "events", expected: [1, 3, 3] },
    { name: "sessions", counts: "events", expected: [1, 3, 3] },
  ])("$name reads only the kinds that it covers, case %#", async ({ counts, expected, ...parameter }) => {
    for (const seal of [false, true]) {
      if (seal) sealAll(app.store.db, farDay)
      expect((await run(parameter)).map((row) => row[counts])).toEqual([...expected])
    }
  })

  test("a cached result is not used for a query for other kinds", async () => {
    sealAll(app.store.db, farDay)
    const counts = { custom: 2, page_view: 4, error: 1 }
    const parameters = [
      { by: ["event_name"], measures: ["events"] },
      { by: ["path"], measures: ["events"] },
      { measures: ["events"], granularity: "daily" },
    ]
    for (const parameter of [...parameters, ...parameters])
      for (const [kind, count] of Object.entries(counts)) {
        const rows = await run({ name: "events", kinds: [kind], ...parameter })
        expect(rows.reduce((sum, { events }) => sum + Number(events), 0)).toBe(count)
      }
  })

  test.each([
    { steps: [{ page: "/pricing" }, "signed_up"], expected: [2, 1] },
    { steps: [{ page: "/" }, { page: "/pricing" }, "signed_up"], expected: [1, 1, 1] },
    { steps: [{ page: "/blog/*" }, { page: "*" }], expected: [1, 1] },
    { steps: [{ page: "*" }, "screen_view"], expected: [2, 0] },
    { steps: ["screen_view", {}], expected: [1, 0] },
    { steps: [{}, { page: "/p*g" }], expected: [3, 2] },
    {
      steps: [{ page: "*", filters: [{ field: "country", op: "eq", value: "FR" }] }, { page: "/pricing" }],
      expected: [1, 1],
    },
  ])("a funnel can have pages and events, case %#", async ({ steps, expected }) => {
    expect(people(await run({ name: "funnel", steps }))).toEqual([...expected])
  })

  test("goals, retention and paths can also have pages", async () => {
    const goals = await run({ name: "goals", steps: [{ page: "/pricing" }, "signed_up", "screen_view"] })
    expect(goals.map(({ goal, converted, total }) => [goal, converted, total])).toEqual([
      ["/pricing", 2, 3],
      ["signed_up", 1, 3],
      ["screen_view", 1, 3],
    ])
    const funnel = await run({ name: "funnel", steps: [{ page: "/pricing" }, "signed_up"] })
    expect(funnel.map(({ event_name }) => event_name)).toEqual(["/pricing", "signed_up"])
    expect(
      await run({ name: "retention", steps: [{ page: "/blog/*" }, { page: "/pricing" }] }),
    ).toMatchObject([{ people: 1, returned: 1 }])
    expect(await run({ name: "paths", steps: [{ page: "/pricing" }], before: 0, after: 1 })).toMatchObject([
      { place: 1, event_name: null, sessions: 1 },
      { place: 1, event_name: "signed_up", page: null, sessions: 1 },
    ])
    const around = await run({ name: "paths", steps: ["signed_up"], before: 5, after: 5 })
    expect(around.map(({ place, event_name, page }) => [place, event_name, page])).toEqual([
      [-3, null, null],
      [-2, "screen_view", "/"],
      [-1, "screen_view", "/pricing"],
      [1, null, null],
    ])
  })

  test("fields of contexts can be used as filters and breakdowns", async () => {
    const views = { name: "events", kinds: ["page_view"], measures: ["events"] }
    expect(await run({ ...views, by: ["country"] })).toEqual([
      { country: "DE", events: 2 },
      { country: "FR", events: 2 },
    ])
    expect(await run({ ...views, by: ["query_string"] })).toEqual([
      { query_string: null, events: 3 },
      { query_string: "?a=1", events: 1 },
    ])
    const filters = [{ field: "utm_source", op: "exists", value: true }]
    expect(await run({ ...views, by: ["path", "referrer_type"] }, filters)).toEqual([
      { path: "/blog/one", referrer_type: null, events: 1 },
      { path: "/pricing", referrer_type: null, events: 1 },
    ])
  })

  test("an event in a list has its kind unless it is custom, and the known fields of its contexts", async () => {
    const timeline = await run({ name: "person", anonymousId: "ann" })
    expect(timeline.map(({ event_name, kind, country, path }) => [event_name, kind, country, path])).toEqual([
      ["signed_up", undefined, undefined, null],
      ["screen_view", "page_view", "DE", "/pricing"],
      ["screen_view", "page_view", "DE", "/"],
    ])
    expect(Object.keys(timeline[1] ?? {})).not.toContain("utm_source")
    expect(await run({ name: "custom_events_recent" })).toHaveLength(2)
    const views = await run({ name: "custom_events_recent", kinds: ["page_view"] })
    expect(views.map(({ kind }) => kind)).toEqual(["page_view", "page_view", "page_view", "page_view"])
  })

  test("a step with both a name and a page is rejected", async () => {
    const steps = [{ page: "/a", name: "b" }, "c"]
    await expect(run({ name: "funnel", steps })).rejects.toThrow("must have a name or a page, not both")
  })
})
