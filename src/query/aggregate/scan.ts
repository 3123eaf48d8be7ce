import { dayMs } from "../../columns/batch.ts"
import { quarterMs } from "../../columns/block-format.ts"
import type { Entry, Snapshot } from "../../columns/snapshot.ts"
import { isBatchField } from "../fields.ts"
import type { Bucket, GroupsQuery } from "../query.ts"
import { kindOf, Matcher } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { NumberDictionaries } from "../structures/number-dictionary.ts"
import { bucketAt } from "../structures/time-zone.ts"
import { GroupRows } from "./group-rows.ts"
import { GroupTable, type GroupTableSpec, RowLocators } from "./group-table.ts"
import { type Aggregation, type Finalizer, PartialAggregates, type TimeRange } from "./partial-aggregates.ts"

/**
 * Aggregates all groups that have events, one chunk of buckets after another. Only the aggregate of one chunk is in
 * memory at a time, together with the rows of all earlier chunks.
 */
export function* scanGroups(
  query: GroupsQuery,
  buckets: Bucket[],
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, GroupRows> {
  const { scope, by, measures } = query
  const matcher = new Matcher(scope, scope.filters, source)
  const locators = new RowLocators(budget)
  const aggregation = new GroupAggregation(query, source, locators, matcher.perEvent, budget)
  const partials = new PartialAggregates(source, matcher, aggregation, budget)
  let groups: GroupRows | undefined
  for (const chunk of chunksOf(buckets, (bucket) => partials.hasUnsealedEvents(bucket))) {
    const rows = yield* partials.compute(chunk, allRows)
    if (!rows) continue
    budget.reserve(rows.bytes)
    if (chunk.first === 0 && buckets.length === chunk.buckets.length) groups = rows
    else {
      groups ??= new GroupRows(by.length, measures.length)
      for (let row = 0; row < rows.count; row++)
        groups.add(
          (dimension) => rows.fieldOf(row, dimension),
          rows.bucketOf(row) + chunk.first,
          (measure) => rows.valueOf(row, measure),
        )
    }
  }
  return yield* locators.withTexts(groups ?? new GroupRows(by.length, measures.length), by, source)
}

const allRows: Finalizer<GroupTable, GroupRows> = {
  key: "",
  finalize: (table) => table.rows(),
  bytesOf: (rows) => rows.bytes,
}

/** Buckets that are aggregated together. */
interface Chunk extends TimeRange {
  /** Index of the first bucket. */
  first: number
  buckets: Bucket[]
}

/** Combines the buckets in each UTC day into a chunk. A bucket with unsealed events becomes a chunk of its own. */
function* chunksOf(buckets: readonly Bucket[], hasRows: (bucket: Bucket) => boolean): Generator<Chunk> {
  let chunk: Chunk | undefined
  for (const [index, bucket] of buckets.entries()) {
    const isSingle = hasRows(bucket)
    const dayEnd = chunk ? (Math.floor(chunk.from / dayMs) + 1) * dayMs : 0
    if (chunk && !isSingle && bucket.to <= dayEnd) {
      chunk.buckets.push(bucket)
      chunk.to = bucket.to
      continue
    }
    if (chunk) yield chunk
    const single = { first: index, from: bucket.from, to: bucket.to, buckets: [bucket] }
    chunk = isSingle ? undefined : single
    if (isSingle) yield single
  }
  if (chunk) yield chunk
}

/** The aggregation of a groups query. */
class GroupAggregation implements Aggregation<GroupTable, Chunk> {
  readonly #key: string | undefined
  readonly #calendar: string
  readonly #spec: GroupTableSpec
  /**
   * True if the query only needs numbers of events by batch fields. Blocks store these numbers outside their columns.
   */
  readonly #areCounts: boolean
  /**
   * True if slices can be joined and added as one batch. In a breakdown by name, this only pays off if a filter tests
   * each event and so may leave only a few in each slice. Otherwise, it is faster to add a whole slice to one group.
   */
  readonly #joins: boolean

  constructor(
    { scope, by, measures, granularity }: GroupsQuery,
    private readonly source: Snapshot,
    locators: RowLocators,
    perEvent: boolean,
    budget: MemoryBudget,
  ) {
    const { websites, filters, crawlers, kinds } = scope
    // The texts of IDs are looked up at the end, with locators that only a scan collects, so aggregates with IDs are
    // not cached.
    const hasIds = by.some((dimension) => kindOf[dimension])
    this.#key = hasIds ? undefined : JSON.stringify({ websites, filters, crawlers, kinds, by, measures })
    this.#calendar = `${granularity} ${scope.zone}`
    const { dictionarySizes, stamps, websiteIds } = source
    const hasManyGroups = by.some((dimension) => !isBatchField(dimension))
    const numbers = new NumberDictionaries(budget)
    this.#spec = { by, measures, dictionarySizes, stamps, numbers, hasManyGroups, websiteIds, locators }
    this.#areCounts =
      !perEvent &&
      by.every(isBatchField) &&
      measures.every((measure) => measure === "events" || measure === "event_types")
    this.#joins =
      !this.#areCounts && !hasIds && !by.includes("kind") && (perEvent || !by.includes("event_name"))
  }

  /** For a single bucket, omits granularity and time zone, because its groups do not depend on them. */
  keyOf({ buckets }: Chunk): string | undefined {
    return this.#key && (buckets.length > 1 ? `${this.#calendar} ${this.#key}` : this.#key)
  }

  empty({ buckets }: Chunk, budget: MemoryBudget, base?: GroupTable): GroupTable {
    return new GroupTable(this.#spec, buckets, budget, base)
  }

  joins({ buckets }: Chunk, day: number): boolean {
    const bucket = buckets[bucketAt(buckets, day * dayMs)] as Bucket
    return this.#joins && bucket.from <= day * dayMs && bucket.to >= (day + 1) * dayMs
  }

  addCounts(table: GroupTable, entry: Entry, { from, to, buckets }: Chunk): boolean {
    const { slice, day } = entry
    if (!slice || !this.#areCounts) return false
    const base = day * dayMs
    const [start, end] = [Math.max(from, base), Math.min(to, base + dayMs)]
    let bucket = bucketAt(buckets, start)
    if (start === base && end === base + dayMs && (buckets[bucket] as Bucket).to >= end) {
      table.count(entry, bucket, slice.events)
      this.source.counted = true
      return true
    }
    const { quarters } = slice
    if (!quarters) return false
    const edges = [start, end]
    for (let at = bucket; at < buckets.length && (buckets[at] as Bucket).to < end; at++)
      edges.push((buckets[at] as Bucket).to)
    if (edges.some((edge) => (edge - base) % quarterMs !== 0)) return false
    for (let quarter = (start - base) / quarterMs; quarter < (end - base) / quarterMs; bucket++) {
      const until = Math.min((buckets[bucket] as Bucket).to, end)
      let events = 0
      for (; base + quarter * quarterMs < until; quarter++) events += quarters[quarter] as number
      if (events > 0) table.count(entry, bucket, events)
    }
    this.source.counted = true
    return true
  }
}
