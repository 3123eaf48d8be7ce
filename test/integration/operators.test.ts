import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { type ApiEvent, matchesAll } from "../../src/dashboard/state/event-filter.ts"
import {
  conditions,
  type Filter,
  filterParam,
  filterText,
  parseFilter,
} from "../../src/dashboard/state/filters.ts"
import { type Operator, operatorNames, operators } from "../../src/query/operators.ts"
import { querySchema } from "../../src/query-api/schema.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { readPage } from "../support/documentation.ts"

// Tests each operator with each kind of field, in the API and in the live page, which filters events itself.

/** The value of each text field, per event. The last event has no value. */
const texts = ["alpha", "beta", "alphabet", "5", undefined]
const numbers = [0, 1, 2, 5, undefined]
const events = texts.map((text, place) => ({
  name: text ?? "another",
  namespace: String(place),
  anonymousId: text,
  sessionId: text,
  path: text,
  properties: { text, number: numbers[place], deep: { text } },
}))
const textFields = ["property.text", "property.deep.text", "anonymous_id", "session_id", "path", "event_name"]

type Case = [value: string | number | boolean | string[], fitting: number[]]

/** Indexes of the events whose text matches. */
const ofTexts: Record<Operator, Case[]> = {
  eq: [["alpha", [0]]],
  ne: [["alpha", [1, 2, 3, 4]]],
  in: [
    [
      ["beta", "alpha", "none"],
      [0, 1],
    ],
  ],
  not_in: [
    [
      ["beta", "alpha", "none"],
      [2, 3, 4],
    ],
  ],
  contains: [["bet", [1, 2]]],
  not_contains: [["bet", [0, 3, 4]]],
  contains_any_case: [["BeT", [1, 2]]],
  starts_with: [["alpha", [0, 2]]],
  not_starts_with: [["alpha", [1, 3, 4]]],
  ends_with: [
    ["ta", [1]],
    ["lphabet", [2]],
  ],
  gt: [[6, []]],
  gte: [[6, []]],
  lt: [[1, []]],
  lte: [[1, []]],
  exists: [
    [true, [0, 1, 2, 3]],
    [false, [4]],
  ],
}

/** Indexes of the events whose property `number` matches. */
const ofNumbers: Record<Operator, Case[]> = {
  eq: [["5", [3]]],
  ne: [[5, [0, 1, 2, 4]]],
  in: [
    [
      ["5", "0"],
      [0, 3],
    ],
  ],
  not_in: [
    [
      ["5", "0"],
      [1, 2, 4],
    ],
  ],
  contains: [["5", [3]]],
  not_contains: [["5", [0, 1, 2, 4]]],
  contains_any_case: [["5", [3]]],
  starts_with: [["5", [3]]],
  not_starts_with: [["5", [0, 1, 2, 4]]],
  ends_with: [["0", [0]]],
  gt: [[2, [3]]],
  gte: [[2, [2, 3]]],
  lt: [[2, [0, 1]]],
  lte: [[2, [0, 1, 2]]],
  exists: [
    [true, [0, 1, 2, 3]],
    [false, [4]],
  ],
}

/** Field, operator, value, and the indexes of the matching events. */
const cases = operatorNames.flatMap((op) => [
  ...textFields.flatMap((field) =>
    // Every event has a name.
    field === "event_name" && op === "exists"
      ? []
      : ofTexts[op].map(([value, fitting]) => [field, op, value, fitting] as const),
  ),
  ...ofNumbers[op].map(([value, fitting]) => ["property.number", op, value, fitting] as const),
])

let app: TestApp
let key = ""
beforeAll(async () => {
  app = openApp()
  key = giveKey(app).secret
  await send("/track", events)
})
afterAll(() => app.close())

async function send(path: string, body: unknown) {
  const response = await app.send(
    new Request(`http://localhost${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  )
  expect(response.status).toBe(200)
  // biome-ignore lint/suspicious/noExplicitAny: tests check different parts of the response
  return (await response.json()) as any
}

const shown = events.map(
  ({ name, anonymousId = null, sessionId = null, path = null, properties, namespace }): ApiEvent => ({
    event_name: name,
    namespace,
    source: null,
    path,
    properties: JSON.parse(JSON.stringify(properties)),
    anonymous_id: anonymousId,
    session_id: sessionId,
    profile_id: null,
    website_id: null,
    crawler: false,
    timestamp: "2026-08-01T12:00:00.000Z",
  }),
)

describe("the matching events", () => {
  test.each(cases)("%s %s %p", async (field, op, value, fitting) => {
    const filter = { field, op, value } as Filter
    const query = {
      parameters: ["custom_events_recent", { name: "events", by: ["namespace"], measures: ["events"] }],
      preset: "today",
      filters: [filter],
    }
    const { data } = await send("/v1/query?website_id=none", query)
    const places = data.map((one: { data: { namespace: string }[] }) =>
      one.data.map(({ namespace }) => Number(namespace)).sort(),
    )
    expect(places).toEqual([fitting, fitting])
    expect(shown.flatMap((event, place) => (matchesAll(event, [filter]) ? [place] : []))).toEqual(fitting)
  })
})

describe("a filter in the dashboard", () => {
  test.each(cases)("%s %s %p is unchanged in the URL", (field, op, value) => {
    const filter = {
      field,
      op,
      value: operators[op].operandType === "text" ? String(value) : value,
    } as Filter
    expect(parseFilter(filterParam(filter))).toEqual(filter)
    expect(conditions.some(({ words }) => filterText(filter).includes(words))).toBe(true)
  })

  test("offers each operator once, with different words", () => {
    expect(new Set(conditions.map(({ op }) => op))).toEqual(new Set(operatorNames))
    expect(new Set(conditions.map(({ words }) => words)).size).toBe(conditions.length)
  })
})

describe("the documentation:", () => {
  test("the API's schema and src/query-api/README.md list each operator", () => {
    const page = readPage("src/query-api/README.md")
    expect(operatorNames.filter((name) => !page.includes(`\`${name}\``))).toEqual([])
    const schema = JSON.stringify(querySchema)
    expect(operatorNames.filter((name) => !schema.includes(`"const":"${name}"`))).toEqual([])
  })
})
