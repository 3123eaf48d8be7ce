import { describe, expect, test } from "bun:test"
import type { RetentionQuery, Step } from "../../src/query/query.ts"
import { retention } from "../../src/query/reports/retention.ts"
import { MemoryBudget } from "../../src/query/structures/id-set.ts"
import { answerOf, type PlainEvent, scopeOf, sourceOf } from "../support/batches.ts"

const step = (name: string): Step => ({ name, filters: [] })

/** As `name@time`. */
function events(visitor: string | null, ...written: string[]): PlainEvent[] {
  return written.map((one) => {
    const [name, time] = one.split("@") as [string, string]
    return { name, ts: Date.parse(`${time}Z`), visitor, session: `${visitor} ${time}` }
  })
}

function ask(all: readonly PlainEvent[], changes: Partial<RetentionQuery> = {}) {
  const question: RetentionQuery = {
    kind: "retention",
    scope: scopeOf("2026-03-02", 3),
    start: step("signed_up"),
    comeBack: step("opened"),
    granularity: "daily",
    unit: "anonymous_id",
    ...changes,
  }
  const { buckets, cohorts } = answerOf(retention(question, sourceOf(all), new MemoryBudget(2 ** 28)))
  expect(cohorts.length).toBe(buckets.length)
  return cohorts.map(({ size, returned }) => [size, ...returned])
}

const cases: {
  sentence: string
  events: PlainEvent[]
  changes?: Partial<RetentionQuery>
  cohorts: number[][]
}[] = [
  {
    sentence: "counts who came back in which later period",
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
    sentence: "takes the first start alone",
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
    sentence: "does not count who came back before they started",
    events: events("v", "opened@2026-03-02T10:00", "signed_up@2026-03-03T10:00"),
    cohorts: [
      [0, 0, 0, 0],
      [1, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "counts who came back before they started in the same period",
    events: events("v", "opened@2026-03-02T10:00", "signed_up@2026-03-02T11:00"),
    cohorts: [
      [1, 1, 0, 0],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "with the same step twice everybody comes back in their own period",
    events: events("v", "signed_up@2026-03-02T10:00", "signed_up@2026-03-04T10:00"),
    changes: { comeBack: step("signed_up") },
    cohorts: [
      [1, 1, 0, 1],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "any event will do where no name is given",
    events: events("v", "looked@2026-03-02T10:00", "opened@2026-03-03T10:00"),
    changes: { start: { filters: [] }, comeBack: { filters: [] } },
    cohorts: [
      [1, 1, 1, 0],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "days are those of the zone's clocks, which begin inside of a UTC day",
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
    sentence: "weeks begin on Mondays and are cut at the range",
    events: events("v", "signed_up@2026-03-08T23:59", "opened@2026-03-09T00:00", "opened@2026-03-16T00:00"),
    changes: { granularity: "weekly", scope: scopeOf("2026-03-04", 14) },
    cohorts: [
      [1, 0, 1, 1],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "a first start is the first one in the range",
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
    sentence: "events without the id are nobody's",
    events: events(null, "signed_up@2026-03-02T10:00", "opened@2026-03-02T10:00"),
    cohorts: [
      [0, 0, 0, 0],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "counts sessions where sessions are asked for",
    events: events("v", "signed_up@2026-03-02T10:00", "opened@2026-03-02T10:00", "opened@2026-03-03T10:00"),
    changes: { unit: "session_id" },
    cohorts: [
      [1, 1, 0, 0],
      [0, 0, 0],
      [0, 0],
    ],
  },
  {
    sentence: "filters of the scope and of the steps hold together",
    events: [
      ...events("v", "signed_up@2026-03-02T10:00", "opened@2026-03-02T10:00"),
      ...events("w", "signed_up@2026-03-02T10:00", "opened@2026-03-02T10:00", "opened@2026-03-03T10:00"),
      ...events("x", "signed_up@2026-03-02T10:00", "opened@2026-03-02T10:00"),
    ],
    changes: {
      scope: scopeOf("2026-03-02", 3, {
        filters: [{ field: "anonymous_id", op: "ne", value: "x" }],
      }),
      comeBack: { filters: [{ field: "anonymous_id", op: "in", value: ["w", "x"] }] },
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
      expect(ask(events, changes)).toEqual(cohorts)
    })
  }

  test("numbers that need every bit of a word are told apart", () => {
    const all = Array.from({ length: 70 }, (_, index) => [
      ...events(`v${index}`, "signed_up@2026-03-02T10:00"),
      ...(index % 2 ? events(`v${index}`, "opened@2026-03-03T10:00") : []),
    ]).flat()
    expect(ask(all)).toEqual([
      [70, 0, 35, 0],
      [0, 0, 0],
      [0, 0],
    ])
  })
})
