import type { Batch, Column } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import {
  type Aggregation,
  type Mergeable,
  PartialAggregates,
  type TimeRange,
} from "../aggregate/partial-aggregates.ts"
import { numberOf, textOf } from "../json-values.ts"
import type { PropertyNumbers, PropertyValues, ValuesQuery, ValuesResult } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import { Counter } from "../structures/counter.ts"
import { MemoryBudget } from "../structures/memory-budget.ts"
import { forEachValue, type Selection, sizeOf } from "../structures/selection.ts"
import { histogram, percentile, sortByValue, sumOf, totalCount } from "../structures/statistics.ts"

/** Bytes of a property in the result, and of each of its values and bins. */
const propertyBytes = 300
const listedBytes = 60
/** Bytes of the counts of a property with a single value. */
const countsBytes = 1_800
/** Bytes per text in addition to its characters, and bytes per entry in the sorted list. */
const valueBytes = 24
const sortedBytes = 8

/** Returns the property keys of each event name, and how often each value occurs. */
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
    empty: (_, budget, base) => new Properties(keys, budget, base),
    addCounts: () => false,
    joins: () => false,
  }
  const matcher = new Matcher(scope, filters, snapshot)
  const partials = new PartialAggregates(snapshot, matcher, aggregation, budget)
  const properties = yield* partials.compute(
    { from, to },
    {
      key: `${top} ${bins}`,
      finalize: (aggregate) => aggregate.list(top, bins),
      bytesOf: (properties) => properties.reduce((sum, property) => sum + bytesOf(property), 0),
    },
  )
  return { properties: properties ?? [] }
}

function bytesOf({ top, numbers }: PropertyValues): number {
  return propertyBytes + (top.length + (numbers?.bins.length ?? 0)) * listedBytes
}

/** The properties of each event name. */
class Properties implements Mergeable<Properties> {
  /** Number of events with each name. */
  readonly #events: Counter<string>
  readonly #counts = new Map<string, PropertyCounts>()

  constructor(
    private readonly keys: readonly string[] | undefined,
    private readonly budget: MemoryBudget,
    private readonly base?: Properties,
  ) {
    this.#events = new Counter(bytesOfValue, budget, base ? base.#events : undefined)
  }

  add(batch: Batch, selection: Selection): void {
    const { name } = batch
    this.#events.add(name, sizeOf(selection))
    for (const key of this.keys ? new Set(this.keys) : batch.keys().keys()) {
      const column = batch.property(key)
      if (column) this.#own(name, key).add(column, selection)
    }
  }

  *merge(other: Properties): Generator<void, void> {
    if (other.base) yield* this.merge(other.base)
    this.#events.merge(other.#events)
    for (const counts of other.#counts.values()) {
      this.#own(counts.name, counts.key).merge(counts)
      yield
    }
  }

  pack(): void {
    for (const { values } of this.#counts.values()) values.pack()
  }

  *list(top: number, bins: number | undefined): Generator<void, PropertyValues[]> {
    const properties: PropertyValues[] = []
    for (const counts of this.#all().values()) {
      const { name, key, values } = counts
      if (values.size === 0) continue
      const numbers = bins === undefined ? undefined : counts.numbers(bins)
      const listed = {
        name,
        key,
        events: this.#events.times(name),
        ...counts.statistics(top),
        ...(numbers ? { numbers } : {}),
      }
      this.budget.reserve(bytesOf(listed))
      properties.push(listed)
      yield
    }
    return properties
  }

  #all(): Map<string, PropertyCounts> {
    return this.base ? new Map([...this.base.#all(), ...this.#counts]) : this.#counts
  }

  /** Returns counts that can be modified, unlike those of the base. */
  #own(name: string, key: string): PropertyCounts {
    const id = `${name.length} ${name}${key}`
    let counts = this.#counts.get(id)
    if (!counts) {
      this.budget.reserve(countsBytes + id.length)
      counts = new PropertyCounts(name, key, this.budget, this.base ? this.base.#find(id) : undefined)
      this.#counts.set(id, counts)
    }
    return counts
  }

  #find(id: string): PropertyCounts | undefined {
    return this.#counts.get(id) ?? (this.base ? this.base.#find(id) : undefined)
  }
}

/**
 * A counted value. Objects and arrays are counted as text. Numbers and booleans are not, because converting them takes
 * longer than a lookup.
 */
type CountedValue = string | number | boolean

/** Statistics of distinct values. */
type Kinds = Pick<
  PropertyValues,
  "occurrences" | "numeric" | "boolean" | "date" | "url" | "totalLength" | "maxLength"
>

/** Counts the values of a property of an event name. */
class PropertyCounts {
  readonly values: Counter<CountedValue>
  readonly #base: PropertyCounts | undefined
  readonly #types: Set<string>
  /** Computed on first use. Nothing can be added afterwards. */
  #kinds: Kinds | undefined
  #sorted: CountedValue[] | undefined
  /** If values are counted as text: the texts of values that are JSON numbers. */
  readonly #numbers = new Set<string>()

  constructor(
    readonly name: string,
    readonly key: string,
    budget: MemoryBudget,
    base?: PropertyCounts,
  ) {
    this.values = base ? Counter.over(base.values, bytesOfValue, budget) : new Counter(bytesOfValue, budget)
    this.#base = base?.values.isPacked ? undefined : base
    this.#types = new Set(base ? base.#types : [])
  }

  add(column: Column, selection: Selection): void {
    forEachValue(column, selection, (value, times) => {
      this.#add(typeof value === "object" ? textOf(value) : value, times)
    })
  }

  #add(value: CountedValue, times: number): void {
    if (this.values.add(value, times)) this.#types.add(typeof value)
  }

  merge(other: PropertyCounts): void {
    this.values.merge(other.values)
    for (const type of other.#types) this.#types.add(type)
  }

  statistics(top: number): Omit<PropertyValues, "name" | "key" | "events"> {
    if (this.#types.size > 1) {
      let numericTexts = 0
      for (const [value] of this.values.entries())
        if (typeof value === "string" && numberOf(value) !== undefined) numericTexts++
      return { ...this.#asTexts().statistics(top), numericTexts }
    }
    const kinds = this.#allKinds()
    const numericTexts = this.#types.has("string") ? kinds.numeric : 0
    return { ...kinds, numericTexts, cardinality: this.values.size, top: this.#top(top) }
  }

  /** Returns undefined if no value is a number. */
  numbers(bins: number): PropertyNumbers | undefined {
    if (this.#allKinds().numeric === 0) return undefined
    // 5 and "5" are the same number.
    const counted = new Map<number, number>()
    for (const [value, times] of this.values.entries()) {
      const number = numberOf(value)
      if (number !== undefined) counted.set(number, (counted.get(number) ?? 0) + times)
    }
    const sorted = sortByValue([...counted])
    return {
      count: totalCount(sorted),
      min: sorted[0]?.[0] as number,
      max: sorted.at(-1)?.[0] as number,
      sum: sumOf(sorted),
      p50: percentile(sorted, 0.5),
      p95: percentile(sorted, 0.95),
      bins: histogram(sorted, bins),
    }
  }

  /** Converts all values to text, because 5 and "5" have the same text. */
  #asTexts(): PropertyCounts {
    const texts = new PropertyCounts(this.name, this.key, new MemoryBudget(Number.POSITIVE_INFINITY))
    for (const [value, times] of this.values.entries()) {
      texts.#add(String(value), times)
      if (typeof value === "number") texts.#numbers.add(String(value))
    }
    return texts
  }

  #allKinds(): Kinds {
    if (!this.#kinds) {
      const base = this.#base
      const kinds = { ...(base ? base.#allKinds() : noKinds) }
      for (const [value, times] of this.values.additions()) {
        kinds.occurrences += times
        if (!base?.values.has(value)) addKind(kinds, value, this.#numbers)
      }
      this.#kinds = kinds
    }
    return this.#kinds
  }

  #top(limit: number): { text: string; count: number }[] {
    if (limit === 0) return []
    const listed = (values: CountedValue[]) =>
      values.slice(0, limit).map((value) => ({ text: String(value), count: this.values.times(value) }))
    if (!this.#base) return listed(this.#sortedValues())
    const candidates = Array.from(this.values.additions(), ([value]) => value)
    const changed = new Set(candidates)
    // Values without new counts are already sorted.
    let unchanged = 0
    for (const value of this.#base.#sortedValues()) {
      if (changed.has(value)) continue
      if (unchanged++ === limit) break
      candidates.push(value)
    }
    return listed(this.#sort(candidates))
  }

  #sortedValues(): CountedValue[] {
    this.#sorted ??= this.#sort(Array.from(this.values.entries(), ([value]) => value))
    return this.#sorted
  }

  /** Sorts by frequency, most frequent first. Ties are sorted by text. */
  #sort(values: CountedValue[]): CountedValue[] {
    const times = new Map(values.map((value) => [value, this.values.times(value)]))
    return values.sort(
      (a, b) => (times.get(b) as number) - (times.get(a) as number) || (String(a) < String(b) ? -1 : 1),
    )
  }
}

const noKinds: Kinds = {
  occurrences: 0,
  numeric: 0,
  boolean: 0,
  date: 0,
  url: 0,
  totalLength: 0,
  maxLength: 0,
}

/** Adds a distinct value. `numbers` contains the texts of JSON numbers. */
function addKind(kinds: Kinds, value: CountedValue, numbers: ReadonlySet<string>): void {
  const text = String(value)
  kinds.totalLength += text.length
  kinds.maxLength = Math.max(kinds.maxLength, text.length)
  if (numberOf(value) !== undefined || numbers.has(text)) kinds.numeric++
  else if (text === "true" || text === "false") kinds.boolean++
  else if (datePattern.test(text) && !Number.isNaN(Date.parse(text))) kinds.date++
  else if (urlPattern.test(text)) kinds.url++
}

/** Returns the bytes of a value, including its entry in the sorted list that is created for the result. */
function bytesOfValue(value: CountedValue): number {
  return typeof value === "string" ? valueBytes + value.length * 2 : sortedBytes
}

/** Matches a calendar date, with or without a time. */
export const datePattern = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/
const urlPattern = /^https?:\/\/\S+$/i
