import { heapStats } from "bun:jsc"
import { expect, test } from "bun:test"
import { sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { executeQuery } from "../../src/query/engine/execute.ts"
import type { Query } from "../../src/query/query.ts"
import { openTestDatabase, temporaryFolder } from "../harness.ts"
import { insertRows } from "../reference/events.ts"
import { runToEnd } from "../support/batches.ts"
import { eventRow } from "../support/event.ts"

const day = 86_400_000
const days = 6
const groups = 24_000

/** Returns the number of live objects in the heap. */
function objects(): number {
  const counts = heapStats().objectTypeCounts
  const types = ["Array", "Object", "Function", "JSLexicalEnvironment"]
  return types.reduce((sum, type) => sum + (counts[type] ?? 0), 0)
}

const scope = {
  websites: [0],
  from: 0,
  to: days * day,
  zone: "UTC",
  crawlers: false,
  kinds: ["custom"],
  filters: [],
} as const

const cases: { name: string; query: Query; limit: number; expected: object }[] = [
  {
    name: "a breakdown by many values creates almost no objects",
    query: {
      kind: "groups",
      scope,
      by: ["property.item"],
      measures: ["events", "users"],
      page: { order: { measure: 0 }, descending: true, offset: 0, limit: 10 },
    },
    limit: groups / 2,
    expected: { totals: { groups, sum: groups } },
  },
  {
    name: "a long page that is compared with another period creates few objects in addition to its rows",
    query: {
      kind: "groups",
      scope,
      by: ["property.item"],
      measures: ["events", "users"],
      page: {
        order: { measure: 0 },
        descending: true,
        previous: { from: -days * day, to: 0 },
        offset: 0,
        limit: 6_000,
      },
    },
    limit: groups * 4.5,
    expected: { totals: { groups, sum: groups } },
  },
  {
    name: "statistics of many values create at most three objects per value",
    query: { kind: "values", scope, keys: undefined, top: 5, bins: undefined },
    limit: groups * 3,
    expected: { properties: [{ key: "item", cardinality: groups }] },
  },
]

test.each(cases)("$name", ({ query, limit, expected }) => {
  using folder = temporaryFolder()
  const db = openTestDatabase(folder.file("a.db"))
  const rows = Array.from({ length: groups }, (_, index) =>
    eventRow({
      name: "n",
      ts: (index % days) * day,
      receivedAt: 0,
      anonymousId: `visitor ${index % 100}`,
      keys: '["item"]',
      properties: JSON.stringify(`item ${index}`),
    }),
  )
  insertRows(db, rows)
  sealAll(db, Number.MAX_SAFE_INTEGER)
  const reader = new SnapshotReader(db, 2 ** 26)
  Bun.gc(true)
  const before = objects()
  const { result } = runToEnd(executeQuery(reader, query))
  expect(objects() - before).toBeLessThan(limit)
  expect(result).toMatchObject(expected)
  db.close()
})
