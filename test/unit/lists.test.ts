import { describe, expect, test } from "bun:test"
import { sessions } from "../../src/query/reports/sessions.ts"
import { visitors } from "../../src/query/reports/visitors.ts"
import { MemoryBudget } from "../../src/query/structures/memory-budget.ts"
import { runToEnd, scopeOf, sourceOf, type TestEvent } from "../support/batches.ts"

const scope = scopeOf("2026-03-02", 5)
const day = 86_400_000
const page = { scope, limit: 10, offset: 0 }
const at = (name: string, ms: number, ids: Partial<TestEvent>): TestEvent => ({
  name,
  ts: scope.from + ms,
  ...ids,
})

function listSessions(events: readonly TestEvent[], changes: Partial<typeof page> = {}) {
  return runToEnd(
    sessions({ kind: "sessions", ...page, ...changes }, sourceOf(events), new MemoryBudget(2 ** 28)),
  )
}

function listVisitors(events: readonly TestEvent[], changes: Partial<typeof page> = {}) {
  return runToEnd(
    visitors({ kind: "visitors", ...page, ...changes }, sourceOf(events), new MemoryBudget(2 ** 28)),
  )
}

const idsOf = (events: readonly TestEvent[], changes: Partial<typeof page> = {}) =>
  listSessions(events, changes).sessions.map(({ sessionId }) => sessionId)

describe("sessions", () => {
  test("have a first and a last event, even if they span midnight", () => {
    const events = [
      at("open", day - 1, { session: "s", visitor: "v" }),
      at("read", day, { session: "s", visitor: "v", profile: "p" }),
      at("close", 2 * day, { session: "s" }),
      at("open", 5, { session: null }),
    ]
    expect(listSessions(events)).toEqual({
      total: 1,
      sessions: [
        {
          sessionId: "s",
          anonymousId: "v",
          profileId: "p",
          events: 3,
          first: scope.from + day - 1,
          last: scope.from + 2 * day,
          firstEvent: "open",
          lastEvent: "close",
        },
      ],
    })
  })

  test("have the ids of the latest event that has them", () => {
    const events = [
      at("a", 1, { session: "s", visitor: "new", profile: "old" }),
      at("b", 1, { session: "s", visitor: "newer", profile: "older" }),
      at("a", 2, { session: "s", visitor: "newest" }),
    ]
    expect(listSessions(events).sessions[0]).toMatchObject({ anonymousId: "newest", profileId: "older" })
    expect(listSessions(events.slice(0, 2)).sessions[0]).toMatchObject({ anonymousId: "newer" })
  })

  test("have no ids if no event has one", () => {
    expect(listSessions([at("a", 1, { session: "s" })]).sessions[0]).toMatchObject({
      anonymousId: null,
      profileId: null,
    })
  })

  test("start with the event received first and end with the one received last if several have the same ms", () => {
    const events = ["b", "c", "a"].map((name) => at(name, 1, { session: "s", profile: name }))
    expect(listSessions(events).sessions[0]).toMatchObject({
      firstEvent: "b",
      lastEvent: "a",
      profileId: "a",
    })
  })

  test("are sorted by the time of their latest event, then by id, regardless of event names", () => {
    const events = [
      at("b", 5, { session: "3" }),
      at("a", 5, { session: "4" }),
      at("a", 5, { session: "1" }),
      at("a", 9, { session: "0" }),
      at("a", 0, { session: "9" }),
      at("a", 7, { session: "9" }),
    ]
    expect(idsOf(events)).toEqual(["0", "9", "1", "3", "4"])
  })

  test("are split into pages, which can end within a tie or between days", () => {
    const events = Array.from({ length: 30 }, (_, index) =>
      at("a", Math.floor(index / 4) * (day / 2), { session: `s${index % 7}-${index}` }),
    )
    const all = idsOf(events, { limit: 100 })
    expect(all.length).toBe(30)
    for (const limit of [1, 3, 10]) {
      const pages = Array.from({ length: 31 }, (_, index) => idsOf(events, { limit, offset: index * limit }))
      expect(pages.flat()).toEqual(all)
    }
    expect(listSessions(events, { offset: 1_000 })).toEqual({ total: 30, sessions: [] })
    expect(listSessions(events, { limit: 0 })).toEqual({ total: 30, sessions: [] })
  })

  test("contain only events that match the filters and the range", () => {
    const events = [
      at("a", 1, { session: "s", properties: { plan: "pro" } }),
      at("b", 2, { session: "s", properties: { plan: "free" } }),
      at("b", 3, { session: "t", properties: { plan: "free" } }),
      at("b", 9 * day, { session: "u", properties: { plan: "pro" } }),
    ]
    const filters = [{ field: "property.plan", op: "eq", value: "pro" }] as const
    const { total, sessions } = listSessions(events, { scope: { ...scope, filters } })
    expect(total).toBe(1)
    expect(sessions[0]).toMatchObject({ sessionId: "s", events: 1, lastEvent: "a" })
  })
})

describe("visitors", () => {
  test("have a number of events and sessions, and the profile of the latest event that has one", () => {
    const events = [
      at("a", 0, { visitor: "v", session: "1", profile: "old" }),
      at("a", day, { visitor: "v", session: "2", profile: "new" }),
      at("b", 3 * day, { visitor: "v", session: "2" }),
      at("b", 3 * day, { visitor: "v" }),
      at("b", 2 * day, { visitor: "w" }),
      at("b", 4 * day, { visitor: null, session: "1" }),
    ]
    expect(listVisitors(events)).toEqual({
      total: 2,
      visitors: [
        {
          anonymousId: "v",
          profileId: "new",
          events: 4,
          sessions: 2,
          first: scope.from,
          last: scope.from + 3 * day,
        },
        {
          anonymousId: "w",
          profileId: null,
          events: 1,
          sessions: 0,
          first: scope.from + 2 * day,
          last: scope.from + 2 * day,
        },
      ],
    })
  })
})
