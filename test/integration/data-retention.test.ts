import { afterEach, beforeEach, expect, test } from "bun:test"
import { statSync } from "node:fs"
import { Store } from "../../src/store/store.ts"
import { deleteUnusedTypes } from "../../src/store/unused-event-types.ts"
import { createWebsite, deleteWebsite, updateWebsite } from "../../src/store/websites.ts"
import { eventually, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { eventRow } from "../support/event.ts"

const day = 86_400_000
const start = Date.UTC(2026, 0, 1)
/** In bytes. 256 free pages stay in the file for new events. */
const slack = 256 * 4_096

let folder: TemporaryFolder
/** The store's wall clock in Unix ms. It does not advance by itself. */
let now = start
/** Time added to the store's monotonic clock, which also advances by itself, in ms. */
let passed = 0
const faults: unknown[] = []

beforeEach(() => {
  folder = temporaryFolder()
  now = start
  faults.length = 0
})
afterEach(() => {
  folder[Symbol.dispose]()
  expect(faults).toEqual([])
})

/** Advances both clocks. */
function pass(ms: number): void {
  now += ms
  passed += ms
}

const path = () => folder.file("test.db")
const bytes = () => statSync(path()).size

function open(retain?: number): Store {
  const environment = {
    now: () => now,
    elapsed: () => performance.now() + passed,
    random: (values: Uint8Array) => crypto.getRandomValues(values),
    pid: process.pid,
  }
  return new Store(
    {
      path: path(),
      durability: "os",
      maxEvents: 200_000,
      maxBytes: 2 ** 30,
      maxWait: 5_000,
      minFree: 0,
      retain,
    },
    environment,
    { onFault: (error) => faults.push(error), onWarning: (message) => faults.push(message) },
  )
}

function website(store: Store, id: string, retain: number | null): number {
  const settings = {
    domain: `${id}.example`,
    name: id,
    allowedOrigins: [],
    anonymize: "off" as const,
    retain,
  }
  return createWebsite(store.db, id, settings, now).rid
}

/** Stores `count` events that happened at `ts`. */
async function send(store: Store, websiteRid: number, ts: number, count = 1): Promise<void> {
  const rows = Array.from({ length: count }, () =>
    eventRow({
      websiteRid,
      ts,
      receivedAt: now,
      anonymousId: crypto.randomUUID(),
      eventId: crypto.randomUUID(),
    }),
  )
  await store.batcher.submit({ rows, size: 0 })
}

const count = (store: Store, where = "true") =>
  store.db.prepare(`select count(*) from event_rows where ${where}`).pluck().get() as number

/** Runs maintenance until all expired events are deleted and free pages are released. */
async function upkeep(store: Store, expired: string): Promise<void> {
  store.start()
  await eventually(
    () =>
      count(store, expired) === 0 && (store.db.pragma("freelist_count", { simple: true }) as number) <= 256,
    { timeout: 20_000 },
  )
}

/** Deletes the texts of deleted events, as the server does within about ten minutes, and releases their pages. */
async function deleteTexts(store: Store): Promise<void> {
  await deleteUnusedTypes(store.db, {
    write: (work) => store.batcher.run(work, 0),
    pause: async () => true,
  })
  await upkeep(store, "false")
}

test("over two years, the file stops growing, and events that have not expired are kept", async () => {
  const sizes: number[] = []
  let rid = 0
  for (let month = 0; month < 24; month++) {
    const store = open(90 * day)
    rid ||= website(store, "w", null)
    for (let part = 0; part < 30; part++) await send(store, part % 2 ? rid : 0, now + part * day, 100)
    pass(30 * day)
    await upkeep(store, `ts < ${now - 90 * day}`)
    await deleteTexts(store)
    const remaining = Math.min(month + 1, 3) * 3_000
    // Events of the 30th day of a month are one day old when the next month starts.
    expect(count(store)).toBe(remaining)
    expect(await store.close()).toBe(true)
    sizes.push(bytes())
  }
  const settled = Math.max(...sizes.slice(3, 12))
  expect(Math.max(...sizes.slice(12))).toBeLessThanOrEqual(settled + slack)
  // Three months of events. Without retention, there would be 24.
  expect(settled).toBeLessThan((sizes[0] as number) * 5)
}, 120_000)

test("each website has its own retention time, which also applies to late events", async () => {
  const store = open(30 * day)
  const standard = website(store, "standard", null)
  const longer = website(store, "longer", 60 * day)
  const forever = website(store, "forever", 0)
  pass(1_000 * day)
  for (const rid of [0, standard, longer, forever]) {
    // All events are received now, because only the event time matters.
    for (const age of [0, 30 * day, 30 * day + 1, 60 * day, 60 * day + 1, 900 * day]) {
      await send(store, rid, now - age)
    }
  }
  await upkeep(store, `website_rid <> ${forever} and ts < ${now - 60 * day}`)
  await eventually(() => count(store, `website_rid in (0, ${standard})`) === 4)
  const ages = (rid: number) =>
    store.db
      .prepare("select (? - ts) / ? from event_rows where website_rid = ? order by ts desc")
      .pluck()
      .all(now, day, rid)
  expect(ages(0)).toEqual([0, 30])
  expect(ages(standard)).toEqual([0, 30])
  expect(ages(longer)).toEqual([0, 30, 30 + 1 / day, 60])
  expect(ages(forever)).toHaveLength(6)
  await store.close()
})

test("without a retention time, events are kept forever", async () => {
  const store = open()
  const rid = website(store, "w", null)
  await send(store, rid, start)
  await send(store, 0, start)
  pass(20_000 * day)
  store.start()
  await Bun.sleep(200)
  expect(count(store)).toBe(2)
  await store.close()
})

test("an interrupted deletion resumes at the next start, and new events have priority over it", async () => {
  const first = open(30 * day)
  await send(first, 0, start, 20_000)
  pass(29.5 * day)
  await send(first, 0, now)
  pass(1.5 * day)
  first.start()
  await eventually(() => count(first) < 20_000)
  await send(first, 0, now)
  await first.close()
  const second = open(30 * day)
  expect(count(second)).toBeGreaterThan(10_000)
  await upkeep(second, `ts < ${now - 30 * day}`)
  expect(count(second)).toBe(2)
  await second.close()
})

test("a shorter retention time of a website takes effect without a restart", async () => {
  const store = open()
  const rid = website(store, "w", null)
  await send(store, rid, start, 10)
  store.start()
  pass(2 * day)
  updateWebsite(store.db, "w", { retain: day })
  await upkeep(store, "true")
  await store.close()
})

test("a clock that jumps ahead deletes nothing and is reported once, and deletion continues once it is corrected", async () => {
  const store = open(30 * day)
  await send(store, 0, start - 31 * day)
  await send(store, 0, start - 29 * day)
  now = start + 3_000 * day
  store.start()
  // According to the time before the jump, the first event has expired.
  await eventually(() => faults.length > 0)
  expect(count(store)).toBe(1)
  expect(faults.splice(0)).toEqual([
    expect.stringMatching(
      /^the clock jumped from 2026-01-01T00:00:\S+ to 2034-03-20T00:00:00.000Z: it was set, or the server was suspended. Events that have expired only because of the new time will be deleted after/,
    ),
  ])
  now = start
  pass(1.1 * day)
  await upkeep(store, "true")
  await store.close()
})

test("the space of a deleted website is released to the file system while the server runs", async () => {
  const store = open()
  const rid = website(store, "w", null)
  await send(store, 0, now)
  const empty = bytes()
  await send(store, rid, now, 15_000)
  store.db.pragma("wal_checkpoint(truncate)")
  expect(bytes()).toBeGreaterThan(empty + 1_500_000)
  deleteWebsite(store.db, "w", now)
  store.start()
  await eventually(() => bytes() < empty + slack + 500_000, { timeout: 20_000 })
  expect(count(store)).toBe(1)
  expect(store.db.pragma("integrity_check", { simple: true })).toBe("ok")
  await store.close()
}, 30_000)
