import { describe, expect, test } from "bun:test"
import type { PathsQuery, Step } from "../../src/query/query.ts"
import { paths } from "../../src/query/reports/paths.ts"
import { MemoryBudget } from "../../src/query/structures/memory-budget.ts"
import { runToEnd, scopeOf, sourceOf, type TestEvent } from "../support/batches.ts"

const scope = scopeOf("2026-03-02", 3)
const step = (name: string): Step => ({ name, filters: [] })

/** Events of one session, written as `name@ms` or `name@ms/plan`. */
function events(session: string | null, ...written: string[]): TestEvent[] {
  return written.map((one) => {
    const [, name, ms, plan] = /^(\w+)@(\d+)(?:\/(\w+))?$/.exec(one) as RegExpExecArray
    const properties = plan === undefined ? {} : { plan }
    return { name: name as string, ts: scope.from + Number(ms), session, properties }
  })
}

/** The number of sessions, and each position as `-1 name count`. */
function run(all: readonly TestEvent[], changes: Partial<PathsQuery> = {}) {
  const query: PathsQuery = {
    kind: "paths",
    scope,
    event: step("buy"),
    before: 2,
    after: 2,
    ...changes,
  }
  const { sessions, positions: places } = runToEnd(paths(query, sourceOf(all), new MemoryBudget(2 ** 28)))
  return [sessions, ...places.map(({ position: place, name, count }) => `${place} ${name} ${count}`)]
}

const cases: {
  sentence: string
  events: TestEvent[]
  changes?: Partial<PathsQuery>
  answer: (string | number)[]
}[] = [
  {
    sentence: "counts the events around the event, up to the given positions",
    events: events("s", "a@1", "b@2", "c@3", "buy@4", "d@5", "e@6", "f@7"),
    answer: [1, "-2 b 1", "-1 c 1", "1 d 1", "2 e 1"],
  },
  {
    sentence: "counts the start and the end of a session once",
    events: events("s", "a@1", "buy@4"),
    answer: [1, "-2 null 1", "-1 a 1", "1 null 1"],
  },
  {
    sentence: "uses the first matching event of a session, and treats a later one like any other event",
    events: events("s", "buy@4", "buy@9"),
    answer: [1, "-1 null 1", "1 buy 1", "2 null 1"],
  },
  {
    sentence: "orders events in the same ms by receipt, regardless of their names",
    events: events("s", "d@5", "c@5", "buy@5", "b@5", "a@5"),
    answer: [1, "-2 d 1", "-1 c 1", "1 b 1", "2 a 1"],
  },
  {
    sentence: "uses the event that was received first if several match in the same ms",
    events: events("s", "z@5/pro", "b@5/pro", "a@5/pro"),
    changes: { event: { filters: [{ field: "property.plan", op: "eq", value: "pro" }] } },
    answer: [1, "-1 null 1", "1 b 1", "2 a 1"],
  },
  {
    sentence: "orders neighboring events in the same ms by receipt, even if the event has a different ms",
    events: events("s", "a@4", "z@4", "y@4", "buy@5", "y@6", "x@6", "z@6"),
    answer: [1, "-2 z 1", "-1 y 1", "1 y 1", "2 x 1"],
  },
  {
    sentence: "orders events with the same ms and name by receipt, even on several websites",
    events: [
      ...events("s", "a@1").map((one) => ({ ...one, website: 0 })),
      ...events("s", "buy@5/free").map((one) => ({ ...one, website: 2 })),
      ...events("s", "buy@5/pro").map((one) => ({ ...one, website: 1 })),
      ...events("s", "buy@5/free").map((one) => ({ ...one, website: 0 })),
    ],
    changes: {
      scope: { ...scope, websites: [0, 1, 2] },
      event: { name: "buy", filters: [{ field: "property.plan", op: "eq", value: "pro" }] },
    },
    answer: [1, "-2 a 1", "-1 buy 1", "1 buy 1", "2 null 1"],
  },
  {
    sentence: "orders events with the same ms and name by receipt",
    events: events("s", "buy@5/free", "buy@5/pro", "buy@5/free", "buy@5/free"),
    changes: { event: { name: "buy", filters: [{ field: "property.plan", op: "eq", value: "pro" }] } },
    answer: [1, "-2 null 1", "-1 buy 1", "1 buy 1", "2 buy 1"],
  },
  {
    sentence: "continues a session past midnight",
    events: events("s", "b@86399999", "buy@86400000", "a@172800000"),
    answer: [1, "-2 null 1", "-1 b 1", "1 a 1", "2 null 1"],
  },
  {
    sentence: "sorts by the number of sessions, descending, then by name, with the end of a session first",
    events: [
      ...events("1", "buy@1", "b@2"),
      ...events("2", "buy@1", "a@2"),
      ...events("3", "buy@1"),
      ...events("4", "buy@1", "b@2"),
      ...events("5", "a@1"),
    ],
    changes: { before: 0, after: 1 },
    answer: [4, "1 b 2", "1 null 1", "1 a 1"],
  },
  {
    sentence: "starts from any event if the step has no name",
    events: events("s", "a@1", "b@2"),
    changes: { event: { filters: [] }, before: 1, after: 1 },
    answer: [1, "-1 null 1", "1 b 1"],
  },
  {
    sentence: "also applies the filters of the scope to the events around the event",
    events: events("s", "a@1/pro", "b@2/free", "buy@3/pro"),
    changes: { scope: { ...scope, filters: [{ field: "property.plan", op: "eq", value: "pro" }] }, after: 0 },
    answer: [1, "-2 null 1", "-1 a 1"],
  },
  {
    sentence: "counts the sessions if no positions are requested",
    events: [...events("s", "buy@1"), ...events("t", "buy@1")],
    changes: { before: 0, after: 0 },
    answer: [2],
  },
  {
    sentence: "leaves out events without a session",
    events: events(null, "a@1", "buy@2"),
    answer: [0],
  },
]

describe("paths", () => {
  for (const { sentence, events, changes, answer } of cases) {
    test(sentence, () => {
      expect(run(events, changes)).toEqual(answer)
    })
  }
})
