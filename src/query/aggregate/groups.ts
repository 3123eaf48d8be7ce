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
} from "../query.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { bucketsOf } from "../structures/time-zone.ts"
import { groupsPerStep } from "./group-table.ts"
import { measurementOf } from "./measures.ts"
import { scanGroups } from "./scan.ts"

/** Computes measures by dimensions and time. */
export function* groups(
  query: GroupsQuery,
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, GroupsResult> {
  const { scope, granularity, by, measures, page, only } = query
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
  if (page) return { ...(yield* pageOf(query, page, buckets, source, budget)), buckets }
  const found = yield* only
    ? selectedGroups(query, only, buckets, source, budget)
    : scanGroups(query, buckets, source, budget)
  if (by.length === 0 && !granularity && found.length === 0)
    found.push({ by: [], bucket: 0, values: emptyValues(measures, source, budget) })
  return { groups: found, buckets }
}

/**
 * Returns a page of sorted groups. Measures that the order does not need are computed only for the groups of
 * the page if that is less work.
 */
function* pageOf(
  query: GroupsQuery,
  { order, descending: down, offset, limit }: GroupsPage,
  buckets: Bucket[],
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, Pick<GroupsResult, "groups" | "totals">> {
  const { by, measures } = query
  const ordering = "measure" in order ? order.measure : 0
  const needed = [...new Set([0, ordering])]
  // Numbers of a property take longer than all other measures together, and would be counted twice.
  const hasNumbers = needed.some((index) => typeof measures[index] === "object")
  const hasAllMeasures =
    hasNumbers || !by.includes("event_name") || measures.every((_, index) => needed.includes(index))
  const counted = hasAllMeasures ? measures : needed.map((index) => measures[index] as Measure)
  const partBudget = budget.child()
  const found = yield* scanGroups({ ...query, measures: counted }, buckets, source, partBudget)
  const index = hasAllMeasures ? ordering : needed.indexOf(ordering)
  const placed = ({ by, values }: Group) => ("by" in order ? by[order.by] : values[index]) ?? null
  const all = { groups: found.length, sum: found.reduce((sum, { values: [first] }) => sum + (first ?? 0), 0) }
  const inOrder = (left: Group, right: Group) =>
    compare(placed(left), placed(right), down) || compareAll(left.by, right.by)
  const listed = (yield* firstOf(found, offset + limit, inOrder)).slice(offset)
  partBudget.release()
  if (hasAllMeasures) return { groups: listed, totals: all }
  const isSelective = listed.length * 2 <= found.length
  const groups = yield* isSelective
    ? selectedGroups(
        query,
        listed.map(({ by }) => by),
        buckets,
        source,
        budget,
      )
    : scanGroups(query, buckets, source, budget)
  const byKey = new Map(groups.map((group) => [keyOf(group.by), group]))
  return { groups: listed.flatMap(({ by }) => byKey.get(keyOf(by)) ?? []), totals: all }
}

/** The first `count` groups in an order, sorted. Sorts a few at a time, because sorting 200,000 groups takes 300 ms. */
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
 * Computes only the groups in `only`. Aggregates and caches each name separately, because each event can
 * change which names a page needs.
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
      const ofName = yield* scanGroups(
        { ...query, scope: { ...scope, filters }, by: others },
        buckets,
        source,
        budget,
      )
      add(
        ofName.map((group) => {
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
  { numbers, stamps }: Snapshot,
  budget: MemoryBudget,
): (number | null)[] {
  return measures.map((measure) => {
    const measurement = measurementOf(measure, { numbers, stamps, hasManyGroups: false }, budget)
    measurement.grow()
    return measurement.value(0)
  })
}
