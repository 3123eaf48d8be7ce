import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { executeQuery } from "../../src/query/engine/execute.ts"
import type { Query, Scope } from "../../src/query/query.ts"
import { MemoryBudget, OutOfMemoryBudgetError } from "../../src/query/structures/memory-budget.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import type { EventRow } from "../../src/store/events.ts"
import { temporaryFolder } from "../harness.ts"
import { Clocks } from "../reference/clock.ts"
import { difference } from "../reference/compare.ts"
import { insertRows, rawEvents } from "../reference/events.ts"
import { referenceResult } from "../reference/reference.ts"
import { runToEnd } from "../support/batches.ts"
import { eventRow } from "../support/event.ts"

// Properties with more distinct values than fit into the memory of a query.

const dayMs = 86_400_000
const start = Date.UTC(2026, 0, 1)
const days = 4
/** The last `unsealed` events are not in blocks. */
const [events, unsealed] = [12_000, 1_000]
const kibibyte = 1_024

const scope: Scope = {
  websites: [0],
  from: start,
  to: start + days * dayMs,
  zone: "UTC",
  filters: [],
  crawlers: false,
  kinds: eventKinds,
}

let folder: ReturnType<typeof temporaryFolder>
let db: Db
let reference: (query: Query) => unknown

beforeAll(() => {
  folder = temporaryFolder()
  db = openDatabase({ path: folder.file("a.db"), durability: "os", busyTimeout: 0, now: start })
  const rows = Array.from({ length: events }, (_, index) => rowOf(index))
  for (let at = 0; at < events - unsealed; at += 1_000) insertRows(db, rows.slice(at, at + 1_000))
  sealAll(db, start / dayMs + days + 1)
  insertRows(db, rows.slice(-unsealed))
  const [raw, clocks] = [rawEvents(db), new Clocks()]
  reference = (query) => referenceResult(raw, query, clocks)
})
afterAll(() => {
  closeDatabase(db)
  folder[Symbol.dispose]()
})

/** Almost all values belong to one event name. A few values are frequent, and some are sent as several types. */
function rowOf(index: number): EventRow {
  const mixed = [index % 5_000, `${index % 3_000}`, index % 2 === 0, `text ${index}`, { n: index % 700 }]
  const properties = {
    plan: ["free", "pro", "team"][index % 3],
    order: index % 9 === 0 ? `often ${index % 7}` : `order number ${index * 7_919}`,
    amount: (index * 31) % 20_011,
    mixed: mixed[index % 5],
    url: `https://example.com/${index % 6_000}`,
  }
  const ts = start + Math.floor((index / events) * days * dayMs)
  return eventRow({
    name: index % 4 === 0 ? `name ${index % 3}` : "bought",
    ts,
    receivedAt: ts,
    keys: JSON.stringify(Object.keys(properties)),
    properties: JSON.stringify(Object.values(properties)).slice(1, -1),
  })
}

/** Runs a query with `memory` KiB. The cache of the default reader is large enough for all partial results. */
const run = (query: Query, memory: number, reader = new SnapshotReader(db, 2 ** 27)) =>
  runToEnd(executeQuery(reader, query, new MemoryBudget(memory * kibibyte))).result

const frequent = { field: "property.plan", op: "eq", value: "pro" } as const
const queries: [description: string, query: Query][] = [
  ["all properties", { kind: "values", scope, top: 10 }],
  ["the number of values only", { kind: "values", scope, top: 0 }],
  ["one key", { kind: "values", scope, top: 100, keys: ["order"] }],
  ["the numbers of a key that has none", { kind: "values", scope, top: 0, keys: ["order"], bins: 20 }],
  ["values of several types", { kind: "values", scope, top: 50, keys: ["mixed"] }],
  ["a range that ends off the grid", { kind: "values", scope: { ...scope, to: scope.to - 4_001 }, top: 10 }],
  ["blocks only", { kind: "values", scope: { ...scope, to: start + 3 * dayMs }, top: 10 }],
  ["events that match a filter", { kind: "values", scope: { ...scope, filters: [frequent] }, top: 10 }],
]

describe("values that do not fit into the memory of a query are counted exactly", () => {
  test.each(queries)("%s", (_, query) => {
    const expected = reference(query)
    for (const memory of [512, 192]) {
      const reader = new SnapshotReader(db, 2 ** 27)
      // The repeated query does not try a single pass again, because the values did not fit.
      for (const _ of ["first", "repeated"])
        expect(difference(query, run(query, memory, reader), expected)).toBeUndefined()
    }
  })

  test("a finished query reserves only the memory of its result", () => {
    const query: Query = { kind: "values", scope, top: 10 }
    const reserved = [2 ** 30, 2 ** 18].map((bytes) => {
      const budget = new MemoryBudget(bytes)
      runToEnd(executeQuery(new SnapshotReader(db), query, budget))
      return budget.reserved
    })
    expect(reserved[1]).toBe(reserved[0] as number)
  })
})

test("a query for more properties than fit is rejected, because no single property takes up much memory", () => {
  const manyKeys = Object.fromEntries(Array.from({ length: 4_000 }, (_, index) => [`key ${index}`, index]))
  const properties = {
    keys: JSON.stringify(Object.keys(manyKeys)),
    properties: JSON.stringify(Object.values(manyKeys)).slice(1, -1),
  }
  insertRows(db, [eventRow({ name: "keys", ts: start, receivedAt: start, ...properties })])
  const filters = [{ field: "event_name", op: "eq", value: "keys" } as const]
  const query: Query = { kind: "values", scope: { ...scope, filters }, top: 10 }
  expect(() => run(query, 512)).toThrow(OutOfMemoryBudgetError)
  expect(run(query, 32_768)).toMatchObject({ properties: { length: 4_000 } })
})

test("a query for more numbers than fit is rejected, because percentiles need all of them", () => {
  const query: Query = { kind: "values", scope, top: 0, bins: 20 }
  expect(() => run(query, 512)).toThrow(OutOfMemoryBudgetError)
})
