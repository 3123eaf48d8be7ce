import { StaleBlockError } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import { SnapshotReader } from "../../columns/snapshot-reader.ts"
import { runToEnd } from "../../steps.ts"
import type { Db } from "../../store/db/driver.ts"
import { groups } from "../aggregate/groups.ts"
import { operators } from "../operators.ts"
import type { Filter, Query, QueryResults, QueryStatistics, ResultOf, Scope } from "../query.ts"
import { events } from "../reports/events.ts"
import { funnel } from "../reports/funnel.ts"
import { sessionLookBack } from "../reports/page-sessions.ts"
import { paths } from "../reports/paths.ts"
import { reach } from "../reports/reach.ts"
import { retention } from "../reports/retention.ts"
import { sessions } from "../reports/sessions.ts"
import { traffic } from "../reports/traffic.ts"
import { values } from "../reports/values.ts"
import { visitors } from "../reports/visitors.ts"
import { idTextTest, kindOf } from "../scan/matcher.ts"
import { MemoryBudget } from "../structures/memory-budget.ts"

export interface QueryOutcome<Q extends Query> {
  result: ResultOf<Q>
  statistics: Omit<QueryStatistics, "ms">
}

/** Default memory budget of one query in bytes, not including the columns that the query reads. */
export const defaultMemory = 268_435_456
/** Maximum number of attempts if blocks are replaced while a query runs. */
const maxAttempts = 20
const staleMessage = `events were deleted or moved to new blocks during all ${maxAttempts} attempts to run the query: run it again`

/**
 * Executes a query in steps of a few ms. To cancel the query, stop resuming the generator. At the end, only the memory
 * of the result is still reserved. Throws OutOfMemoryBudgetError if the budget is too small.
 */
export function* executeQuery<Q extends Query>(
  reader: SnapshotReader,
  query: Q,
  budget: MemoryBudget = new MemoryBudget(defaultMemory),
): Generator<void, QueryOutcome<Q>> {
  for (let attempt = 1; ; attempt++) {
    const scratch = budget.child()
    let outcome: QueryOutcome<Q>
    try {
      outcome = yield* executeOnce(reader, query, scratch)
    } catch (error) {
      if (!(error instanceof StaleBlockError)) throw error
      if (attempt === maxAttempts) throw new Error(staleMessage, { cause: error })
      continue
    } finally {
      scratch.release()
    }
    budget.reserve(bytesOf(outcome.result))
    return outcome
  }
}

/** Executes a query without pauses. `memory` is in bytes. */
export function executeQuerySync<Q extends Query>(db: Db, query: Q, memory = defaultMemory): QueryOutcome<Q> {
  return runToEnd(executeQuery(new SnapshotReader(db), query, new MemoryBudget(memory)))
}

function* executeOnce<Q extends Query>(
  reader: SnapshotReader,
  query: Q,
  budget: MemoryBudget,
): Generator<void, QueryOutcome<Q>> {
  const snapshot = yield* reader.open(snapshotScope(query))
  const linkedQuery = withLinkedIds(query, snapshot)
  yield* prepareIds(linkedQuery, snapshot)
  const result = yield* cachedReport(linkedQuery, snapshot, budget)
  const { usedCache, counted, blockEvents, rowsRead } = snapshot
  const sources = [
    usedCache && "kept",
    counted && "counts",
    blockEvents > 0 && "blocks",
    rowsRead > 0 && "rows",
  ].filter(Boolean)
  return {
    // The type of the result follows from Q, which TypeScript cannot infer.
    result: result as ResultOf<Q>,
    statistics: { source: sources.join("+") || "blocks", blockEvents, rows: rowsRead },
  }
}

/** Returns the scope of the snapshot that a query needs. Its range can be longer than that of the query. */
export function snapshotScope(query: Query): Scope {
  const { scope } = query
  if (query.kind === "traffic") return { ...scope, from: scope.from - sessionLookBack }
  const previous = query.kind === "groups" ? query.page?.previous : undefined
  if (!previous) return scope
  return { ...scope, from: Math.min(scope.from, previous.from), to: Math.max(scope.to, previous.to) }
}

/** Bytes of a list entry (an object with a few numbers) without its strings. */
const entryBytes = 120

/** Estimates the number of bytes of a result and of the rows created from it. Counts only the lists in the result. */
function bytesOf(result: QueryResults[keyof QueryResults]): number {
  if ("groups" in result)
    return result.groups.length * entryBytes * ("previous" in result && result.previous ? 4 : 3)
  if ("properties" in result)
    return result.properties.reduce((sum, { top }) => sum + (3 + top.length * 2) * entryBytes, 0)
  if ("events" in result)
    return result.events.reduce(
      (sum, { properties }) => sum + entryBytes * 5 + (properties?.length ?? 0) * 4,
      0,
    )
  if ("cohorts" in result) return (result.cohorts.length ** 2 / 2) * entryBytes
  if ("positions" in result) return result.positions.length * entryBytes * 2
  if ("units" in result) return result.units.length * entryBytes
  const { length } = "visitors" in result ? result.visitors : result.sessions
  return length * entryBytes * 5
}

type QueryByKind = { [Q in Query as Q["kind"]]: Q }

const reports: {
  [Kind in Query["kind"]]: (
    query: QueryByKind[Kind],
    snapshot: Snapshot,
    budget: MemoryBudget,
  ) => Generator<void, QueryResults[Kind]>
} = { groups, values, events, funnel, retention, paths, reach, sessions, traffic, visitors }

/** Runs a report, or returns the cached result of the same query for the same blocks. */
function* cachedReport(
  query: Query,
  snapshot: Snapshot,
  budget: MemoryBudget,
): Generator<void, QueryResults[Query["kind"]]> {
  const state = isCacheable(query) ? snapshot.stateOfBlocks() : undefined
  if (state === undefined) return yield* runReport(query.kind, query, snapshot, budget)
  const { cache } = snapshot
  const key = `report ${JSON.stringify(query)}`
  const known = cache.find<QueryResults[Query["kind"]]>(key, state)
  if (known) {
    snapshot.usedCache = true
    return known
  }
  const { value, cost } = yield* cache.measure(runReport(query.kind, query, snapshot, budget))
  cache.put(key, state, value, { bytes: bytesOf(value), cost })
  return value
}

/**
 * True if the result depends only on the query and the events. Other reports cache parts of their results, or read the
 * current links between anonymous IDs and profiles.
 */
function isCacheable(query: Query): boolean {
  return (
    query.kind === "paths" ||
    ((query.kind === "funnel" || query.kind === "retention") && query.unit !== "profile_id")
  )
}

/** Runs the report for a query. Generic in the kind, so that TypeScript knows that the report accepts the query. */
function runReport<Kind extends Query["kind"]>(
  kind: Kind,
  query: QueryByKind[Kind],
  snapshot: Snapshot,
  budget: MemoryBudget,
): Generator<void, QueryResults[Kind]> {
  return reports[kind](query, snapshot, budget)
}

/**
 * Adds the linked IDs to profile filters. The linked IDs thus become part of cache keys, which is necessary because any
 * call to /identify can change them.
 */
function withLinkedIds<Q extends Query>(query: Q, snapshot: Snapshot): Q {
  const { scope } = query
  const of = "of" in query && query.of
  const filters = scope.filters.map((filter): Filter => {
    if (filter.field !== "profile") return filter
    const linked = scope.websites.map(
      (website) => [website, snapshot.linkedIds(website, String(filter.value))] as const,
    )
    return { ...filter, linked }
  })
  return {
    ...query,
    scope: { ...scope, filters },
    ...(of && { of: { ...of, query: withLinkedIds(of.query, snapshot) } }),
  }
}

/** Looks up the IDs in a query's filters, before a matcher needs them. */
function* prepareIds(query: Query, snapshot: Snapshot): Generator<void, void> {
  for (const filter of filtersOf(query)) {
    const kind = kindOf[filter.field]
    const textTest = idTextTest(filter)
    const values = [filter.value].flat().map(String)
    if (textTest) yield* snapshot.find(textTest.kind, textTest)
    else if (kind && operators[filter.op].lookup === "equality") snapshot.assignUnreadIds(kind, values)
    else if (filter.field === "profile") {
      snapshot.assignUnreadIds("profiles", values)
      for (const [, visitors] of filter.linked ?? []) snapshot.assignUnreadIds("visitors", visitors)
    }
  }
}

function filtersOf(query: Query): Filter[] {
  const counted = "of" in query && query.of ? filtersOf(query.of.query) : []
  const steps =
    "steps" in query
      ? query.steps
      : "event" in query
        ? [query.event]
        : "startEvent" in query
          ? [query.startEvent, query.returnEvent]
          : []
  return [...counted, ...[query.scope, ...steps].flatMap(({ filters }) => filters)]
}
