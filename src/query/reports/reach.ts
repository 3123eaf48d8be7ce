import { dayMs } from "../../columns/batch.ts"
import type { ReachAnswer, ReachQuestion } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import { IdSet, type MemoryBudget } from "../structures/id-set.ts"
import { inBoth, rangeOf } from "../structures/selection.ts"
import { bucketsOf } from "../structures/zone.ts"
import { entriesOf, type Followed } from "./step.ts"
import { unitsOf } from "./units.ts"

/** How many units have events in scope, in each stretch of time. Memory: 4 to 8 bytes for each unit of a stretch, or a bit for each that there is. */
export function* reach(
  { scope, granularity, unit }: ReachQuestion,
  source: Followed,
  budget: MemoryBudget,
): Generator<void, ReachAnswer> {
  const units = yield* unitsOf(unit, scope.websites, source, budget)
  const buckets = granularity
    ? bucketsOf(scope.from, scope.to, scope.zone, granularity)
    : [{ from: scope.from, to: scope.to, label: "" }]
  const seen = buckets.map(() => new IdSet(units.numbers, budget))
  const all = new Matcher(scope, scope.filters, source)
  let first = 0
  for (const entry of entriesOf(source, all)) {
    // Entries come by day.
    const [from, to] = [entry.day * dayMs, (entry.day + 1) * dayMs]
    while (first < buckets.length && (buckets[first]?.to as number) <= from) first++
    const batch = source.open(entry)
    const selection = batch && all.select(batch)
    if (batch && selection) {
      const ids = units.of(batch)
      for (let bucket = first; (buckets[bucket]?.from ?? to) < to; bucket++) {
        const within = buckets[bucket] as (typeof buckets)[number]
        const some = inBoth(selection, rangeOf(batch, within.from, within.to))
        if (some) for (const of of ids) seen[bucket]?.addAll(of, some)
      }
    }
    yield
  }
  return { buckets, units: seen.map(({ size }) => size) }
}
