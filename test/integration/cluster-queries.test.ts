import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { parseClusterUrl } from "../../src/clickhouse/address.ts"
import { Cluster } from "../../src/clickhouse/cluster.ts"
import { migrateCluster } from "../../src/clickhouse/schema.ts"
import { applyShippingChange } from "../../src/store/shipping.ts"
import { eventually } from "../harness.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { type ClickHouseStub, type StubFault, startClickHouseStub } from "../support/clickhouse-stub.ts"
import { eventRow } from "../support/event.ts"

// The cluster is a stub: test/e2e/clickhouse-queries.ts compares the results of a real one.

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
  applyShippingChange(db, { type: "start", writer })
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

test("the cluster answers up to the watermark, and the events beyond it are sent with the query", async () => {
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

test("values of a query are parameters, and never a part of the statement", async () => {
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

describe("a query that exceeds a limit in the cluster fails, and the error names the flag", () => {
  const cases: [name: string, number: number, error: string][] = [
    ["of time", 159, "than --clickhouse-query-time allows, which is 7 s"],
    ["of memory", 241, "than --clickhouse-query-memory allows, which is 1000000000 bytes"],
    ["of the result", 396, "is larger than 134217728 bytes"],
  ]
  test.each(cases)("%s", async (_, number, error) => {
    stub.fault = (operation) => (operation === "query" ? { status: 500, number } : undefined)
    expect(await ask()).toMatchObject({ success: false, error: expect.stringContaining(error) })
    // It is not an outage.
    stub.fault = () => undefined
    expect(await ask()).toMatchObject({ meta: { source: "clickhouse" } })
  })
})

describe("SQLite answers", () => {
  const faults: [name: string, fault: StubFault][] = [
    ["the cluster reports an error of its own", { status: 500, number: 999 }],
    ["the connection ends", "cut"],
    ["the answer is lost", "answer lost"],
  ]
  test.each(faults)("when %s, until the cluster is asked again", async (_, fault) => {
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
    ["the tables are of a later version", () => stub.migrations.push(["0099_later", "", ""])],
    ["the tables are missing", () => Object.assign(stub, { hasTables: false })],
    [
      "the cluster is older than the watermark",
      () => stub.writers.set(writer, { sequence: 1, shippedId: 2 }),
    ],
    ["another file ships to the cluster", () => stub.writers.set("4567", { sequence: 1, shippedId: 3 })],
    ["the cluster has to be compared", () => applyShippingChange(app.store.db, { type: "rewind", id: 2 })],
    ["nothing is shipped", () => app.store.db.exec("delete from shipping")],
    [
      "a website has the id of one whose events are being deleted",
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
