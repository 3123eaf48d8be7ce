import { dayMs } from "../../columns/batch.ts"
import type { ReachQuery, ReachResult } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import { IdSet } from "../structures/id-set.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { intersect, timeRange } from "../structures/selection.ts"
import { bucketsOf } from "../structures/time-zone.ts"
import { type ReportSource, visitBatches } from "./step.ts"
import { unitsOf } from "./units.ts"

/**
 * For each bucket, counts the distinct units with events in the scope. A bucket takes up 8 to 16 bytes for each of its
 * units, or one bit per dictionary ID.
 */
export function* reach(
  { scope, granularity, unit }: ReachQuery,
  source: ReportSource,
  budget: MemoryBudget,
): Generator<void, ReachResult> {
  const units = yield* unitsOf(unit, scope.websites, source, budget)
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, granularity)
  const seen = buckets.map(() => new IdSet(units.dictionarySize, budget))
  const matcher = new Matcher(scope, scope.filters, source)
  /** Index of the first bucket that ends after the start of the current batch's day. */
  let first = 0
  yield* visitBatches(source, matcher, (batch, selection) => {
    // Batches are ordered by day.
    const [from, to] = [batch.base, batch.base + dayMs]
    while (first < buckets.length && (buckets[first]?.to as number) <= from) first++
    const ids = units.idsOf(batch)
    for (let index = first; (buckets[index]?.from ?? to) < to; index++) {
      const bucket = buckets[index] as (typeof buckets)[number]
      const selected = intersect(selection, timeRange(batch, bucket.from, bucket.to))
      if (selected) for (const column of ids) seen[index]?.addAll(column, selected)
    }
  })
  return { buckets, units: seen.map(({ size }) => size) }
}
