import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import type { Batch, Column } from "../../src/columns/batch.ts"
import type { Slice } from "../../src/columns/block.ts"
import { BlockIndex } from "../../src/columns/block-index.ts"
import { BlockReader } from "../../src/columns/block-reader.ts"
import { IdDictionary } from "../../src/columns/id-dictionary.ts"
import { RowReader } from "../../src/columns/row-reader.ts"
import { sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import type { EventKind } from "../../src/event-kinds.ts"
import { executeQuery } from "../../src/query/engine/execute.ts"
import type { Dimension } from "../../src/query/fields.ts"
import type { Filter, Measure } from "../../src/query/query.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { openTestDatabase, type TemporaryFolder, temporaryFolder } from "../harness.ts"
import { runToEnd } from "../support/batches.ts"
import { eventRow } from "../support/event.ts"
import { mulberry32 } from "../support/random.ts"

// Queries that do not depend on event names read adjacent slices of a block as one batch.

const dayMs = 86_400_000
const start = Date.UTC(2026, 0, 1)
const days = 3
const kinds: EventKind[] = ["custom"]

let folder: TemporaryFolder
let db: Db

beforeEach(() => {
  folder = temporaryFolder()
  db = openTestDatabase(folder.file("a.db"))
  const random = mulberry32(5)
  const below = (limit: number) => Math.floor(random() * limit)
  const rows = Array.from({ length: 3_000 }, (_, index): EventRow => {
    const name = below(6)
    const ts = start + below(days * dayMs)
    // Every third name has events of crawlers. Without those, its slices are not adjacent.
    const crawler = name % 3 === 0 && random() < 0.2 ? 1 : 0
    // One property occurs with all names, one with two names, one with a single name, and one is too long for a column.
    const properties = {
      ...(random() < 0.9 ? { plan: ["free", "pro", 3][below(3)] } : {}),
      ...(name < 2 ? { amount: below(1_000) / 8 } : {}),
      ...(name === 4 ? { order: `order ${below(40)}` } : {}),
      ...(name === 5 ? { text: `${"long ".repeat(20)}${index}` } : {}),
    }
    const keys = Object.keys(properties)
    return eventRow({
      name: `event ${name}`,
      ts,
      receivedAt: ts,
      crawler,
      anonymousId: random() < 0.9 ? `visitor ${below(300)}` : null,
      sessionId: `session ${below(900)}`,
      path: random() < 0.7 ? `/page/${below(20)}` : null,
      keys: keys.length === 0 ? "" : JSON.stringify(keys),
      properties: keys.length === 0 ? null : JSON.stringify(Object.values(properties)).slice(1, -1),
    })
  })
  const inserter = new EventInserter(db, new DailyHash(db, (bytes) => bytes))
  db.transaction(() => inserter.insert(rows))()
})
afterEach(() => {
  db.close()
  folder[Symbol.dispose]()
})

const measures: Measure[] = [
  "events",
  "users",
  "sessions",
  "pages",
  "event_types",
  "with_properties",
  "first",
  "last",
  { what: "p95", of: "property.amount" },
  { what: "sum", of: "property.amount" },
]

function resultOf(reader: SnapshotReader, by: Dimension[], filters: Filter[], crawlers: boolean): string[] {
  const scope = {
    websites: [0],
    from: start,
    to: start + days * dayMs,
    zone: "UTC",
    filters,
    crawlers,
    kinds,
  }
  const { result } = runToEnd(executeQuery(reader, { kind: "groups", scope, by, measures }))
  return result.groups.map((group) => JSON.stringify(group)).sort()
}

describe("joined slices lead to the same results as rows for", () => {
  const filters: [name: string, filters: Filter[]][] = [
    ["all events", []],
    ["events with some names", [{ field: "event_name", op: "ne", value: "event 2" }]],
    ["events with a property of all names", [{ field: "property.plan", op: "eq", value: "pro" }]],
    ["events with a property of one name", [{ field: "property.order", op: "contains", value: "1" }]],
    ["events with a property in the rows", [{ field: "property.text", op: "contains", value: "9" }]],
    ["events with a key", [{ field: "property_key", op: "eq", value: "amount" }]],
    ["events without a key", [{ field: "property_key", op: "ne", value: "amount" }]],
    ["events of one visitor", [{ field: "anonymous_id", op: "eq", value: "visitor 7" }]],
  ]
  const dimensions: Dimension[][] = [
    [],
    ["event_name"],
    ["property.plan"],
    ["path", "event_name"],
    ["property.order", "property.text"],
    ["website_id", "property.amount"],
    ["kind"],
  ]
  test.each(filters)("%s", (_, filters) => {
    const results = (reader: SnapshotReader) =>
      [true, false].map((crawlers) => dimensions.map((by) => resultOf(reader, by, filters, crawlers)))
    const inRows = results(new SnapshotReader(db))
    for (const today of [0, Number.MAX_SAFE_INTEGER]) {
      sealAll(db, today)
      expect(results(new SnapshotReader(db))).toEqual(inRows)
      // Also caches the events that match a filter.
      const caching = new SnapshotReader(db, 2 ** 26, 4)
      expect([results(caching), results(caching)]).toEqual([inRows, inRows])
    }
  })
})

test("the distinct numbers in a column are stored in ascending order", () => {
  sealAll(db, Number.MAX_SAFE_INTEGER)
  const reader = new BlockReader(db, new RowReader(db), () => new Uint32Array(0))
  const blocks = new BlockIndex(db).daysOf(0)
  const columns = blocks.map(({ slices }) => reader.join(slices.slice(0, 2)).property("amount"))
  for (const column of columns) {
    const values = [...(column?.values ?? [])] as number[]
    expect(values.length).toBeGreaterThan(100)
    expect(values).toEqual(values.toSorted((left, right) => left - right))
  }
})

test("a joined batch has the concatenated columns of its slices, and no name", () => {
  sealAll(db, Number.MAX_SAFE_INTEGER)
  const identities = new IdDictionary(db)
  const reader = new BlockReader(db, new RowReader(db), (kind, texts) => identities.find(kind, texts).ids)
  const [{ slices } = { slices: [] as Slice[] }] = new BlockIndex(db).daysOf(0)
  const some = slices.slice(1, -1)
  const joined = reader.join(some)
  const parts = some.map((slice) => reader.open(slice))
  const concatenated = (of: (batch: Batch) => ArrayLike<number>) =>
    parts.flatMap((part) => [...Array.from(of(part))])
  expect(joined.count).toBe(parts.reduce((sum, { count }) => sum + count, 0))
  for (const of of [
    (batch: Batch) => batch.times(),
    (batch: Batch) => batch.visitors(),
    (batch: Batch) => batch.sessions(),
    (batch: Batch) => batch.profiles(),
    (batch: Batch) => batch.hasProperties(),
  ])
    expect([...of(joined)]).toEqual(concatenated(of))
  const valuesOf = (column: Column | undefined, count: number) =>
    Array.from({ length: count }, (_, index) => column?.values[(column.codes[index] as number) - 1] ?? null)
  for (const of of [
    (batch: Batch) => batch.column("path"),
    (batch: Batch) => batch.column("namespace"),
    ...["plan", "amount", "order", "text", "none"].map((key) => (batch: Batch) => batch.property(key)),
  ])
    expect(valuesOf(of(joined), joined.count)).toEqual(
      parts.flatMap((part) => valuesOf(of(part), part.count)),
    )
  expect(valuesOf(joined.names?.(), joined.count)).toEqual(
    parts.flatMap(({ name, count }) => new Array<string>(count).fill(name)),
  )
  const keys = new Map<string, number>()
  for (const part of parts)
    for (const [key, events] of part.keys()) keys.set(key, (keys.get(key) ?? 0) + events)
  expect(new Map([...joined.keys()].sort())).toEqual(new Map([...keys].sort()))
  expect(joined.withProperties()).toBe(parts.reduce((sum, part) => sum + part.withProperties(), 0))
  for (const read of [() => joined.name, () => joined.kind, () => joined.crawler, () => joined.receipt])
    expect(read).toThrow("joined batch")
})
