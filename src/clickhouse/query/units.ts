import { compareTexts } from "../../query/json-values.ts"
import type {
  FunnelQuery,
  FunnelResult,
  PathsQuery,
  PathsResult,
  ReachQuery,
  ReachResult,
  ReportCount,
  RetentionQuery,
  RetentionResult,
} from "../../query/query.ts"
import { bucketAt, bucketsOf } from "../../query/structures/time-zone.ts"
import { nearestRank, type ReportContext } from "./report.ts"
import type { Scan } from "./scan.ts"
import { unmarkSurrogates } from "./statement.ts"

/** Counts the units (visitors, profiles or sessions) that have events, in each bucket. */
export async function reach(
  { scope, granularity, unit }: ReachQuery,
  { scan: newScan, run }: ReportContext,
): Promise<ReachResult> {
  const scan = newScan()
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
  const rows = await run<[number, number]>(
    scan,
    `select ${scan.bucketOf("at", buckets)} as bucket, uniqExactArray(${scan.units(unit)})
    from ${scan.rows(scope)}
    group by bucket`,
  )
  const units = buckets.map(() => 0)
  for (const [start, count] of rows) units[bucketAt(buckets, start)] = count
  return { buckets, units }
}

/**
 * ClickHouse type of an attempt at a funnel. An attempt consists of the times of the steps that it has reached, and the
 * value of the dimension at its first step.
 */
const attempt = "Tuple(Array(Int64), Nullable(String))"
const noAttempt = `cast(([], null), '${attempt}')`

/**
 * Returns a subquery with each unit's best attempt at a funnel: the `unit`, the `times` of the steps, and the `value`
 * of the dimension at the first step. For each step, the query holds the latest attempt that has reached it. If an
 * event matches several steps, all their attempts are updated at once, so that each update continues an attempt from
 * before the event.
 */
function attempts({ scope, steps, window, unit, by }: FunnelQuery, scan: Scan): string {
  const conditions = steps.map((step) => `toUInt8(${scan.step(step)})`)
  const value = by ? scan.text(by) : "cast(null, 'Nullable(String)')"
  const units = scan.units(unit)
  const none = `arrayResize([${noAttempt}], ${steps.length}, ${noAttempt})`
  const latest = `
    arrayMap(
      (step, isReached, old, before) -> multiIf(
        not isReached, old,
        step = 1, cast(([event.1], event.3), '${attempt}'),
        notEmpty(before.1) and event.1 - before.1[1] <= ${scan.bind("Int64", window)},
          cast((arrayPushBack(before.1, event.1), before.2), '${attempt}'),
        old),
      range(1, ${steps.length + 1}), event.2, current.1, arrayPushFront(arrayPopBack(current.1), ${noAttempt}))`
  // If several attempts reach equally many steps, the first one counts.
  const furthest = "arrayLast(one -> notEmpty(one.1), latest)"
  const best = `if(length(${furthest}.1) > length(current.2.1), ${furthest}, current.2)`
  return `
    select unit, best.1 as times, best.2 as value
    from (
      select unit, arrayFold(
        (current, event) -> arrayMap(latest -> (latest, ${best}), [${latest}])[1],
        arrayMap(one -> (one.1, one.3, one.4), arraySort(one -> (one.1, one.2), groupArray((at, id, steps, value)))),
        (${none}, ${noAttempt})).2 as best
      from (
        select at, id, arrayJoin(${units}) as unit, [${conditions.join(", ")}] as steps, ${value} as value
        from ${scan.rows(scope)})
      where has(steps, 1)
      group by unit)
    where notEmpty(times)`
}

/** Counts the units that complete the steps in order. */
export async function funnel(
  query: FunnelQuery,
  { scan: newScan, run }: ReportContext,
): Promise<FunnelResult> {
  const scan = newScan()
  const { steps, by } = query
  const columns = steps.map((_, index) => {
    const reached = `length(times) > ${index}`
    const waits = `arraySort(groupArrayIf(times[${index + 1}] - times[${index}], ${reached}))`
    return `(countIf(${reached}), ${index === 0 ? "null" : nearestRank(waits, 50)})`
  })
  const rows = await run<[string | null, ...[units: number, median: number | null][]]>(
    scan,
    `select value, ${columns.join(", ")} from (${attempts(query, scan)}) group by value`,
  )
  const groups = rows.map(([value, ...reached]) => ({
    by: value === null ? null : unmarkSurrogates(value),
    steps: reached.map(([units, median]) => ({ units, median })),
  }))
  if (!by && groups.length === 0)
    groups.push({ by: null, steps: steps.map(() => ({ units: 0, median: null })) })
  const started = ({ steps: [first] }: (typeof groups)[number]) => first?.units ?? 0
  return { groups: groups.sort((a, b) => started(b) - started(a) || compareTexts(a.by, b.by)) }
}

/**
 * Returns a subquery with the units in a retention table. `first`: the bucket with the unit's first start event.
 * `returns`: the buckets with its return events. A bucket is identified by its start.
 */
function members({ scope, startEvent, returnEvent, granularity, unit }: RetentionQuery, scan: Scan): string {
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
  const [isStart, isReturn] = [scan.step(startEvent), scan.step(returnEvent)]
  const units = scan.units(unit)
  return `
    select unit, minIf(bucket, isStart) as first, groupUniqArrayIf(bucket, isReturn) as returns
    from (
      select arrayJoin(${units}) as unit, ${scan.bucketOf("at", buckets)} as bucket, ${isStart} as isStart, ${isReturn} as isReturn
      from ${scan.rows(scope)})
    where isStart or isReturn
    group by unit
    having max(isStart) = 1`
}

/** Counts the units in each cohort, and the units that return in each bucket. */
export async function retention(
  query: RetentionQuery,
  { scan: newScan, run }: ReportContext,
): Promise<RetentionResult> {
  const { scope, granularity } = query
  const scan = newScan()
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
  const cohorts = buckets.map((_, index) => ({
    size: 0,
    returned: new Array<number>(buckets.length - index).fill(0),
  }))
  // A row counts the units of a cohort that return in the bucket `start`. If `start` is null, it counts all units of
  // the cohort.
  const rows = await run<[number, number | null, number]>(
    scan,
    `select first, arrayJoin(arrayPushFront(arrayMap(start -> toNullable(start), arrayFilter(start -> start >= first, returns)), null)) as start, count()
    from (${members(query, scan)})
    group by first, start`,
  )
  for (const [first, start, count] of rows) {
    const index = bucketAt(buckets, first)
    const cohort = cohorts[index]
    if (!cohort) continue
    if (start === null) cohort.size = count
    else cohort.returned[bucketAt(buckets, start) - index] = count
  }
  return { buckets, cohorts }
}

/** Returns a subquery with the units behind a number in a report. */
export function countedUnits(of: ReportCount, scan: Scan): string {
  if ("step" in of) {
    const { query, step, isDropOff, value } = of
    const reached = isDropOff ? `length(times) = ${step + 1}` : `length(times) > ${step}`
    const isValue =
      value === undefined
        ? "1"
        : value === null
          ? "isNull(value)"
          : `ifNull(value = ${scan.bind("String", value)}, 0)`
    return `select unit from (${attempts(query, scan)}) where ${reached} and ${isValue}`
  }
  const { query, cohort, period } = of
  const { scope, granularity } = query
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
  const [first, returned] = [buckets[cohort], period === undefined ? undefined : buckets[cohort + period]]
  // There is no such cohort or period.
  if (!first || (period !== undefined && !returned)) return "select '' where 0"
  const isReturned = returned ? `has(returns, ${scan.bind("Int64", returned.from)})` : "1"
  return `select unit from (${members(query, scan)}) where first = ${scan.bind("Int64", first.from)} and ${isReturned}`
}

/** Counts the events that precede and follow an event in the same session, by position, name and page. */
export async function paths(
  { scope, event, before, after }: PathsQuery,
  { scan: newScan, run }: ReportContext,
): Promise<PathsResult> {
  const scan = newScan()
  const isStep = `toUInt8(${scan.step(event)})`
  const page = "if(kind = 'page_view', toNullable(ifNull(path, '')), null)"
  const centered = `
    select arraySort(one -> (one.1, one.2), groupArray((at, id, toNullable(toString(name)), ${page}, ${isStep}))) as events,
      arrayFirstIndex(one -> one.5 = 1, events) as center
    from ${scan.rows(scope)}
    where isNotNull(session_id)
    group by session_id
    having center > 0`
  // The positions just before the first event and just after the last event of a session have no name. They stand for
  // the start and the end of the session. Positions further out are left out. At position 0, the name is left out too,
  // so that its count is the number of sessions.
  const places = `
    arrayMap(
      position -> (
        position,
        if(position != 0 and center + position between 1 and length(events), events[center + position].3, null),
        if(position != 0 and center + position between 1 and length(events), events[center + position].4, null)),
      arrayFilter(position -> center + position between 0 and length(events) + 1, range(-${before}, ${after + 1})))`
  const rows = await run<[number, string | null, string | null, number]>(
    scan,
    `select place.1 as position, place.2 as name, place.3 as page, count()
    from (select arrayJoin(${places}) as place from (${centered}))
    group by position, name, page`,
  )
  const positions = rows.map(([position, name, page, count]) => ({ position, name, page, count }))
  const sessions = positions.find(({ position }) => position === 0)?.count ?? 0
  return {
    sessions,
    positions: positions
      .filter(({ position }) => position !== 0)
      .sort(
        (a, b) =>
          a.position - b.position ||
          b.count - a.count ||
          compareTexts(a.name, b.name) ||
          compareTexts(a.page, b.page),
      ),
  }
}
