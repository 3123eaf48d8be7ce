import { afterEach, beforeEach, expect, test } from "bun:test"
import { parseClusterUrl } from "../../src/clickhouse/address.ts"
import { Cluster } from "../../src/clickhouse/cluster.ts"
import { migrateCluster } from "../../src/clickhouse/schema.ts"
import { retryDelay, ShippingLoop } from "../../src/clickhouse/shipping-loop.ts"
import { UserError } from "../../src/errors.ts"
import { ServerLock } from "../../src/store/db/server-lock.ts"
import { eventually } from "../harness.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { type ClickHouseStub, startClickHouseStub } from "../support/clickhouse-stub.ts"
import { eventRow } from "../support/event.ts"

/** For states that a thread reaches after retries. */
const patient = { timeout: 60_000 }

let stub: ClickHouseStub
let app: TestApp
beforeEach(async () => {
  stub = await startClickHouseStub()
  const address = parseClusterUrl(stub.url)
  if (!address) throw new Error("the address of the stub is invalid")
  const cluster = new Cluster(address, "secret")
  await migrateCluster(cluster, (statement) => cluster.run(statement), undefined)
  await cluster.close()
  const metricsAccess = { token: "scrape", local: false }
  app = openApp(() => ({ metricsAccess }), { cluster: { address, password: "secret" } })
})
afterEach(async () => {
  await app.close()
  await stub[Symbol.asyncDispose]()
})

async function get(path: string, token: string): Promise<Response> {
  return app.send(new Request(`http://localhost${path}`, { headers: { Authorization: `Bearer ${token}` } }))
}

/** The part of the status about the cluster. */
async function status(secret: string): Promise<unknown> {
  const body = (await (await get("/v1/status", secret)).json()) as { clickhouse: unknown }
  return body.clickhouse
}

async function metric(name: string): Promise<number> {
  const text = await (await get("/metrics", "scrape")).text()
  return Number(new RegExp(`^databuddy_clickhouse_${name} (.+)$`, "m").exec(text)?.[1] ?? Number.NaN)
}

const store = (count: number) =>
  app.store.batcher.submit({
    rows: Array(count).fill(eventRow({ receivedAt: app.clock.now - 90_000 })),
    size: 1,
  })

test("a server ships its events, and keeps accepting them while the cluster fails", async () => {
  const { secret } = giveKey(app)
  stub.fault = () => ({ status: 503, number: 241 })
  await store(3)
  app.start()
  await eventually(async () => (await metric("failures_total")) > 0, patient)
  expect((await get("/ready", secret)).status).toBe(200)
  expect(await metric("backlog_events")).toBe(3)
  expect(await metric("lag_seconds")).toBe(90)
  expect(await status(secret)).toMatchObject({
    url: stub.url.replace("shop@", ""),
    backlogEvents: 3,
    lastShippedAt: null,
    failure: expect.stringContaining("responded: "),
  })
  await store(2)
  stub.fault = () => undefined
  await eventually(() => stub.events.size === 5, patient)
  await eventually(async () => (await metric("events_shipped_total")) === 5, patient)
  expect(await metric("backlog_events")).toBe(0)
  expect(await metric("lag_seconds")).toBe(0)
  expect(await status(secret)).toMatchObject({ failure: null })
  const lines = app.logged.join("\n")
  expect(lines).toContain("events are not shipped")
  expect(lines).toContain("events are shipped again")
  expect(lines).not.toContain("secret")
})

test("a running server ships deletions and new events", async () => {
  await store(3)
  app.start()
  await eventually(() => stub.events.size === 3, patient)
  app.store.db.exec("delete from event_rows where id = 2")
  expect(await metric("pending_deletions")).toBe(1)
  await store(1)
  await eventually(() => [...stub.events.keys()].join() === "1,3,4", patient)
  await eventually(async () => (await metric("pending_deletions")) === 0, patient)
})

test("a server can start while another process ships its events, and takes over afterwards", async () => {
  const lock = new ServerLock(`${app.store.db.name}-shipping`, process.pid)
  await store(2)
  app.start()
  expect(await metric("failures_total")).toBe(1)
  expect(app.logged.join("\n")).toContain("another process is already shipping events from")
  lock.release()
  await eventually(() => stub.events.size === 2, patient)
})

test("a server stops even if the cluster does not respond to an insert", async () => {
  let isInserting = false
  stub.fault = (operation) => {
    isInserting ||= operation === "insert"
    return operation === "insert" ? "hangs" : undefined
  }
  await store(1)
  app.start()
  await eventually(() => isInserting, patient)
  const begin = performance.now()
  await app.close()
  expect(performance.now() - begin).toBeLessThan(30_000)
  app = openApp()
})

test("the loop retries after any error, with growing random waits, and pauses once everything is shipped", async () => {
  const waits: number[] = []
  const failures: (string | undefined)[] = []
  const results = [
    new Error("down"),
    new UserError("old tables", "migrate"),
    { hasShipped: true, events: 5, isDone: true },
    { hasShipped: false, events: 0, isDone: true },
  ]
  let shipped = 0
  const loop: ShippingLoop = new ShippingLoop({
    step: async () => {
      const result = results.shift()
      if (!result || result instanceof Error) throw result
      return result
    },
    sleep: async (ms) => {
      waits.push(ms)
      if (results.length === 0) loop.stop()
    },
    random: (bytes) => bytes.fill(255),
    onShipped: (events) => {
      shipped += events
    },
    onFailure: (_, hint) => failures.push(hint),
  })
  await loop.run()
  expect(waits).toEqual([1_000, 2_000, 5_000, 5_000])
  expect(failures).toEqual([undefined, "migrate"])
  expect(shipped).toBe(5)
})

test("waits between retries grow to a minute, and half of each is random", () => {
  expect([0, 3, 20].map((failures) => retryDelay(failures, (bytes) => bytes.fill(0)))).toEqual([
    500, 4_000, 30_000,
  ])
  expect([0, 3, 20].map((failures) => retryDelay(failures, (bytes) => bytes.fill(255)))).toEqual([
    1_000, 8_000, 60_000,
  ])
})
