import type { Bucket, FunnelStep, Scope, Step } from "../query/query.ts"
import { byPlace, named, span, withFilters } from "./groups.ts"
import type { QuerySpec, Row, RunQuery, TypeResult } from "./query-spec.ts"
import { pairBuckets } from "./range.ts"
import { percent, requireRows, wrong } from "./rows.ts"

export function* funnel(ask: QuerySpec, put: RunQuery): Generator<void, TypeResult> {
  const { scope, steps, window, unit, by, limit, offset, previous } = ask
  const [dimension] = by
  const ofScope = (scope: Scope) => put({ kind: "funnel", scope, steps, window, unit, by: dimension })
  const { groups } = yield* ofScope(scope)
  const before = previous && (yield* ofScope({ ...scope, ...span(previous) }))
  const foundBefore = before && new Map(before.groups.map((group) => [group.by, group.steps]))
  const nobody = steps.map((): FunnelStep => ({ people: 0, median: null }))
  const rows = groups.slice(offset, offset + limit).flatMap((group) => {
    const measured = measuresOf(group.steps)
    const measuredBefore = foundBefore && measuresOf(foundBefore.get(group.by) ?? nobody)
    return measured.map(
      (measures, index): Row => ({
        ...(dimension === undefined ? {} : { [dimension]: group.by }),
        step: index + 1,
        event_name: steps[index]?.name ?? null,
        ...measures,
        ...(measuredBefore ? { previous: measuredBefore[index] } : {}),
      }),
    )
  })
  return { rows }
}

function measuresOf(steps: readonly FunnelStep[]): Row[] {
  return steps.map(({ people, median }, index) => ({
    people,
    conversion_rate: percent(people, steps[0]?.people ?? 0),
    step_conversion_rate: percent(people, steps[Math.max(0, index - 1)]?.people ?? 0),
    median_ms: median,
  }))
}

const anyStep: Step = { filters: [] }

export function* retention(ask: QuerySpec, put: RunQuery): Generator<void, TypeResult> {
  const { scope, steps, unit, granularity = "weekly" } = ask
  if (granularity === "minute" || granularity === "hourly") {
    throw wrong("granularity must be daily, weekly or monthly for retention")
  }
  const [start = anyStep, comeBack = start] = steps
  const { buckets, cohorts } = yield* put({ kind: "retention", scope, start, comeBack, granularity, unit })
  requireRows((buckets.length * (buckets.length + 1)) / 2)
  const rows = cohorts.flatMap(({ size, returned }, cohort) =>
    returned.map((count, period) => ({
      date: buckets[cohort]?.label ?? null,
      people: size,
      period,
      returned: count,
      percentage: percent(count, size),
    })),
  )
  return { rows }
}

export function* paths(
  { scope, steps, before, after }: QuerySpec,
  put: RunQuery,
): Generator<void, TypeResult> {
  const [event = anyStep] = steps
  const answer = yield* put({ kind: "paths", scope, event, before, after })
  const rows = answer.places.map(({ place, name, count }) => ({
    place,
    event_name: name,
    sessions: count,
    percentage: percent(count, answer.sessions),
  }))
  return { rows }
}

export function* goals(ask: QuerySpec, put: RunQuery): Generator<void, TypeResult> {
  const { scope, granularity, steps, previous } = ask
  const ofScope = (scope: Scope) => reached(ask, scope, put)
  function* valuesOf(range: Pick<Scope, "from" | "to">, step: Step, all: Reached) {
    const own = [...step.filters, ...(step.name === undefined ? [] : [named(step.name)])]
    const found = yield* ofScope(withFilters({ ...scope, ...range }, own))
    return all.buckets.map(({ label }, bucket) => {
      const { units: converted = 0, events: completions = 0 } = found.of(bucket)
      const { units: whole = 0 } = all.of(bucket)
      return {
        ...(granularity ? { date: label } : {}),
        completions,
        converted,
        total: whole,
        conversion_rate: percent(converted, whole),
      }
    })
  }
  const all = yield* ofScope(scope)
  const allBefore = previous && (yield* ofScope({ ...scope, ...span(previous) }))
  requireRows(steps.length * all.buckets.length)
  const pairs =
    allBefore && (granularity ? pairBuckets(ask.range, granularity, all.buckets, allBefore.buckets) : [0])
  const rows: Row[] = []
  for (const step of steps) {
    const now = yield* valuesOf(span(scope), step, all)
    const before = previous && allBefore && (yield* valuesOf(span(previous), step, allBefore))
    now.forEach((values, bucket) => {
      const row: Row = { goal: step.name ?? null, ...values }
      if (before) row.previous = before[pairs?.[bucket] ?? -1] ?? null
      rows.push(row)
    })
  }
  return { rows }
}

interface Reached {
  buckets: readonly Bucket[]
  /** Of a bucket, by its index. */
  of(bucket: number): { units?: number | undefined; events?: number | undefined }
}

/** How many people, sessions or profiles have events, and how many events. */
function* reached({ unit, granularity }: QuerySpec, scope: Scope, put: RunQuery): Generator<void, Reached> {
  const measure = { anonymous_id: "users", session_id: "sessions", profile_id: "events" } as const
  const groups = yield* put({
    kind: "groups",
    scope,
    by: [],
    granularity,
    measures: [measure[unit], "events"],
  })
  const { buckets } = groups
  const found = byPlace(groups)
  // A profile has the events of its linked visitors too, of which columns know nothing.
  const profiles = unit === "profile_id" ? yield* put({ kind: "reach", scope, granularity, unit }) : undefined
  return {
    buckets,
    of: (bucket) => {
      const [units, events] = found.get(String(bucket))?.values ?? []
      return { units: profiles ? profiles.units[bucket] : (units ?? 0), events: events ?? 0 }
    },
  }
}
