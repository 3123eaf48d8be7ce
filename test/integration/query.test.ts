import { describe, expect, test } from "bun:test"
import { sealAll } from "../../src/columns/sealer.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { executeQuerySync } from "../../src/query/engine/execute.ts"
import type { Filter, Measure, Query, Scope } from "../../src/query/query.ts"
import type { Db } from "../../src/store/db/driver.ts"
import { closeDatabase } from "../../src/store/db/open.ts"
import { openTestDatabase, temporaryFolder } from "../harness.ts"
import { difference } from "../reference/compare.ts"
import { insertRows, rawEvents } from "../reference/events.ts"
import { referenceResult } from "../reference/reference.ts"
import { eventRow } from "../support/event.ts"

// Both the reference and the engine, from rows and from blocks, must return these results, which were computed by hand.

interface Sent {
  at: string
  name?: string
  properties?: object
  anonymousId?: string
  sessionId?: string
  profileId?: string
  path?: string
  crawler?: 1
}

interface Case {
  name: string
  events: Sent[]
  query: Query
  answer: unknown
}

const scope: Scope = {
  websites: [0],
  from: Date.parse("2026-03-01T00:00Z"),
  to: Date.parse("2026-04-01T00:00Z"),
  zone: "UTC",
  filters: [],
  crawlers: false,
  kinds: eventKinds,
}
const ms = (time: string) => Date.parse(time)
/** Returns a time on 10 March. */
const at = (time: string) => `2026-03-10T${time}Z`

const counted = (filters: Filter[], changes: Partial<Scope> = {}): Query => ({
  kind: "groups",
  scope: { ...scope, filters, ...changes },
  by: [],
  measures: ["events"],
})
const count = (events: number, range: Pick<Scope, "from" | "to"> = scope) => ({
  groups: [{ by: [], bucket: 0, values: [events] }],
  buckets: [{ from: range.from, to: range.to, label: "" }],
})
const measured = (...measures: Measure[]): Query => ({ kind: "groups", scope, by: [], measures })
const values = (...numbers: (number | null)[]) => ({
  groups: [{ by: [], bucket: 0, values: numbers }],
  buckets: [{ from: scope.from, to: scope.to, label: "" }],
})

const plans: Sent[] = [
  { at: at("10:00"), properties: { plan: "pro", n: 5 } },
  { at: at("10:01"), properties: { plan: "Pro", n: "5" } },
  { at: at("10:02"), properties: { plan: null, n: -2.5 } },
  { at: at("10:03"), properties: { plan: true } },
  { at: at("10:04") },
]
const nested: Sent[] = [
  { at: at("10:00"), properties: { cart: { total: 1 } } },
  { at: at("10:01"), properties: { "cart.total": 2, cart: { total: 1 } } },
  { at: at("10:02"), properties: { cart: [{ total: 1 }] } },
  { at: at("10:03"), properties: { "cart.total": null, cart: { total: 1 } } },
]
const numbers: Sent[] = [4, "1", 3, 2, "09", "1e1", null].map((n, index) => ({
  at: at(`10:0${index}`),
  properties: { n },
}))

const deep: Sent[] = [
  { items: [{ sku: "A", size: { w: 5 } }, { sku: "A" }], a: { b: { c: 1 } } },
  { items: [{ sku: "B", size: { w: 5 } }, { sku: "A" }], "a.b": { c: 1, "c.d": 2 } },
  { tags: ["x", "x.y"], a: { "b.c": 1 } },
  // A key that contains dots takes precedence, at each depth.
  { a: { b: { c: 2 }, "b.c": 3 }, "a.b": { c: 4 }, items: {} },
  { items: "A" },
].map((properties, index) => ({ at: at(`10:0${index}`), properties }))

/** Events of a visitor, one per minute from 10:00 on, named by the letters. There is no event in a minute with `-`. */
const person = (anonymousId: string, letters: string): Sent[] =>
  [...letters].flatMap((name, minute) =>
    name === "-"
      ? []
      : [{ at: at(`10:${String(minute).padStart(2, "0")}`), name, anonymousId, sessionId: anonymousId }],
  )
const step = (name: string) => ({ name, filters: [] })
const funnel = (window: number): Query => ({
  kind: "funnel",
  scope,
  steps: [step("a"), step("b"), step("c")],
  window,
  unit: "anonymous_id",
})
const reached = (...steps: [units: number, median: number | null][]) => ({
  groups: [{ by: null, steps: steps.map(([units, median]) => ({ units, median })) }],
})
const minute = 60_000

const cases: Case[] = [
  {
    name: "eq compares text exactly and is case-sensitive",
    events: plans,
    query: counted([{ field: "property.plan", op: "eq", value: "pro" }]),
    answer: count(1),
  },
  {
    name: "a number and its text are equal",
    events: plans,
    query: counted([{ field: "property.n", op: "eq", value: 5 }]),
    answer: count(2),
  },
  {
    name: "ne is true if the value is missing or null",
    events: plans,
    query: counted([{ field: "property.plan", op: "ne", value: "pro" }]),
    answer: count(4),
  },
  {
    name: "a null value counts as missing",
    events: plans,
    query: counted([{ field: "property.plan", op: "exists", value: false }]),
    answer: count(2),
  },
  {
    name: "lt compares numbers, and numbers that were sent as text",
    events: plans,
    query: counted([{ field: "property.n", op: "lt", value: 6 }]),
    answer: count(3),
  },
  {
    name: "a key with a dot takes precedence over a nested key, and array elements have no names",
    events: nested,
    query: counted([{ field: "property.cart.total", op: "eq", value: 1 }]),
    answer: count(2),
  },
  ...(
    [
      ["property.items.0.sku", "A", 1],
      ["property.items.1.sku", "A", 2],
      ["property.items.2.sku", "A", 0],
      ["property.items.01.sku", "A", 0],
      ["property.items.length", "2", 0],
      ["property.items.0.size.w", "5", 2],
      ["property.tags.1", "x.y", 1],
      ["property.a.b.c", "1", 3],
      ["property.a.b.c.d", "2", 1],
    ] as const
  ).map(
    ([field, value, fitting]): Case => ({
      name: `the path ${field} leads to ${value} in ${fitting} events`,
      events: deep,
      query: counted([{ field, op: "eq", value }]),
      answer: count(fitting),
    }),
  ),
  {
    name: "a path into an array can be a dimension and a measure",
    events: deep,
    query: {
      kind: "groups",
      scope,
      by: ["property.items.1.sku"],
      measures: ["events", { what: "sum", of: "property.items.0.size.w" }],
    },
    answer: {
      groups: [
        { by: ["A"], bucket: 0, values: [2, 10] },
        { by: [null], bucket: 0, values: [3, null] },
      ],
      buckets: [{ from: scope.from, to: scope.to, label: "" }],
    },
  },
  {
    name: "property_key ne is true if no key equals the value",
    events: plans,
    query: counted([{ field: "property_key", op: "ne", value: "n" }]),
    answer: count(2),
  },
  {
    name: "crawlers are excluded by default",
    events: [{ at: at("10:00") }, { at: at("10:00"), crawler: 1 }],
    query: counted([]),
    answer: count(1),
  },
  {
    name: "crawlers count if the scope includes them",
    events: [{ at: at("10:00") }, { at: at("10:00"), crawler: 1 }],
    query: counted([], { crawlers: true }),
    answer: count(2),
  },
  {
    name: "a range includes its first ms and excludes its end",
    events: [{ at: at("10:00") }, { at: at("11:00") }],
    query: counted([], { from: ms(at("10:00")), to: ms(at("11:00")) }),
    answer: count(1, { from: ms(at("10:00")), to: ms(at("11:00")) }),
  },
  {
    name: "numeric measures include text that is a number, and ignore other values",
    events: numbers,
    query: measured(
      ...(["count", "sum", "avg", "min", "max", "p50", "p95"] as const).map((what) => ({
        what,
        of: "property.n" as const,
      })),
    ),
    answer: values(4, 10, 2.5, 1, 4, 2, 4),
  },
  {
    name: "without events, counts are 0 and other measures are null",
    events: [],
    query: measured(
      "events",
      "users",
      "first",
      { what: "count", of: "property.n" },
      { what: "sum", of: "property.n" },
    ),
    answer: values(0, 0, null, 0, null),
  },
  {
    name: "users are distinct anonymous ids, and events without an anonymous id do not count",
    events: [
      { at: at("10:00"), anonymousId: "x" },
      { at: at("10:01"), anonymousId: "x" },
      { at: at("10:02") },
    ],
    query: measured("events", "users"),
    answer: values(3, 1),
  },
  {
    name: "the day on which Berlin switches to summer time has 23 hours",
    events: [{ at: "2026-03-28T23:00Z" }, { at: "2026-03-29T21:59:59.999Z" }, { at: "2026-03-29T22:00Z" }],
    query: {
      kind: "groups",
      scope: {
        ...scope,
        zone: "Europe/Berlin",
        from: ms("2026-03-28T12:00Z"),
        to: ms("2026-03-30T12:00Z"),
      },
      by: [],
      granularity: "daily",
      measures: ["events"],
    },
    answer: {
      groups: [
        { by: [], bucket: 1, values: [2] },
        { by: [], bucket: 2, values: [1] },
      ],
      buckets: [
        { from: ms("2026-03-28T12:00Z"), to: ms("2026-03-28T23:00Z"), label: "2026-03-28" },
        { from: ms("2026-03-28T23:00Z"), to: ms("2026-03-29T22:00Z"), label: "2026-03-29" },
        { from: ms("2026-03-29T22:00Z"), to: ms("2026-03-30T12:00Z"), label: "2026-03-30" },
      ],
    },
  },
  {
    name: "the repeated hour in New York is two buckets",
    events: [{ at: "2026-11-01T05:30Z" }, { at: "2026-11-01T06:30Z" }],
    query: {
      kind: "groups",
      scope: {
        ...scope,
        zone: "America/New_York",
        from: ms("2026-11-01T05:00Z"),
        to: ms("2026-11-01T07:00Z"),
      },
      by: [],
      granularity: "hourly",
      measures: ["events"],
    },
    answer: {
      groups: [
        { by: [], bucket: 0, values: [1] },
        { by: [], bucket: 1, values: [1] },
      ],
      buckets: [
        { from: ms("2026-11-01T05:00Z"), to: ms("2026-11-01T06:00Z"), label: "2026-11-01T01:00:00-04:00" },
        { from: ms("2026-11-01T06:00Z"), to: ms("2026-11-01T07:00Z"), label: "2026-11-01T01:00:00-05:00" },
      ],
    },
  },
  {
    name: "values are counted by name and key, most frequent first, then by text",
    events: ["b", "a", "c", "c", null].map((plan, index) => ({
      at: at(`10:0${index}`),
      properties: { plan },
    })),
    query: { kind: "values", scope, top: 2 },
    answer: {
      properties: [
        {
          name: "bought",
          key: "plan",
          events: 5,
          occurrences: 4,
          cardinality: 3,
          numeric: 0,
          numericTexts: 0,
          boolean: 0,
          date: 0,
          url: 0,
          totalLength: 3,
          maxLength: 1,
          top: [
            { text: "c", count: 2 },
            { text: "a", count: 1 },
          ],
        },
      ],
    },
  },
  {
    name: "a later first step starts another attempt",
    events: [
      ...person("in one go", "abc"),
      ...person("at the second try", "a----abc"),
      ...person("never", "ba-----c"),
    ],
    query: funnel(2 * minute),
    answer: reached([3, null], [2, minute], [2, minute]),
  },
  {
    name: "the window is inclusive",
    events: [...person("just", "ab---c"), ...person("too late", "ab----c")],
    query: funnel(5 * minute),
    answer: reached([2, null], [2, minute], [1, 4 * minute]),
  },
  {
    name: "visitors return on the day of their first event, and on later days",
    events: [
      { at: "2026-03-02T10:00Z", name: "a", anonymousId: "x" },
      { at: "2026-03-02T11:00Z", name: "b", anonymousId: "x" },
      { at: "2026-03-04T11:00Z", name: "b", anonymousId: "x" },
      { at: "2026-03-03T10:00Z", name: "a", anonymousId: "y" },
      { at: "2026-03-02T10:00Z", name: "b", anonymousId: "y" },
    ],
    query: {
      kind: "retention",
      scope: { ...scope, from: ms("2026-03-02T00:00Z"), to: ms("2026-03-05T00:00Z") },
      startEvent: step("a"),
      returnEvent: step("b"),
      granularity: "daily",
      unit: "anonymous_id",
    },
    answer: {
      buckets: [2, 3, 4].map((day) => ({
        from: ms(`2026-03-0${day}T00:00Z`),
        to: ms(`2026-03-0${day + 1}T00:00Z`),
        label: `2026-03-0${day}`,
      })),
      cohorts: [
        { size: 1, returned: [1, 0, 1] },
        { size: 1, returned: [0, 0] },
        { size: 0, returned: [0] },
      ],
    },
  },
  {
    name: "a path counts the first occurrence in each session, and its start and end once",
    events: [...person("one", "abca"), ...person("two", "b")],
    query: { kind: "paths", scope, event: step("b"), before: 2, after: 2 },
    answer: {
      sessions: 2,
      positions: [
        { position: -2, name: null, page: null, count: 1 },
        { position: -1, name: null, page: null, count: 1 },
        { position: -1, name: "a", page: null, count: 1 },
        { position: 1, name: null, page: null, count: 1 },
        { position: 1, name: "c", page: null, count: 1 },
        { position: 2, name: "a", page: null, count: 1 },
      ],
    },
  },
  {
    name: "a session has its first and last event, and the latest profile",
    events: [
      { at: at("10:00"), name: "b", sessionId: "s", profileId: "old" },
      { at: at("10:00"), name: "a", sessionId: "s", anonymousId: "x" },
      { at: at("10:05"), name: "c", sessionId: "s", profileId: "new" },
      { at: at("10:05"), name: "d", sessionId: "s" },
    ],
    query: { kind: "sessions", scope, limit: 10, offset: 0 },
    answer: {
      total: 1,
      sessions: [
        {
          sessionId: "s",
          anonymousId: "x",
          profileId: "new",
          events: 4,
          first: ms(at("10:00")),
          last: ms(at("10:05")),
          firstEvent: "b",
          lastEvent: "d",
        },
      ],
    },
  },
  {
    name: "visitors are sorted by their latest event",
    events: [...person("early", "ab"), ...person("late", "--a"), { at: at("12:00"), sessionId: "nobody's" }],
    query: { kind: "visitors", scope, limit: 1, offset: 0 },
    answer: {
      total: 2,
      visitors: [
        {
          anonymousId: "late",
          profileId: null,
          events: 1,
          sessions: 1,
          first: ms(at("10:02")),
          last: ms(at("10:02")),
        },
      ],
    },
  },
]

function store(db: Db, events: Sent[]): void {
  const rows = events.map(({ at, name = "bought", properties, ...rest }) => {
    const [keys, text] = properties
      ? [JSON.stringify(Object.keys(properties)), JSON.stringify(Object.values(properties)).slice(1, -1)]
      : ["", null]
    return eventRow({ ...rest, name, ts: ms(at), receivedAt: ms(at), keys, properties: text })
  })
  insertRows(db, rows)
}

describe.each(cases)("$name", ({ events, query, answer }) => {
  const check = (given: (db: Db) => unknown) => {
    using folder = temporaryFolder()
    const db = openTestDatabase(folder.file("test.db"))
    try {
      store(db, events)
      expect(difference(query, given(db), answer)).toBeUndefined()
    } finally {
      closeDatabase(db)
    }
  }
  test("the reference", () => check((db) => referenceResult(rawEvents(db), query)))
  test("from rows", () => check((db) => executeQuerySync(db, query).result))
  test("from blocks", () =>
    check((db) => {
      sealAll(db, 0)
      return executeQuerySync(db, query).result
    }))
})
