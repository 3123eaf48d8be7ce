import { describe, expect, test } from "bun:test"
import type { RetentionQuery, Step } from "../../src/query/query.ts"
import { retention } from "../../src/query/reports/retention.ts"
import { MemoryBudget } from "../../src/query/structures/memory-budget.ts"
import { runToEnd, scopeOf, sourceOf, type TestEvent } from "../support/batches.ts"

const step = (name: string): Step => ({ name, filters: [] })

/** Events of one visitor, written as `name@time`. */
function events(visitor: string | null, ...written: string[]): TestEvent[] {
  return written.map((one) => {
    const [name, time] = one.split("@") as [string, string]
    return { name, ts: Date.parse(`${time}Z`), visitor, session: `${visitor} ${time}` }
  })
}

function run(all: readonly TestEvent[], changes: Partial<RetentionQuery> = {}) {
  const query: RetentionQuery = {
    kind: "retention",
    scope: scopeOf("2026-03-02", 3),
    startEvent: step("signed_up"),
    returnEvent: step("opened"),
    granularity: "daily",
    unit: "anonymous_id",
    ...changes,
  }
  const { buckets, cohorts } = runToEnd(retention(query, sourceOf(all), new MemoryBudget(2 ** 28)))
  expect(cohorts.length).toBe(buckets.length)
  return cohorts.map(({ size, returned }) => [size, ...returned])
}

const cases: {
  sentence: string
  events: TestEvent[]
  changes?: Partial<RetentionQuery>
  cohorts: number[][]
}[] = [
  {
    sentence: "counts the visitors with a return event in each later period",
    events: [
      ...events("v", "signed_up@2026-03-02T10:00", "opened@2026-03-03T10:00", "opened@2026-03-03T11:00"),
      ...events("w", "signed_up@2026-03-02T10:00", "opened@2026-03-04T10:00"),
      ...events("x", "signed_up@2026-03-03T10:00", "opened@2026-03-03T10:00"),
    ],
    cohorts: [
      [2, 0, 1, 1],
      [1, 1, 0],
      [0, 0],
    ],
  },
  {
    sentence: "uses only the first start event",
    events: events(
      "v",
      "signed_up@2026-03-02T10:00",
      "signed_up@2026-03-03T10:00",
      "opened@2026-03-04T10:00",
    ),
    cohorts: [
      [1, 0, 0, 1],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "does not count a return event in a period before the start event",
    events: events("v", "opened@2026-03-02T10:00", "signed_up@2026-03-03T10:00"),
    cohorts: [
      [0, 0, 0, 0],
      [1, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "counts a return event before the start event in the same period",
    events: events("v", "opened@2026-03-02T10:00", "signed_up@2026-03-02T11:00"),
    cohorts: [
      [1, 1, 0, 0],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "counts every visitor as returned in their own period if both events are the same",
    events: events("v", "signed_up@2026-03-02T10:00", "signed_up@2026-03-04T10:00"),
    changes: { returnEvent: step("signed_up") },
    cohorts: [
      [1, 1, 0, 1],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "matches any event if a step has no name",
    events: events("v", "looked@2026-03-02T10:00", "opened@2026-03-03T10:00"),
    changes: { startEvent: { filters: [] }, returnEvent: { filters: [] } },
    cohorts: [
      [1, 1, 1, 0],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "uses the days of the time zone, which start within a UTC day",
    events: [
      ...events("v", "signed_up@2026-03-02T18:00", "opened@2026-03-02T19:00"),
      ...events("w", "opened@2026-03-02T18:29", "signed_up@2026-03-02T18:30"),
    ],
    changes: {
      scope: scopeOf("2026-03-02", 2, { zone: "Asia/Kolkata", to: Date.parse("2026-03-03T18:30Z") }),
    },
    cohorts: [
      [1, 0, 1],
      [1, 0],
    ],
  },
  {
    sentence: "starts weeks on Monday and cuts them off at the ends of the range",
    events: events("v", "signed_up@2026-03-08T23:59", "opened@2026-03-09T00:00", "opened@2026-03-16T00:00"),
    changes: { granularity: "weekly", scope: scopeOf("2026-03-04", 14) },
    cohorts: [
      [1, 0, 1, 1],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "uses the first start event in the range",
    events: events(
      "v",
      "signed_up@2026-03-01T10:00",
      "signed_up@2026-03-03T10:00",
      "opened@2026-03-03T10:00",
    ),
    cohorts: [
      [0, 0, 0, 0],
      [1, 1, 0],
      [0, 0],
    ],
  },
  {
    sentence: "leaves out events without the id",
    events: events(null, "signed_up@2026-03-02T10:00", "opened@2026-03-02T10:00"),
    cohorts: [
      [0, 0, 0, 0],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "counts sessions if the unit is a session",
    events: events("v", "signed_up@2026-03-02T10:00", "opened@2026-03-02T10:00", "opened@2026-03-03T10:00"),
    changes: { unit: "session_id" },
    cohorts: [
      [1, 1, 0, 0],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "applies the filters of the scope and of the steps together",
    events: [
      ...events("v", "signed_up@2026-03-02T10:00", "opened@2026-03-02T10:00"),
      ...events("w", "signed_up@2026-03-02T10:00", "opened@2026-03-02T10:00", "opened@2026-03-03T10:00"),
      ...events("x", "signed_up@2026-03-02T10:00", "opened@2026-03-02T10:00"),
    ],
    changes: {
      scope: scopeOf("2026-03-02", 3, {
        filters: [{ field: "anonymous_id", op: "ne", value: "x" }],
      }),
      returnEvent: { filters: [{ field: "anonymous_id", op: "in", value: ["w", "x"] }] },
    },
    cohorts: [
      [2, 1, 1, 0],
      [0, 0, 0],
      [0, 0],
    ],
  },
]

describe("retention", () => {
  for (const { sentence, events, changes, cohorts } of cases) {
    test(sentence, () => {
      expect(run(events, changes)).toEqual(cohorts)
    })
  }

  test("distinguishes ids that use every bit of a word", () => {
    const all = Array.from({ length: 70 }, (_, index) => [
      ...events(`v${index}`, "signed_up@2026-03-02T10:00"),
      ...(index % 2 ? events(`v${index}`, "opened@2026-03-03T10:00") : []),
    ]).flat()
    expect(run(all)).toEqual([
      [70, 0, 35, 0],
      [0, 0, 0],
      [0, 0],
    ])
  })
})
