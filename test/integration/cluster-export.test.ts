import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { parseClusterUrl } from "../../src/clickhouse/address.ts"
import { Cluster } from "../../src/clickhouse/cluster.ts"
import { migrateCluster } from "../../src/clickhouse/schema.ts"
import { Shipper } from "../../src/clickhouse/shipper.ts"
import { formats } from "../../src/export/formats.ts"
import type { EventRow } from "../../src/store/events.ts"
import { applyShippingChange } from "../../src/store/shipping.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { eventually } from "../harness.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { type ClickHouseStub, type StubFault, startClickHouseStub } from "../support/clickhouse-stub.ts"
import { eventRow, oddEvents } from "../support/event.ts"

// GET /v1/export returns the same bytes before and after --keep-local removes events from the file.

const day = 86_400_000

let app: TestApp
let stub: ClickHouseStub
let cluster: Cluster
let secret = ""
let shop = 0
beforeEach(async () => {
  stub = await startClickHouseStub()
  const address = parseClusterUrl(stub.url)
  if (!address) throw new Error("the address of the stub is invalid")
  cluster = new Cluster(address, "secret")
  await migrateCluster(cluster, (statement) => cluster.run(statement), undefined)
  app = openApp(undefined, { cluster: { address, password: "secret" } })
  secret = giveKey(app).secret
  const settings = { domain: "a.com", name: "A", allowedOrigins: [], anonymize: "off" as const }
  shop = createWebsite(db(), "shop", settings, app.clock.now).rid
  app.store.registry.refresh()
})
afterEach(async () => {
  await cluster.close()
  await app.close()
  await stub[Symbol.asyncDispose]()
})

const db = () => app.store.db
const store = (...rows: EventRow[]) => app.store.batcher.submit({ rows, size: 1 })
/** An event from `age` days ago. */
const aged = (age: number, changes: Partial<EventRow> = {}) => {
  const ts = app.clock.now - age * day
  return eventRow({ ts, receivedAt: ts, ...changes })
}
const localRows = () => db().prepare("select count(*) from event_rows where website_rid >= 0").pluck().get()

function newShipper(keepLocal: number | undefined): Shipper {
  const { store, clock } = app
  return new Shipper({
    db: store.db,
    cluster,
    write: (change) => store.batcher.run(() => applyShippingChange(store.db, change)),
    pause: async () => {},
    sleep: async () => {},
    keepLocal,
    isShared: false,
    random: (bytes) => bytes.fill(7),
    now: () => clock.now,
    elapsed: () => clock.now,
    log: () => {},
  })
}

async function ship(keepLocal?: number): Promise<void> {
  const shipper = newShipper(keepLocal)
  while (!(await shipper.step()).isDone);
}

function download(query: string, { signal, gzip }: { signal?: AbortSignal; gzip?: boolean } = {}) {
  const headers = { Authorization: `Bearer ${secret}`, ...(gzip && { "Accept-Encoding": "gzip" }) }
  return app.send(new Request(`http://localhost/v1/export?${query}`, { headers, ...(signal && { signal }) }))
}

async function exported(query = ""): Promise<string> {
  const response = await download(query)
  expect(response.status).toBe(200)
  return Buffer.from(await response.bytes()).toString("latin1")
}

/** Stores events of all kinds on 60 days, out of order, with and without a website, some by the person `ann`. */
async function fill(): Promise<void> {
  await store(...oddEvents(), ...oddEvents({ websiteRid: shop }))
  const people: Partial<EventRow>[] = [
    { profileId: "ann" },
    { anonymousId: "laptop" },
    { anonymousId: "laptop", profileId: "bob" },
    { anonymousId: "other" },
  ]
  const rows = Array.from({ length: 2_500 }, (_, index) =>
    aged((index * 7) % 60, { websiteRid: index % 3 === 0 ? 0 : shop, ...people[index % 5] }),
  )
  for (let at = 0; at < rows.length; at += 500) await store(...rows.slice(at, at + 500))
  const identify = new Request("http://localhost/identify", {
    method: "POST",
    headers: { Authorization: `Bearer ${secret}`, "Content-Type": "application/json" },
    body: JSON.stringify({ websiteId: "shop", profileId: "ann", anonymousId: "laptop" }),
  })
  expect((await app.send(identify)).status).toBe(200)
}

const dateOf = (age: number) => new Date(app.clock.now - age * day).toISOString().slice(0, 10)

test("exports have the same bytes before and after the removal", async () => {
  await fill()
  const selections = [
    "",
    "website_id=shop",
    `from=${dateOf(50)}&to=${dateOf(20)}`,
    `from=${app.clock.now - 45 * day + 1}&to=${app.clock.now - 40 * day + 1}`,
    `from=${dateOf(5)}`,
    "website_id=shop&profile_id=ann",
    "website_id=shop&anonymous_id=laptop",
  ].flatMap((selection) => formats.map((format) => `${selection}&format=${format}`))
  const before: string[] = []
  for (const selection of selections) before.push(await exported(selection))
  const rows = localRows() as number
  await ship(30 * day)
  expect(localRows()).toBeLessThan(rows * 0.6)
  for (const [index, selection] of selections.entries())
    expect([selection, (await exported(selection)) === before[index]]).toEqual([selection, true])
})

test("late and unshipped events are exported once, and events that are only deleted in the file are not exported", async () => {
  await store(...Array.from({ length: 20 }, () => aged(40)), aged(1))
  await ship(30 * day)
  await store(aged(40), aged(40))
  await ship()
  await store(aged(40), aged(0))
  db().exec("delete from event_rows where id = 22; insert into shipping_deletions (id) values (7)")
  db().exec("update removed_days set events = events - 1")
  const ids = (await exported()).match(/(?<="type":"event","id":)\d+/g)?.map(Number)
  expect(ids).toEqual(
    Array.from({ length: 25 }, (_, index) => index + 1).filter((id) => id !== 7 && id !== 22),
  )
})

test.each(formats)("a download as %s contains events that are removed during it", async (format) => {
  await fill()
  await store(...Array.from({ length: 200 }, () => aged(0, { properties: `"${"x".repeat(20_000)}"` })))
  const [query, rows] = [`format=${format}`, localRows() as number]
  const before = await exported(query)
  // The oldest days are removed before the download starts, and others while the client reads.
  await ship(58 * day)
  const chunks: Uint8Array[] = []
  let removals = 0
  for await (const chunk of (await download(query)).body ?? []) {
    chunks.push(chunk)
    if (removals++ < 5) await ship((58 - 5 * removals) * day)
  }
  expect(removals).toBeGreaterThan(1)
  expect(localRows()).toBeLessThan(rows)
  expect(Buffer.concat(chunks).toString("latin1") === before).toBe(true)
})

describe("if the cluster cannot be read", () => {
  beforeEach(async () => {
    await store(...Array.from({ length: 50 }, () => aged(40)), aged(0))
    await ship(30 * day)
    expect(localRows()).toBe(1)
  })

  const outages: [what: string, prepare: () => unknown][] = [
    ["it is down", () => (stub.fault = () => "cut")],
    ["it reports an error", () => (stub.fault = () => ({ status: 500, number: 999 }))],
    [
      "it lacks events that it acknowledged",
      () => [...stub.writers.values()].map((row) => (row.shippedId = 3)),
    ],
    ["it must be compared first", () => db().exec("update shipping set must_compare = 1")],
  ]
  test.each(outages)(
    "because %s, an export gets a 503 that says why, and later days are exported",
    async (_, prepare) => {
      prepare()
      // More than can run at once.
      for (let attempt = 0; attempt < 4; attempt++) {
        const response = await download("")
        expect([response.status, response.headers.get("retry-after")]).toEqual([503, "10"])
        expect(response.headers.get("x-databuddy-reason")).toBe("events_removed")
        const text = await response.text()
        expect(text).toContain("50 events before")
        expect(text).not.toContain("127.0.0.1")
      }
      expect((await exported(`from=${dateOf(1)}`)).match(/"type":"event"/g)).toHaveLength(1)
    },
  )

  /** Makes each query fail with the next of these faults. The last fault is repeated. */
  const failing = (...faults: (StubFault | undefined)[]) => {
    let query = 0
    stub.fault = (operation) =>
      operation === "query" ? faults[Math.min(query++, faults.length - 1)] : undefined
  }
  const failures: [what: string, prepare: () => void, logged: string][] = [
    ["the first statement fails", () => failing("cut"), "does not respond"],
    [
      "a statement exceeds a limit of the cluster",
      () => failing({ status: 500, number: 241 }),
      "responded: the stub was told to",
    ],
    [
      "the connection ends, and the cluster stays down",
      () => failing("cut in half", "cut"),
      "does not respond",
    ],
    ["the connection keeps ending", () => failing("cut in half"), "does not respond"],
    ["a proxy passes on incomplete responses", () => failing("half"), "sent an incomplete response"],
    ["the cluster has lost an event", () => stub.events.delete(17), "the cluster has 49 of them"],
  ]
  test.each(failures)(
    "because %s, the download is aborted and the reason is logged",
    async (_, prepare, logged) => {
      prepare()
      for (const options of [{}, { gzip: true }]) {
        const response = await download("format=csv", options)
        expect(response.status).toBe(200)
        await expect(response.bytes()).rejects.toThrow()
      }
      expect(app.logged.filter((line) => line.includes("request failed")).join()).toContain(logged)
    },
  )

  test("only briefly, the download continues where the connection ended", async () => {
    const whole = await exported()
    for (const fault of ["cut in half", "half"] as const) {
      failing(fault, undefined)
      expect(await exported()).toBe(whole)
    }
  })

  test("and the client disconnects, the statement in the cluster ends", async () => {
    failing("hangs")
    const client = new AbortController()
    const response = await download("", { signal: client.signal })
    const bytes = response.bytes().catch((error: unknown) => error)
    await eventually(() => stub.queries.length === 1, { timeout: 60_000 })
    client.abort()
    await eventually(() => stub.abandoned === 1, { timeout: 60_000 })
    expect(await bytes).toBeInstanceOf(Error)
  })
})

test("the cluster is read only as fast as the client reads, and the statement ends when the client disconnects", async () => {
  const text = "x".repeat(30_000)
  for (let at = 0; at < 10; at++)
    await store(...Array.from({ length: 80 }, () => aged(40, { properties: `"${text}"` })))
  await ship(30 * day)
  expect(localRows()).toBe(0)
  const reader = (await download("")).body?.getReader()
  if (!reader) throw new Error("there is no body")
  let bytes = 0
  while (bytes < 100_000) bytes += (await reader.read()).value?.length ?? 0
  expect(stub.answered).toBe(0)
  await reader.cancel()
  await eventually(() => stub.abandoned === 1, { timeout: 60_000 })
  expect(stub.answered).toBe(0)
})
