import { afterAll, beforeAll, describe, expect, test } from "bun:test"
import { sealAll } from "../../src/columns/sealer.ts"
import { eventKinds } from "../../src/event-kinds.ts"
import { executeQuerySync } from "../../src/query/engine/execute.ts"
import type { Scope } from "../../src/query/query.ts"
import { giveKey, openApp, type TestApp } from "../support/app.ts"

// Wherever the order of a person's events matters, events of the same millisecond are in the order of receipt, however
// they are stored.

/** Not in alphabetical order. */
const names = ["visit", "signup_started", "plan_chosen", "account_created"]
/** An hour before the time of the app's clock, 2026-08-01T12:00Z. */
const timestamp = "2026-08-01T11:00:00.000Z"
/** A day long after all test data, in days since 1970, so that all days are over and their blocks are merged. */
const farDay = 30_000

const sent = (name: string, person: string, at?: string) => ({
  name,
  anonymousId: `visitor of ${person}`,
  sessionId: person,
  profileId: `${name} of ${person}`,
  ...(at === undefined ? {} : { timestamp: at }),
})

/** Different ways in which the same events of a person arrive and are stored. */
const ways: [
  way: string,
  receive: (app: TestApp, track: (events: object) => Promise<void>) => Promise<void>,
][] = [
  ["in one request, in rows", (_, track) => track(names.map((name) => sent(name, "p")))],
  [
    "in one request, in blocks",
    async ({ store }, track) => {
      await track(names.map((name) => sent(name, "p")))
      sealAll(store.db, 0)
    },
  ],
  [
    "in separate requests with the same timestamp, in separate blocks",
    async ({ store }, track) => {
      for (const name of names) {
        await track(sent(name, "p", timestamp))
        sealAll(store.db, 0)
      }
    },
  ],
  [
    "in blocks, except the last one, which is still in rows",
    async ({ store }, track) => {
      await track(names.slice(0, 3).map((name) => sent(name, "p", timestamp)))
      sealAll(store.db, 0)
      await track(sent("account_created", "p", timestamp))
    },
  ],
  [
    "in merged blocks, with other events of the same ms in between",
    async ({ store }, track) => {
      for (const [index, name] of names.entries()) {
        await track(names.map((other) => sent(other, `${index} before`, timestamp)).reverse())
        await track(sent(name, "p", timestamp))
        await track(names.map((other) => sent(other, `${index} after`, timestamp)).reverse())
        sealAll(store.db, 0)
      }
      sealAll(store.db, farDay)
    },
  ],
  [
    "in blocks, after other events of the same ms were deleted",
    async ({ store }, track) => {
      await track(names.map((name) => sent(name, "gone", timestamp)).reverse())
      await track(names.map((name) => sent(name, "p", timestamp)))
      sealAll(store.db, 0)
      store.db.prepare("delete from event_rows where session_id = 'gone' and id % 2 = 0").run()
      sealAll(store.db, 0)
    },
  ],
  [
    "in rows, after the block's events of the same ms were deleted",
    async ({ store }, track) => {
      await track(names.map((name) => sent(name, "gone", timestamp)).reverse())
      await track(names.map((name) => sent(name, "p", timestamp)))
      sealAll(store.db, 0)
      store.db.prepare("delete from event_rows where session_id = 'gone'").run()
    },
  ],
]

describe.each(ways)("%s", (_, receive) => {
  let app: TestApp
  let key = ""
  beforeAll(async () => {
    app = openApp()
    key = giveKey(app).secret
    await receive(app, async (events) => {
      await send("/track", events)
    })
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

  async function rows(parameter: object) {
    const filters = [{ field: "session_id", op: "eq", value: "p" }]
    const query = { parameters: [parameter], preset: "last_7d", filters }
    const { data } = await send("/v1/query?website_id=none", query)
    expect(data[0].error).toBeUndefined()
    return data[0].data
  }

  test.each(names.map((name, index) => [name, index] as const))("paths around %s", async (name, index) => {
    const found = await rows({ name: "paths", steps: [name], before: 2, after: 2 })
    const around = found.map((row: Record<string, unknown>) => [row.place, row.event_name])
    const expected = [-2, -1, 1, 2].map((place) => [place, names[index + place] ?? null] as const)
    // Paths have no events before the start or after the end of the session.
    expect(around).toEqual(expected.filter(([place]) => index + place >= -1 && index + place <= names.length))
  })

  test("a funnel counts them in that order, and in no other", async () => {
    const reached = async (steps: string[], by?: string[]) =>
      (await rows({ name: "funnel", steps, unit: "session", ...(by ? { by } : {}) })).map(
        ({ people }: { people: number }) => people,
      )
    expect(await reached(names)).toEqual([1, 1, 1, 1])
    expect(await reached([...names].reverse())).toEqual([1, 0, 0, 0])
    expect(await reached(["plan_chosen", "signup_started"])).toEqual([1, 0])
    expect(await reached(["signup_started", "account_created"], ["profile_id"])).toEqual([1, 1])
  })

  test("a session starts with the first event and ends with the last", async () => {
    expect(await rows({ name: "sessions" })).toMatchObject([
      { first_event: "visit", last_event: "account_created", profile_id: "account_created of p", events: 4 },
    ])
  })

  test("a person's profile is the one of the last event", async () => {
    expect(await rows({ name: "people" })).toMatchObject([{ profile_id: "account_created of p" }])
  })

  test.each([{ name: "custom_events_recent" }, { name: "person", anonymousId: "visitor of p" }])(
    "%p lists them from last to first",
    async (parameter) => {
      const listed = (await rows(parameter)).map((row: Record<string, unknown>) => row.event_name)
      expect(listed).toEqual([...names].reverse())
    },
  )
})

// Row ids are looked up individually, or read together if an hour has so many that this is faster.
test.each([0, 3_000])("many people in one hour are in order, with %p others", async (others) => {
  const people = 100
  const from = Date.parse(timestamp)
  const app = openApp()
  try {
    const { db } = app.store
    const { secret } = giveKey(app)
    const track = async (events: object[]) => {
      for (let at = 0; at < events.length; at += 1_000) {
        const response = await app.send(
          new Request("http://localhost/track", {
            method: "POST",
            headers: { authorization: `Bearer ${secret}`, "content-type": "application/json" },
            body: JSON.stringify(events.slice(at, at + 1_000)),
          }),
        )
        expect(response.status).toBe(200)
      }
    }
    await track(Array.from({ length: others }, () => ({ name: "visit", timestamp })))
    const everybody = Array.from({ length: people }, (_, person) => person)
    for (const some of [names.slice(0, 2), names.slice(2)]) {
      const ofName = (name: string) =>
        everybody.map((person) => sent(name, `${person}`, new Date(from + 1_000 + person).toISOString()))
      await track(some.flatMap(ofName))
      sealAll(db, 0)
    }
    sealAll(db, farDay)
    const scope: Scope = {
      websites: [0],
      from,
      to: from + 3_600_000,
      zone: "UTC",
      filters: [],
      crawlers: false,
      kinds: eventKinds,
    }
    const step = (name: string) => ({ name, filters: [] })
    const event = step("signup_started")
    const { result: answer } = executeQuerySync(db, { kind: "paths", scope, event, before: 1, after: 2 })
    expect(answer.positions).toEqual([
      { position: -1, name: "visit", page: null, count: people },
      { position: 1, name: "plan_chosen", page: null, count: people },
      { position: 2, name: "account_created", page: null, count: people },
    ])
    const reached = (steps: string[]) =>
      executeQuerySync(db, {
        kind: "funnel",
        scope,
        steps: steps.map(step),
        window: 0,
        unit: "session_id",
      }).result.groups[0]?.steps.map(({ units: people }) => people)
    expect(reached(names)).toEqual([people, people, people, people])
    expect(reached([...names].reverse())).toEqual([people, 0, 0, 0])
  } finally {
    await app.close()
  }
})
