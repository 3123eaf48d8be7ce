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
import { GroupKeys } from "./group-keys.ts"
import type { GroupRows } from "./group-rows.ts"
import { groupsPerStep } from "./group-table.ts"
import { measurementOf } from "./measures.ts"
import type { TimeRange } from "./partial-aggregates.ts"
import { scanGroups } from "./scan.ts"

/** Computes measures of events, grouped by dimensions and time. */
export function* groups(
  query: GroupsQuery,
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, GroupsResult> {
  const { scope, granularity, by, measures, page, only } = query
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
  if (page) return { ...(yield* pageOf(query, page, source, budget)), buckets }
  const found = only
    ? yield* selectedGroups(query, only, buckets, source, budget)
    : [...(yield* scanGroups(query, buckets, source, budget)).groups()]
  if (by.length === 0 && !granularity && found.length === 0)
    found.push({ by: [], bucket: 0, values: emptyValues(measures, source, budget) })
  return { groups: found, buckets }
}

/**
 * Returns one page of the sorted groups. Measures that are not needed for sorting are computed only for the groups on
 * the page if that is less work.
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
  // If a property measure is needed for sorting, all measures are computed at once. Property measures take longer than
  // all others together, and would otherwise be computed twice.
  const hasPropertyMeasures = needed.some((index) => typeof measures[index] === "object")
  const hasAllMeasures =
    hasPropertyMeasures || !by.includes("event_name") || measures.every((_, index) => needed.includes(index))
  const counted = hasAllMeasures ? measures : needed.map((index) => measures[index] as Measure)
  const partBudget = budget.child()
  const scanned = { ...query, measures: counted }
  const found = new ComparedRows(
    yield* scanPeriod(scanned, source, partBudget),
    emptyValues(counted, source, partBudget),
  )
  if (previous) {
    const rows = yield* scanPeriod(during(scanned, previous), source, partBudget)
    partBudget.reserve(rows.bytes)
    yield* found.compare(rows)
  }
  const totals = { groups: found.count, sum: found.sumOfFirst() }
  const inOrder = pageOrder(page, hasAllMeasures ? ordering : needed.indexOf(ordering), found)
  const places = (yield* firstOf(found.count, offset + limit, inOrder)).slice(offset)
  const listed = places.map(
    (place): Group => ({ by: found.byOf(place), bucket: 0, values: found.valuesOf(place) }),
  )
  const previousValues = previous && places.map((place) => found.previousValuesOf(place))
  const isSelective = places.length * 2 <= found.count
  partBudget.release()
  if (hasAllMeasures)
    return { groups: listed, totals, ...(previousValues ? { previous: previousValues } : {}) }
  const empty = emptyValues(measures, source, budget)
  const keys = listed.map(({ by }) => by)
  function* valuesIn(period: GroupsQuery): Generator<void, Values[]> {
    const groups = isSelective
      ? yield* selectedGroups(period, keys, [bucketOf(period.scope)], source, budget)
      : selectedRows(yield* scanPeriod(period, source, budget), keys)
    const valuesByKey = new Map(groups.map(({ by, values }) => [keyOf(by), values]))
    return keys.map((by) => valuesByKey.get(keyOf(by)) ?? empty)
  }
  const values = yield* valuesIn(query)
  return {
    groups: listed.map((group, index) => ({ ...group, values: [...(values[index] ?? empty)] })),
    totals,
    ...(previous ? { previous: yield* valuesIn(during(query, previous)) } : {}),
  }
}

/** Returns the index of the measure that a page is sorted by, or undefined if the page is sorted by a dimension. */
function orderingMeasure(order: GroupsPage["order"]): number | undefined {
  if ("by" in order) return undefined
  if ("measure" in order) return order.measure
  return "change" in order ? order.change : order.weightedChange
}

/** Scans the period of a query without granularity. */
function scanPeriod(query: GroupsQuery, source: Snapshot, budget: MemoryBudget): Generator<void, GroupRows> {
  return scanGroups(query, [bucketOf(query.scope)], source, budget)
}

function bucketOf({ from, to }: TimeRange): Bucket {
  return { from, to, label: "" }
}

/** Returns the same query for a different period. */
function during(query: GroupsQuery, { from, to }: TimeRange): GroupsQuery {
  return { ...query, scope: { ...query.scope, from, to } }
}

/**
 * A list of the groups of a period, followed by the groups that only occur in the previous period. A "place" is an
 * index into this list.
 */
class ComparedRows {
  /**
   * For each place: the row of the same group in the previous period, or undefined if the group does not occur in it.
   * The whole list is undefined if there is no previous period.
   */
  #previousRows: (number | undefined)[] | undefined
  #previous: GroupRows | undefined

  /** `empty` contains the values of a group without events. */
  constructor(
    private readonly rows: GroupRows,
    private readonly empty: Values,
  ) {}

  /** Adds the previous period. */
  *compare(previous: GroupRows): Generator<void, void> {
    const keys = new GroupKeys(previous.dimensions)
    const by: (string | null)[] = []
    for (let row = 0; row < previous.count; row++) {
      if (row % groupsPerStep === 0) yield
      previous.copyTo(by, row)
      keys.add(by, 0)
    }
    const places: (number | undefined)[] = []
    const isKnown = new Uint8Array(previous.count)
    for (let row = 0; row < this.rows.count; row++) {
      if (row % groupsPerStep === 0) yield
      this.rows.copyTo(by, row)
      const known = keys.find(by, 0)
      places.push(known)
      if (known !== undefined) isKnown[known] = 1
    }
    for (let row = 0; row < previous.count; row++) if (isKnown[row] === 0) places.push(row)
    this.#previousRows = places
    this.#previous = previous
  }

  get dimensions(): number {
    return this.rows.dimensions
  }

  get count(): number {
    return this.#previousRows?.length ?? this.rows.count
  }

  fieldOf(place: number, dimension: number): string | null {
    if (place < this.rows.count) return this.rows.fieldOf(place, dimension)
    return this.#previous?.fieldOf(this.#previousRows?.[place] as number, dimension) ?? null
  }

  byOf(place: number): GroupKey {
    return Array.from({ length: this.dimensions }, (_, dimension) => this.fieldOf(place, dimension))
  }

  valueOf(place: number, measure: number): number | null {
    return place < this.rows.count ? this.rows.valueOf(place, measure) : (this.empty[measure] ?? null)
  }

  valuesOf(place: number): (number | null)[] {
    return place < this.rows.count ? this.rows.valuesOf(place) : [...this.empty]
  }

  previousValueOf(place: number, measure: number): number | null {
    const row = this.#previousRows?.[place]
    if (row === undefined || !this.#previous) return this.#previous ? (this.empty[measure] ?? null) : null
    return this.#previous.valueOf(row, measure)
  }

  previousValuesOf(place: number): Values {
    const row = this.#previousRows?.[place]
    return row === undefined ? this.empty : (this.#previous?.valuesOf(row) ?? this.empty)
  }

  sumOfFirst(): number {
    let sum = 0
    for (let row = 0; row < this.rows.count; row++) sum += this.rows.valueOf(row, 0) ?? 0
    return sum + (this.count - this.rows.count) * (this.empty[0] ?? 0)
  }
}

/** Returns a comparator for the places of a page. `index` is the measure to sort by. */
function pageOrder(
  { order, descending }: GroupsPage,
  index: number,
  rows: ComparedRows,
): (left: number, right: number) => number {
  // If there are many groups, most have the same count, so this function is called millions of times and must not
  // create objects.
  const compareKeys = (left: number, right: number) => {
    for (let dimension = 0; dimension < rows.dimensions; dimension++) {
      const order = compare(rows.fieldOf(left, dimension), rows.fieldOf(right, dimension), false)
      if (order !== 0) return order
    }
    return 0
  }
  if ("by" in order) {
    return (left, right) =>
      compare(rows.fieldOf(left, order.by), rows.fieldOf(right, order.by), descending) ||
      compareKeys(left, right)
  }
  const now = (place: number) => rows.valueOf(place, index)
  const before = (place: number) => rows.previousValueOf(place, index)
  const changeOf = "weightedChange" in order ? weightedChange : relativeChange
  const [first, second] =
    "measure" in order
      ? [now, before]
      : [
          (place: number) => changeOf(now(place) ?? 0, before(place) ?? 0),
          (place: number) => (now(place) ?? 0) - (before(place) ?? 0),
        ]
  return (left, right) =>
    compare(first(left), first(right), descending) ||
    compare(second(left), second(right), descending) ||
    compareKeys(left, right)
}

/**
 * Returns the first `limit` of `count` places in sorted order. Sorts in small parts, because sorting 200,000 places at
 * once takes 300 ms.
 */
function* firstOf(
  count: number,
  limit: number,
  order: (left: number, right: number) => number,
): Generator<void, number[]> {
  let first: number[] = []
  for (let at = 0; at < count; at += groupsPerStep) {
    const last = first.length >= limit ? first[limit - 1] : undefined
    const some: number[] = []
    for (let place = at; place < Math.min(count, at + groupsPerStep); place++)
      if (last === undefined || order(place, last) < 0) some.push(place)
    if (some.length > 0) first = mergeSorted(first, some.sort(order), limit, order)
    yield
  }
  return first
}

/** Merges two sorted lists, and returns the first `limit` items. */
function mergeSorted<Item>(
  left: readonly Item[],
  right: readonly Item[],
  limit: number,
  order: (left: Item, right: Item) => number,
): Item[] {
  const merged: Item[] = []
  let [leftAt, rightAt] = [0, 0]
  while (merged.length < limit && leftAt < left.length && rightAt < right.length) {
    const one = left[leftAt] as Item
    const other = right[rightAt] as Item
    if (order(other, one) < 0) {
      merged.push(other)
      rightAt++
    } else {
      merged.push(one)
      leftAt++
    }
  }
  // Adds the rest of the other list once one list has ended, up to the limit.
  for (const rest of [left.slice(leftAt), right.slice(rightAt)])
    for (const item of rest.slice(0, limit - merged.length)) merged.push(item)
  return merged
}

function keyOf(by: GroupKey): string {
  return JSON.stringify(by)
}

/** Compares numbers by value, and strings by UTF-16 code unit. Null sorts last. */
function compare<Value extends number | string>(
  left: Value | null,
  right: Value | null,
  down: boolean,
): number {
  if (left === right) return 0
  if (left === null || right === null) return left === null ? 1 : -1
  return left < right === down ? 1 : -1
}

/**
 * Computes only the groups in `only`. Each name is aggregated and cached separately, because any new event can change
 * which names are on a page.
 */
function* selectedGroups(
  query: GroupsQuery,
  only: readonly GroupKey[],
  buckets: Bucket[],
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, Group[]> {
  const { scope, by } = query
  const index = by.indexOf("event_name")
  if (index < 0) return selectedRows(yield* scanGroups(query, buckets, source, budget), only)
  const found: Group[] = []
  const others = by.filter((dimension) => dimension !== "event_name")
  for (const [name, keys] of Map.groupBy(only, (by) => by[index])) {
    if (name === null || name === undefined) continue
    const filters: Filter[] = [...scope.filters, { field: "event_name", op: "eq", value: name }]
    const nameGroups = yield* scanGroups(
      { ...query, scope: { ...scope, filters }, by: others },
      buckets,
      source,
      budget,
    )
    const otherKeys = keys.map((key) => key.filter((_, place) => by[place] !== "event_name"))
    for (const group of selectedRows(nameGroups, otherKeys)) {
      const values = group.by.values()
      const restored = by.map((dimension) =>
        dimension === "event_name" ? name : (values.next().value ?? null),
      )
      found.push({ ...group, by: restored })
    }
  }
  return found
}

/** Returns the rows of the groups in `only`, in the order of `rows`. */
function selectedRows(rows: GroupRows, only: readonly GroupKey[]): Group[] {
  const keys = new GroupKeys(rows.dimensions)
  for (const by of only) if (keys.find(by, 0) === undefined) keys.add(by, 0)
  const found: Group[] = []
  const by: (string | null)[] = []
  for (let row = 0; row < rows.count; row++) {
    rows.copyTo(by, row)
    if (keys.find(by, 0) !== undefined) found.push(rows.groupOf(row))
  }
  return found
}

/** Returns the value that each measure has if there are no events. */
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
