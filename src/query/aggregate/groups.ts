import type { Snapshot } from "../../columns/snapshot.ts"
import type {
  Bucket,
  Filter,
  Group,
  GroupKey,
  GroupsPage,
  GroupsQuery,
  GroupsResult,
  Measure,
  Values,
} from "../query.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { NumberDictionaries } from "../structures/number-dictionary.ts"
import { relativeChange, weightedChange } from "../structures/statistics.ts"
import { bucketsOf } from "../structures/time-zone.ts"
import { groupsPerStep } from "./group-table.ts"
import { measurementOf } from "./measures.ts"
import type { TimeRange } from "./partial-aggregates.ts"
import { scanGroups } from "./scan.ts"

/** Computes measures by dimensions and time. */
export function* groups(
  query: GroupsQuery,
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, GroupsResult> {
  const { scope, granularity, by, measures, page, only } = query
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
  if (page) return { ...(yield* pageOf(query, page, source, budget)), buckets }
  const found = yield* only
    ? selectedGroups(query, only, buckets, source, budget)
    : scanGroups(query, buckets, source, budget)
  if (by.length === 0 && !granularity && found.length === 0)
    found.push({ by: [], bucket: 0, values: emptyValues(measures, source, budget) })
  return { groups: found, buckets }
}

/**
 * Returns a page of sorted groups. Measures that sorting does not need are computed only for the groups of
 * the page, if that is less work.
 */
function* pageOf(
  query: GroupsQuery,
  page: GroupsPage,
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, Omit<GroupsResult, "buckets">> {
  const { by, measures } = query
  const { order, offset, limit, previous } = page
  const ordering = orderingMeasure(order) ?? 0
  const needed = [...new Set([0, ordering])]
  // Measures of properties take longer than all others together, and would be computed twice.
  const hasPropertyMeasures = needed.some((index) => typeof measures[index] === "object")
  const hasAllMeasures =
    hasPropertyMeasures || !by.includes("event_name") || measures.every((_, index) => needed.includes(index))
  const counted = hasAllMeasures ? measures : needed.map((index) => measures[index] as Measure)
  const partBudget = budget.child()
  const scanned = { ...query, measures: counted }
  const found = yield* scanPeriod(scanned, source, partBudget)
  const previousValues =
    previous &&
    (yield* addPrevious(
      found,
      yield* scanPeriod(during(scanned, previous), source, partBudget),
      emptyValues(counted, source, partBudget),
    ))
  const totals = {
    groups: found.length,
    sum: found.reduce((sum, { values: [first] }) => sum + (first ?? 0), 0),
  }
  const inOrder = pageOrder(page, hasAllMeasures ? ordering : needed.indexOf(ordering), previousValues)
  const listed = (yield* firstOf(found, offset + limit, inOrder)).slice(offset)
  partBudget.release()
  if (hasAllMeasures) {
    if (!previousValues) return { groups: listed, totals }
    return { groups: listed, totals, previous: listed.map((group) => previousValues.get(group) ?? []) }
  }
  const isSelective = listed.length * 2 <= found.length
  const empty = emptyValues(measures, source, budget)
  function* valuesIn(period: GroupsQuery): Generator<void, Values[]> {
    const groups = yield* isSelective
      ? selectedGroups(
          period,
          listed.map(({ by }) => by),
          [bucketOf(period.scope)],
          source,
          budget,
        )
      : scanPeriod(period, source, budget)
    const valuesByKey = new Map(groups.map(({ by, values }) => [keyOf(by), values]))
    return listed.map(({ by }) => valuesByKey.get(keyOf(by)) ?? empty)
  }
  const values = yield* valuesIn(query)
  return {
    groups: listed.map((group, index) => ({ ...group, values: [...(values[index] ?? empty)] })),
    totals,
    ...(previous ? { previous: yield* valuesIn(during(query, previous)) } : {}),
  }
}

/** The index of the measure that a page is sorted by. */
function orderingMeasure(order: GroupsPage["order"]): number | undefined {
  if ("by" in order) return undefined
  if ("measure" in order) return order.measure
  return "change" in order ? order.change : order.weightedChange
}

/** Scans a query without granularity. */
function scanPeriod(query: GroupsQuery, source: Snapshot, budget: MemoryBudget): Generator<void, Group[]> {
  return scanGroups(query, [bucketOf(query.scope)], source, budget)
}

function bucketOf({ from, to }: TimeRange): Bucket {
  return { from, to, label: "" }
}

/** The same query for another period. */
function during(query: GroupsQuery, { from, to }: TimeRange): GroupsQuery {
  return { ...query, scope: { ...query.scope, from, to } }
}

/** Adds to `found` the groups that only the previous period has. Returns the previous values of each group. */
function* addPrevious(
  found: Group[],
  previous: readonly Group[],
  empty: (number | null)[],
): Generator<void, ReadonlyMap<Group, Values>> {
  const previousByKey = new Map<string, Group>()
  for (const [index, group] of previous.entries()) {
    previousByKey.set(keyOf(group.by), group)
    if (index % groupsPerStep === 0) yield
  }
  const values = new Map<Group, Values>()
  for (const [index, group] of found.entries()) {
    if (index % groupsPerStep === 0) yield
    const key = keyOf(group.by)
    values.set(group, previousByKey.get(key)?.values ?? empty)
    previousByKey.delete(key)
  }
  for (const { by, values: last } of previousByKey.values()) {
    const group: Group = { by, bucket: 0, values: empty }
    found.push(group)
    values.set(group, last)
  }
  return values
}

/** Returns the comparator for the groups of a page. `index`: the measure to sort by. */
function pageOrder(
  { order, descending }: GroupsPage,
  index: number,
  previous: ReadonlyMap<Group, Values> | undefined,
): (left: Group, right: Group) => number {
  if ("by" in order) {
    const fieldOf = ({ by }: Group) => by[order.by] ?? null
    return (left, right) =>
      compare(fieldOf(left), fieldOf(right), descending) || compareAll(left.by, right.by)
  }
  const now = ({ values }: Group) => values[index] ?? null
  const before = (group: Group) => previous?.get(group)?.[index] ?? null
  const changeOf = "weightedChange" in order ? weightedChange : relativeChange
  const [first, second] =
    "measure" in order
      ? [now, before]
      : [
          (group: Group) => changeOf(now(group) ?? 0, before(group) ?? 0),
          (group: Group) => (now(group) ?? 0) - (before(group) ?? 0),
        ]
  return (left, right) =>
    compare(first(left), first(right), descending) ||
    compare(second(left), second(right), descending) ||
    compareAll(left.by, right.by)
}

/** The first `count` groups in sorted order. Sorts a few at a time, because sorting 200,000 groups takes 300 ms. */
function* firstOf(
  groups: readonly Group[],
  count: number,
  order: (left: Group, right: Group) => number,
): Generator<void, Group[]> {
  let first: Group[] = []
  for (let at = 0; at < groups.length; at += groupsPerStep) {
    const last = first.length >= count ? first[count - 1] : undefined
    const some = groups.slice(at, at + groupsPerStep).filter((group) => !last || order(group, last) < 0)
    if (some.length > 0) first = [...first, ...some].sort(order).slice(0, count)
    yield
  }
  return first
}

function keyOf(by: GroupKey): string {
  return JSON.stringify(by)
}

/** Compares numbers, or texts by UTF-16 units. Null sorts last. */
function compare<Value extends number | string>(
  left: Value | null,
  right: Value | null,
  down: boolean,
): number {
  if (left === right) return 0
  if (left === null || right === null) return left === null ? 1 : -1
  return left < right === down ? 1 : -1
}

function compareAll(left: GroupKey, right: GroupKey): number {
  for (const [index, value] of left.entries()) {
    const order = compare(value, right[index] ?? null, false)
    if (order !== 0) return order
  }
  return 0
}

/**
 * Computes only the groups in `only`. Aggregates and caches each name separately, because each new event can
 * change which names a page shows.
 */
function* selectedGroups(
  query: GroupsQuery,
  only: readonly GroupKey[],
  buckets: Bucket[],
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, Group[]> {
  const { scope, by } = query
  const selectedKeys = new Set(only.map((key) => keyOf(key)))
  const index = by.indexOf("event_name")
  const found: Group[] = []
  const add = (groups: Group[]) => {
    for (const group of groups) if (selectedKeys.has(keyOf(group.by))) found.push(group)
  }
  if (index < 0) add(yield* scanGroups(query, buckets, source, budget))
  else {
    const others = by.filter((dimension) => dimension !== "event_name")
    for (const name of new Set(only.map((by) => by[index]))) {
      if (name === null || name === undefined) continue
      const filters: Filter[] = [...scope.filters, { field: "event_name", op: "eq", value: name }]
      const nameGroups = yield* scanGroups(
        { ...query, scope: { ...scope, filters }, by: others },
        buckets,
        source,
        budget,
      )
      add(
        nameGroups.map((group) => {
          const values = [...group.by]
          return {
            ...group,
            by: by.map((dimension) => (dimension === "event_name" ? name : (values.shift() ?? null))),
          }
        }),
      )
    }
  }
  return found
}

/** Returns the value of each measure if there are no events. */
function emptyValues(
  measures: readonly Measure[],
  { dictionarySizes, stamps }: Snapshot,
  budget: MemoryBudget,
): (number | null)[] {
  const numbers = new NumberDictionaries(budget)
  const context = { dictionarySizes, stamps, numbers, hasManyGroups: false }
  return measures.map((measure) => {
    const measurement = measurementOf(measure, context, budget)
    measurement.grow()
    return measurement.value(0)
  })
}
