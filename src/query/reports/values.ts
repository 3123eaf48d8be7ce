import type { Batch } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import {
  type Aggregation,
  type Mergeable,
  PartialAggregates,
  type TimeRange,
} from "../aggregate/partial-aggregates.ts"
import type { PropertyValues, ValuesQuery, ValuesResult } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import { Counter } from "../structures/counter.ts"
import { type MemoryBudget, OutOfMemoryBudgetError } from "../structures/memory-budget.ts"
import { type Selection, sizeOf } from "../structures/selection.ts"
import { PropertyCounts, PropertyDictionaries } from "./property-counts.ts"
import { valuesInPasses } from "./value-passes.ts"

/** Bytes of a property in the result, and of each of its values and bins. */
const resultBytes = 300
const listedBytes = 60
/** Measured bytes of a property key, and of an event name that has the key, not counting the values. */
const keyBytes = 900
const countsBytes = 900
/** Overhead of a string in bytes, not counting its characters. */
const textBytes = 24
/**
 * If memory runs out, the largest key is left out and counted later in separate passes. A key that takes up less than
 * this share of the memory is not left out, because counting thousands of small keys in separate passes would take too
 * long.
 */
const minLargeShare = 1 / 64

/**
 * Returns the property keys of each event name, with statistics of their values. Keys whose values do not fit into
 * memory together with the values of other keys are counted separately.
 */
export function* values(
  query: ValuesQuery,
  snapshot: Snapshot,
  budget: MemoryBudget,
): Generator<void, ValuesResult> {
  const { scope, keys, top, bins } = query
  const { websites, filters, crawlers, kinds, from, to } = scope
  const key = JSON.stringify({ values: keys ?? null, websites, filters, crawlers, kinds })
  const aggregation: Aggregation<Properties, TimeRange> = {
    keyOf: () => key,
    empty: (_, budget, base) => new Properties(keys, snapshot.textSeed, budget, base),
    addCounts: () => false,
    joins: () => false,
  }
  const matcher = new Matcher(scope, filters, snapshot)
  const partials = new PartialAggregates(snapshot, matcher, aggregation, budget)
  const listed = yield* partials.compute(
    { from, to },
    {
      key: `${top} ${bins}`,
      finalize: (aggregate) => aggregate.list(top, bins),
      bytesOf: ({ properties }) => properties.reduce((sum, property) => sum + bytesOf(property), 0),
    },
  )
  if (!listed) return { properties: [] }
  const { eventsOf, uncounted } = listed
  const properties = [...listed.properties]
  for (const key of uncounted)
    for (const [name, counted] of yield* valuesInPasses(key, query, matcher, snapshot, budget)) {
      // Percentiles and bins need all numbers of a property in memory at once.
      if (bins !== undefined && counted.numeric > 0) throw new OutOfMemoryBudgetError()
      properties.push({ name, key, events: eventsOf.get(name) ?? 0, ...counted })
    }
  return { properties }
}

function bytesOf({ top, numbers }: Pick<PropertyValues, "top" | "numbers">): number {
  return resultBytes + (top.length + (numbers?.bins.length ?? 0)) * listedBytes
}

interface Listed {
  properties: PropertyValues[]
  /** Keys whose values were not counted. */
  uncounted: string[]
  /** Number of events with each name. Empty if all keys were counted. */
  eventsOf: ReadonlyMap<string, number>
}

/** A property key and its values. */
interface Key {
  readonly key: string
  /** Undefined if the values do not fit into memory. */
  values: KeyValues | undefined
  /** The budget for the memory of the values. */
  readonly budget: MemoryBudget
}

interface KeyValues {
  readonly dictionaries: PropertyDictionaries
  /** By event name. */
  readonly counts: Map<string, PropertyCounts>
}

const noCounts: ReadonlyMap<string, PropertyCounts> = new Map()

/** The properties of each event name. */
class Properties implements Mergeable<Properties> {
  /** Number of events with each name. */
  readonly #events: Counter<string>
  readonly #keys = new Map<string, Key>()
  /** Keys that take up more than `minLargeShare` of the memory. */
  readonly #large = new Set<Key>()

  constructor(
    private readonly keys: readonly string[] | undefined,
    private readonly textSeed: number,
    private readonly budget: MemoryBudget,
    private readonly base?: Properties,
  ) {
    this.#events = new Counter(bytesOfText, budget, base ? base.#events : undefined)
  }

  add(batch: Batch, selection: Selection): void {
    const { name } = batch
    this.#events.add(name, sizeOf(selection))
    for (const key of this.keys ? new Set(this.keys) : batch.keys().keys()) {
      const column = batch.property(key)
      if (column) this.#change(key, () => this.#countsOf(key, name)?.add(column, selection))
    }
  }

  *merge(other: Properties): Generator<void, void> {
    this.#events.merge(other.#events)
    for (const [key, { values }] of other.#allKeys()) {
      if (!values) this.#leaveOut(this.#keyOf(key))
      else
        for (const [name, added] of other.#allCounts(key))
          this.#change(key, () => this.#countsOf(key, name)?.merge(added))
      yield
    }
  }

  pack(): void {
    this.#shrinkCounts()
    for (const { values } of this.#keys.values()) values?.dictionaries.pack()
  }

  shrink(): void {
    this.#shrinkCounts()
    for (const { values } of this.#keys.values()) values?.dictionaries.shrink()
  }

  #shrinkCounts(): void {
    for (const { values } of this.#keys.values())
      for (const counts of values?.counts.values() ?? []) counts.shrink()
  }

  *list(top: number, bins: number | undefined): Generator<void, Listed> {
    const properties: PropertyValues[] = []
    const uncounted: string[] = []
    for (const [key, { values }] of this.#allKeys()) {
      if (!values) {
        uncounted.push(key)
        continue
      }
      for (const [name, property] of this.#allCounts(key)) {
        const statistics = property.statistics(top)
        if (!statistics) continue
        const numbers = bins === undefined ? undefined : property.numbers(bins, this.budget)
        const events = this.#events.times(name)
        const listed = { name, key, events, ...statistics, ...(numbers ? { numbers } : {}) }
        this.budget.reserve(bytesOf(listed))
        properties.push(listed)
        yield
      }
    }
    return { properties, uncounted, eventsOf: new Map(uncounted.length > 0 ? this.#events.entries() : []) }
  }

  #allKeys(): Map<string, Key> {
    return this.base ? new Map([...this.base.#allKeys(), ...this.#keys]) : this.#keys
  }

  #allCounts(key: string): ReadonlyMap<string, PropertyCounts> {
    const own = this.#keys.get(key)?.values?.counts ?? noCounts
    const before = this.base ? this.base.#allCounts(key) : noCounts
    return before.size === 0 ? own : new Map([...before, ...own])
  }

  #findKey(key: string): Key | undefined {
    return this.#keys.get(key) ?? (this.base ? this.base.#findKey(key) : undefined)
  }

  #findCounts(key: string, name: string): PropertyCounts | undefined {
    const own = this.#keys.get(key)?.values?.counts.get(name)
    return own ?? (this.base ? this.base.#findCounts(key, name) : undefined)
  }

  /**
   * Returns this object's own entry for a key. Creates the entry if necessary. Unlike an entry of the base, it can be
   * changed.
   */
  #keyOf(key: string): Key {
    let known = this.#keys.get(key)
    if (!known) {
      const before = this.base ? this.base.#findKey(key) : undefined
      const budget = this.budget.child()
      budget.reserve(keyBytes + bytesOfText(key))
      const dictionaries = new PropertyDictionaries(budget, this.textSeed, before?.values?.dictionaries)
      const isLeftOut = before !== undefined && !before.values
      known = { key, values: isLeftOut ? undefined : { dictionaries, counts: new Map() }, budget }
      this.#keys.set(key, known)
    }
    return known
  }

  /** Returns the counts of a key in the events with one name, or undefined if the key was left out. */
  #countsOf(key: string, name: string): PropertyCounts | undefined {
    const { values, budget } = this.#keyOf(key)
    let counts = values?.counts.get(name)
    if (values && !counts) {
      budget.reserve(countsBytes + bytesOfText(name))
      counts = new PropertyCounts(
        values.dictionaries,
        budget,
        this.base ? this.base.#findCounts(key, name) : undefined,
      )
      values.counts.set(name, counts)
    }
    return counts
  }

  /**
   * Changes the counts of a key. If the change takes too much memory, leaves out the largest key, and also `key`, whose
   * counts are now incomplete. If even the largest key is smaller than `minLargeShare`, throws OutOfMemoryBudgetError.
   */
  #change(key: string, change: () => void): void {
    try {
      change()
      const known = this.#keyOf(key)
      if (known.budget.reserved > this.budget.limit * minLargeShare) this.#large.add(known)
    } catch (error) {
      if (!(error instanceof OutOfMemoryBudgetError)) throw error
      let largest = this.#keys.get(key)
      const own = largest
      for (const other of this.#large)
        if (other.budget.reserved > (largest?.budget.reserved ?? 0)) largest = other
      if (!largest || largest.budget.reserved < this.budget.limit * minLargeShare) throw error
      this.#leaveOut(largest)
      this.#leaveOut(own ?? this.#keyOf(key))
    }
  }

  #leaveOut(key: Key): void {
    key.values = undefined
    key.budget.release()
    this.#large.delete(key)
  }
}

function bytesOfText(text: string): number {
  return textBytes + text.length * 2
}
