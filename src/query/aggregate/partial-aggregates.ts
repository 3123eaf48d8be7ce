import { type Batch, dayMs } from "../../columns/batch.ts"
import type { Slice } from "../../columns/block.ts"
import type { Day, Entry, Snapshot } from "../../columns/snapshot.ts"
import type { Matcher } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { intersect, type Selection, timeRange } from "../structures/selection.ts"

/** An aggregate of events. Aggregates of disjoint sets of events can be merged. */
export interface Mergeable<Self> {
  add(batch: Batch, selection: Selection): void
  /**
   * Merges another aggregate of the same kind, in steps of a few ms. The other aggregate must not change afterwards.
   */
  merge(other: Self): Generator<void, void>
  /** Reduces memory use. Afterwards, the aggregate can only be merged into others. */
  pack(): void
  /** Reduces the memory use of a complete aggregate, which can then still serve as a base. */
  shrink?(): void
}

/** A range in Unix ms. `to` is exclusive. */
export interface TimeRange {
  from: number
  to: number
}

/** Defines how a query aggregates events. */
export interface Aggregation<Aggregate extends Mergeable<Aggregate>, Range extends TimeRange> {
  /**
   * Returns a key that identifies what is aggregated, apart from the time range. Returns undefined if the aggregate
   * must not be cached.
   */
  keyOf(range: Range): string | undefined
  /** Returns a new aggregate. `base` contains its initial contents, and must not change afterwards. */
  empty(range: Range, budget: MemoryBudget, base?: Aggregate): Aggregate
  /**
   * Adds the counts that the index stores for a slice. If the columns are needed instead, returns false and adds
   * nothing.
   */
  addCounts(aggregate: Aggregate, entry: Entry, range: Range): boolean
  /** Returns true if the slices of a UTC day within the range can be added as one batch (see `JoinedBatch`). */
  joins(range: Range, day: number): boolean
  /**
   * Needed if an aggregate combines several events before it counts them. Called when all sealed events of a day have
   * been added, and with `day` undefined when all unsealed events have been added.
   */
  finish?(aggregate: Aggregate, day: number | undefined): Generator<void, void>
}

/** The part of a snapshot that is aggregated. */
export type AggregateSource = Pick<Snapshot, "cache" | "days" | "span" | "open" | "join" | "usedCache">

/** Converts the aggregate of a range to a result. */
export interface Finalizer<Aggregate, Result> {
  /** Distinguishes different results of the same aggregate. */
  key: string
  /** Runs in steps of a few ms. */
  finalize(aggregate: Aggregate): Generator<void, Result>
  /** Returns the memory that the result takes up, in bytes. */
  bytesOf(result: Result): number
}

/**
 * Grid of the ranges to cache, in ms. Only ranges that start and end at multiples of this value are cached. Other
 * ranges are unlikely to be queried again.
 */
export const gridMs = 900_000
/** Ranges of up to this many days are aggregated in one piece. */
const maxUnsplitDays = 2

/**
 * A batch of unsealed rows and the selected events in it. The selection is undefined if the rows have not been read
 * yet.
 */
interface UnsealedEntry {
  entry: Entry
  selection: Selection | undefined
}

/** The aggregate of all intervals of a range. */
interface CumulativeAggregate<Aggregate> {
  /** The aggregate of all intervals except the last. */
  earlier: Aggregate
  /** Memory of `earlier`, in bytes. */
  bytes: number
  /** Identifies the blocks that are included in `all`. */
  state: string
  /** The aggregate of `earlier` and the last interval. */
  all: Aggregate
}

/**
 * Aggregates the events of time ranges, and caches the aggregates of blocks for later queries.
 *
 * ```ts
 * const partials = new PartialAggregates(snapshot, matcher, aggregation, budget)
 * const rows = yield* partials.compute({ from, to }, { key: "", finalize: (table) => table.rows(), bytesOf })
 * ```
 *
 * A long range is split into dyadic intervals of 1, 2, 4, 8 … days, which are cached individually. An interval starts
 * at a multiple of its length, and is never longer than the number of stored days before it or after it. Most changes
 * happen at the ends of a range: new days change often, and the oldest events are deleted when they expire. Intervals
 * at the ends are short, so such a change invalidates little. The merged aggregate of all intervals is also cached,
 * both with and without the last interval, which changes most often. Each query then adds the unsealed events.
 */
export class PartialAggregates<Aggregate extends Mergeable<Aggregate>, Range extends TimeRange> {
  readonly #names: ReadonlySet<string> | undefined
  readonly #unsealed = new Map<Day, UnsealedEntry[]>()

  constructor(
    private readonly snapshot: AggregateSource,
    private readonly matcher: Matcher,
    private readonly aggregation: Aggregation<Aggregate, Range>,
    private readonly budget: MemoryBudget,
  ) {
    this.#names = matcher.names && new Set(matcher.names)
  }

  /** Returns the finalized aggregate of a range, or undefined if its days have no events. */
  *compute<Result>(
    range: Range,
    finalizer: Finalizer<Aggregate, Result>,
  ): Generator<void, Result | undefined> {
    if (this.#daysIn(range).length === 0) return undefined
    const budget = this.budget.child()
    const result = yield* this.hasUnsealedEvents(range)
      ? this.#finalized(this.#allEvents(range, budget), finalizer)
      : this.#cachedInRange(
          `result ${finalizer.key}`,
          range,
          budget,
          (childBudget) => this.#finalized(this.#sealed(range, childBudget), finalizer),
          finalizer.bytesOf,
        )
    budget.release()
    return result
  }

  *#finalized<Result>(
    steps: Generator<void, Aggregate>,
    { finalize }: Finalizer<Aggregate, Result>,
  ): Generator<void, Result> {
    return yield* finalize(yield* steps)
  }

  /** True if some matching events in the range may not be in blocks yet. */
  hasUnsealedEvents(range: TimeRange): boolean {
    return this.#daysIn(range).some(
      (day) =>
        day.exceedsMemory ||
        this.#unsealedOf(day).some(
          ({ entry, selection }) =>
            !(entry.batch && selection) || inRange(entry.batch, selection, range) !== undefined,
        ),
    )
  }

  #daysIn({ from, to }: TimeRange): Day[] {
    return this.snapshot.days.filter(({ day }) => (day + 1) * dayMs > from && day * dayMs < to)
  }

  #accepted(entries: readonly Entry[]): Entry[] {
    return entries.filter(
      (entry) => (!this.#names || this.#names.has(entry.name)) && this.matcher.accepts(entry),
    )
  }

  /** Returns the matching unsealed events of a day. The rows of the day must be in memory. */
  #unsealedOf(day: Day): UnsealedEntry[] {
    let unsealed = this.#unsealed.get(day)
    if (!unsealed) {
      unsealed = this.#accepted(day.inRows()).flatMap((entry): UnsealedEntry[] => {
        const selection = entry.batch && this.matcher.select(entry.batch)
        return entry.batch && !selection ? [] : [{ entry, selection }]
      })
      this.#unsealed.set(day, unsealed)
    }
    return unsealed
  }

  /** Aggregates blocks and unsealed rows. */
  *#allEvents(range: Range, budget: MemoryBudget): Generator<void, Aggregate> {
    const aggregate = this.aggregation.empty(range, budget, yield* this.#base(range, budget))
    for (const day of this.#daysIn(range)) {
      const unsealed = day.exceedsMemory
        ? this.#accepted(day.inRows()).map((entry): UnsealedEntry => ({ entry, selection: undefined }))
        : this.#unsealedOf(day)
      for (const { entry, selection } of unsealed) {
        const batch = this.snapshot.open(entry)
        const selected = batch && (selection ? inRange(batch, selection, range) : this.#select(batch, range))
        if (batch && selected) aggregate.add(batch, selected)
        yield
      }
    }
    if (this.aggregation.finish) yield* this.aggregation.finish(aggregate, undefined)
    return aggregate
  }

  #select(batch: Batch, { from, to }: TimeRange): Selection | undefined {
    return this.matcher.select(batch, timeRange(batch, from, to))
  }

  /**
   * Aggregates blocks only. The result is cached even for short ranges, because it is the base of each aggregate that
   * also includes unsealed events.
   */
  #base(range: Range, budget: MemoryBudget): Generator<void, Aggregate> {
    const cut = this.#gridCutOf(range)
    if (cut !== undefined) return this.#untilCut(range, cut, budget)
    const intervals = this.#intervalsOf(range)
    return intervals.length > 1
      ? this.#cumulative(range, intervals, budget)
      : this.#cachedInRange("base", range, budget, (childBudget) => this.#scan(range, childBudget))
  }

  /** Aggregates blocks only. For short ranges, only the final result is cached, not the aggregate. */
  #sealed(range: Range, budget: MemoryBudget): Generator<void, Aggregate> {
    if (this.#gridCutOf(range) !== undefined) return this.#base(range, budget)
    const intervals = this.#intervalsOf(range)
    return intervals.length > 1 ? this.#cumulative(range, intervals, budget) : this.#scan(range, budget)
  }

  #isCacheable(range: Range): boolean {
    return this.snapshot.cache.memory > 0 && this.aggregation.keyOf(range) !== undefined
  }

  /**
   * Returns the last multiple of `gridMs` in a cacheable range that starts, but does not end, at such a multiple. For
   * example, the range ends now or at this time yesterday. Returns undefined for all other ranges.
   */
  #gridCutOf(range: Range): number | undefined {
    const { from, to } = range
    const cut = Math.floor(to / gridMs) * gridMs
    return this.#isCacheable(range) && from % gridMs === 0 && from < cut && cut < to ? cut : undefined
  }

  *#untilCut(range: Range, cut: number, budget: MemoryBudget): Generator<void, Aggregate> {
    const until = { ...range, to: cut }
    // The name of the cache entry does not contain the cut, so that the entry for the next cut replaces this one.
    const name = `until ${range.from} ${this.aggregation.keyOf(range)}`
    const earlier = yield* this.#cached(name, `${cut} ${this.#stateOf(until)}`, budget, (childBudget) => {
      const intervals = this.#intervalsOf(until)
      return intervals.length > 1
        ? this.#merged(until, intervals, childBudget)
        : this.#scan(until, childBudget)
    })
    const aggregate = this.aggregation.empty(range, budget, earlier)
    yield* aggregate.merge(yield* this.#packed({ ...range, from: cut }, budget))
    return aggregate
  }

  *#cumulative(range: Range, intervals: readonly Range[], budget: MemoryBudget): Generator<void, Aggregate> {
    const { cache } = this.snapshot
    const last = intervals.at(-1) as Range
    const before = { ...range, to: last.from }
    const name = this.#nameOf(`cumulative ${last.from}`, range)
    const [stateBefore, state] = [this.#stateOf(before), this.#stateOf(range)]
    const cached = isOnGrid(range) ? cache.find<CumulativeAggregate<Aggregate>>(name, stateBefore) : undefined
    if (cached) this.snapshot.usedCache = true
    if (cached?.state === state) return cached.all
    const childBudget = budget.child()
    const { value, cost } = yield* cache.measure(
      this.#cumulated(range, before, intervals, state, cached, childBudget),
    )
    const totalBytes = childBudget.reserved + (cached ? cached.bytes : 0)
    const isRequired = isLarge(childBudget)
    if (isOnGrid(range) && cache.put(name, stateBefore, value, { bytes: totalBytes, cost, isRequired }))
      childBudget.release()
    return value.all
  }

  /** `before`: the range without the last interval. `cached`: an earlier result for the same intervals. */
  *#cumulated(
    range: Range,
    before: Range,
    intervals: readonly Range[],
    state: string,
    cached: CumulativeAggregate<Aggregate> | undefined,
    budget: MemoryBudget,
  ): Generator<void, CumulativeAggregate<Aggregate>> {
    const earlier = cached?.earlier ?? (yield* this.#merged(before, intervals.slice(0, -1), budget))
    const bytes = cached?.bytes ?? budget.reserved
    const all = this.aggregation.empty(range, budget, earlier)
    const intervalBudget = budget.child()
    yield* all.merge(yield* this.#interval(intervals.at(-1) as Range, intervalBudget))
    intervalBudget.release()
    all.shrink?.()
    return { earlier, bytes, state, all }
  }

  *#merged(range: Range, intervals: readonly Range[], budget: MemoryBudget): Generator<void, Aggregate> {
    const aggregate = this.aggregation.empty(range, budget)
    for (const interval of intervals) {
      if (this.#isStored(interval)) {
        const childBudget = budget.child()
        yield* aggregate.merge(yield* this.#interval(interval, childBudget))
        childBudget.release()
      } else yield* this.#addSealed(aggregate, interval)
      yield
    }
    aggregate.shrink?.()
    return aggregate
  }

  #interval(range: Range, budget: MemoryBudget): Generator<void, Aggregate> {
    return this.#cachedInRange(
      "interval",
      range,
      budget,
      (childBudget) => this.#packed(range, childBudget),
      undefined,
      true,
    )
  }

  /**
   * True if an interval is in the cache, or would probably be cached. Aggregating it separately and then merging it
   * would otherwise take longer than adding its events to the merged aggregate.
   */
  #isStored(interval: Range): boolean {
    const { cache } = this.snapshot
    if (!this.#isCacheable(interval) || !isOnGrid(interval)) return false
    return cache.acceptsSpare || cache.has(this.#nameOf("interval", interval), this.#stateOf(interval))
  }

  *#packed(range: Range, budget: MemoryBudget): Generator<void, Aggregate> {
    const aggregate = yield* this.#scan(range, budget)
    aggregate.pack()
    return aggregate
  }

  *#scan(range: Range, budget: MemoryBudget): Generator<void, Aggregate> {
    const aggregate = this.aggregation.empty(range, budget)
    yield* this.#addSealed(aggregate, range)
    return aggregate
  }

  /** Adds the events of blocks to an aggregate. */
  *#addSealed(aggregate: Aggregate, range: Range): Generator<void, void> {
    for (const day of this.#daysIn(range)) {
      const coversDay = range.from <= day.day * dayMs && range.to >= (day.day + 1) * dayMs
      const accepted = this.#accepted(day.sealed())
      const runs =
        coversDay && this.aggregation.joins(range, day.day)
          ? adjacentSlices(accepted)
          : accepted.map((entry) => [entry])
      for (const run of runs) {
        const [entry] = run as [Entry, ...Entry[]]
        if (run.length === 1 && this.aggregation.addCounts(aggregate, entry, range)) continue
        const batch = run.length === 1 ? this.snapshot.open(entry) : this.snapshot.join(slicesOf(run))
        const narrowed = batch && this.matcher.narrow(batch, range.from, range.to)
        if (narrowed) aggregate.add(narrowed.batch, narrowed.selection)
        yield
      }
      if (this.aggregation.finish) yield* this.aggregation.finish(aggregate, day.day)
    }
  }

  /** Like `#cached`, but skips the cache if the range cannot be cached. */
  *#cachedInRange<Value>(
    what: string,
    range: Range,
    budget: MemoryBudget,
    compute: (childBudget: MemoryBudget) => Generator<void, Value>,
    bytesOf?: (value: Value, childBudget: MemoryBudget) => number,
    isSpare?: boolean,
  ): Generator<void, Value> {
    if (!this.#isCacheable(range) || !isOnGrid(range)) return yield* compute(budget)
    return yield* this.#cached(
      this.#nameOf(what, range),
      this.#stateOf(range),
      budget,
      compute,
      bytesOf,
      isSpare,
    )
  }

  /**
   * Returns a cached value, or computes and caches it. If the cache does not store the value, the value's memory
   * remains reserved for the query.
   */
  *#cached<Value>(
    name: string,
    state: string,
    budget: MemoryBudget,
    compute: (childBudget: MemoryBudget) => Generator<void, Value>,
    bytesOf: (value: Value, childBudget: MemoryBudget) => number = (_, childBudget) => childBudget.reserved,
    isSpare = false,
  ): Generator<void, Value> {
    const { cache } = this.snapshot
    const cached = cache.find<{ value: Value }>(name, state)
    if (cached) {
      this.snapshot.usedCache = true
      return cached.value
    }
    const childBudget = budget.child()
    const { value, cost } = yield* cache.measure(compute(childBudget))
    const bytes = bytesOf(value, childBudget)
    const isRequired = !isSpare && isLarge(childBudget)
    if (cache.put(name, state, { value }, { bytes, isSpare, cost, isRequired })) childBudget.release()
    return value
  }

  #nameOf(what: string, range: Range): string {
    return `${what} ${range.from} ${range.to} ${this.aggregation.keyOf(range)}`
  }

  /** Returns a string that identifies the current blocks in the range. */
  #stateOf(range: TimeRange): string {
    return this.#daysIn(range)
      .map(({ state }) => state)
      .join("")
  }

  /**
   * Splits a range into dyadic intervals, in chronological order. Returns the range itself if it is short or cannot be
   * cached.
   */
  #intervalsOf(range: Range): Range[] {
    const { from, to } = range
    const { oldest, newest } = this.snapshot.span
    if (!this.#isCacheable(range) || to - from <= maxUnsplitDays * dayMs) return [range]
    const intervals: Range[] = []
    const days = this.#daysIn(range).filter(({ state }) => state !== "")
    const end = days.at(-1)?.day ?? 0
    for (let day = days[0]?.day ?? 1; day <= end; ) {
      let length = 1
      const isAllowed = (longer: number) =>
        day % longer === 0 &&
        (day + longer) * dayMs <= to &&
        longer <= newest - (day + longer - 1) &&
        longer <= day - oldest
      if (day * dayMs >= from) while (isAllowed(length * 2)) length *= 2
      intervals.push({
        ...range,
        from: Math.max(from, day * dayMs),
        to: Math.min(to, (day + length) * dayMs),
      })
      day += length
    }
    return intervals.length > 0 ? intervals : [range]
  }
}

/**
 * True if an aggregate takes up more memory than remains for the rest of the query. It is then always cached, because
 * the query does not need memory of its own for it.
 */
function isLarge({ reserved, available }: MemoryBudget): boolean {
  return reserved > available
}

function isOnGrid({ from, to }: TimeRange): boolean {
  return from % gridMs === 0 && to % gridMs === 0
}

/** Returns the part of a selection that is in a time range. */
function inRange(batch: Batch, selection: Selection, { from, to }: TimeRange): Selection | undefined {
  return intersect(selection, timeRange(batch, from, to))
}

/** Groups entries whose slices are adjacent in the same block. */
function adjacentSlices(entries: readonly Entry[]): Entry[][] {
  const runs: Entry[][] = []
  for (const blockEntries of Map.groupBy(entries, ({ slice }) => slice?.block).values()) {
    let last: Slice | undefined
    for (const entry of blockEntries) {
      const { slice } = entry
      if (last && slice && slice.index === last.index + 1) runs.at(-1)?.push(entry)
      else runs.push([entry])
      last = slice
    }
  }
  return runs
}

function slicesOf(entries: readonly Entry[]): Slice[] {
  return entries.flatMap(({ slice }) => slice ?? [])
}
