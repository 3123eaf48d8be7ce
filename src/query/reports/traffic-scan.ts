import type { Batch } from "../../columns/batch.ts"
import type { Entry, Snapshot } from "../../columns/snapshot.ts"
import { contextFields } from "../../store/contexts.ts"
import { type Aggregation, gridMs, type TimeRange } from "../aggregate/partial-aggregates.ts"
import type { Bucket, Filter, GroupKey, TrafficGroup, TrafficQuery } from "../query.ts"
import { kindOf, Matcher, type Narrowed } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { NumberDictionaries } from "../structures/number-dictionary.ts"
import {
  forEachEvent,
  indexAt,
  intersect,
  type Selection,
  sizeOf,
  timeRange,
} from "../structures/selection.ts"
import { bucketAt, bucketsOf } from "../structures/time-zone.ts"
import type { CrossingSessions } from "./crossing-sessions.ts"
import { GroupCodes } from "./dimension-codes.ts"
import { PageSessions, SessionSlots, sessionLookBack } from "./page-sessions.ts"
import { TrafficCounts, type TrafficMeasures } from "./traffic-counts.ts"

/** Returns true if a filter selects sessions by their first view. */
export function isSessionFilter({ field }: Filter): boolean {
  // The type assertion is needed because `includes` only accepts elements of the array.
  return (contextFields as readonly string[]).includes(field)
}

export const isView: Filter = { field: "kind", op: "eq", value: "page_view" }

/**
 * Counts the views and sessions of a traffic query.
 *
 * The first pass collects facts about whole sessions: the first and last view, how long the pages were open, and
 * whether there are other events. The second pass counts the views that match the filters. Because of the first pass,
 * all events of a session must be counted together or not at all.
 */
export class TrafficScan implements Aggregation<TrafficCounts, TimeRange> {
  readonly buckets: readonly Bucket[]
  /** Matches all events that are relevant to the sessions in the range. */
  readonly snapshotMatcher: Matcher
  readonly #sessionMatcher: Matcher
  readonly #viewMatcher: Matcher
  /**
   * True if events are grouped by IDs. The texts of IDs are looked up at the end. Before that, a group is identified by
   * a code.
   */
  readonly hasIds: boolean
  readonly #measures: TrafficMeasures
  readonly #codes: GroupCodes | undefined
  readonly #key: string

  /** `crossing` determines which sessions are counted with which day. */
  constructor(
    private readonly query: TrafficQuery,
    private readonly source: Snapshot,
    private readonly budget: MemoryBudget,
    private readonly crossing?: Pick<CrossingSessions, "excluded" | "eventsAfter">,
  ) {
    const { scope, by, granularity } = query
    this.buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
    this.snapshotMatcher = new Matcher({ from: scope.from - sessionLookBack, to: scope.to }, [], source)
    this.#sessionMatcher = new Matcher(scope, scope.filters.filter(isSessionFilter), source)
    this.#viewMatcher = new Matcher(
      scope,
      [isView, ...scope.filters.filter((filter) => !isSessionFilter(filter))],
      source,
    )
    const { dictionarySizes, stamps } = source
    const byEach = by?.view === "each"
    const numbers = new NumberDictionaries(budget)
    const hasManyGroups = by !== undefined
    this.#measures = { dictionarySizes, stamps, numbers, hasManyGroups, sessionsByView: byEach, totals: !by }
    this.hasIds = by?.fields.some((field) => kindOf[field]) ?? false
    this.#codes = by && new GroupCodes(by.fields, source, budget)
    const { websites, filters, crawlers, kinds, zone } = scope
    this.#key = JSON.stringify({
      websites,
      filters,
      crawlers,
      kinds,
      by,
      ...(granularity && { granularity, zone }),
    })
  }

  /**
   * The counts of the first bucket, and of a range that the query clips, depend on the query's bounds, so the key
   * contains these bounds.
   */
  keyOf({ from, to }: TimeRange): string {
    const { scope, granularity } = this.query
    const [first] = this.buckets
    const isFirst = from < (granularity && first ? first.to : scope.from)
    const isLast = to > scope.to && scope.to % gridMs === 0
    return `traffic ${isFirst ? scope.from : ""} ${isLast ? scope.to : ""} ${this.#key}`
  }

  empty(_range: TimeRange, budget: MemoryBudget, base?: TrafficCounts): TrafficCounts {
    return this.counts(budget, base)
  }

  counts(budget: MemoryBudget, base?: TrafficCounts): TrafficCounts {
    return new TrafficCounts(this.#measures, budget, base)
  }

  addCounts(_counts: TrafficCounts, _entry: Entry): boolean {
    return false
  }

  /**
   * Batches must not be joined, because events are handled according to the kind of their batch, and a joined batch has
   * no single kind.
   */
  joins(): boolean {
    return false
  }

  /**
   * Counts the pending events. If `day` is given, these are all events of the sessions that belong to the day (see
   * `CrossingSessions`). Otherwise, they are all events of the sessions that belong to no day.
   */
  *finish(counts: TrafficCounts, day?: number): Generator<void, void> {
    const pending = [...counts.pending, ...(day === undefined ? [] : (this.crossing?.eventsAfter(day) ?? []))]
    if (pending.length === 0) return
    const budget = this.budget.child()
    const slots = this.#slots(budget)
    for (const { batch, selection } of pending) slots.add(batch, selection)
    const table = this.#sessionTable(slots, budget)
    const excluded = day === undefined ? undefined : this.crossing?.excluded.get(day)
    if (excluded) table.exclude(excluded)
    yield* this.#count(counts, () => pending, table)
    budget.release()
  }

  /** Counts events, iterating over them twice. Yields after each batch. */
  *count(counts: TrafficCounts, events: () => Iterable<Narrowed>): Generator<void, void> {
    const slots = this.#slots(this.budget)
    slots.addAll()
    yield* this.#count(counts, events, this.#sessionTable(slots, this.budget))
  }

  *#count(
    counts: TrafficCounts,
    events: () => Iterable<Narrowed>,
    table: PageSessions,
  ): Generator<void, void> {
    const byView = this.query.by?.view === "each"
    for (const { batch, selection: all } of events()) {
      const selection = this.#inSnapshot(batch, all)
      if (!selection) continue
      if (batch.kind === "page_view") {
        const codes = byView ? undefined : this.#codes?.codesOf(batch)
        table.addViews(batch, selection, this.#matches(batch, selection), codes)
      } else if (batch.kind === "page_exit") table.addExits(batch, selection)
      else table.addOthers(batch, selection)
      yield
    }
    const groups = new CountedGroups(counts, this.buckets, this.query.granularity !== undefined, (code) =>
      this.hasIds ? [String(code)] : (this.#codes?.valuesOf(code) ?? []),
    )
    for (const { batch, selection } of events()) {
      const { from, to } = this.query.scope
      const inRange =
        batch.kind === "page_view" ? intersect(selection, timeRange(batch, from, to)) : undefined
      const selected = inRange && this.#viewMatcher.select(batch, inRange)
      if (selected) this.#countViews(counts, groups, batch, selected, table)
      yield
    }
    counts.settle()
  }

  /** Returns the groups with views or sessions. */
  *rows(counts: TrafficCounts): Generator<void, TrafficGroup[]> {
    const rows = yield* counts.rows(this.buckets)
    const codes = this.#codes
    if (!codes || !this.hasIds) return rows
    yield* codes.lookUp()
    return rows.map((row) => ({ ...row, by: codes.valuesOf(Number(row.by[0])) }))
  }

  #inSnapshot(batch: Batch, selection: Selection): Selection | undefined {
    const { from, to } = this.query.scope
    return intersect(selection, timeRange(batch, from - sessionLookBack, to))
  }

  #slots(budget: MemoryBudget): SessionSlots {
    return new SessionSlots(this.source.dictionarySizes.sessions, budget)
  }

  #sessionTable(slots: SessionSlots, budget: MemoryBudget): PageSessions {
    const { scope, by, granularity } = this.query
    const facts = {
      first: granularity !== undefined || this.#sessionMatcher.perEvent,
      code: by?.view === "each" ? undefined : by?.view,
      totals: !by,
    }
    return new PageSessions(slots, scope.from - sessionLookBack, facts, budget)
  }

  /**
   * Returns one byte per event of a batch: 1 if the event is selected and matches the session filters, otherwise 0.
   * Returns undefined if there are no session filters.
   */
  #matches(batch: Batch, selection: Selection): Uint8Array | undefined {
    if (!this.#sessionMatcher.perEvent) return undefined
    const matches = new Uint8Array(batch.count)
    const selected = this.#sessionMatcher.select(batch, selection)
    if (selected) forEachEvent(selected, (index) => (matches[index] = 1))
    return matches
  }

  #countViews(
    counts: TrafficCounts,
    groups: CountedGroups,
    batch: Batch,
    selection: Selection,
    table: PageSessions,
  ): void {
    const codes = this.#codes?.codesOf(batch)
    const byView = this.query.by?.view === "each"
    const matches = this.#matches(batch, selection)
    const [ids, times] = [batch.sessions(), batch.times()]
    const size = sizeOf(selection)
    const at = new Uint32Array(size)
    const groupOf = new Uint32Array(size)
    let count = 0
    for (let n = 0; n < size; n++) {
      const index = indexAt(selection, n)
      const id = ids[index] as number
      const slot = table.slots.of(id)
      if (id === 0 ? matches?.[index] === 0 : !table.isIncluded(slot)) continue
      const group = codes
        ? groups.groupOfCode(id === 0 || byView ? (codes[index] as number) : table.codeOf(slot))
        : groups.groupAt(batch.base + (times[index] as number))
      at[count] = index
      groupOf[count++] = group
      if (id !== 0 && !byView && table.count(slot))
        counts.addSession(
          codes ? group : groups.groupAt(table.firstViewOf(slot)),
          table.isBounce(slot),
          table.secondsOf(slot),
        )
    }
    counts.addViews(groupOf.subarray(0, count), batch, { ...selection, at: at.subarray(0, count) })
  }
}

/** Maps codes and buckets to groups of counts. */
class CountedGroups {
  /** The group of each code, or of each bucket, plus 1. */
  readonly #groups: number[] = []
  /** The bucket of the previous time. Times within a batch ascend, so the next time is often in the same bucket. */
  #bucket = 0

  constructor(
    private readonly counts: TrafficCounts,
    private readonly buckets: readonly Bucket[],
    private readonly isByTime: boolean,
    private readonly valuesOf: (code: number) => GroupKey,
  ) {}

  groupOfCode(code: number): number {
    return (this.#groups[code] ?? this.#add(code, this.valuesOf(code), 0)) - 1
  }

  /** Returns the group of the bucket that contains a time (Unix ms). */
  groupAt(ts: number): number {
    const { buckets } = this
    if (!this.isByTime) return (this.#groups[0] ?? this.#add(0, [], 0)) - 1
    const last = buckets[this.#bucket] as Bucket
    if (ts < last.from || ts >= last.to) this.#bucket = bucketAt(buckets, ts)
    const bucket = this.#bucket
    return (this.#groups[bucket] ?? this.#add(bucket, [], (buckets[bucket] as Bucket).from)) - 1
  }

  #add(index: number, by: GroupKey, start: number): number {
    const group = this.counts.groupOf(by, start) + 1
    this.#groups[index] = group
    return group
  }
}
