import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { applySealedBatch } from "../../src/columns/sealed-batch.ts"
import { nextWork, Sealer, sealAll } from "../../src/columns/sealer.ts"
import { forgetPerson } from "../../src/store/forget.ts"
import { createWebsite } from "../../src/store/websites.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"
import { runToEnd } from "../support/batches.ts"
import { mulberry32, picker } from "../support/random.ts"

// Tests the lists of people behind each number of a funnel and a retention table: each list has that number of people,
// each of them once. test/fuzz/query.test.ts compares the people with a reference.

type Row = Record<string, unknown>

/** A day long after all test data, in days since 1970, so that all days are over and their blocks are merged. */
const farDay = 30_000
const range = { startDate: "2026-07-06", endDate: "2026-07-26" }
const steps = ["visited", "trial", "bought"]
const names = ["visited", "visited", "trial", "bought", "opened"]
/** Rows per page. Small, so that most lists have several pages. */
const pageSize = 4

let app: TestApp
let key: string
let rid: number

beforeAll(async () => {
  app = openApp()
  const settings = { domain: "a.example", name: "a", allowedOrigins: [] }
  rid = createWebsite(app.store.db, "site", { ...settings, anonymize: "off" }, app.clock.now).rid
  key = giveKey(app).secret
  await send("/track", someEvents(1, 300))
  for (let visitor = 0; visitor < 12; visitor++) await send("/identify", identityOf(visitor))
})
afterAll(() => app.close())

async function send(path: string, body: object, secret = key): Promise<Response> {
  const response = await app.send(
    new Request(`http://localhost${path}`, {
      method: "POST",
      headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
      body: JSON.stringify(body),
    }),
  )
  if (!response.ok) throw new Error(await response.text())
  return response
}

/** Each profile has three visitors, two of which never send its id. */
function identityOf(visitor: number) {
  return {
    websiteId: "site",
    profileId: `profile ${Math.floor(visitor / 3)}`,
    anonymousId: `visitor ${visitor}`,
  }
}

function someEvents(seed: number, count: number): object[] {
  const random = picker(mulberry32(seed))
  return Array.from({ length: count }, () => {
    const visitor = random.whole(0, 30)
    const day = random.whole(1, 28)
    return {
      websiteId: "site",
      name: random.of(names),
      anonymousId: `visitor ${visitor}`,
      sessionId: `session ${visitor} ${day}`,
      ...(visitor % 3 === 0 && random.chance(0.5) ? { profileId: `profile ${visitor / 3}` } : {}),
      timestamp: `2026-07-${String(day).padStart(2, "0")}T${random.of(["00", "09", "23"])}:00:00.000Z`,
      properties: random.chance(0.8) ? { plan: random.of(["free", "pro"]) } : {},
    }
  })
}

interface Answer {
  data: Row[]
  error?: string
  meta: { total: number }
}

/** Maximum number of parameters in one request. */
const perRequest = 50

async function askAll(parameters: object[], secret = key): Promise<Answer[]> {
  const answers: Answer[] = []
  for (let at = 0; at < parameters.length; at += perRequest) {
    const body = { ...range, timeZone: "Europe/Berlin", parameters: parameters.slice(at, at + perRequest) }
    const response = await send("/v1/query?website_id=site", body, secret)
    answers.push(...((await response.json()) as { data: Answer[] }).data)
  }
  return answers
}

async function ask(parameter: object, secret = key): Promise<Answer> {
  const [answer] = await askAll([parameter], secret)
  if (!answer) throw new Error("there is no answer")
  return answer
}

const units = [
  { unit: "visitor", list: "people", id: "anonymous_id" },
  { unit: "profile", list: "people", id: "profile_id" },
  { unit: "session", list: "sessions", id: "session_id" },
] as const

/** Returns the ids in each list. Checks their order, and that each id occurs only once. */
async function listed({ unit, list, id }: (typeof units)[number], lists: object[]): Promise<unknown[][]> {
  const answers = await askAll(
    lists.map((options) => ({
      name: list,
      ...(list === "people" ? { unit } : {}),
      limit: 1_000,
      ...options,
    })),
  )
  return answers.map(({ data, error, meta }) => {
    expect(error).toBeUndefined()
    const ids = data.map((row) => row[id])
    const times = data.map((row) => row.last_seen ?? row.ended_at)
    expect(new Set(ids).size).toBe(ids.length)
    expect(times).toEqual([...times].sort().reverse())
    expect(meta.total).toBeGreaterThanOrEqual(ids.length)
    return ids
  })
}

const states: [name: string, happens: () => unknown][] = [
  ["all in rows", () => {}],
  ["sealed", () => sealAll(app.store.db, farDay)],
  ["with late events", () => send("/track", someEvents(2, 60))],
  [
    "after a person was deleted",
    async () => {
      const schedule = { write: <Result>(work: () => Result) => work(), sleep: async () => {} }
      const person = { websiteRid: rid, id: { profileId: "profile 1" } }
      await forgetPerson(app.store.db, app.store.files, person, app.clock.now, schedule)
    },
  ],
  [
    "sealed again, without unused ids",
    () => {
      sealAll(app.store.db, farDay)
      const options = { minimum: 1, today: farDay, collect: true }
      const batch = runToEnd(nextWork(new Sealer(app.store.db), options))
      if (batch) applySealedBatch(app.store.db, batch)
    },
  ],
]

test("a goal is a funnel with one step, and filters select the events of both", async () => {
  const filters = [{ field: "property.plan", op: "eq", value: "pro" }]
  const [goal] = (await ask({ name: "goals", steps: ["bought"], filters })).data
  const { meta, data } = await ask({ name: "people", steps: ["bought"], reached: 1, filters })
  expect(meta.total).toBe(Number(goal?.converted))
  expect(data.length).toBeGreaterThan(0)
})

test("the people of a day and of an event are those whose kind of events the chart counts", async () => {
  const day = { start_date: "2026-07-10", end_date: "2026-07-10" }
  const filters = [{ field: "event_name", op: "eq", value: "visited" }]
  const [count] = (await ask({ name: "custom_events_summary", ...day, filters })).data
  const { meta } = await ask({ name: "people", ...day, filters, kinds: ["custom"] })
  expect(meta.total).toBe(Number(count?.unique_users))
})

test("a profile in a list has the events of its linked visitors, including the latest event", async () => {
  const { data } = await ask({
    name: "people",
    steps: ["visited", "trial"],
    reached: 1,
    unit: "profile",
    limit: 1,
  })
  const [row] = data
  const events = (await ask({ name: "person", profileId: row?.profile_id, limit: 1_000 })).data
  expect(events.length).toBe(Number(row?.events))
  expect(events.find(({ anonymous_id }) => anonymous_id !== null)?.anonymous_id).toBe(row?.anonymous_id)
})

test.each(["profile_id", "anonymous_id"])(
  "a breakdown by %s, which is also a column of the lists",
  async (by) => {
    const [funnel] = await askAll([{ name: "funnel", steps, by: [by], limit: 1_000 }])
    const [row] = (funnel?.data ?? []).filter((one) => one.step === 1 && one[by] !== null)
    const { data, meta, error } = await ask({ name: "people", steps, by: [by], value: row?.[by], reached: 1 })
    expect(error).toBeUndefined()
    expect(meta.total).toBe(Number(row?.people))
    expect(data.length).toBeGreaterThan(0)
  },
)

describe("rejects", () => {
  test.each([
    [{ steps }, "people takes steps only together with reached or droppedAfter or cohort"],
    [{ reached: 1 }, "people takes reached only together with steps"],
    [{ steps, reached: 1, droppedAfter: 1 }, "people takes only one of"],
    [{ steps, reached: 1, kinds: ["custom"] }, "people takes only one of"],
    [{ steps, reached: 4 }, "reached must be at most 3 with 3 steps"],
    [{ steps, droppedAfter: 3 }, "droppedAfter must be at most 2 with 3 steps"],
    [{ steps: ["visited"], droppedAfter: 1 }, "droppedAfter needs at least 2 steps"],
    [{ steps, reached: 1, by: ["property.plan"] }, "people takes by only together with value"],
    [{ steps, reached: 1, value: "pro" }, "people takes value only together with by"],
    [{ steps, reached: 1, unit: "session" }, "use the query type sessions"],
    [{ cohort: "2026-07-07" }, "cohort must be a date from the rows of the weekly retention report"],
    [
      { cohort: "2026-07-06", granularity: "hourly" },
      "with cohort, granularity must be daily, weekly or monthly",
    ],
    [{ cohort: "2026-07-06", steps }, "with cohort, steps must be absent or have 2 entries"],
    [{ period: 1 }, "people takes period only together with cohort"],
    [{ unit: "profile" }, "people takes unit only together with reached or droppedAfter or cohort"],
  ])("%j", async (options, error) => {
    expect((await ask({ name: "people", ...options })).error).toContain(error)
  })

  test.each([
    [{ reached: 0 }, "must be a whole number from 1 to 10"],
    [{ cohort: "july" }, "must be a day"],
    [{ value: 3 }, "must be a string of at most 32768 characters, or null"],
  ])("the whole request if it has %j", async (options, error) => {
    const request = ask({ name: "people", ...options })
    await expect(request).rejects.toThrow(error)
  })

  test("keys and links that can only read reports", async () => {
    const { secret } = giveKey(app, { scopes: ["read:reports"] })
    for (const name of ["people", "sessions"])
      expect((await ask({ name, steps, reached: 1 }, secret)).error).toContain("needs the scope read:data")
  })
})

test("the list behind each number of a report has that number of people", async () => {
  const funnel = { steps, window: "5d" }
  const retention = { steps: ["visited", "opened"], granularity: "weekly" }
  const byPlan = { ...funnel, by: ["property.plan"] }
  for (const [index, [state, happens]] of states.entries()) {
    await happens()
    // In the states between the first and the last, only a third of the numbers are checked, a different one each time.
    const isSample = index > 0 && index < states.length - 1
    for (const unit of units) {
      const [all, plans, cohorts] = await askAll([
        { name: "funnel", ...funnel, unit: unit.unit },
        { name: "funnel", ...byPlan, unit: unit.unit },
        { name: "retention", ...retention, unit: unit.unit },
      ])
      const rows = all?.data ?? []
      const everyNumber: [options: object, count: number][] = [
        ...rows.map(({ step, people }): [object, number] => [{ ...funnel, reached: step }, Number(people)]),
        ...rows.slice(1).map(({ step, people }): [object, number] => {
          const before = rows[Number(step) - 2]
          return [{ ...funnel, droppedAfter: Number(step) - 1 }, Number(before?.people) - Number(people)]
        }),
        ...(plans?.data ?? []).map((row): [object, number] => [
          { ...byPlan, value: row["property.plan"], reached: row.step },
          Number(row.people),
        ]),
        ...(cohorts?.data ?? []).flatMap(({ date, period, people, returned }): [object, number][] => [
          [{ ...retention, cohort: date }, Number(people)],
          [{ ...retention, cohort: date, period }, Number(returned)],
        ]),
      ]
      const numbers = everyNumber.filter((_, at) => !isSample || at % 3 === index % 3)
      const lists = await listed(
        unit,
        numbers.map(([options]) => options),
      )
      const counts = numbers.map(([options], index) => ({
        state,
        unit: unit.unit,
        options,
        count: lists[index]?.length,
      }))
      expect(counts).toEqual(numbers.map(([options, count]) => ({ state, unit: unit.unit, options, count })))
      expect(everyNumber.filter(([, count]) => count > 0).length).toBeGreaterThan(8)
      const [everyone = []] = await listed(unit, [{ ...funnel, reached: 1 }])
      const pages = Array.from({ length: Math.ceil(everyone.length / pageSize) }, (_, index) => index + 1)
      const paged = await listed(
        unit,
        pages.map((page) => ({ ...funnel, reached: 1, limit: pageSize, page })),
      )
      expect(paged.flat()).toEqual(everyone)
    }
  }
})
