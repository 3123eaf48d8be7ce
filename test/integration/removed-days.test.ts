import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { parseClusterUrl } from "../../src/clickhouse/address.ts"
import { Cluster, requestTimes } from "../../src/clickhouse/cluster.ts"
import { compare, readerOfAll } from "../../src/clickhouse/comparison.ts"
import { fetchRemovedDays } from "../../src/clickhouse/fetch.ts"
import { migrateCluster } from "../../src/clickhouse/schema.ts"
import { Shipper } from "../../src/clickhouse/shipper.ts"
import { differences } from "../../src/columns/check.ts"
import { sealAll } from "../../src/columns/sealer.ts"
import { findProblems } from "../../src/store/check.ts"
import { sweepExpired } from "../../src/store/data-retention.ts"
import { sweepDeleted } from "../../src/store/deleted-websites.ts"
import type { StoredEvent } from "../../src/store/event-reader.ts"
import type { EventRow } from "../../src/store/events.ts"
import { removedDays, removedTotals } from "../../src/store/removed-days.ts"
import { applyShippingChange, deletedIds, readShipping } from "../../src/store/shipping.ts"
import { createWebsite, deleteWebsite } from "../../src/store/websites.ts"
import { openApp, type TestApp } from "../support/app.ts"
import { type ClickHouseStub, startClickHouseStub } from "../support/clickhouse-stub.ts"
import { eventRow, oddEvents } from "../support/event.ts"

const day = 86_400_000
const uuid = (number: number) => `00000000-0000-4000-8000-${String(number).padStart(12, "0")}`

let app: TestApp
let stub: ClickHouseStub
let cluster: Cluster
beforeEach(async () => {
  app = openApp()
  stub = await startClickHouseStub()
  const address = parseClusterUrl(stub.url)
  if (!address) throw new Error("the address of the stub is invalid")
  cluster = new Cluster(address, "secret", { ...requestTimes, timeout: 1_000 })
  await migrateCluster(cluster, (statement) => cluster.run(statement), undefined)
})
afterEach(async () => {
  await cluster.close()
  await stub[Symbol.asyncDispose]()
  await app.close()
})

function newShipper(keepLocal: number | null = 30 * day, sleep = async () => {}): Shipper {
  const { store, clock, logged } = app
  return new Shipper({
    db: store.db,
    cluster,
    write: (change) => store.batcher.run(() => applyShippingChange(store.db, change)),
    pause: async () => {},
    sleep,
    keepLocal: keepLocal ?? undefined,
    isShared: false,
    random: (bytes) => bytes.fill(7),
    now: () => clock.now,
    elapsed: () => clock.now,
    log: (_, message) => logged.push(message),
  })
}

async function shipAll(shipper = newShipper()): Promise<void> {
  while (!(await shipper.step()).isDone);
}

const store = (...rows: EventRow[]) => app.store.batcher.submit({ rows, size: 1 })
const db = () => app.store.db
/** An event from `age` days ago. */
const aged = (age: number, changes: Partial<EventRow> = {}) => {
  const ts = app.clock.now - age * day
  return eventRow({ ts, receivedAt: ts, ...changes })
}
const localIds = () =>
  db().prepare("select id from event_rows where website_rid >= 0 order by id").pluck().all()
const here = (): StoredEvent[] =>
  [...readerOfAll(db()).inRange(0, 1e9, 1_000)].flatMap(({ events }) => events)
const inCluster = () => [...stub.events.values()].sort((a, b) => a.id - b.id)
const comparison = () => compare(db(), cluster, readShipping(db())?.shippedId ?? 0, async () => {})
const website = (id: string) =>
  createWebsite(db(), id, { domain: "a.com", name: "A", allowedOrigins: [], anonymize: "off" }, app.clock.now)

/** Stores ten old events of one website on two days, which are then removed, and two new events. */
async function removeOld(): Promise<StoredEvent[]> {
  const { rid } = website("shop")
  await store(
    ...Array.from({ length: 5 }, (_, index) => aged(40, { eventId: uuid(index) })),
    ...Array.from({ length: 3 }, (_, index) => aged(40, { websiteRid: rid, eventId: `text ${index}` })),
    ...Array.from({ length: 2 }, () => aged(35, { websiteRid: rid, anonymousId: "ann" })),
    aged(2),
    aged(0),
  )
  const before = here()
  await shipAll()
  return before
}

test("old days are removed from the file once the cluster has the same events, and no deletions are queued", async () => {
  const before = await removeOld()
  expect(localIds()).toEqual([11, 12])
  expect(inCluster()).toEqual(before)
  expect(deletedIds(db(), 100, 10)).toEqual([])
  expect(removedTotals(db())).toEqual({
    events: 10,
    missing: 0,
    localSince: (Math.floor(app.clock.now / day) - 34) * day,
  })
  expect(await comparison()).toMatchObject({ events: 12, removed: 10, differences: [] })
  expect(db().prepare("select count(*) from event_times").pluck().get()).toBe(2)
})

test("without --keep-local, nothing is removed", async () => {
  await store(aged(400))
  await shipAll(newShipper(null))
  expect(localIds()).toEqual([1])
})

test("a day is only removed once all of it is older", async () => {
  const startOfDay = Math.floor(app.clock.now / day) * day
  const at = (ts: number) => eventRow({ ts, receivedAt: ts })
  await store(at(startOfDay - 30 * day - 1), at(startOfDay - 30 * day))
  await shipAll()
  expect(localIds()).toEqual([2])
})

const blockers: { what: string; change: () => void }[] = [
  { what: "a different number of events", change: () => stub.events.delete(1) },
  {
    what: "an event with a different name",
    change: () => {
      const event = stub.events.get(1)
      if (event) stub.events.set(1, { ...event, name: "other" })
    },
  },
]
test.each(blockers)(
  "a day is not removed if the cluster has $what, but is compared and repaired first",
  async ({ change }) => {
    await store(aged(40), aged(40))
    await shipAll(newShipper(null))
    change()
    const shipper = newShipper()
    expect(await shipper.step()).toMatchObject({ isDone: false })
    expect(localIds()).toEqual([1, 2])
    expect(readShipping(db())?.mustCompare).toBe(true)
    await shipAll(shipper)
    expect(await comparison()).toMatchObject({ differences: [] })
    expect(localIds()).toEqual([1, 2])
    app.clock.now += 3_600_000
    await shipAll(shipper)
    expect(localIds()).toEqual([])
  },
)

test("a removal that is interrupted between two steps continues after a restart", async () => {
  await store(...Array.from({ length: 1_700 }, () => aged(40)))
  await shipAll(newShipper(null))
  const before = here()
  let steps = 0
  const interrupted = newShipper(30 * day, async () => {
    if (++steps === 5) throw new Error("killed")
  })
  await expect(shipAll(interrupted)).rejects.toThrow("killed")
  const left = localIds().length
  expect(left).toBeGreaterThan(0)
  expect(left).toBeLessThan(1_700)
  expect(await comparison()).toMatchObject({ events: 1_700, removed: 1_700 - left, differences: [] })
  await shipAll()
  expect(localIds()).toEqual([])
  expect(inCluster()).toEqual(before)
})

test("an event that is deleted between the comparison and the removal of its day is deleted in the cluster", async () => {
  await store(...Array.from({ length: 5 }, () => aged(40)))
  await shipAll(newShipper(null))
  let isFirst = true
  stub.fault = (operation) => {
    if (operation === "select" && isFirst && stub.statements.at(-1)?.startsWith("select count()")) {
      isFirst = false
      db().exec("delete from event_rows where id = 3")
    }
    return undefined
  }
  await shipAll()
  app.clock.now += 3_600_000
  await shipAll()
  expect(localIds()).toEqual([])
  expect([...stub.events.keys()]).toEqual([1, 2, 4, 5])
  expect(await comparison()).toMatchObject({ events: 4, removed: 4, differences: [] })
})

test("an event with the id of a removed event is a duplicate, whatever the form of the id, and others are stored", async () => {
  await removeOld()
  const { rid } = app.store.registry.websites()[0] ?? { rid: 1 }
  await store(
    aged(0, { eventId: uuid(3) }),
    aged(0, { eventId: "text 1", websiteRid: rid }),
    aged(0, { eventId: "text 1" }),
    aged(0, { eventId: uuid(3), viaKey: 0 }),
    aged(0, { eventId: uuid(99) }),
  )
  expect(
    here()
      .slice(2)
      .map(({ event_id }) => event_id),
  ).toEqual(["text 1", uuid(3), uuid(99)])
})

test("late events of a removed day are stored, shipped and removed later", async () => {
  const before = await removeOld()
  const shipper = newShipper()
  await shipAll(shipper)
  await store(aged(40))
  await shipAll(shipper)
  expect(localIds()).toEqual([11, 12, 13])
  expect(stub.events.size).toBe(13)
  expect(await comparison()).toMatchObject({ events: 13, removed: 10, differences: [] })
  app.clock.now += 3_600_000
  await shipAll(shipper)
  expect(localIds()).toEqual([11, 12])
  expect(await comparison()).toMatchObject({ events: 13, removed: 11, differences: [] })
  expect(inCluster().slice(0, 12)).toEqual(before)
})

test("deletions of ids around removed events do not delete the removed events", async () => {
  await store(aged(0), aged(40), aged(40), aged(0), aged(0))
  await shipAll()
  db().exec("delete from event_rows where id in (1, 4)")
  await shipAll()
  expect([...stub.events.keys()]).toEqual([2, 3, 5])
})

test("a repair deletes nothing on removed days, and records how many of their events the cluster has", async () => {
  await removeOld()
  const [lost, extra] = [stub.events.get(1), stub.events.get(9)]
  if (!lost || !extra) throw new Error("nothing was shipped")
  stub.events.delete(1)
  db().exec("update shipping set must_compare = 1")
  await shipAll()
  expect(stub.events.size).toBe(11)
  expect(removedTotals(db())).toMatchObject({ events: 9, missing: 1 })
  expect(await comparison()).toMatchObject({ differences: [] })
  expect(app.logged.join()).toContain("the cluster has a different number of events than were removed")
  // The cluster is restored from a backup that contains the event.
  stub.events.set(1, lost)
  db().exec("update shipping set must_compare = 1")
  await shipAll()
  expect(removedTotals(db())).toMatchObject({ events: 10, missing: 0 })
})

test("load --replace only deletes events that are newer than the file", async () => {
  const before = await removeOld()
  const shipper = newShipper()
  await shipper.replaceNewer()
  await shipAll(shipper)
  expect(inCluster()).toEqual(before)
})

test("if the cluster is restored to an older state, removed events stay there, and lost ones are counted", async () => {
  await store(aged(40), aged(40))
  await shipAll()
  const [backup, records] = [new Map(stub.events), structuredClone(stub.writers)]
  await store(aged(40), aged(0))
  app.clock.now += 3_600_000
  await shipAll()
  expect(localIds()).toEqual([4])
  stub.events = backup
  stub.writers = records
  await store(aged(0))
  const shipper = newShipper()
  await shipAll(shipper)
  expect([...stub.events.keys()]).toEqual([1, 2, 4, 5])
  expect(removedTotals(db())).toMatchObject({ events: 2, missing: 1 })
})

test("a file that was restored from a backup before the removal removes its events again", async () => {
  await store(aged(40, { eventId: uuid(1) }), aged(40), aged(0))
  await shipAll(newShipper(null))
  const before = here()
  // The file has not changed, so it is the same as a backup, and it must be compared, as after `restore`.
  db().exec("update shipping set must_compare = 1")
  await shipAll()
  app.clock.now += 3_600_000
  await shipAll()
  expect(localIds()).toEqual([3])
  expect(inCluster()).toEqual(before)
})

describe("retention", () => {
  test("deletes removed days in the cluster once each day has completely expired, and their event ids", async () => {
    await removeOld()
    const retain = 36 * day
    while (sweepExpired(db(), retain, app.clock.now));
    await shipAll()
    expect([...stub.events.keys()]).toEqual([9, 10, 11, 12])
    expect(removedDays(db()).map(({ events }) => events)).toEqual([2])
    await store(aged(0, { eventId: uuid(3) }))
    expect(here().at(-1)?.event_id).toBe(uuid(3))
    expect(await comparison()).toMatchObject({ differences: [] })
  })

  test("of a website applies to its removed days", async () => {
    await removeOld()
    db().exec(`update websites set retain_ms = ${36 * day}`)
    while (sweepExpired(db(), 0, app.clock.now));
    await shipAll()
    expect([...stub.events.keys()]).toEqual([1, 2, 3, 4, 5, 9, 10, 11, 12])
  })

  test("a deleted website's events are deleted in the cluster before its row is deleted in the file", async () => {
    await removeOld()
    deleteWebsite(db(), "shop", app.clock.now)
    app.clock.now += day
    while (sweepDeleted(db(), app.clock.now));
    while (sweepExpired(db(), 0, app.clock.now));
    expect(db().prepare("select count(*) from websites").pluck().get()).toBe(1)
    await shipAll()
    while (sweepDeleted(db(), app.clock.now));
    expect(db().prepare("select count(*) from websites").pluck().get()).toBe(0)
    expect([...stub.events.keys()]).toEqual([1, 2, 3, 4, 5, 11, 12])
    expect(removedDays(db()).map(({ rid }) => rid)).toEqual([0])
  })
})

test("fetch restores every row with the same id", async () => {
  const { rid } = website("odd")
  await store(...oddEvents().map((row) => ({ ...row, websiteRid: rid })), ...oddEvents())
  await store(aged(0))
  const before = here()
  const today = Math.floor(app.clock.now / day)
  sealAll(db(), today)
  await shipAll()
  expect(localIds().length).toBeLessThan(before.length)
  sealAll(db(), today)
  expect(differences(db())).toEqual([])
  expect(findProblems(db(), db().name)).toEqual([])
  const random = (bytes: Uint8Array) => bytes
  const progress: number[] = []
  const added = await fetchRemovedDays({ db: db(), cluster, random, onProgress: (n) => progress.push(n) })
  expect(added).toBe(removedCount(before))
  expect(here()).toEqual(before)
  expect(removedTotals(db())).toBeUndefined()
  expect(db().prepare("select count(*) from removed_event_ids").pluck().get()).toBe(0)
  sealAll(db(), today)
  expect(differences(db())).toEqual([])
  expect(findProblems(db(), db().name)).toEqual([])
  expect(await comparison()).toMatchObject({ removed: 0, differences: [] })
  await shipAll(newShipper(null))
  expect(inCluster()).toEqual(before)
})

/** Returns the number of these events that are removed: all except those of the last 30 days and from before 1970. */
function removedCount(events: readonly StoredEvent[]): number {
  const end = Math.floor((app.clock.now - 30 * day) / day) * day
  return events.filter(({ timestamp }) => timestamp >= 0 && timestamp < end).length
}
