import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { reset, sealAll } from "../../src/columns/sealer.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { executeQuerySync } from "../../src/query/engine/execute.ts"
import type { GroupsQuery } from "../../src/query/query.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { openDatabase } from "../../src/store/db/open.ts"
import { DatabaseFiles } from "../../src/store/db/unallocated-space.ts"
import { EventImporter } from "../../src/store/event-importer.ts"
import { EventReader } from "../../src/store/event-reader.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { forgetPerson } from "../../src/store/forget.ts"
import { assignNode, idsPerNode, lastEventId, maxNode, nodeOf } from "../../src/store/node-ids.ts"
import { registrySource } from "../../src/store/registry-copy.ts"
import { applyShippingChange, readShipping, shippingLag } from "../../src/store/shipping.ts"
import { Store } from "../../src/store/store.ts"
import { type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { eventRow } from "../support/event.ts"

const now = Date.UTC(2026, 0, 1, 12)

let folder: TemporaryFolder
let db: Db
beforeEach(() => {
  folder = temporaryFolder()
  db = open("test.db")
})
afterEach(() => {
  db.close()
  folder[Symbol.dispose]()
})

const open = (name: string) =>
  openDatabase({ path: folder.file(name), durability: "os", busyTimeout: 0, now })
const random = (bytes: Uint8Array) => crypto.getRandomValues(bytes)

function insert(...events: Partial<EventRow>[]): void {
  const rows = events.map((changes) => eventRow({ ts: now, receivedAt: now, ...changes }))
  db.transaction(() => new EventInserter(db, new DailyHash(db, random)).insert(rows)).immediate()
}

const ids = () => db.prepare("select id from events order by id").pluck().all() as number[]

/** Returns the number of events according to a report. */
function count(): number {
  const scope = {
    websites: [0],
    from: 0,
    to: now + 1,
    zone: "UTC",
    filters: [],
    crawlers: true,
    kinds: eventKinds,
  }
  const query: GroupsQuery = { kind: "groups", scope, by: [], measures: ["events"] }
  return executeQuerySync(db, query).result.groups[0]?.values[0] ?? 0
}

test.each([1, maxNode])("the ids of node %d follow those of the previous node", (node) => {
  assignNode(db, node)
  insert({}, {})
  const start = node * idsPerNode
  expect(ids()).toEqual([start + 1, start + 2])
  expect(ids().map(nodeOf)).toEqual([node, node])
  assignNode(db, node)
  insert({})
  expect(ids()).toHaveLength(3)
})

test("a file does not become a copy of a registry if its node number is rejected", () => {
  assignNode(db, 2)
  const path = folder.file("test.db")
  const open = (node: number) =>
    new Store(
      {
        path,
        durability: "os",
        minFree: 0,
        maxEvents: 10,
        maxBytes: 1_000,
        maxWait: 0,
        registryUrl: "https://a.com",
        node,
      },
      { now: () => now, elapsed: () => 0, random, pid: process.pid },
      { onFault: () => {}, onWarning: () => {} },
    )
  expect(() => open(3)).toThrow("has events of node 2")
  expect(registrySource(db)).toBeUndefined()
})

test("the last ids of the last node are exact", () => {
  assignNode(db, maxNode)
  const last = (maxNode + 1) * idsPerNode - 1
  db.prepare("update event_rows set id = :id").run({ id: last - 2 })
  insert({}, {})
  expect(ids()).toEqual([last - 1, last])
  expect(nodeOf(last)).toBe(maxNode)
})

test("ids start at 1 without --node and for node 0", () => {
  assignNode(db, undefined)
  insert({})
  assignNode(db, 0)
  expect(ids()).toEqual([1])
})

describe("a file keeps its node if it", () => {
  const cases: [what: string, first: number | undefined, second: number | undefined, says: string][] = [
    ["has events of node 0", undefined, 3, "has events of node 0, so it cannot become the file of node 3"],
    ["has events of another node", 3, 4, "has events of node 3, so it cannot become the file of node 4"],
    ["has events, but no node is given", 3, undefined, "is the file of node 3, and --node is not set"],
  ]
  test.each(cases)("%s", (_, first, second, says) => {
    assignNode(db, first)
    insert({})
    expect(() => assignNode(db, second)).toThrow(says)
  })

  test("had events that were all deleted", () => {
    insert({})
    applyShippingChange(db, { type: "start", writer: "a", id: 0 })
    db.exec("delete from event_rows")
    expect(() => assignNode(db, 3)).toThrow("has events of node 0")
  })
})

test("a file that was about to ship as node 0, but had no events, can become the file of another node", () => {
  applyShippingChange(db, { type: "start", writer: "a", id: 0 })
  assignNode(db, 2)
  expect(readShipping(db)).toMatchObject({ sendingId: 2 * idsPerNode, shippedId: 2 * idsPerNode })
  insert({})
  for (const shippedId of [0, 2 * idsPerNode]) expect(shippingLag(db, shippedId).events).toBe(1)
})

test("rows, blocks and rebuilt blocks of a node lead to the same results, and no step iterates over ids from 0", async () => {
  assignNode(db, maxNode)
  insert({ anonymousId: "ann" }, { anonymousId: "bob" }, {})
  expect(count()).toBe(3)
  sealAll(db, 0)
  expect(count()).toBe(3)
  reset(db)
  expect(db.prepare("select id from sealed").pluck().get()).toBe(maxNode * idsPerNode)
  sealAll(db, 0)
  const person = { websiteRid: 0, id: { anonymousId: "ann" } }
  await forgetPerson(db, new DatabaseFiles(), person, now, {
    write: (work) => db.transaction(work)(),
    sleep: async () => {},
  })
  expect(count()).toBe(2)
})

test("an import keeps the ids if the file is empty and belongs to the same node, and otherwise assigns new ids", () => {
  assignNode(db, 5)
  insert({ eventId: "a" }, { eventId: "b" })
  const reader = new EventReader(db, { websites: new Map([[0, null]]), from: 0, to: now + 1 })
  const events = [...reader.all(10)].flat()
  for (const [node, outcome] of [
    [5, "added"],
    [6, "renumbered"],
    [undefined, "renumbered"],
  ] as const) {
    const copy = open(`copy-${node}.db`)
    assignNode(copy, node)
    copy.transaction(() => {
      const importer = new EventImporter(copy, new DailyHash(copy, random))
      importer.begin()
      for (const event of events)
        expect(importer.add(event, eventRow({ ts: event.timestamp, eventId: event.event_id }))).toBe(outcome)
      importer.flush()
    })()
    expect(nodeOf(lastEventId(copy))).toBe(node ?? 0)
    copy.close()
  }
})
