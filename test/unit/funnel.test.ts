import { describe, expect, test } from "bun:test"
import type { FunnelQuery, Step } from "../../src/query/query.ts"
import { funnel } from "../../src/query/reports/funnel.ts"
import { MemoryBudget, OutOfMemoryBudgetError } from "../../src/query/structures/memory-budget.ts"
import { runToEnd, scopeOf, sourceOf, type TestEvent } from "../support/batches.ts"

const scope = scopeOf("2026-03-02", 3)
const step = (name: string): Step => ({ name, filters: [] })
const abc = [step("a"), step("b"), step("c")]

/** Events of one visitor, written as `name@ms` or `name@ms/plan`. */
function events(visitor: string | null, ...written: string[]): TestEvent[] {
  return written.map((one) => {
    const [, name, ms, plan] = /^(\w+)@(\d+)(?:\/(\w+))?$/.exec(one) as RegExpExecArray
    const properties = plan === undefined ? {} : { plan }
    return {
      name: name as string,
      ts: scope.from + Number(ms),
      visitor,
      session: `${visitor} ${ms}`,
      properties,
    }
  })
}

function run(all: readonly TestEvent[], changes: Partial<FunnelQuery> = {}, memory = 2 ** 28) {
  const query: FunnelQuery = {
    kind: "funnel",
    scope,
    steps: abc,
    window: 100,
    unit: "anonymous_id",
    ...changes,
  }
  return runToEnd(funnel(query, sourceOf(all), new MemoryBudget(memory)))
}

/** Visitors and medians of the only group. */
function reached(...parameters: Parameters<typeof run>) {
  const { groups } = run(...parameters)
  expect(groups.length).toBe(1)
  return groups[0]?.steps.map(({ units: people, median }) => [people, median])
}

const pro: Step["filters"] = [{ field: "property.plan", op: "eq", value: "pro" }]
const bothSteps: Step[] = [{ filters: [] }, { filters: pro }]

const cases: {
  sentence: string
  events: TestEvent[]
  changes?: Partial<FunnelQuery>
  steps: [number, number | null][]
}[] = [
  {
    sentence: "a visitor who does all steps in order reaches all, and medians are measured from step to step",
    events: events("v", "a@0", "b@10", "c@30"),
    steps: [
      [1, null],
      [1, 10],
      [1, 20],
    ],
  },
  {
    sentence: "a step before the first step does not count",
    events: events("v", "b@0", "a@10", "c@20"),
    steps: [
      [1, null],
      [0, null],
      [0, null],
    ],
  },
  {
    sentence: "a visitor who never does the first step does not count",
    events: events("v", "b@0", "c@10"),
    steps: [
      [0, null],
      [0, null],
      [0, null],
    ],
  },
  {
    sentence: "the last step counts at exactly the end of the window, and not one ms later",
    events: [...events("in", "a@0", "b@50", "c@100"), ...events("out", "a@0", "b@50", "c@101")],
    steps: [
      [2, null],
      [2, 50],
      [1, 50],
    ],
  },
  {
    sentence: "each first step starts an attempt, and a later attempt can get further",
    events: events("v", "a@0", "b@10", "a@90", "b@95", "c@150"),
    steps: [
      [1, null],
      [1, 5],
      [1, 55],
    ],
  },
  {
    sentence: "another first step in between keeps the progress of the earlier attempt",
    events: events("v", "a@0", "b@10", "a@20", "c@30"),
    steps: [
      [1, null],
      [1, 10],
      [1, 20],
    ],
  },
  {
    sentence: "a later attempt that gets no further does not change the medians",
    events: events("v", "a@0", "b@10", "a@500", "b@501"),
    steps: [
      [1, null],
      [1, 10],
      [0, null],
    ],
  },
  {
    sentence: "the latest attempt that reached a step continues, with its own times",
    events: events("v", "a@0", "b@10", "b@20", "c@30"),
    steps: [
      [1, null],
      [1, 20],
      [1, 10],
    ],
  },
  {
    sentence: "events in the same ms are processed in the order in which they were received",
    events: [...events("v", "a@5", "b@5", "c@5"), ...events("w", "c@5", "a@5", "b@5")],
    steps: [
      [2, null],
      [2, 0],
      [1, 0],
    ],
  },
  {
    sentence: "an event that matches two steps counts for only one of them",
    events: events("v", "a@0/pro"),
    changes: { steps: bothSteps },
    steps: [
      [1, null],
      [0, null],
    ],
  },
  {
    sentence: "an event that matches two steps continues an attempt and starts another one",
    events: events("v", "a@0", "b@10/pro", "c@111/pro"),
    changes: { steps: [...bothSteps, { filters: pro }] },
    steps: [
      [1, null],
      [1, 10],
      [0, null],
    ],
  },
  {
    sentence: "the same step twice needs two events",
    events: [...events("one", "a@0"), ...events("two", "a@0", "a@70")],
    changes: { steps: [step("a"), step("a")] },
    steps: [
      [2, null],
      [1, 70],
    ],
  },
  {
    sentence: "the median of an even number of durations is the lower of the two in the middle",
    events: [10, 20, 30, 40].flatMap((wait) => events(`v${wait}`, "a@0", `b@${wait}`)),
    changes: { steps: [step("a"), step("b")] },
    steps: [
      [4, null],
      [4, 20],
    ],
  },
  {
    sentence: "an attempt can span two days",
    events: events("v", "a@86399990", "b@86400010"),
    changes: { steps: [step("a"), step("b")] },
    steps: [
      [1, null],
      [1, 20],
    ],
  },
  {
    sentence: "events without the id do not count",
    events: events(null, "a@0", "b@1", "c@2"),
    steps: [
      [0, null],
      [0, null],
      [0, null],
    ],
  },
  {
    sentence: "the unit can be a session",
    events: events("v", "a@0", "b@1"),
    changes: { unit: "session_id", steps: [step("a"), step("b")] },
    steps: [
      [1, null],
      [0, null],
    ],
  },
  {
    sentence: "the filters of the scope apply to every step",
    events: events("v", "a@0/pro", "b@1/free", "b@7/pro", "c@9"),
    changes: { scope: { ...scope, filters: pro } },
    steps: [
      [1, null],
      [1, 7],
      [0, null],
    ],
  },
  {
    sentence: "events outside of the range do not count",
    events: events("v", "a@0", "b@10", "c@20"),
    changes: { scope: { ...scope, to: scope.from + 20 } },
    steps: [
      [1, null],
      [1, 10],
      [0, null],
    ],
  },
]

describe("a funnel", () => {
  for (const { sentence, events, changes, steps } of cases) {
    test(sentence, () => {
      expect(reached(events, changes)).toEqual(steps)
    })
  }

  test("is correct for a visitor with hundreds of events in any order of names", () => {
    const many = Array.from({ length: 300 }, (_, index) => `${index % 2 ? "x" : "c"}@${1_000 + index}`)
    const all = events("v", ...many, "b@900", "a@899", "c@898", "b@2000", "a@3000")
    expect(reached(all, { steps: [...abc, step("x")], window: 200 })).toEqual([
      [1, null],
      [1, 1],
      [1, 100],
      [1, 1],
    ])
  })
})

describe("a funnel by a value", () => {
  const two = { steps: [step("a"), step("b")], by: "property.plan" } as const
  const groupsOf = (all: readonly TestEvent[], changes: Partial<FunnelQuery> = two) =>
    run(all, changes).groups.map(({ by, steps }) => [by, ...steps.map(({ units: people }) => people)])

  test("counts visitors under the value of the first step of their best attempt", () => {
    expect(groupsOf(events("v", "a@0/free", "a@10/pro", "b@20/free", "a@30/free"))).toEqual([["pro", 1, 1]])
  })

  test("sorts by visitors, then by value, with the missing value first", () => {
    const all = [
      ...events("1", "a@0/z"),
      ...events("2", "a@0/b"),
      ...events("3", "a@0"),
      ...events("4", "a@0/z"),
    ]
    expect(groupsOf(all)).toEqual([
      ["z", 2, 0],
      [null, 1, 0],
      ["b", 1, 0],
    ])
  })

  test("processes first steps in the same ms in the order of receipt, for few and for many events", () => {
    const few = ["a@0/pro", "a@0", "a@0/basic", "b@1"]
    const many = Array.from({ length: 50 }, (_, index) => `b@${index + 1}`)
    expect(groupsOf(events("v", ...few))).toEqual([["basic", 1, 1]])
    expect(groupsOf(events("v", ...many, ...few))).toEqual([["basic", 1, 1]])
  })

  test("returns ids, names and websites as text", () => {
    const all = events("v", "a@0", "b@1").map((event) => ({ ...event, website: 1 }))
    const scoped = { ...two, scope: { ...scope, websites: [1] } }
    expect(groupsOf(all, { ...scoped, by: "session_id" })).toEqual([["v 0", 1, 1]])
    expect(groupsOf(all, { ...scoped, by: "event_name" })).toEqual([["a", 1, 1]])
    expect(groupsOf(all, { ...scoped, by: "website_id" })).toEqual([["website-1", 1, 1]])
  })

  test("is empty if no visitor did the first step", () => {
    expect(groupsOf(events("v", "b@0/pro"))).toEqual([])
  })
})

test("a funnel throws if its memory budget is too small", () => {
  expect(() => run(events("v", "a@0", "b@1"), {}, 1_000)).toThrow(OutOfMemoryBudgetError)
})
