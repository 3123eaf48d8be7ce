import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { writeFileSync } from "node:fs"
import { run } from "../../src/cli.ts"
import { type ClusterAddress, parseClusterUrl } from "../../src/clickhouse/address.ts"
import { Cluster } from "../../src/clickhouse/cluster.ts"
import { migrateCluster, printedSchema } from "../../src/clickhouse/schema.ts"
import { Shipper } from "../../src/clickhouse/shipper.ts"
import { websiteLine } from "../../src/export/lines.ts"
import type { EventRow } from "../../src/store/events.ts"
import { assignNode, idsPerNode } from "../../src/store/node-ids.ts"
import { followRegistry, readRegistry, storeRegistry } from "../../src/store/registry-copy.ts"
import { applyShippingChange, readShipping } from "../../src/store/shipping.ts"
import { createWebsite, listWebsites } from "../../src/store/websites.ts"
import { openReader, temporaryFolder, withDatabase } from "../harness.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { type ClickHouseStub, startClickHouseStub } from "../support/clickhouse-stub.ts"
import { commandContext } from "../support/command-context.ts"
import { eventRow } from "../support/event.ts"

// Several servers ship to one cluster, which is a stub. test/e2e/clickhouse-nodes.ts compares results with a real one.

let stub: ClickHouseStub
let address: ClusterAddress
let cluster: Cluster
let first: TestApp
let second: TestApp
beforeEach(async () => {
  stub = await startClickHouseStub()
  const parsed = parseClusterUrl(stub.url)
  if (!parsed) throw new Error("the address of the stub is invalid")
  address = parsed
  cluster = new Cluster(address, "secret")
  await migrate(true)
  first = openNode(0)
  second = openNode(1)
})
afterEach(async () => {
  await cluster.close()
  for (const app of [first, second]) await app.close()
  await stub[Symbol.asyncDispose]()
})

const migrate = (isShared: boolean) =>
  migrateCluster(cluster, (statement) => cluster.run(statement), undefined, isShared)

const openNode = (node: number) =>
  openApp(undefined, {
    cluster: { address, password: "secret" },
    clusterQuery: { seconds: 7, bytes: 1e9 },
    node,
  })

function newShipper({ store, clock, logged }: TestApp, isShared = true): Shipper {
  return new Shipper({
    db: store.db,
    cluster,
    write: (change) => store.batcher.run(() => applyShippingChange(store.db, change)),
    pause: async () => {},
    sleep: async () => {},
    isShared,
    random: (bytes) => crypto.getRandomValues(bytes),
    now: () => clock.now,
    elapsed: () => clock.now,
    log: (_, message) => logged.push(message),
  })
}

async function ship(app: TestApp, shipper = newShipper(app)): Promise<void> {
  while (!(await shipper.step()).isDone);
}

const store = ({ store: { batcher }, clock }: TestApp, ...rows: Partial<EventRow>[]) =>
  batcher.submit({
    rows: rows.map((row) => eventRow({ ts: clock.now - 1_000, receivedAt: clock.now, ...row })),
    size: 1,
  })

const shippedIds = () => [...stub.events.keys()].sort((one, other) => one - other)

describe("two nodes", () => {
  beforeEach(async () => {
    await store(first, { eventId: "a" }, { eventId: "b" })
    await store(second, { eventId: "b" }, { eventId: "c" }, {})
    await Promise.all([ship(first), ship(second)])
  })

  test("ship their events with different ids, and each node has its own watermark", () => {
    expect(shippedIds()).toEqual([1, 2, idsPerNode + 1, idsPerNode + 2, idsPerNode + 3])
    const watermarks = [...stub.writers.values()].map(({ shippedId }) => shippedId)
    expect(watermarks.sort((one, other) => one - other)).toEqual([2, idsPerNode + 3])
    expect(readShipping(second.store.db)?.shippedId).toBe(idsPerNode + 3)
  })

  test("record a duplicate if both have the same event, before either watermark includes both copies", () => {
    expect(new Set(stub.duplicates.map(String))).toEqual(new Set([`${idsPerNode + 1},2`]))
  })

  test("compare, repair and delete only their own events", async () => {
    for (const { store } of [first, second])
      applyShippingChange(store.db, { type: "rewind", id: readShipping(store.db)?.shippedId ?? 0 })
    stub.events.delete(1)
    stub.events.delete(idsPerNode + 1)
    await Promise.all([ship(first), ship(second)])
    expect(shippedIds()).toHaveLength(5)
    second.store.db.exec("delete from event_rows where event_id = 'c'")
    await ship(second)
    expect(shippedIds()).toEqual([1, 2, idsPerNode + 1, idsPerNode + 3])
    expect(stub.statements).toContain(`delete from event_ids where id in (${idsPerNode + 2})`)
  })

  const repairs: [
    who: string,
    sameProcess: boolean,
    ids: (first: number) => [after: number, last: number],
  ][] = [
    ["in the process that repaired it", true, (id) => [id + 2, id + 4]],
    ["in a process that does not know what was repaired", false, (id) => [id - 1, id + 4]],
  ]
  test.each(repairs)(
    "look for duplicates again after a day was repaired: %s",
    async (_, sameProcess, idsOf) => {
      const ts = second.clock.now - 5 * 86_400_000
      await store(second, { eventId: "a", ts }, { eventId: "d", ts })
      await ship(second)
      applyShippingChange(second.store.db, {
        type: "rewind",
        id: readShipping(second.store.db)?.shippedId ?? 0,
      })
      stub.events.delete(idsPerNode + 4)
      const shipper = newShipper(second)
      expect((await shipper.step()).isDone).toBe(false)
      expect(readShipping(second.store.db)?.isRepairing).toBe(true)
      stub.statements = []
      stub.duplicates = []
      await ship(second, sameProcess ? shipper : newShipper(second))
      const [after, last] = idsOf(idsPerNode + 1)
      expect(stub.statements.filter((statement) => statement.startsWith("delete from duplicates"))).toEqual([
        `delete from duplicates where (id > ${after} and id <= ${last}) or (original > ${after} and original <= ${last})`,
      ])
      expect(stub.duplicates.map(String)).toContain(`${idsPerNode + 4},1`)
    },
  )

  test("delete only their own newer events with load --replace", async () => {
    const { db } = first.store
    applyShippingChange(db, { type: "rewind", id: 1 })
    await newShipper(first).replaceNewer()
    expect(shippedIds()).toEqual([1, idsPerNode + 1, idsPerNode + 2, idsPerNode + 3])
    expect(stub.statements.filter((statement) => statement.startsWith("delete from duplicates"))).toEqual([
      `delete from duplicates where (id > 1 and id <= ${idsPerNode - 1}) or (original > 1 and original <= ${idsPerNode - 1})`,
    ])
  })

  test("return the watermarks of the other nodes with the result of a query", async () => {
    stub.queryRows = [[0, [], 40, 5, 4, 3, 2]]
    const { data } = (await (await ask(first)).json()) as { data: unknown[] }
    expect(data[0]).toMatchObject({
      data: [{ total_events: 40 }],
      meta: {
        source: "clickhouse",
        watermark: 2,
        nodes: [{ node: 1, watermark: idsPerNode + 3, shipped_at: new Date(second.clock.now).toISOString() }],
      },
    })
    const [query = ""] = stub.queries
    expect(query).toContain("id not in (select id from duplicates where original > ")
    for (const id of [0, 2, idsPerNode, idsPerNode + 3]) expect(query).toContain(`\r\n\r\n${id}\r\n`)
  })

  test("do not count another node's copy of an event that they have but have not shipped yet", async () => {
    await store(first, { eventId: "c" })
    stub.queryRows = [[idsPerNode + 2]]
    await ask(first)
    expect(stub.queries[0]).toContain("from event_ids")
    const sent = Buffer.from(stub.queries[1] ?? "", "latin1").toString("latin1")
    expect(sent).toContain('name="deleted"; filename="deleted"\r\n\r\n\u0002')
  })

  test("never answer a query from SQLite, which has the events of only one node", async () => {
    stub.fault = (operation) => (operation === "query" ? "cut" : undefined)
    for (let attempt = 0; attempt < 2; attempt++) {
      const response = await ask(first)
      expect(response.status).toBe(503)
      expect(response.headers.get("retry-after")).toBe("10")
      expect(await response.text()).toContain("events from other nodes are only in the ClickHouse cluster")
    }
    expect(first.logged.join("\n")).toContain("only the cluster has the events from all nodes")
  })

  const files: [what: string, args: string[], code: number, message: string][] = [
    ["the given node", ["--node", "1"], 0, "3 added"],
    ["not a node that has shipped no events", ["--node", "2"], 1, "node 2 has shipped no events"],
    ["not without --node, because there are several", [], 1, "several nodes ship events to"],
  ]
  test.each(files)("can be fetched into a new file one at a time: %s", async (_, args, code, message) => {
    using folder = temporaryFolder()
    const db = folder.file("new.db")
    const output = { out: "", err: "" }
    const env = { DATABUDDY_CLICKHOUSE_PASSWORD: "secret" }
    const context = commandContext({ now: () => second.clock.now, env, output })
    const result = await run(["clickhouse", "fetch", "--clickhouse", stub.url, "--db", db, ...args], context)
    expect([result, output.out + output.err]).toEqual([code, expect.stringContaining(message)])
    if (code > 0) return
    const reader = openReader(db)
    expect(reader.prepare("select id from events order by id").pluck().all()).toEqual(shippedIds().slice(2))
    reader.close()
  })

  test("look up the event ids of a batch starting at its first event, not at the watermark", async () => {
    const third = openNode(2)
    const { db } = third.store
    // The ids have a gap, as after years of retention.
    db.exec(`
      insert into event_rows (id, website_rid, type_id, ts, delay, via_key, crawler)
      values (${2 * idsPerNode + 5_000_000_000}, -1, 0, 0, 0, 0, 0)`)
    await store(third, { eventId: "a" })
    stub.statements = []
    await ship(third)
    expect(
      stub.statements.filter((statement) => statement.startsWith("insert into duplicates")),
    ).toHaveLength(1)
    expect(stub.duplicates.map(String)).toContain(`${2 * idsPerNode + 5_000_000_001},1`)
    await third.close()
  })

  test("fail if a second file has the same node number, or if the first node runs without --node", async () => {
    const third = openNode(1)
    await store(third, {})
    expect(newShipper(third).step()).rejects.toThrow("another database file ships events to")
    await third.close()
    expect(newShipper(first, false).step()).rejects.toThrow("other nodes ship events to")
  })
})

describe("a lost file is fetched into a new file that a server has already opened:", () => {
  const url = "https://first.example.com"
  const websites = ["shop", "gone", "new"].map((id) => ({ id, rid: 0 }))
  beforeEach(async () => {
    const { db } = second.store
    for (const website of websites)
      website.rid = createWebsite(
        db,
        website.id,
        { domain: "a.com", name: "A", allowedOrigins: [], anonymize: "off" },
        0,
      ).rid
  })

  async function fetchInto(path: string): Promise<{ code: number; text: string; json: unknown }> {
    const output = { out: "", err: "" }
    const env = { DATABUDDY_CLICKHOUSE_PASSWORD: "secret" }
    const context = commandContext({ now: () => second.clock.now, env, output })
    const args = ["--clickhouse", stub.url, "--db", path, "--node", "1", "--json"]
    const code = await run(["clickhouse", "fetch", ...args], context)
    return { code, text: output.err, json: JSON.parse(output.out) }
  }

  const cases: [what: string, events: string[], code: number, fetched: object, message: string][] = [
    ["events of copied websites", ["shop"], 0, { added: 2, leftOut: 0 }, ""],
    ["no events of deleted websites", ["shop", "gone"], 1, { added: 2, leftOut: 1 }, "differ in 1 group"],
    [
      "no events of websites that have not been copied yet",
      ["new"],
      1,
      { added: 1, leftOut: 0 },
      "with --registry",
    ],
  ]
  test.each(cases)("%s", async (_, ids, code, fetched, message) => {
    const rids = new Map(websites.map(({ id, rid }) => [id, rid]))
    await store(second, {}, ...ids.map((id) => ({ websiteRid: rids.get(id) ?? 0 })))
    await ship(second)
    using folder = temporaryFolder()
    const path = folder.file("new.db")
    const isAdded = message !== "with --registry"
    withDatabase(path, (db) => {
      followRegistry(db, url)
      const all = readRegistry(second.store.db)
      const [shop, gone] = all.websites
      if (!shop || !gone) throw new Error("there are no websites")
      const deleted = { rid: 2, id: "gone", deleted_at: 1 }
      storeRegistry(db, { ...all, websites: [shop], deleted_websites: [deleted] }, "", 1)
      assignNode(db, 1)
      // This is what a server with --clickhouse stores first.
      applyShippingChange(db, { type: "start", writer: "new", id: idsPerNode })
    })
    const result = await fetchInto(path)
    expect(result).toMatchObject({ code, text: expect.stringContaining(message), json: { fetched } })
    const reader = openReader(path)
    const original = readShipping(second.store.db)
    expect(readShipping(reader)).toMatchObject(
      isAdded ? { writer: original?.writer, shippedId: original?.shippedId } : { writer: "new" },
    )
    expect(listWebsites(reader).map(({ id }) => id)).toEqual(["shop"])
    reader.close()
  })

  test("a file that has already shipped events keeps its writer name", () => {
    const { db } = second.store
    applyShippingChange(db, { type: "start", writer: "second", id: idsPerNode })
    applyShippingChange(db, { type: "send", id: idsPerNode + 1 })
    applyShippingChange(db, { type: "adopt", writer: "other", id: idsPerNode + 9, at: 1 })
    expect(readShipping(db)).toMatchObject({ writer: "second", shippedId: idsPerNode })
  })
})

test("an import into a copy fails if it contains a new website, and the error names the source server", async () => {
  using folder = temporaryFolder()
  const path = folder.file("copy.db")
  const lines = folder.file("all.ndjson")
  withDatabase(path, (db) => followRegistry(db, "https://first.example.com"))
  createWebsite(
    first.store.db,
    "shop",
    { domain: "a.com", name: "A", allowedOrigins: [], anonymize: "off" },
    first.clock.now,
  )
  writeFileSync(lines, listWebsites(first.store.db).map(websiteLine).join("\n"))
  const output = { out: "", err: "" }
  const context = commandContext({ now: () => first.clock.now, env: {}, output })
  expect(await run(["import", lines, "--db", path], context)).toBe(1)
  expect(output.err).toContain("copies its websites from https://first.example.com")
  expect(output.err).toContain("import the file on that server")
})

async function ask(app: TestApp): Promise<Response> {
  const { secret } = giveKey(app)
  return app.send(
    new Request("http://localhost/v1/query?website_id=all", {
      method: "POST",
      headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
      body: JSON.stringify({ preset: "today", parameters: [{ name: "custom_events_summary" }] }),
    }),
  )
}

describe("without migrate --shared", () => {
  let forNodes: ClickHouseStub["migrations"]
  beforeEach(() => {
    forNodes = stub.migrations.splice(1)
    stub.statements = []
  })

  test("the first node ships events without looking for duplicates", async () => {
    await store(first, { eventId: "a" })
    await ship(first)
    expect(shippedIds()).toEqual([1])
    expect(stub.statements.join()).not.toContain("duplicates")
  })

  test("a second node ships nothing, and the error says what to do", async () => {
    await store(second, {})
    const error = await newShipper(second)
      .step()
      .catch((failure: unknown) => failure)
    expect(error).toMatchObject({ hint: expect.stringContaining("databuddy clickhouse migrate --shared") })
    expect(shippedIds()).toEqual([])
  })

  test("a batch is sent again if the cluster started to store event ids during its insert", async () => {
    await store(first, { eventId: "a" })
    stub.fault = (operation) => {
      if (operation === "insert") stub.migrations.push(...forNodes.splice(0))
      return undefined
    }
    await ship(first)
    expect(stub.inserts).toEqual([[1], [1]])
  })
})

test("two new files with the same node number ship nothing", async () => {
  const third = openNode(1)
  await store(second, {})
  await store(third, {})
  const shippers = [newShipper(second), newShipper(third)]
  // Both have read that there is no other file.
  await Promise.all(shippers.map((shipper) => shipper.step()))
  const outcomes = await Promise.allSettled(shippers.map((shipper) => shipper.step()))
  expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"])
  expect(shippedIds()).toEqual([])
  await third.close()
})

test("the schema for a cluster with replicas includes the tables for several nodes only with --shared", () => {
  const address = { url: "http://a", user: "default", database: "shop" }
  expect(printedSchema(address, "main")).not.toContain("event_ids")
  const statements = printedSchema(address, "main", true)
  expect(statements).toContain(
    "create materialized view if not exists event_ids_of_events on cluster 'main' to event_ids as",
  )
  expect(statements).toContain("from events_local where isNotNull(event_id))")
  expect(statements).toContain("'/clickhouse/tables/{database}/duplicates'")
})
