import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { parseClusterUrl } from "../../src/clickhouse/address.ts"
import { Cluster } from "../../src/clickhouse/cluster.ts"
import { migrateCluster } from "../../src/clickhouse/schema.ts"
import { removedDays } from "../../src/store/removed-days.ts"
import { applyShippingChange, deletedIds } from "../../src/store/shipping.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { eventually } from "../harness.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { type ClickHouseStub, type StubFault, startClickHouseStub } from "../support/clickhouse-stub.ts"
import { eventRow } from "../support/event.ts"

// The cluster is a stub. test/e2e/clickhouse-queries.ts compares the results of a real cluster.

const writer = "0123"
const limits = { seconds: 7, bytes: 1_000_000_000 }

let stub: ClickHouseStub
let app: TestApp
let secret: string
beforeEach(async () => {
  stub = await startClickHouseStub()
  const address = parseClusterUrl(stub.url)
  if (!address) throw new Error("the address of the stub is invalid")
  const cluster = new Cluster(address, "secret")
  await migrateCluster(cluster, (statement) => cluster.run(statement), undefined)
  await cluster.close()
  app = openApp(undefined, { cluster: { address, password: "secret" }, clusterQuery: limits })
  secret = giveKey(app).secret
  await store(3)
  const { db } = app.store
  applyShippingChange(db, { type: "start", writer, id: 0 })
  applyShippingChange(db, { type: "acknowledge", id: 3, at: app.clock.now })
  stub.writers.set(writer, { sequence: 1, shippedId: 3 })
  stub.queryRows = [[0, [], 40, 5, 4, 3, 2]]
})
afterEach(async () => {
  await app.close()
  await stub[Symbol.asyncDispose]()
})

const store = (count: number) =>
  app.store.batcher.submit({
    rows: Array(count).fill(eventRow({ ts: app.clock.now - 1_000, receivedAt: app.clock.now })),
    size: 1,
  })

interface Answer {
  success: boolean
  error?: string
  data: { total_events?: number }[]
  meta?: { source: string; watermark?: number; rows_read: number }
}

async function ask(
  parameter: object = { name: "custom_events_summary" },
  signal = new AbortController().signal,
): Promise<Answer> {
  const request = new Request("http://localhost/v1/query?website_id=all", {
    method: "POST",
    headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
    body: JSON.stringify({ preset: "today", parameters: [parameter] }),
    signal,
  })
  const response = await app.send(request)
  const { data } = (await response.json()) as { data: [Answer] }
  return data[0]
}

const fromSqlite = {
  success: true,
  data: [{ total_events: 3 }],
  meta: { source: expect.stringMatching(/^(kept\+)?rows$/) },
}

test("the cluster answers up to the watermark, and events beyond it are sent with the query", async () => {
  expect(await ask()).toMatchObject({
    data: [{ total_events: 40 }],
    meta: { source: "clickhouse", watermark: 3, rows_read: 0 },
  })
  await store(2)
  expect(await ask()).toMatchObject({
    data: [{ total_events: 40 }],
    meta: { source: "clickhouse+rows", watermark: 3, rows_read: 2 },
  })
})

test("values in a query are sent as parameters, never as part of the statement", async () => {
  const value = "'; drop table events --"
  await ask({
    name: "events",
    by: [`property.${value}`],
    filters: [{ field: `property.${value}`, op: "eq", value }],
  })
  const statements = stub.statements.filter((statement) => statement.includes("from tail"))
  expect(statements.length).toBeGreaterThan(0)
  expect(statements.join()).not.toContain("drop table")
  expect(stub.queries.join()).toContain("\\'; drop table events --")
})

describe("a query that exceeds a limit of the cluster fails with an error that names the limit:", () => {
  const cases: [name: string, number: number, error: string][] = [
    ["time", 159, "than the 7 s that --clickhouse-query-time allows"],
    ["memory", 241, "than the 1000000000 bytes that --clickhouse-query-memory allows"],
    ["size of the result", 396, "is larger than 134217728 bytes"],
  ]
  test.each(cases)("%s", async (_, number, error) => {
    stub.fault = (operation) => (operation === "query" ? { status: 500, number } : undefined)
    expect(await ask()).toMatchObject({ success: false, error: expect.stringContaining(error) })
    // The error is not treated as an outage.
    stub.fault = () => undefined
    expect(await ask()).toMatchObject({ meta: { source: "clickhouse" } })
  })
})

describe("SQLite answers", () => {
  const faults: [name: string, fault: StubFault][] = [
    ["the cluster reports an internal error", { status: 500, number: 999 }],
    ["the connection ends", "cut"],
    ["the response is lost", "answer lost"],
  ]
  test.each(faults)("when %s, until the cluster is tried again", async (_, fault) => {
    stub.fault = (operation) => (operation === "query" ? fault : undefined)
    expect(await ask()).toMatchObject(fromSqlite)
    const { length } = stub.statements
    expect(await ask()).toMatchObject(fromSqlite)
    expect(stub.statements).toHaveLength(length)
    stub.fault = () => undefined
    app.clock.now += 10_000
    expect(await ask()).toMatchObject({ meta: { source: "clickhouse" } })
    const lines = app.logged.join("\n")
    expect(lines.match(/queries are answered from SQLite/g)).toHaveLength(1)
    expect(lines.match(/queries are answered from the cluster again/g)).toHaveLength(1)
    expect(lines).not.toContain("secret")
  })

  const states: [name: string, prepare: () => void][] = [
    ["the tables have a later version", () => stub.migrations.push(["0099_later", "", ""])],
    ["the tables are missing", () => Object.assign(stub, { hasTables: false })],
    ["the cluster is behind the watermark", () => stub.writers.set(writer, { sequence: 1, shippedId: 2 })],
    ["another file ships to the cluster", () => stub.writers.set("4567", { sequence: 1, shippedId: 3 })],
    ["the cluster must be compared", () => applyShippingChange(app.store.db, { type: "rewind", id: 2 })],
    ["nothing is shipped", () => app.store.db.exec("delete from shipping")],
    [
      "a website has the id of a website whose events are being deleted",
      () => {
        const insert =
          "insert into websites (id, domain, name, allowed_origins, created_at, deleted_at) values ('shop', 'a.example', '', '[]', 0, :deletedAt)"
        for (const deletedAt of [1, null]) app.store.db.prepare(insert).run({ deletedAt })
      },
    ],
  ]
  test.each(states)("while %s", async (_, prepare) => {
    prepare()
    expect(await ask()).toMatchObject(fromSqlite)
    expect(stub.queries).toHaveLength(0)
  })
})

test("the request to the cluster ends when the client disconnects", async () => {
  stub.fault = (operation) => (operation === "query" ? "hangs" : undefined)
  const client = new AbortController()
  const answer = ask(undefined, client.signal).catch((error: unknown) => error)
  await eventually(() => stub.queries.length === 1, { timeout: 60_000 })
  client.abort()
  await eventually(() => stub.abandoned === 1, { timeout: 60_000 })
  await answer
})

describe("after events were removed from the file", () => {
  const dayMs = 86_400_000
  /** The day of events 4 and 5. */
  const removedDay = () => Math.floor(app.clock.now / dayMs) - 40
  beforeEach(async () => {
    const ts = removedDay() * dayMs + 1
    const row = eventRow({ ts, receivedAt: ts, anonymousId: "ann", eventId: "first" })
    await app.store.batcher.submit({ rows: [row, { ...row, anonymousId: "bob", eventId: null }], size: 1 })
    const { db } = app.store
    applyShippingChange(db, { type: "acknowledge", id: 5, at: app.clock.now })
    stub.writers.set(writer, { sequence: 2, shippedId: 5 })
    const events = [4, 5].map((id) => ({ id, hash: BigInt(id) }))
    applyShippingChange(db, { type: "remove", rid: 0, day: removedDay(), events })
  })

  const since = () => new Date((removedDay() + 1) * dayMs).toISOString().slice(0, 10)
  const detail = () => `2 events before ${since()} are only in the ClickHouse cluster`

  async function send(method: string, path: string, body?: object): Promise<Response> {
    return app.send(
      new Request(`http://localhost${path}`, {
        method,
        headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
        ...(body && { body: JSON.stringify(body) }),
      }),
    )
  }
  const query = (parameters: object[]) =>
    send("POST", "/v1/query?website_id=all", { preset: "last_90d", parameters })
  const summary = { name: "custom_events_summary" }

  test("the cluster answers queries for them", async () => {
    expect(await (await query([summary])).json()).toMatchObject({
      data: [{ meta: { source: "clickhouse" } }],
    })
  })

  const outages: [what: string, prepare: () => void, why: string][] = [
    ["the cluster is down", () => (stub.fault = () => "cut"), "the cluster does not respond"],
    [
      "the cluster must be compared",
      () => app.store.db.exec("update shipping set must_compare = 1"),
      "the cluster and the file might differ and must be compared first",
    ],
  ]
  test.each(outages)(
    "if %s, such queries get a 503 that says why, and SQLite answers the others",
    async (_, prepare, why) => {
      prepare()
      for (let attempt = 0; attempt < 2; attempt++) {
        const response = await query([summary])
        expect(response.status).toBe(503)
        expect(response.headers.get("retry-after")).toBe("10")
        expect(response.headers.get("x-databuddy-reason")).toBe("events_removed")
        const text = await response.text()
        expect(text).toContain(detail())
        expect(text).toContain(why)
        expect(text).not.toContain("127.0.0.1")
      }
      expect(await ask()).toMatchObject(fromSqlite)
    },
  )

  test("a request with a query that SQLite can answer gets its result, and an error for the other query", async () => {
    stub.fault = () => "cut"
    const body = {
      preset: "today",
      parameters: [summary, { ...summary, id: "long", start_date: "2000-01-01", end_date: since() }],
    }
    const response = await send("POST", "/v1/query?website_id=all", body)
    expect(response.status).toBe(200)
    expect(await response.json()).toMatchObject({
      data: [fromSqlite, { success: false, error: expect.stringContaining(detail()) }],
    })
  })

  test("a query with a filter that the cluster cannot evaluate gets a 503", async () => {
    const filters = [{ field: "property.a.b.c.d.e.f", op: "eq", value: "a" }]
    const response = await query([{ ...summary, filters }])
    expect([response.status, await response.text()]).toEqual([
      503,
      expect.stringContaining("more than 4 dots"),
    ])
  })

  test("an event with the id of a removed event is a duplicate", async () => {
    const response = await send("POST", "/track", { name: "bought", eventId: "first" })
    expect(response.status).toBe(200)
    expect(
      app.store.db.prepare("select count(*) from event_rows where event_id = 'first'").pluck().get(),
    ).toBe(0)
  })

  test("the status contains their number", async () => {
    expect(await (await send("GET", "/v1/status")).json()).toMatchObject({
      database: { events: 3 },
      clickhouse: { removedEvents: 2, missingEvents: 0, localSince: `${since()}T00:00:00.000Z` },
    })
  })

  describe("forget", () => {
    const { rid, path } = { rid: 1, path: "/v1/websites/shop/forget" }
    beforeEach(async () => {
      const { db, registry } = app.store
      createWebsite(db, "shop", { domain: "a.com", name: "A", allowedOrigins: [], anonymize: "off" }, 0)
      db.exec(
        `update removed_days set website_rid = ${rid}; update removed_event_ids set website_rid = ${rid}`,
      )
      registry.refresh()
    })

    test("deletes the person's removed events, and hides them immediately", async () => {
      // The person has two events: one that was removed, and one in the file.
      stub.queryRows = [
        [4, removedDay(), "4", "key", "first"],
        [1, removedDay(), "1", "key", null],
      ]
      const response = await send("POST", path, { anonymousId: "ann" })
      expect(await response.json()).toMatchObject({ events: 0, removedEvents: 1 })
      expect(stub.queries.at(0)).toContain("website = {p1:String}")
      expect(stub.queries.at(0)).toContain("['ann']")
      const { db } = app.store
      expect(removedDays(db)).toMatchObject([{ events: 1, hash: 5n }])
      expect(deletedIds(db, 9, 9)).toEqual([4])
      expect(db.prepare("select count(*) from removed_event_ids").pluck().get()).toBe(0)
    })

    test("deletes nothing and reports an error if the cluster does not respond", async () => {
      stub.fault = () => "cut"
      const response = await send("POST", path, { anonymousId: "ann" })
      expect([response.status, await response.text()]).toEqual([
        503,
        expect.stringContaining("nothing was deleted"),
      ])
      expect(removedDays(app.store.db)).toMatchObject([{ events: 2 }])
    })
  })
})
