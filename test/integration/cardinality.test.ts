import { afterEach, beforeEach, describe, expect, test } from "bun:test"
import { differences } from "../../src/columns/check.ts"
import { sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { executeQuery, executeQuerySync } from "../../src/query/engine/execute.ts"
import type { Filter, Query } from "../../src/query/query.ts"
import { OutOfMemoryBudgetError } from "../../src/query/structures/memory-budget.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import type { EventRow } from "../../src/store/events.ts"
import { maxNewKeysPerDay } from "../../src/store/property-key-quota.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { temporaryFolder } from "../harness.ts"
import { Clocks } from "../reference/clock.ts"
import { difference } from "../reference/compare.ts"
import { insertRows, rawEvents } from "../reference/events.ts"
import { referenceResult } from "../reference/reference.ts"
import { runToEnd } from "../support/batches.ts"
import { eventRow } from "../support/event.ts"

const dayMs = 86_400_000
const start = Date.UTC(2026, 0, 1)
/** Days since 1970: all days are over, so that their blocks are merged. */
const farDay = 30_000

let folder: ReturnType<typeof temporaryFolder>
let db: Db

beforeEach(() => {
  folder = temporaryFolder()
  open()
})
afterEach(() => {
  closeDatabase(db)
  folder[Symbol.dispose]()
})

function open(): void {
  db = openDatabase({ path: folder.file("a.db"), durability: "os", busyTimeout: 0, now: start })
}

function eventOf(properties: object, changes: Partial<EventRow> = {}): EventRow {
  const ts = changes.ts ?? start
  return eventRow({
    name: "n",
    receivedAt: ts,
    ...changes,
    keys: JSON.stringify(Object.keys(properties)),
    properties: JSON.stringify(Object.values(properties)).slice(1, -1),
  })
}

const many = <Item>(count: number, make: (index: number) => Item) =>
  Array.from({ length: count }, (_, index) => make(index))

/** Not in the order of time, as when many senders send events. */
const timeOf = (index: number) => start + ((index * 7_919) % 40_000)
const wide = (index: number) => `${index} `.padEnd(30_000, `${index % 10}`)

/** Rows, 1,000 at most; `from` differs from call to call. */
const shapes: Record<string, (from: number) => EventRow[]> = {
  "more keys than a block has columns": (from) =>
    many(300, (index) =>
      index < 21
        ? eventOf(Object.fromEntries(many(50, (key) => [`${from + index}_${key}`, key % 3])), {
            ts: timeOf(index),
          })
        : eventOf(
            { plan: index % 2 ? "pro" : "free", seldom: index % 50 ? null : index },
            { ts: timeOf(index) },
          ),
    ),
  "a key of its own in each event": (from) =>
    many(600, (index) => eventOf({ [`item_${from + index}`]: 1, plan: "pro" }, { ts: timeOf(index) })),
  "long texts that are all different": (from) =>
    many(900, (index) => eventOf({ text: wide(from + index), plan: "pro" }, { ts: timeOf(index) })),
  "a name and day of its own for each event": (from) =>
    many(600, (index) =>
      eventOf({ plan: "pro" }, { name: `n${(from + index) % 40}`, ts: start + (index % 30) * dayMs }),
    ),
  "nested values that are all different": (from) =>
    many(500, (index) =>
      eventOf(
        { cart: { lines: [[index], { [`sku_${from + index}`]: {} }], plan: "pro" } },
        { ts: timeOf(index) },
      ),
    ),
  "long ids that are all different": (from) =>
    many(900, (index) =>
      eventOf(
        { plan: "pro" },
        {
          ts: timeOf(index),
          anonymousId: `${from + index}`.padEnd(250, "v"),
          sessionId: `${from + index}`.padEnd(250, "s"),
          profileId: `${from + index}`.padEnd(250, "p"),
        },
      ),
    ),
}

const scope = {
  websites: [0],
  from: 0,
  to: start + 4_000 * dayMs,
  zone: "UTC",
  crawlers: true,
  kinds: eventKinds,
}

function questions(): Query[] {
  const filters: Filter[][] = [
    [],
    [{ field: "property.plan", op: "eq", value: "pro" }],
    [{ field: "property.seldom", op: "exists", value: true }],
    [{ field: "property.3_7", op: "eq", value: 1 }],
    [{ field: "property.item_1007", op: "eq", value: 1 }],
    [{ field: "property.text", op: "starts_with", value: "12" }],
    [{ field: "property.cart.plan", op: "eq", value: "pro" }],
    [{ field: "property_key", op: "contains", value: "7" }],
    [{ field: "property_key", op: "ne", value: "item_7" }],
  ]
  return filters.flatMap((some): Query[] => [
    { kind: "values", scope: { ...scope, filters: some }, keys: undefined, top: 2, bins: undefined },
    {
      kind: "groups",
      scope: { ...scope, filters: some },
      by: ["property.seldom"],
      measures: ["events", "users", "last"],
    },
  ])
}

/** Changes to the events, in order; all queries run after each. */
const states: [state: string, happens: (rows: (from: number) => EventRow[]) => void][] = [
  ["in rows", (rows) => insertRows(db, rows(0))],
  ["sealed", () => sealAll(db, 0)],
  [
    "sealed in two parts",
    (rows) => {
      insertRows(db, rows(1_000))
      sealAll(db, 0)
    },
  ],
  ["merged", () => sealAll(db, farDay)],
  [
    "stale, with later ones in rows",
    (rows) => {
      db.exec("delete from event_rows where id % 50 = 7")
      insertRows(db, rows(2_000).slice(0, 100))
    },
  ],
  ["made again", () => sealAll(db, farDay)],
]

/** So little memory that unsealed rows are read a part at a time. */
const tinyTail = { rows: 400_000, bytes: 200_000, partBytes: 100_000, idBytes: 134_217_728 }

describe("answers are those of the reference for", () => {
  for (const [shape, rows] of Object.entries(shapes)) {
    test(`${shape}, in every state`, () => {
      const clocks = new Clocks()
      const readers = [new SnapshotReader(db, 2 ** 26, 4), new SnapshotReader(db, 0, undefined, tinyTail)]
      for (const [state, happens] of states) {
        happens(rows)
        const events = rawEvents(db)
        for (const question of questions()) {
          const expected = referenceResult(events, question, clocks)
          for (const [place, reader] of readers.entries()) {
            const found = difference(question, runToEnd(executeQuery(reader, question)).result, expected)
            if (found) throw new Error(`${state}, reader ${place}: ${found}\n${JSON.stringify(question)}`)
          }
        }
        if (state !== "in rows" && !state.startsWith("stale")) expect(differences(db)).toEqual([])
      }
    }, 60_000)
  }
})

describe("sealing", () => {
  test("builds more blocks from events that take much memory, and merges them only as far as memory allows", () => {
    insertRows(db, shapes["long texts that are all different"]?.(0) ?? [])
    sealAll(db, farDay)
    const blocks = db.prepare("select events, bytes from blocks").all() as { events: number; bytes: number }[]
    expect(blocks.length).toBeGreaterThan(1)
    for (const { bytes } of blocks) expect(bytes).toBeLessThan(70_000_000)
    expect(blocks.reduce((sum, { events }) => sum + events, 0)).toBe(900)
  })

  test("takes space in proportion to what was sent, not for each key and event", () => {
    insertRows(
      db,
      many(5_000, (index) => eventOf({ [`item_${index}`]: 1 }, { ts: start + index })),
    )
    sealAll(db, farDay)
    const bytes = db.prepare("select sum(length(data)) from segments").pluck().get()
    expect(bytes).toBeLessThan(500_000)
  })

  test("merges the many blocks of several names into one in one step", () => {
    for (let part = 0; part < 3; part++) {
      insertRows(
        db,
        many(20, (index) => eventOf({}, { name: `n${index}`, ts: start + part })),
      )
      sealAll(db, 0)
    }
    expect(db.prepare("select count(*) from blocks").pluck().get()).toBe(3)
    sealAll(db, farDay)
    expect(db.prepare("select count(*) from blocks").pluck().get()).toBe(1)
  })
})

test("a list of more keys than fit the memory of an answer is refused", () => {
  insertRows(
    db,
    many(40, (index) => eventOf(Object.fromEntries(many(100, (key) => [`${index}_${key}`, 1])))),
  )
  const question: Query = {
    kind: "values",
    scope: { ...scope, filters: [] },
    keys: undefined,
    top: 1,
    bins: undefined,
  }
  for (const seal of [() => {}, () => sealAll(db, farDay)]) {
    seal()
    expect(() => executeQuerySync(db, question, 2 ** 21)).toThrow(OutOfMemoryBudgetError)
    expect(executeQuerySync(db, question).result.properties).toHaveLength(4_000)
  }
})

describe("new property keys", () => {
  const dictionary = () =>
    db.prepare("select count(distinct value) from event_types, json_each(nullif(keys, ''))").pluck().get()
  const stored = () =>
    db.prepare("select count(distinct key) from events, json_each(events.properties)").pluck().get()
  /** Events with 50 new keys each, each with its own name, because the dictionary has few key sets per name anyway. */
  const send = (from: number, count: number, changes: Partial<EventRow> = {}) =>
    insertRows(
      db,
      many(count, (index) => {
        const keys = many(50, (key) => [`key_${from + index}_${key}`, key])
        return eventOf(Object.fromEntries(keys), {
          name: `n${from + index}`,
          ts: start,
          receivedAt: start,
          ...changes,
        })
      }),
    )

  test("beyond the limit stay with their events, also after a restart, until the next day and for that website alone", () => {
    createWebsite(db, "a", { domain: "a.example", name: "a", allowedOrigins: [], anonymize: "off" }, start)
    send(0, 60)
    expect(dictionary()).toBe(maxNewKeysPerDay)
    expect(stored()).toBe(3_000)
    closeDatabase(db)
    open()
    send(100, 10)
    expect(dictionary()).toBe(maxNewKeysPerDay)
    send(200, 10, { websiteRid: 1 })
    expect(dictionary()).toBe(maxNewKeysPerDay + 500)
    send(300, 10, { receivedAt: start + dayMs })
    expect(dictionary()).toBe(maxNewKeysPerDay + 1_000)
    expect(stored()).toBe(4_500)
    // Known keys in another set, and an event without properties.
    insertRows(db, [eventOf({ key_0_1: 1, key_1_1: "x" }), eventOf({})])
    expect(db.prepare("select keys from event_types order by id desc limit 2").pluck().all()).toEqual([
      "[]",
      '["key_0_1","key_1_1"]',
    ])
  })

  test("of an event that is not stored do not count", () => {
    send(0, 20)
    expect(() =>
      insertRows(db, [
        ...many(10, (index) => eventOf({ [`lost_${index}`]: 1 })),
        eventOf({}, { ts: "x" as never }),
      ]),
    ).toThrow()
    expect(db.prepare("select count(*) from property_keys").pluck().get()).toBe(1_000)
    send(100, 20)
    expect(dictionary()).toBe(maxNewKeysPerDay)
  })
})
