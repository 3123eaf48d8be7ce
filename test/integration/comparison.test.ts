import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { type EventKind, eventKinds } from "../../src/event-kinds.ts"
import type { QueryType, Row } from "../../src/query-api/query-spec.ts"
import { types } from "../../src/query-api/query-types.ts"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { EventInserter, type EventRow } from "../../src/store/events.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { eventRow } from "../support/event.ts"
import { acquisition, client } from "../support/page-event.ts"
import { mulberry32, picker } from "../support/random.ts"

// A comparison has the rows of both periods, as queries for each period return them, in a defined order.

const range = { startDate: "2026-07-20", endDate: "2026-07-24" }
const previous = { startDate: "2026-07-15", endDate: "2026-07-19" }
const start = Date.UTC(2026, 6, 15)
const dayMs = 86_400_000

let app: TestApp
let key: string

beforeAll(() => {
  app = openApp()
  const { db, registry } = app.store
  const settings = { domain: "shop.example", name: "Shop", anonymize: "off" } as const
  const { rid } = createWebsite(db, crypto.randomUUID(), { ...settings, allowedOrigins: [] }, app.clock.now)
  registry.refresh()
  key = giveKey(app).secret
  const random = picker(mulberry32(16))
  const rows = Array.from({ length: 1_500 }, () => randomEvent(random, rid))
  const inserter = new EventInserter(db, new DailyHash(db, (bytes) => crypto.getRandomValues(bytes)))
  db.transaction(() => inserter.insert(rows)).immediate()
})

afterAll(() => app.close())

const properties: Partial<Record<EventKind, (random: ReturnType<typeof picker>, text: string) => object>> = {
  custom: (random, text) => ({ plan: text, total: random.whole(1, 50) }),
  web_vital: (random) => ({ value: random.whole(1, 500) }),
  error: (random, text) => ({ message: `${text} failed`, error_type: random.of(["TypeError", text]) }),
  outgoing_link: (_, text) => ({ href: `https://${text}.example/`, text, domain: `${text}.example` }),
}

/** Some values only occur in the first days, some only in the last days, and some in both periods. */
function randomEvent(random: ReturnType<typeof picker>, websiteRid: number): EventRow {
  const day = random.whole(0, 9)
  const text = `${random.of(["a", "b", "c", day < 5 ? "old" : "new"])}${random.whole(1, 3)}`
  const kind = random.of(eventKinds)
  const person = random.whole(1, 30)
  const content = properties[kind]?.(random, text) ?? {}
  return eventRow({
    websiteRid,
    kind,
    name: kind === "custom" ? text : kind === "web_vital" ? random.of(["LCP", text]) : kind,
    ts: start + day * dayMs + random.whole(0, dayMs - 1),
    anonymousId: `visitor ${person}`,
    sessionId: `session ${person} ${day}`,
    path: `/${text}`,
    keys: JSON.stringify(Object.keys(content)),
    properties: JSON.stringify(Object.values(content)).slice(1, -1),
    client: client({ country: text, region: text, city: text, browser_name: text, browser_version: text }),
    acquisition: acquisition({ referrer_type: "other", referrer_domain: text, utm_source: text }),
  })
}

async function rowsOf(parameter: object, dates: object): Promise<Row[]> {
  const response = await app.send(
    new Request("http://shop.example/v1/query?website_id=all", {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ parameters: [parameter], limit: 10_000, ...dates }),
    }),
  )
  const { data } = (await response.json()) as { data: { success: boolean; error?: string; data: Row[] }[] }
  expect(data[0]?.error).toBeUndefined()
  return data[0]?.data ?? []
}

/** Identifies a row by the columns that have no value in `previous`. */
function identityOf({ previous, percentage: _, ...row }: Row): string {
  const own = Object.entries(row).filter(([column]) => !Object.hasOwn(Object(previous), column))
  return JSON.stringify(own)
}

/** Without movers, which always compare. test/fuzz/movers.test.ts compares them with a reference. */
const compared = Object.entries<QueryType>(types).filter(
  ([, type]) =>
    type.takes.includes("compare") && !type.alwaysCompares && !type.range && !type.defaultGranularity,
)
const steps = [{ name: "a1" }, { page: "/a*" }]

const cases = compared.flatMap(([name, { takes }]): [sentence: string, parameter: object][] => {
  const parameter = { name, ...(takes.includes("steps") && { steps }) }
  const grouped: [string, object][] = takes.includes("by")
    ? [[`${name} by path`, { ...parameter, by: ["path"] }]]
    : []
  return [[name, parameter], ...grouped]
})

describe("a comparison has the rows of both periods:", () => {
  test.each(cases)("%s", async (_, parameter) => {
    const union = await rowsOf({ ...parameter, compare: "previous_period" }, range)
    const columns = Object.keys(Object(union[0]?.previous))
    const measures = (row: Row | undefined) => columns.map((column) => row?.[column] ?? 0)
    const [now, before] = [await rowsOf(parameter, range), await rowsOf(parameter, previous)]
    // A row has the same identifying columns with and without a comparison.
    const keyOf = (row: Row) => identityOf({ ...row, previous: union[0]?.previous })
    const byKey = (rows: Row[]) => new Map(rows.map((row) => [keyOf(row), row]))
    const [nowByKey, beforeByKey] = [byKey(now), byKey(before)]
    const keys = new Set([...nowByKey.keys(), ...beforeByKey.keys()])
    expect(union.map(keyOf).toSorted()).toEqual([...keys].toSorted())
    for (const row of union) {
      expect(measures(row)).toEqual(measures(nowByKey.get(keyOf(row))))
      expect(measures(row.previous as Row)).toEqual(measures(beforeByKey.get(keyOf(row))))
    }
  })
})

const paged = cases.filter(([, { name }]: [string, { name?: keyof typeof types }]) => {
  const type: QueryType | undefined = name && types[name]
  return type?.order !== undefined
})

describe("the pages of a comparison add up to the whole result:", () => {
  test.each(paged)("%s", async (_, parameter) => {
    for (const sortOrder of ["asc", "desc"]) {
      for (const sort of [{}, { sortBy: "change" }, { sortBy: "weighted_change" }]) {
        const one = { ...parameter, ...sort, sortOrder, compare: "previous_period" }
        const all = await rowsOf(one, range)
        const pages: Row[] = []
        for (let page = 1; pages.length < all.length; page++)
          pages.push(...(await rowsOf({ ...one, limit: 7, page }, range)))
        expect(pages).toEqual(all)
      }
    }
  })
})

test("rows that fell to zero come after all others, largest first", async () => {
  const rows = await rowsOf({ name: "custom_events", compare: "previous_period" }, range)
  const fallen = rows.filter(({ total_events }) => total_events === 0)
  const before = fallen.map(({ previous }) => (previous as { total_events: number }).total_events)
  expect(before.length).toBeGreaterThan(1)
  expect(rows.slice(-fallen.length)).toEqual(fallen)
  expect(before).toEqual(before.toSorted((one, other) => other - one))
  expect(fallen[0]).toMatchObject({ unique_users: 0, last_occurrence: null, percentage: 0 })
})

test("sorted by change, rows that fell to zero come first and new rows come last", async () => {
  const parameter = { name: "custom_events", compare: "previous_period", sortBy: "change", sortOrder: "asc" }
  const rows = await rowsOf(parameter, range)
  const changes = rows.map(({ total_events, previous }) => {
    const before = (previous as { total_events: number }).total_events
    return before === 0 ? Number.POSITIVE_INFINITY : (Number(total_events) - before) / before
  })
  expect(changes[0]).toBe(-1)
  expect(changes.at(-1)).toBe(Number.POSITIVE_INFINITY)
  expect(changes).toEqual(changes.toSorted((one, other) => one - other))
})

test("sorted by weighted change, a small row that fell to zero comes after a large row that decreased", async () => {
  const parameter = {
    name: "custom_events",
    compare: "previous_period",
    sortBy: "weighted_change",
    sortOrder: "asc",
  }
  const rows = await rowsOf(parameter, range)
  const weights = rows.map(({ total_events, previous }) => {
    const [now, before] = [Number(total_events), (previous as { total_events: number }).total_events]
    return (now - before) / Math.sqrt(now + before)
  })
  expect(weights).toEqual(weights.toSorted((one, other) => one - other))
})

test("rows can only be sorted by change in a comparison", async () => {
  const response = await app.send(
    new Request("http://shop.example/v1/query?website_id=all", {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ parameters: [{ name: "custom_events", sortBy: "change" }] }),
    }),
  )
  expect(await response.text()).toContain("custom_events can be sorted by total_events")
})

async function answerTo(parameter: object, query: object = range) {
  const response = await app.send(
    new Request("http://shop.example/v1/query?website_id=all", {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify({ parameters: [parameter], ...query }),
    }),
  )
  return { status: response.status, text: await response.text() }
}

test.each([
  ["previous_period", "2026-07-15T00:00:00.000Z", "2026-07-20T00:00:00.000Z"],
  ["previous_year", "2025-07-20T00:00:00.000Z", "2025-07-25T00:00:00.000Z"],
  ["matching_weekdays", "2026-07-13T00:00:00.000Z", "2026-07-18T00:00:00.000Z"],
  [
    { startDate: "2026-07-16", endDate: "2026-07-17" },
    "2026-07-16T00:00:00.000Z",
    "2026-07-18T00:00:00.000Z",
  ],
])("compare %j uses the events of that period", async (compare, from, to) => {
  const { text } = await answerTo({ name: "custom_events_summary", compare })
  const [{ data, meta }] = (JSON.parse(text) as { data: [{ data: [{ previous: Row }]; meta: Row }] }).data
  expect(meta.previous).toEqual({ from, to })
  const [alone] = await rowsOf({ name: "custom_events_summary" }, { startDate: from, endDate: to })
  expect(data[0].previous).toEqual(alone as Row)
})

test.each([
  [
    "another name",
    "x",
    400,
    "must be previous_period, previous_year, matching_weekdays or {startDate, endDate}",
  ],
  ["a date alone", { startDate: "2026-07-16" }, 400, "compare.endDate must be a day such as 2026-11-24"],
  [
    "dates in the wrong order",
    { startDate: "2026-07-17", endDate: "2026-07-16" },
    200,
    "compare.endDate must be after startDate",
  ],
])("compare cannot be %s", async (_, compare, status, message) => {
  const answer = await answerTo({ name: "custom_events_summary", compare })
  expect(answer.status).toBe(status)
  expect(answer.text).toContain(message)
})
