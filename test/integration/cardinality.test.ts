import { afterEach, beforeEach, describe, expect, spyOn, test } from "bun:test"
import { differences } from "../../src/columns/check.ts"
import { RowReader } from "../../src/columns/row-reader.ts"
import { sealAll } from "../../src/columns/sealer.ts"
import { SnapshotReader } from "../../src/columns/snapshot-reader.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { executeQuery, executeQuerySync } from "../../src/query/engine/execute.ts"
import type { Filter, Query } from "../../src/query/query.ts"
import { OutOfMemoryBudgetError } from "../../src/query/structures/memory-budget.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { closeDatabase } from "../../src/store/db/open.ts"
import type { EventRow } from "../../src/store/events.ts"
import { maxNewKeysPerDay } from "../../src/store/property-key-quota.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { openTestDatabase, temporaryFolder } from "../harness.ts"
import { Clocks } from "../reference/clock.ts"
import { difference } from "../reference/compare.ts"
import { insertRows, rawEvents } from "../reference/events.ts"
import { referenceResult } from "../reference/reference.ts"
import { runToEnd } from "../support/batches.ts"
import { eventRow } from "../support/event.ts"
import { mulberry32, picker } from "../support/random.ts"

const dayMs = 86_400_000
const start = Date.UTC(2026, 0, 1)
/** A day long after all test data, in days since 1970, so that all days are over and their blocks are merged. */
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
  db = openTestDatabase(folder.file("a.db"))
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

/** Not in chronological order, as when many clients send events. */
const timeOf = (index: number) => start + ((index * 7_919) % 40_000)
const wide = (index: number) => `${index} `.padEnd(16_000, `${index % 10}`)

const seed = Number(process.env.DATABUDDY_FUZZ_SEED ?? 1)
const nested = (depth: number, value: unknown): unknown =>
  depth === 0 ? value : depth % 2 ? [nested(depth - 1, value)] : { plan: nested(depth - 1, value) }

/** A random event: any number of known and new keys, values of any size and depth, and any name, day and ids. */
function anyEvent(random: ReturnType<typeof picker>, from: number): EventRow {
  const text = () => `${random.whole(0, 9)}`.padEnd(random.of([1, 20, 300, 9_000]), "x")
  const values: (() => unknown)[] = [
    () => random.whole(-3, 3),
    () => random.whole(0, 1e9) / 7,
    text,
    () => random.of([true, false, null, "", "1", "true"]),
    () => nested(random.whole(1, 64), text().slice(0, 300)),
  ]
  const keys: (() => string)[] = [
    () => random.of(["plan", "seldom", "text", "cart"]),
    () => `item_${from + random.whole(0, 2_000)}`,
    () => `${from + random.whole(0, 20)}_${random.whole(0, 400)}`,
    () => `"[${random.whole(0, 3)}],[",`.repeat(random.whole(1, 4)),
  ]
  const count = random.of([0, 1, 1, 3, 20, 300])
  const id = () => random.of([null, `${random.whole(0, 5)}`, `${random.whole(0, 1e9)}`.padEnd(128, "i")])
  return eventOf(Object.fromEntries(many(count, () => [random.of(keys)(), random.of(values)()])), {
    name: random.of(["n", "n", `n${random.whole(0, 99)}`, "name ".repeat(40)]),
    ts: start + random.of([0, 0, random.whole(0, 400)]) * dayMs + random.whole(0, dayMs - 1),
    anonymousId: id(),
    sessionId: id(),
    profileId: id(),
  })
}

/** Each function returns at most 1,000 rows. Calls with different values of `from` return different keys or values. */
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
  "a different key in each event": (from) =>
    many(600, (index) => eventOf({ [`item_${from + index}`]: 1, plan: "pro" }, { ts: timeOf(index) })),
  "long texts that are all different": (from) =>
    many(450, (index) => eventOf({ text: wide(from + index), plan: "pro" }, { ts: timeOf(index) })),
  "events with many names on many days": (from) =>
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
  "hundreds of keys in some events": (from) =>
    many(30, (index) =>
      eventOf(
        {
          plan: index % 2 ? "pro" : "free",
          seldom: index % 9 ? null : index,
          ...(index % 3
            ? {}
            : Object.fromEntries(many(300, (key) => [`${from + (index % 2)}_${key}`, key % 3]))),
        },
        { ts: timeOf(index) },
      ),
    ),
  [`a mixture of all (DATABUDDY_FUZZ_SEED=${seed})`]: (from) => {
    const random = picker(mulberry32(seed + from))
    return many(24, () => anyEvent(random, from))
  },
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

/**
 * Applied in this order. All queries run in each state. Sealing does not change events, so the reference only runs
 * after a change. If `alsoTiny` is set, the queries also run with little memory. This covers rows, blocks, and a
 * mixture of both.
 */
const states: {
  state: string
  alsoTiny?: boolean
  change?: (rows: (from: number) => EventRow[]) => void
  seal?: () => void
}[] = [
  { state: "in rows", alsoTiny: true, change: (rows) => insertRows(db, rows(0)) },
  { state: "sealed", seal: () => sealAll(db, 0) },
  {
    state: "sealed in two parts",
    change: (rows) => insertRows(db, rows(1_000)),
    seal: () => sealAll(db, 0),
  },
  { state: "merged", alsoTiny: true, seal: () => sealAll(db, farDay) },
  {
    state: "stale, with later ones in rows",
    alsoTiny: true,
    change: (rows) => {
      db.exec("delete from event_rows where id % 50 = 7")
      insertRows(db, rows(2_000).slice(0, 100))
    },
  },
  { state: "rebuilt", seal: () => sealAll(db, farDay) },
]

/** So little memory that unsealed rows are read in parts. */
const tinyTail = { rows: 400_000, bytes: 200_000, partBytes: 100_000, idBytes: 134_217_728 }

describe("results match the reference for", () => {
  for (const [shape, rows] of Object.entries(shapes)) {
    test(`${shape}, in every state`, () => {
      const clocks = new Clocks()
      const reader = new SnapshotReader(db, 2 ** 26, 4)
      const tinyReader = new SnapshotReader(db, 0, undefined, tinyTail)
      let expected: object[] = []
      for (const { state, alsoTiny, change, seal } of states) {
        if (change) {
          change(rows)
          const events = rawEvents(db)
          expected = questions().map((question) => referenceResult(events, question, clocks))
        }
        seal?.()
        for (const [index, question] of questions().entries()) {
          for (const [place, one] of (alsoTiny ? [reader, tinyReader] : [reader]).entries()) {
            const { result } = runToEnd(executeQuery(one, question))
            const found = difference(question, result, expected[index])
            if (found) throw new Error(`${state}, reader ${place}: ${found}\n${JSON.stringify(question)}`)
          }
        }
        if (seal) expect(differences(db)).toEqual([])
      }
    }, 60_000)
  }
})

describe("properties with thousands of keys", () => {
  const ofDay = { ...scope, from: start, to: start + dayMs, filters: [] }
  const groupsBy = (by: "property.item"[]): Query => ({
    kind: "groups",
    scope: ofDay,
    by,
    measures: ["events", "with_properties"],
  })
  const count = groupsBy([])
  const byItem = groupsBy(["property.item"])

  /** Number of characters of JSON that a query parses. */
  function parsedBy(query: Query): number {
    const parse = spyOn(JSON, "parse")
    try {
      executeQuerySync(db, query)
      return parse.mock.calls.reduce((sum, [text]) => sum + text.length, 0)
    } finally {
      parse.mockRestore()
    }
  }

  const states: [state: string, isSealed: boolean][] = [
    ["rows", false],
    ["blocks", true],
  ]
  test.each(states)("in %s are only parsed by queries that read them, and only one key", (_, isSealed) => {
    const events = many(40, (index) =>
      eventOf(
        {
          ...Object.fromEntries(many(1_500, (key) => [`key_${index}_${key}`, 0])),
          ...(index < 2 ? { item: `item ${index}` } : {}),
        },
        { ts: start + index },
      ),
    )
    insertRows(db, events)
    if (isSealed) sealAll(db, farDay)
    const all = JSON.stringify(events).length
    expect(all).toBeGreaterThan(1_000_000)
    expect(executeQuerySync(db, count).result).toMatchObject({ groups: [{ values: [40, 40] }] })
    const { groups } = executeQuerySync(db, byItem).result as { groups: { by: unknown; values: unknown }[] }
    expect(groups.map(({ by, values }) => [by, values]).sort()).toEqual([
      [[null], [38, 38]],
      [["item 0"], [1, 1]],
      [["item 1"], [1, 1]],
    ])
    expect(parsedBy(count) / all).toBeLessThan(0.15)
    expect(parsedBy(byItem) / all).toBeLessThan(0.15)
  })

  test("in rows are sealed early, but do not slow down queries that do not read them", () => {
    insertRows(
      db,
      many(40, (index) => eventOf(Object.fromEntries(many(1_500, (key) => [`key_${index}_${key}`, 0])))),
    )
    const reader = new SnapshotReader(db, 0, undefined, {
      ...tinyTail,
      bytes: 40_000_000,
      partBytes: 40_000_000,
    })
    runToEnd(executeQuery(reader, count))
    expect([reader.hasHeavyRows, reader.hasSlowRows]).toEqual([true, false])
  })
})

describe("sealing", () => {
  test("builds more blocks from events that take up a lot of memory, and merges them only as far as memory allows", () => {
    for (const from of [0, 450]) insertRows(db, shapes["long texts that are all different"]?.(from) ?? [])
    sealAll(db, farDay)
    const blocks = db.prepare("select events, bytes from blocks").all() as { events: number; bytes: number }[]
    expect(blocks.length).toBeGreaterThan(1)
    for (const { bytes } of blocks) expect(bytes).toBeLessThan(70_000_000)
    expect(blocks.reduce((sum, { events }) => sum + events, 0)).toBe(900)
  })

  test("builds one block from 40 events with 1,500 different keys each", () => {
    insertRows(
      db,
      many(40, (index) => eventOf(Object.fromEntries(many(1_500, (key) => [`key_${index}_${key}`, 0])))),
    )
    sealAll(db, 0)
    expect(db.prepare("select count(*) from blocks").pluck().get()).toBe(1)
  })

  test("merges blocks without reading the properties that stay in their rows", () => {
    for (let part = 0; part < 2; part++) {
      insertRows(
        db,
        many(10, (index) =>
          eventOf(Object.fromEntries(many(500, (key) => [`key_${part}_${index}_${key}`, key]))),
        ),
      )
      sealAll(db, 0)
    }
    const read = spyOn(RowReader.prototype, "byTime")
    try {
      sealAll(db, farDay)
      expect(db.prepare("select count(*) from blocks").pluck().get()).toBe(1)
      expect(read).not.toHaveBeenCalled()
    } finally {
      read.mockRestore()
    }
    expect(differences(db)).toEqual([])
  })

  test("uses space in proportion to what was sent, not to the number of keys times the number of events", () => {
    insertRows(
      db,
      many(5_000, (index) => eventOf({ [`item_${index}`]: 1 }, { ts: start + index })),
    )
    sealAll(db, farDay)
    const bytes = db.prepare("select sum(length(data)) from segments").pluck().get()
    expect(bytes).toBeLessThan(500_000)
  })

  test("merges many blocks with several names into one in one step", () => {
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

test("a list with more keys than fit into the query memory is rejected", () => {
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

test("a breakdown by 20,000 values that is compared with the previous period needs 8 MB of memory", () => {
  const rows = many(40_000, (index) =>
    eventOf(
      { item: `item ${index % 20_000}` },
      { ts: start + Math.floor(index / 20_000) * dayMs, anonymousId: `${index}` },
    ),
  )
  insertRows(db, rows)
  sealAll(db, farDay)
  const day = (from: number) => ({ from, to: from + dayMs })
  const { result } = executeQuerySync(
    db,
    {
      kind: "groups",
      scope: {
        websites: [0],
        ...day(start + dayMs),
        zone: "UTC",
        filters: [],
        crawlers: false,
        kinds: eventKinds,
      },
      by: ["property.item"],
      measures: ["events", "first", "last"],
      page: { order: { measure: 0 }, descending: true, previous: day(start), offset: 19_998, limit: 10 },
    },
    8_000_000,
  )
  expect(result.totals).toEqual({ groups: 20_000, sum: 20_000 })
  expect(result.groups.map(({ by }) => by)).toEqual([["item 9998"], ["item 9999"]])
  expect(result.previous?.map(([events]) => events)).toEqual([1, 1])
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

  test("beyond the limit of a website and day are stored with their events, also after a restart", () => {
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
    // Known keys in a new combination, and an event without properties.
    insertRows(db, [eventOf({ key_0_1: 1, key_1_1: "x" }), eventOf({})])
    expect(db.prepare("select keys from event_types order by id desc limit 2").pluck().all()).toEqual([
      "[]",
      '["key_0_1","key_1_1"]',
    ])
  })

  test("of an event that is not stored do not count towards the limit", () => {
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
