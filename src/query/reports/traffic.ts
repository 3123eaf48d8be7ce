import { dayMs } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import { groups } from "../aggregate/groups.ts"
import {
  type AggregateSource,
  type Finalizer,
  gridMs,
  PartialAggregates,
} from "../aggregate/partial-aggregates.ts"
import type { Dimension } from "../fields.ts"
import type { GroupsQuery, Scope, TrafficGroup, TrafficQuery, TrafficResult } from "../query.ts"
import type { Narrowed } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { CrossingSessions } from "./crossing-sessions.ts"
import { sessionLookBack } from "./page-sessions.ts"
import { entriesOf } from "./step.ts"
import { type TrafficCounts, trafficGroupBytes } from "./traffic-counts.ts"
import { isSessionFilter, isView, TrafficScan } from "./traffic-scan.ts"

/** Computes page views, visitors and sessions (see `TrafficQuery`). */
export function* traffic(
  query: TrafficQuery,
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, TrafficResult> {
  const { by, scope } = query
  if (by?.view === "each" && !scope.filters.some(isSessionFilter))
    return yield* trafficOfViews(scope, by.fields, source, budget)
  // The counts of crossing sessions are not cached. Therefore, the whole result is cached if there are no unsealed
  // events.
  if (source.days.some((day) => day.exceedsMemory || day.inRows().length > 0))
    return yield* computeTraffic(query, source, budget)
  const key = `traffic ${JSON.stringify(query)}`
  const state = source.days.map((day) => `${day.day} ${day.state}`).join(" ")
  const known = source.cache.find<TrafficResult>(key, state)
  if (known) {
    source.usedCache = true
    return known
  }
  const { value, cost } = yield* source.cache.measure(computeTraffic(query, source, budget))
  const rows = value.groups.length + value.buckets.length
  source.cache.put(key, state, value, { bytes: rows * trafficGroupBytes, cost })
  return value
}

/** Counts page views by their own fields. These counts do not depend on sessions, so a groups query suffices. */
function* trafficOfViews(
  scope: Scope,
  by: readonly Dimension[],
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, TrafficResult> {
  const viewQuery: GroupsQuery = {
    kind: "groups",
    // The kinds in the scope only determine which events the snapshot contains, so page views need a filter.
    scope: { ...scope, filters: [...scope.filters, isView] },
    by,
    measures: ["events", "users", "sessions"],
  }
  const { buckets, groups: rows } = yield* groups(viewQuery, source, budget)
  return {
    buckets,
    groups: rows.map(({ by: values, bucket, values: [views, visitors, sessions] }) => ({
      by: values,
      bucket,
      views: views ?? 0,
      visitors: visitors ?? 0,
      sessions: sessions ?? 0,
      bounces: 0,
      medianDuration: null,
    })),
  }
}

function* computeTraffic(
  query: TrafficQuery,
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, TrafficResult> {
  const { from } = query.scope
  const scan = new TrafficScan(query, source, budget)
  // Counts are not cached if their range moves with the clock, or if the texts of IDs must still be looked up.
  const isCacheable = !scan.hasIds && from % gridMs === 0
  const crossing = isCacheable ? yield* CrossingSessions.find(source, budget) : undefined
  const groups = yield* crossing
    ? cachedTraffic(query, source, crossing, budget)
    : scannedTraffic(scan, source, budget)
  return { buckets: [...scan.buckets], groups }
}

/** Counts all events by scanning them. */
function* scannedTraffic(
  scan: TrafficScan,
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, TrafficGroup[]> {
  const counts = scan.counts(budget)
  yield* scan.count(counts, () => batchesOf(scan, source))
  return yield* scan.rows(counts)
}

function* batchesOf({ snapshotMatcher }: TrafficScan, source: Snapshot): Generator<Narrowed> {
  for (const entry of entriesOf(source, snapshotMatcher)) {
    const batch = source.open(entry)
    const selection = batch && snapshotMatcher.select(batch)
    if (batch && selection) yield { batch, selection }
  }
}

/**
 * Adds the crossing sessions and the unsealed events to the counts of all other sessions. These counts are cached by
 * day.
 */
function* cachedTraffic(
  query: TrafficQuery,
  source: Snapshot,
  crossing: CrossingSessions,
  budget: MemoryBudget,
): Generator<void, TrafficGroup[]> {
  const { from, to } = query.scope
  const scan = new TrafficScan(query, source, budget, crossing)
  const days = crossing.days((day) => ((day + 1) * dayMs > to && to % gridMs !== 0 ? String(to) : ""))
  const part: AggregateSource = {
    days,
    cache: source.cache,
    span: source.span,
    open: (entry) => source.open(entry),
    join: (slices) => source.join(slices),
    get usedCache() {
      return source.usedCache
    },
    set usedCache(used) {
      source.usedCache = used
    },
  }
  const partials = new PartialAggregates(part, scan.snapshotMatcher, scan, budget)
  // Uses whole days, because a session must not be split.
  const range = {
    from: Math.floor((from - sessionLookBack) / dayMs) * dayMs,
    to: Math.ceil(to / dayMs) * dayMs,
  }
  const rows: Finalizer<TrafficCounts, TrafficGroup[]> = {
    key: "traffic",
    finalize: (counts) => counts.rows(scan.buckets),
    bytesOf: (groups) => groups.length * trafficGroupBytes,
  }
  return (yield* partials.compute(range, rows)) ?? []
}
