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
import { bucketsOf } from "../structures/zone.ts"
import { measurementOf } from "./measures.ts"
import { scanGroups } from "./scan.ts"

/** Measures by dimensions and time. */
export function* groups(
  question: GroupsQuery,
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, GroupsResult> {
  const { scope, granularity, by, measures, page, only } = question
  const buckets: Bucket[] = granularity
    ? bucketsOf(scope.from, scope.to, scope.zone, granularity)
    : [{ from: scope.from, to: scope.to, label: "" }]
  if (page) return { ...(yield* pageOf(question, page, buckets, source, budget)), buckets }
  const found = yield* only
    ? some(question, only, buckets, source, budget)
    : scanGroups(question, buckets, source, budget)
  if (by.length === 0 && !granularity && found.length === 0)
    found.push({ by: [], bucket: 0, values: nothing(measures, source, budget) })
  return { groups: found, buckets }
}

/** Some groups in their order. Measures that the order does not need are counted of few groups alone, where that is less to count. */
function* pageOf(
  question: GroupsQuery,
  { order, descending: down, offset, limit }: GroupsPage,
  buckets: Bucket[],
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, Pick<GroupsResult, "groups" | "totals">> {
  const { by, measures } = question
  const ordering = "measure" in order ? order.measure : 0
  const needed = [...new Set([0, ordering])]
  const isAll = !by.includes("event_name") || measures.every((_, place) => needed.includes(place))
  const counted = isAll ? measures : needed.map((place) => measures[place] as Measure)
  const own = budget.child()
  const found = yield* scanGroups({ ...question, measures: counted }, buckets, source, own)
  const place = isAll ? ordering : needed.indexOf(ordering)
  const placed = ({ by, values }: Group) => ("by" in order ? by[order.by] : values[place]) ?? null
  found.sort((one, other) => compare(placed(one), placed(other), down) || compareAll(one.by, other.by))
  const all = { groups: found.length, sum: found.reduce((sum, { values: [first] }) => sum + (first ?? 0), 0) }
  const listed = found.slice(offset, offset + limit)
  own.release()
  if (isAll) return { groups: listed, totals: all }
  const isFew = listed.length * 2 <= found.length
  const groups = yield* isFew
    ? some(
        question,
        listed.map(({ by }) => by),
        buckets,
        source,
        budget,
      )
    : scanGroups(question, buckets, source, budget)
  const byKey = new Map(groups.map((group) => [keyOf(group.by), group]))
  return { groups: listed.flatMap(({ by }) => byKey.get(keyOf(by)) ?? []), totals: all }
}

function keyOf(by: GroupKey): string {
  return JSON.stringify(by)
}

/** Numbers by size, texts by their UTF-16 units; what is missing comes last. */
function compare<Value extends number | string>(
  one: Value | null,
  other: Value | null,
  down: boolean,
): number {
  if (one === other) return 0
  if (one === null || other === null) return one === null ? 1 : -1
  return one < other === down ? 1 : -1
}

function compareAll(one: GroupKey, other: GroupKey): number {
  for (const [place, value] of one.entries()) {
    const order = compare(value, other[place] ?? null, false)
    if (order !== 0) return order
  }
  return 0
}

/** Of some groups. Those of each name are counted, and kept, for themselves: which names are wanted may change with each event. */
function* some(
  question: GroupsQuery,
  only: readonly GroupKey[],
  buckets: Bucket[],
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, Group[]> {
  const { scope, by } = question
  const wanted = new Set(only.map((one) => keyOf(one)))
  const place = by.indexOf("event_name")
  const found: Group[] = []
  const add = (groups: Group[]) => {
    for (const group of groups) if (wanted.has(keyOf(group.by))) found.push(group)
  }
  if (place < 0) add(yield* scanGroups(question, buckets, source, budget))
  else {
    const others = by.filter((dimension) => dimension !== "event_name")
    for (const name of new Set(only.map((one) => one[place]))) {
      if (name === null || name === undefined) continue
      const filters: Filter[] = [...scope.filters, { field: "event_name", op: "eq", value: name }]
      const ofName = yield* scanGroups(
        { ...question, scope: { ...scope, filters }, by: others },
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

/** What measures are where there are no events. */
function nothing(
  measures: readonly Measure[],
  { numbers }: Snapshot,
  budget: MemoryBudget,
): (number | null)[] {
  return measures.map((measure) => {
    const measurement = measurementOf(measure, numbers, budget)
    measurement.grow()
    return measurement.value(0)
  })
}
