import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { parseClusterUrl } from "../../src/clickhouse/address.ts"
import { Cluster, ClusterError, requestTimes } from "../../src/clickhouse/cluster.ts"
import { readerOfAll } from "../../src/clickhouse/comparison.ts"
import { migrateCluster } from "../../src/clickhouse/schema.ts"
import { Shipper, type ShipperLimits, shipperLimits } from "../../src/clickhouse/shipper.ts"
import { UserError } from "../../src/errors.ts"
import type { StoredEvent } from "../../src/store/event-reader.ts"
import type { EventRow } from "../../src/store/events.ts"
import { applyShippingChange, readShipping, shippingLag } from "../../src/store/shipping.ts"
import { createWebsite, deleteWebsite } from "../../src/store/websites.ts"
import { openApp, type TestApp } from "../support/app.ts"
import { type ClickHouseStub, type StubFault, startClickHouseStub } from "../support/clickhouse-stub.ts"
import { eventRow, oddEvents } from "../support/event.ts"

const day = 86_400_000

let app: TestApp
let stub: ClickHouseStub
let cluster: Cluster
beforeEach(async () => {
  app = openApp()
  stub = await startClickHouseStub()
  const address = parseClusterUrl(stub.url)
  if (!address) throw new Error("the address of the stub is invalid")
  // The timeout is short, because some tests wait for it.
  cluster = new Cluster(address, "secret", { ...requestTimes, timeout: 1_000 })
  await migrateCluster(cluster, (statement) => cluster.run(statement), undefined)
})
afterEach(async () => {
  await cluster.close()
  await stub[Symbol.asyncDispose]()
  await app.close()
})

function newShipper(limits: Partial<ShipperLimits> = {}): Shipper {
  const { store, clock, logged } = app
  return new Shipper(
    {
      db: store.db,
      cluster,
      write: (change) => store.batcher.run(() => applyShippingChange(store.db, change)),
      pause: async () => {},
      sleep: async () => {},
      isShared: false,
      random: (bytes) => bytes.fill(7),
      now: () => clock.now,
      elapsed: () => clock.now,
      log: (_, message) => logged.push(message),
    },
    { ...shipperLimits, ...limits },
  )
}

async function shipAll(shipper = newShipper()): Promise<void> {
  while (!(await shipper.step()).isDone);
}

/** Runs a step that must fail, and returns its error. */
async function failure(shipper: Shipper): Promise<Error> {
  try {
    await shipper.step()
  } catch (error) {
    return error as Error // A step throws only errors.
  }
  throw new Error("the step succeeded")
}

const store = (...rows: EventRow[]) => app.store.batcher.submit({ rows, size: 1 })
const rows = (count: number, changes: Partial<EventRow> = {}) =>
  Array.from({ length: count }, (_, index) =>
    eventRow({ ts: index * day, receivedAt: index * day, ...changes }),
  )
const remove = (where: string) => app.store.db.exec(`delete from event_rows where ${where}`)
const shipping = () => readShipping(app.store.db)
const lag = () => shippingLag(app.store.db, shipping()?.shippedId ?? 0)

function expectEqualSides(): void {
  const here: StoredEvent[] = []
  for (const { events } of readerOfAll(app.store.db).inRange(0, 1e9, 1_000)) here.push(...events)
  expect([...stub.events.values()].sort((a, b) => a.id - b.id)).toEqual(here)
}

const website = (id: string) =>
  createWebsite(
    app.store.db,
    id,
    { domain: "a.com", name: "A", allowedOrigins: [], anonymize: "off" },
    app.clock.now,
  )

test("events of all kinds arrive with every column, and the password is sent as a header", async () => {
  const { rid } = website("shop")
  await store(
    ...oddEvents(),
    ...oddEvents({ websiteRid: rid }),
    ...oddEvents({ kind: "page_view", eventId: null }),
  )
  await shipAll()
  expectEqualSides()
  expect(stub.authorizations).toEqual(new Set([`Basic ${Buffer.from("shop:secret").toString("base64")}`]))
  expect(stub.websites.map((line) => JSON.parse(line).id)).toEqual(["shop"])
  expect(lag()).toEqual({ events: 0, oldest: null, deletions: 0 })
})

test("an insert has at most the rows and bytes of the limits, and the next one continues", async () => {
  await store(...rows(5_000))
  await shipAll(newShipper({ rows: 1_000 }))
  expectEqualSides()
  expect(Math.max(...stub.inserts.map((ids) => ids.length))).toBeLessThan(2_000)
  await store(...rows(50, { keys: "", properties: JSON.stringify({ text: "x".repeat(30_000) }) }))
  stub.inserts = []
  await shipAll(newShipper({ bytes: 200_000 }))
  expect(stub.inserts.length).toBeGreaterThan(2)
  expectEqualSides()
})

test("a batch that is not full ends the round, so that new events are not inserted a few at a time", async () => {
  await store(...rows(3))
  stub.fault = (operation) => {
    if (operation === "insert") void store(...rows(1))
    return undefined
  }
  expect(await newShipper().step()).toEqual({ hasShipped: true, events: 3, isDone: true })
})

test("without new events, the shipper checks the cluster once and then sends no requests", async () => {
  const shipper = newShipper()
  await shipAll(shipper)
  const statements = stub.statements.length
  expect(stub.statements.some((statement) => statement.startsWith("select writer"))).toBe(true)
  await shipAll(shipper)
  expect(stub.statements).toHaveLength(statements)
})

const unavailable: StubFault = { status: 500, number: 241 }
const faults: { what: string; operation: "insert" | "record"; fault: StubFault; stored: number }[] = [
  { what: "an insert fails with an error", operation: "insert", fault: unavailable, stored: 0 },
  { what: "the connection ends during an insert", operation: "insert", fault: "cut", stored: 0 },
  { what: "the response to an insert is lost", operation: "insert", fault: "answer lost", stored: 3 },
  { what: "an insert gets no response in time", operation: "insert", fault: "hangs", stored: 0 },
  { what: "the record of an insert fails", operation: "record", fault: unavailable, stored: 3 },
  { what: "the response to the record is lost", operation: "record", fault: "answer lost", stored: 3 },
]
test.each(faults)("$what: the watermark stays, and the next attempt sends everything", async (given) => {
  await store(...rows(3))
  stub.fault = (operation) => (operation === given.operation ? given.fault : undefined)
  const shipper = newShipper()
  expect(await failure(shipper)).toBeInstanceOf(ClusterError)
  expect(shipping()).toMatchObject({ shippedId: 0, sendingId: 3 })
  expect(stub.events.size).toBe(given.stored)
  stub.fault = () => undefined
  await shipAll(shipper)
  expectEqualSides()
  expect(shipping()).toMatchObject({ shippedId: 3, shippedAt: app.clock.now, mustCompare: false })
})

test("if a shipper is killed after an insert, before the watermark moves, the next one sends the batch again", async () => {
  await store(...rows(3))
  await shipAll()
  app.store.db.exec("update shipping set shipped_id = 0")
  await store(...rows(2))
  await shipAll()
  expect(stub.inserts).toEqual([
    [1, 2, 3],
    [1, 2, 3, 4, 5],
  ])
  expectEqualSides()
})

describe("deletions", () => {
  test("reach the cluster as ids and ranges of ids, and are removed from the queue", async () => {
    await store(...rows(20))
    await shipAll()
    remove("id in (2, 3, 4, 5, 9, 15)")
    expect(lag().deletions).toBe(6)
    await shipAll()
    expectEqualSides()
    const deletions = stub.statements.filter((statement) => statement.startsWith("delete"))
    expect(deletions).toEqual([
      "delete from events where id in (9,15)",
      "delete from events where id between 2 and 5",
    ])
    expect(lag().deletions).toBe(0)
  })

  test("are not lost if they happen while the batch with the events is being sent", async () => {
    await store(...rows(3))
    const shipper = newShipper()
    stub.fault = (operation) => {
      if (operation === "insert") remove("id = 2")
      return undefined
    }
    await shipAll(shipper)
    expect(stub.inserts).toEqual([[1, 2, 3]])
    expectEqualSides()
  })

  test("wait while an insert whose outcome is unknown may still be running in the cluster", async () => {
    await store(...rows(3))
    const shipper = newShipper()
    stub.fault = (operation) => (operation === "insert" ? "cut" : undefined)
    await failure(shipper)
    remove("id = 2")
    const late = { ...(await firstEvent()), id: 2 }
    stub.fault = () => undefined
    await shipAll(shipper)
    expect(lag().deletions).toBe(1)
    // The first insert ends after the second one.
    stub.events.set(2, late)
    app.clock.now += shipperLimits.outcomeWindow
    await shipAll(shipper)
    expect(lag().deletions).toBe(0)
    expectEqualSides()
  })

  describe("wait while an insert of a repair may still be running in the cluster", () => {
    beforeEach(async () => {
      await store(...rows(3))
      await shipAll()
      stub.events.clear()
      app.store.db.exec("update shipping set must_compare = 1")
    })

    const ends: { what: string; next: (shipper: Shipper) => Shipper }[] = [
      { what: "after its connection ended", next: (shipper) => shipper },
      { what: "after a restart", next: () => newShipper() },
    ]
    test.each(ends)("$what", async ({ next }) => {
      const event = await firstEvent()
      stub.fault = (operation) => (operation === "insert" ? "cut" : undefined)
      const failed = newShipper()
      expect((await failure(failed)).message).toContain("does not respond")
      stub.fault = () => undefined
      remove("id = 1")
      const shipper = next(failed)
      await shipAll(shipper)
      expect(lag().deletions).toBe(1)
      stub.events.set(1, event)
      app.clock.now += shipperLimits.outcomeWindow
      await shipAll(shipper)
      expect(lag().deletions).toBe(0)
      expectEqualSides()
    })
  })

  test("are shipped once a minute while events are waiting", async () => {
    await store(...rows(500))
    const shipper = newShipper({ rows: 10 })
    await shipper.step()
    remove("id = 2")
    expect(await shipper.step()).toMatchObject({ isDone: false })
    expect(stub.events.has(2)).toBe(true)
    app.clock.now += 60_000
    expect(await shipper.step()).toMatchObject({ isDone: false })
    expect(stub.events.has(2)).toBe(false)
  })

  test("of the newest event do not free its id for later events", async () => {
    await store(...rows(3))
    await shipAll()
    remove("id >= 2")
    await store(...rows(1))
    await shipAll()
    expect([...stub.events.keys()].sort()).toEqual([1, 4])
    expectEqualSides()
  })

  test("of a website remove its events and its settings", async () => {
    const { rid } = website("gone")
    await store(...rows(3, { websiteRid: rid }), ...rows(1))
    await shipAll()
    deleteWebsite(app.store.db, "gone", app.clock.now)
    remove(`website_rid = ${rid}`)
    await store(...rows(1))
    await shipAll()
    expect(stub.websites).toEqual([])
    expectEqualSides()
  })

  test("are not recorded in a file that has never shipped events", async () => {
    await store(...rows(2))
    remove("id = 2")
    expect(lag().deletions).toBe(0)
    await store(...rows(1))
    expect(app.store.db.prepare("select max(id) from event_rows").pluck().get()).toBe(2)
  })
})

async function firstEvent(): Promise<StoredEvent> {
  for (const { events } of readerOfAll(app.store.db).inRange(0, 1e9, 10)) if (events[0]) return events[0]
  throw new Error("there is no event")
}

describe("a cluster that was restored from a backup", () => {
  test("gets the events that it lost, and loses those deleted since the backup", async () => {
    await store(...rows(4))
    await shipAll()
    const [backup, records] = [new Map(stub.events), structuredClone(stub.writers)]
    remove("id = 2")
    await store(...rows(3))
    const shipper = newShipper()
    await shipAll(shipper)
    stub.events = backup
    stub.writers = records
    await store(...rows(1))
    await shipAll(shipper)
    expectEqualSides()
    expect(shipping()).toMatchObject({ shippedId: 8, mustCompare: false })
    expect(app.logged.join("\n")).toContain("the cluster is behind the watermark")
  })

  test("gets everything if it is empty", async () => {
    await store(...rows(4))
    await shipAll()
    stub.events.clear()
    stub.writers.clear()
    await store(...rows(1))
    await shipAll()
    expectEqualSides()
  })
})

describe("a file that was restored from a backup", () => {
  beforeEach(async () => {
    await store(...rows(5))
    await shipAll()
    // The file as it was after three events.
    remove("id > 3")
    app.store.db.exec("delete from shipping_deletions; update shipping set shipped_id = 3, sending_id = 3")
    await store(...rows(2, { name: "other" }))
  })

  test("ships nothing, because the cluster has other events with the same ids", async () => {
    const error = await failure(newShipper())
    expect(error).toBeInstanceOf(UserError)
    expect(error.message).toContain("up to id 5, but the file has sent none beyond id 3")
    expect(stub.inserts).toHaveLength(1)
  })

  test("compares everything after an interrupted replacement", async () => {
    stub.fault = (operation) => (operation === "record" ? unavailable : undefined)
    await newShipper()
      .replaceNewer()
      .catch(() => {})
    expect(shipping()?.mustCompare).toBe(true)
  })

  test("replaces those events on request", async () => {
    const shipper = newShipper()
    await shipper.replaceNewer()
    await shipAll(shipper)
    expectEqualSides()
  })
})

const wrong: { what: string; change: () => void; message: string }[] = [
  {
    what: "no tables",
    change: () => {
      stub.hasTables = false
    },
    message: "the migration 0001_events has not been applied",
  },
  {
    what: "tables of a newer version",
    change: () => stub.migrations.push(["0099_later", "", ""]),
    message: "0099_later, which this version does not know",
  },
  {
    what: "tables of an unreleased version",
    change: () => {
      stub.migrations = [["0001_events", "other", ""]]
    },
    message: "differs from the one in this version",
  },
  {
    what: "events of another file",
    change: () => stub.writers.set("other", { sequence: 1, shippedId: 9 }),
    message: "another database file ships",
  },
]
test.each(wrong)("an error explains why a cluster with $what gets no events", async ({ change, message }) => {
  await store(...rows(1))
  change()
  const error = await failure(newShipper())
  expect(error).toBeInstanceOf(UserError)
  expect(error.message).toContain(message)
  expect(stub.inserts).toEqual([])
})

test("differences that remain after a repair cause an error, and the comparison stays due", async () => {
  await store(...rows(2))
  await shipAll()
  app.store.db.exec("update shipping set must_compare = 1")
  const [event] = stub.events.values()
  if (!event) throw new Error("nothing was shipped")
  stub.fault = (operation) => {
    if (operation === "select") stub.events.set(1, { ...event, name: "changed" })
    return undefined
  }
  const shipper = newShipper()
  await shipper.step()
  expect((await failure(shipper)).message).toContain("still differs from the file after a repair (days: 1)")
  expect(shipping()?.mustCompare).toBe(true)
})
