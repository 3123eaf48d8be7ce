import type { Value } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import { textOf } from "../json-values.ts"
import type { PropertyValues, ValuesQuery } from "../query.ts"
import type { Matcher } from "../scan/matcher.ts"
import { type MemoryBudget, OutOfMemoryBudgetError } from "../structures/memory-budget.ts"
import { forEachValue } from "../structures/selection.ts"
import { hashOf } from "../structures/text-dictionary.ts"
import { PropertyCounts, PropertyDictionaries } from "./property-counts.ts"

type Described = Omit<PropertyValues, "name" | "key" | "events">

/** Share of the available memory that the counts of one pass can take up. The rest is for results. */
const passShare = 3 / 4
/** Measured bytes of the counts for an event name, not counting the values. */
const countsBytes = 900
/** Bytes of a result, and of each value that it lists. */
const resultBytes = 300
const listedBytes = 60
/** One more than the largest hash. */
const hashEnd = 2 ** 32

/**
 * Counts the values of a key for each event name, in as many passes as needed. Each pass counts the values whose hashes
 * are in one range. The results can be added, because the ranges are disjoint. If the values in a range do not fit into
 * memory, the pass is repeated with a range of half the length, which is also used for later passes.
 */
export function* valuesInPasses(
  key: string,
  query: ValuesQuery,
  matcher: Matcher,
  snapshot: Snapshot,
  budget: MemoryBudget,
): Generator<void, ReadonlyMap<string, Described>> {
  const results = new Map<string, Described>()
  let length = hashEnd
  for (let start = 0; start < hashEnd; ) {
    const memory = budget.child(passShare)
    const includes = (value: Value) => {
      if (length === hashEnd) return true
      const hash = hashOf(typeof value === "string" ? value : textOf(value), snapshot.textSeed)
      return hash >= start && hash < start + length
    }
    try {
      const counts = yield* pass(key, query, matcher, snapshot, memory, includes)
      for (const [name, property] of counts) {
        const added = property.statistics(query.top)
        if (!added) continue
        const known = results.get(name)
        if (!known) budget.reserve(resultBytes + query.top * listedBytes)
        results.set(name, known ? union(known, added, query.top) : added)
      }
      start += length
    } catch (error) {
      // If the length is 1, not even the values with a single hash fit into memory.
      if (!(error instanceof OutOfMemoryBudgetError) || length === 1) throw error
      length /= 2
    } finally {
      memory.release()
    }
    yield
  }
  return results
}

function* pass(
  key: string,
  { scope }: ValuesQuery,
  matcher: Matcher,
  snapshot: Snapshot,
  memory: MemoryBudget,
  includes: (value: Value) => boolean,
): Generator<void, ReadonlyMap<string, PropertyCounts>> {
  const counts = new Map<string, PropertyCounts>()
  const dictionaries = new PropertyDictionaries(memory, snapshot.textSeed)
  for (const entry of snapshot.entries(matcher.names)) {
    if (!matcher.accepts(entry)) continue
    const batch = snapshot.open(entry)
    const narrowed = batch && matcher.narrow(batch, scope.from, scope.to)
    const column = narrowed?.batch.property(key)
    if (narrowed && column) {
      const property = counts.get(entry.name) ?? new PropertyCounts(dictionaries, memory)
      if (!counts.has(entry.name)) {
        memory.reserve(countsBytes)
        counts.set(entry.name, property)
      }
      forEachValue(column, narrowed.selection, (value, times) => {
        if (includes(value)) property.addValue(value, times)
      })
    }
    yield
  }
  return counts
}

/** Combines the statistics of two disjoint sets of values. */
function union(left: Described, right: Described, top: number): Described {
  return {
    occurrences: left.occurrences + right.occurrences,
    cardinality: left.cardinality + right.cardinality,
    numeric: left.numeric + right.numeric,
    boolean: left.boolean + right.boolean,
    date: left.date + right.date,
    url: left.url + right.url,
    numericTexts: left.numericTexts + right.numericTexts,
    totalLength: left.totalLength + right.totalLength,
    maxLength: Math.max(left.maxLength, right.maxLength),
    top: [...left.top, ...right.top]
      .sort((one, other) => other.count - one.count || (one.text < other.text ? -1 : 1))
      .slice(0, top),
  }
}
