import { dayMs } from "../../columns/batch.ts"
import { readQuarters } from "../../columns/block-reader.ts"
import { quartersPerDay } from "../../columns/block-writer.ts"
import type { Entry, Snapshot } from "../../columns/snapshot.ts"
import type { Bucket, Group, GroupsQuery } from "../query.ts"
import { kindOf, Matcher } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { bucketAt } from "../structures/zone.ts"
import { GroupTable, type GroupTableSpec, groupBytes, RowLocators } from "./group-table.ts"
import { type Aggregation, type Finalizer, PartialAggregates, type TimeRange } from "./partial-aggregates.ts"

const quarterMs = dayMs / quartersPerDay

/** Of all groups with events. Only one stretch of time is in memory at once. */
export function* scanGroups(
  question: GroupsQuery,
  buckets: Bucket[],
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, Group[]> {
  const { scope, by } = question
  const matcher = new Matcher(scope, scope.filters, source)
  const sightings = new RowLocators(budget)
  const tables = new Tables(question, source, sightings, matcher.perEvent)
  const counting = new PartialAggregates(source, matcher, tables, budget)
  const found: Group[] = []
  for (const chunk of chunksOf(buckets, (bucket) => counting.hasUnsealedEvents(bucket))) {
    const rows = yield* counting.compute(chunk, allRows)
    if (!rows) continue
    budget.reserve(rows.length * groupBytes)
    for (const row of rows) found.push(chunk.first === 0 ? row : { ...row, bucket: row.bucket + chunk.first })
  }
  return yield* sightings.withTexts(found, by, source)
}

const allRows: Finalizer<GroupTable, Group[]> = {
  key: "",
  finalize: (table) => table.rows(),
  bytesOf: (rows) => rows.length * groupBytes,
}

/** Buckets that are counted together. */
interface Chunk extends TimeRange {
  /** The place of the first one among all. */
  first: number
  buckets: Bucket[]
}

/** Those of one UTC day, of whose events none are in rows, are counted together, each other one for itself. */
function* chunksOf(buckets: readonly Bucket[], isLoose: (bucket: Bucket) => boolean): Generator<Chunk> {
  let chunk: Chunk | undefined
  for (const [place, bucket] of buckets.entries()) {
    const alone = isLoose(bucket)
    const dayEnd = chunk ? (Math.floor(chunk.from / dayMs) + 1) * dayMs : 0
    if (chunk && !alone && bucket.to <= dayEnd) {
      chunk.buckets.push(bucket)
      chunk.to = bucket.to
      continue
    }
    if (chunk) yield chunk
    const own = { first: place, from: bucket.from, to: bucket.to, buckets: [bucket] }
    chunk = alone ? undefined : own
    if (alone) yield own
  }
  if (chunk) yield chunk
}

/** What a groups question counts. */
class Tables implements Aggregation<GroupTable, Chunk> {
  readonly #key: string | undefined
  readonly #calendar: string
  readonly #of: GroupTableSpec
  /** Counts alone, of names: what blocks tell without their columns. */
  readonly #areCounts: boolean

  constructor(
    { scope, by, measures, granularity }: GroupsQuery,
    private readonly source: Snapshot,
    sightings: RowLocators,
    perEvent: boolean,
  ) {
    const { websites, filters, crawlers } = scope
    // Ids are looked up once the answer is counted; that is not kept.
    const hasIds = by.some((dimension) => kindOf[dimension])
    this.#key = hasIds ? undefined : JSON.stringify({ websites, filters, crawlers, by, measures })
    this.#calendar = `${granularity} ${scope.zone}`
    this.#of = { by, measures, numbers: source.numbers, websiteIds: source.websiteIds, sightings }
    this.#areCounts =
      !perEvent &&
      by.every((dimension) => dimension === "event_name" || dimension === "website_id") &&
      measures.every((measure) => measure === "events" || measure === "event_types")
  }

  /** Where one bucket is the whole chunk, whatever it is called, the counts are the same. */
  keyOf({ buckets }: Chunk): string | undefined {
    return this.#key && (buckets.length > 1 ? `${this.#calendar} ${this.#key}` : this.#key)
  }

  empty({ buckets }: Chunk, budget: MemoryBudget, base?: GroupTable): GroupTable {
    return new GroupTable(this.#of, buckets, budget, base)
  }

  addCounts(table: GroupTable, { block, name, website, day }: Entry, { from, to, buckets }: Chunk): boolean {
    if (!block || !this.#areCounts) return false
    const base = day * dayMs
    const [begin, end] = [Math.max(from, base), Math.min(to, base + dayMs)]
    let bucket = bucketAt(buckets, begin)
    if (begin === base && end === base + dayMs && (buckets[bucket] as Bucket).to >= end) {
      table.count(name, website, bucket, block.events)
      this.source.counted = true
      return true
    }
    if (!block.quarters) return false
    const edges = [begin, end]
    for (let at = bucket; at < buckets.length && (buckets[at] as Bucket).to < end; at++)
      edges.push((buckets[at] as Bucket).to)
    if (edges.some((edge) => (edge - base) % quarterMs !== 0)) return false
    const quarters = readQuarters(block.quarters)
    for (let quarter = (begin - base) / quarterMs; quarter < (end - base) / quarterMs; bucket++) {
      const until = Math.min((buckets[bucket] as Bucket).to, end)
      let events = 0
      for (; base + quarter * quarterMs < until; quarter++) events += quarters[quarter] as number
      if (events > 0) table.count(name, website, bucket, events)
    }
    this.source.counted = true
    return true
  }
}
