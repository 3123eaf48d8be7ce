import {
  type Bucket,
  type FunnelStep,
  type RetentionQuery,
  type Scope,
  type Step,
  stepFilters,
} from "../query/query.ts"
import { pairBuckets } from "./comparison.ts"
import { groupsByKey, span, withFilters } from "./groups.ts"
import type { QuerySpec, Row, RunQuery, TypeResult } from "./query-spec.ts"
import { percent, requireRows, unionOf } from "./rows.ts"

// Query types about what people do: funnels, retention, paths and goals. A unit is what a query counts: people, sessions
// or profiles.

export function* funnel(spec: QuerySpec, run: RunQuery): Generator<void, TypeResult> {
  const { scope, steps, window, unit, by, limit, offset, previous } = spec
  const [dimension] = by
  const runScope = (scope: Scope) => run({ kind: "funnel", scope, steps, window, unit, by: dimension })
  const { groups } = yield* runScope(scope)
  const comparison = previous && (yield* runScope({ ...scope, ...span(previous) }))
  const emptySteps = steps.map((): FunnelStep => ({ units: 0, median: null }))
  // Contains the groups of both periods. The groups of the current range come first.
  const union = unionOf(
    groups,
    comparison?.groups,
    ({ by }) => JSON.stringify(by),
    ({ by }) => ({ by, steps: emptySteps }),
  )
  const rows = union.slice(offset, offset + limit).flatMap(({ item: group, previous }) => {
    const previousMeasures = comparison && measuresOf(previous?.steps ?? emptySteps)
    return measuresOf(group.steps).map(
      (measures, index): Row => ({
        ...(dimension === undefined ? {} : { [dimension]: group.by }),
        step: index + 1,
        event_name: labelOf(steps[index]),
        ...measures,
        ...(previousMeasures ? { previous: previousMeasures[index] } : {}),
      }),
    )
  })
  return { rows }
}

function measuresOf(steps: readonly FunnelStep[]): Row[] {
  return steps.map(({ units: people, median }, index) => ({
    people,
    conversion_rate: percent(people, steps[0]?.units ?? 0),
    step_conversion_rate: percent(people, steps[Math.max(0, index - 1)]?.units ?? 0),
    median_ms: median,
  }))
}

/** Returns the name of a step in results: its event name, its page, or null. */
function labelOf({ name, page }: Partial<Step> = {}): string | null {
  return name ?? page ?? null
}

const anyStep: Step = { filters: [] }

/**
 * Builds the retention query for a parameter. If there are no steps, the first event of a unit determines its cohort,
 * and any later event counts as a return. A single step is both the start event and the return event.
 */
export function retentionQuery(
  { scope, steps, unit }: QuerySpec,
  granularity: RetentionQuery["granularity"],
): RetentionQuery {
  const [startEvent = anyStep, returnEvent = startEvent] = steps
  return { kind: "retention", scope, startEvent, returnEvent, granularity, unit }
}

export function* retention(spec: QuerySpec, run: RunQuery): Generator<void, TypeResult> {
  const { granularity = "weekly" } = spec
  // The type assertion is safe because the table of query types allows no other granularities.
  const query = retentionQuery(spec, granularity as RetentionQuery["granularity"])
  const { buckets, cohorts } = yield* run(query)
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
  run: RunQuery,
): Generator<void, TypeResult> {
  const [event = anyStep] = steps
  const answer = yield* run({ kind: "paths", scope, event, before, after })
  const rows = answer.positions.map(({ position: place, name, page, count }) => ({
    place,
    event_name: name,
    page,
    sessions: count,
    percentage: percent(count, answer.sessions),
  }))
  return { rows }
}

export function* goals(spec: QuerySpec, run: RunQuery): Generator<void, TypeResult> {
  const { scope, granularity, steps, previous } = spec
  const count = (scope: Scope) => conversions(spec, scope, run)
  function* valuesOf(range: Pick<Scope, "from" | "to">, step: Step, all: Conversions) {
    const matching = yield* count(withFilters({ ...scope, ...range }, stepFilters(step)))
    return all.buckets.map(({ label }, bucket) => {
      const { units: converted = 0, events: completions = 0 } = matching.of(bucket)
      const { units: total = 0 } = all.of(bucket)
      return {
        ...(granularity ? { date: label } : {}),
        completions,
        converted,
        total,
        conversion_rate: percent(converted, total),
      }
    })
  }
  const all = yield* count(scope)
  const previousAll = previous && (yield* count({ ...scope, ...span(previous) }))
  requireRows(steps.length * all.buckets.length)
  const pairs =
    previousAll && (granularity ? pairBuckets(previous, granularity, all.buckets, previousAll.buckets) : [0])
  const rows: Row[] = []
  for (const step of steps) {
    const current = yield* valuesOf(span(scope), step, all)
    const comparison = previous && previousAll && (yield* valuesOf(span(previous), step, previousAll))
    current.forEach((values, bucket) => {
      const row: Row = { goal: labelOf(step), ...values }
      if (comparison) row.previous = comparison[pairs?.[bucket] ?? -1] ?? null
      rows.push(row)
    })
  }
  return { rows }
}

/** The number of units (people, sessions or profiles) and events in each time bucket. */
interface Conversions {
  buckets: readonly Bucket[]
  of(bucket: number): { units?: number | undefined; events?: number | undefined }
}

/** Counts events, and units with at least one event. */
function* conversions(
  { unit, granularity }: QuerySpec,
  scope: Scope,
  run: RunQuery,
): Generator<void, Conversions> {
  const measure = { anonymous_id: "users", session_id: "sessions", profile_id: "events" } as const
  const groups = yield* run({
    kind: "groups",
    scope,
    by: [],
    granularity,
    measures: [measure[unit], "events"],
  })
  const { buckets } = groups
  const groupByKey = groupsByKey(groups)
  // If an event belongs to a profile only because its visitor is linked to it, the columns do not contain the profile.
  // So a separate query counts profiles.
  const profiles = unit === "profile_id" ? yield* run({ kind: "reach", scope, granularity, unit }) : undefined
  return {
    buckets,
    of: (bucket) => {
      const [units, events] = groupByKey.get(String(bucket))?.values ?? []
      return { units: profiles ? profiles.units[bucket] : (units ?? 0), events: events ?? 0 }
    },
  }
}
