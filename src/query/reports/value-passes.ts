import type { Batch, Value } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import type { PropertyValues, ValuesQuery } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import { Counter } from "../structures/counter.ts"
import { type MemoryBudget, OutOfMemoryBudgetError } from "../structures/memory-budget.ts"
import { forEachValue, type Selection, sizeOf } from "../structures/selection.ts"
import {
  bytesOfValue,
  type CountedValue,
  compareCounts,
  countedValue,
  idOf,
  PropertyCounts,
} from "./property-counts.ts"

/** Share of the available memory that the counts of one pass can take. The rest is for results. */
const passShare = 3 / 4
/** Bytes of a property without counts, of its counts, and of its result and each of its listed values. */
const propertyBytes = 300
const countsBytes = 1_800
const resultBytes = 300
const listedBytes = 60
/** One more than the largest hash. */
const hashEnd = 2 ** 32

/**
 * Counts the values of properties in several passes, for values that do not fit into memory together. When memory is
 * full, a pass stops counting the property that takes most, and a later pass counts it. A property that does not fit
 * alone is counted in ranges of the hashes of its values: the statistics of disjoint sets of values can be added. Each
 * pass after the first reads only events with the names of properties that are not complete. `only`: only these
 * properties. Returns the properties by id, see `idOf`.
 */
export function* valuesInPasses(
  { scope, keys, top, bins }: ValuesQuery,
  snapshot: Snapshot,
  budget: MemoryBudget,
  only?: readonly PropertyValues[],
): Generator<void, ReadonlyMap<string, PropertyValues>> {
  const matcher = new Matcher(scope, scope.filters, snapshot)
  const results = new Map<string, PropertyValues | undefined>()
  let rest: ReadonlyMap<string, Position> | undefined =
    only && new Map(only.map((property) => [idOf(property), { name: property.name, end: 0 }]))
  do {
    const memory = budget.child(passShare)
    const pass: Pass = new Pass(keys, memory, rest)
    const names = rest ? new Set(Array.from(rest.values(), ({ name }) => name)) : undefined
    for (const entry of snapshot.entries(matcher.names)) {
      if ((names && !names.has(entry.name)) || !matcher.accepts(entry)) continue
      const batch = snapshot.open(entry)
      const narrowed = batch && matcher.narrow(batch, scope.from, scope.to)
      if (narrowed) pass.add(narrowed.batch, narrowed.selection)
      yield
    }
    for (const [id, property] of pass.properties) {
      const known = results.get(id)
      const added = resultOf(property, pass.eventsOf(property.name), top, bins)
      if (added && !known) budget.reserve(resultBytes + added.top.length * listedBytes)
      results.set(id, known && added ? union(known, added, top) : (added ?? known))
      yield
    }
    rest = pass.rest()
    memory.release()
  } while (rest.size > 0)
  const found = new Map<string, PropertyValues>()
  for (const [id, result] of results) if (result) found.set(id, result)
  return found
}

/** Where the next pass continues with a property: the values with a hash below `end` are counted. */
type Position = Pick<CountedProperty, "name" | "end">

/** A property of an event name. A pass counts its values with a hash from `start` to `end` (exclusive). */
interface CountedProperty {
  readonly name: string
  readonly key: string
  readonly start: number
  end: number
  /** The memory of `counts`. */
  readonly budget: MemoryBudget
  counts: PropertyCounts | undefined
}

class Pass {
  readonly properties = new Map<string, CountedProperty>()
  /** Events of each name. */
  readonly #events: Counter<string>

  /** `rest`: the properties that earlier passes have not completed; undefined in the first pass. */
  constructor(
    private readonly keys: readonly string[] | undefined,
    private readonly budget: MemoryBudget,
    private readonly previous: ReadonlyMap<string, Position> | undefined,
  ) {
    this.#events = new Counter<string>(bytesOfValue, budget)
  }

  eventsOf(name: string): number {
    return this.#events.times(name)
  }

  add(batch: Batch, selection: Selection): void {
    const { name } = batch
    this.#events.add(name, sizeOf(selection))
    for (const key of this.keys ? new Set(this.keys) : batch.keys().keys()) {
      const property = this.#propertyOf(name, key)
      if (!property || property.start === property.end) continue
      const column = batch.property(key)
      if (column) forEachValue(column, selection, (value, times) => this.#count(property, value, times))
    }
  }

  /** The properties that later passes continue with. */
  rest(): ReadonlyMap<string, Position> {
    return new Map([...this.properties].filter(([, { end }]) => end < hashEnd))
  }

  #propertyOf(name: string, key: string): CountedProperty | undefined {
    const id = idOf({ name, key })
    let property = this.properties.get(id)
    const previous = this.previous?.get(id)
    if (property || (this.previous && !previous)) return property
    this.#reserve(propertyBytes + id.length * 2)
    property = {
      name,
      key,
      start: previous?.end ?? 0,
      end: hashEnd,
      budget: this.budget.child(),
      counts: undefined,
    }
    this.properties.set(id, property)
    return property
  }

  #reserve(bytes: number): void {
    for (;;) {
      try {
        this.budget.reserve(bytes)
        return
      } catch (error) {
        this.#makeRoom(error)
      }
    }
  }

  #count(property: CountedProperty, value: Value, times: number): void {
    const counted = countedValue(value)
    while (includes(property, counted)) {
      try {
        property.counts ??= newCounts(property)
        property.counts.addValue(counted, times)
        return
      } catch (error) {
        this.#makeRoom(error)
      }
    }
  }

  /**
   * Leaves the property with the most memory to a later pass; if it is the only one, the upper half of its hashes.
   * Throws other errors than OutOfMemoryBudgetError, and this one if nothing can be left to a later pass.
   */
  #makeRoom(error: unknown): void {
    if (!(error instanceof OutOfMemoryBudgetError)) throw error
    let largest: CountedProperty | undefined
    let counted = 0
    for (const property of this.properties.values()) {
      if (property.budget.reserved === 0) continue
      counted++
      if (property.budget.reserved > (largest?.budget.reserved ?? 0)) largest = property
    }
    if (!largest) throw error
    const { counts, start, end, budget } = largest
    largest.end = counted > 1 ? start : start + Math.floor((end - start) / 2)
    largest.counts = undefined
    budget.release()
    if (counted > 1 || !counts) return
    // Not even the values of one hash fit.
    if (largest.end === start) throw error
    largest.counts = newCounts(largest)
    for (const [value, times] of counts.values.additions())
      if (includes(largest, value)) largest.counts.addValue(value, times)
  }
}

function newCounts({ name, key, budget }: CountedProperty): PropertyCounts {
  budget.reserve(countsBytes)
  return new PropertyCounts(name, key, budget)
}

/** True if the pass counts the value. Values with the same text have the same hash. */
function includes({ start, end }: CountedProperty, value: CountedValue): boolean {
  if (start === 0 && end === hashEnd) return true
  if (start === end) return false
  const hash = Bun.hash.xxHash32(String(value))
  return hash >= start && hash < end
}

/** Undefined if the pass has counted no value. */
function resultOf(
  { name, key, counts, start, end }: CountedProperty,
  events: number,
  top: number,
  bins: number | undefined,
): PropertyValues | undefined {
  if (!counts || counts.values.size === 0) return undefined
  // Percentiles and bins need all numbers of the property.
  if (bins !== undefined && (start > 0 || end < hashEnd)) throw new OutOfMemoryBudgetError()
  const numbers = bins === undefined ? undefined : counts.numbers(bins)
  return { name, key, events, ...counts.statistics(top), ...(numbers && { numbers }) }
}

/** The result for two disjoint sets of values of a property. */
function union(left: PropertyValues, right: PropertyValues, top: number): PropertyValues {
  return {
    ...left,
    occurrences: left.occurrences + right.occurrences,
    cardinality: left.cardinality + right.cardinality,
    numeric: left.numeric + right.numeric,
    boolean: left.boolean + right.boolean,
    date: left.date + right.date,
    url: left.url + right.url,
    numericTexts: left.numericTexts + right.numericTexts,
    totalLength: left.totalLength + right.totalLength,
    maxLength: Math.max(left.maxLength, right.maxLength),
    top: [...left.top, ...right.top].sort(compareCounts).slice(0, top),
  }
}
