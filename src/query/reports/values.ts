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
import { NumberDictionaries, type NumberDictionary } from "../structures/number-dictionary.ts"
import { type Selection, sizeOf } from "../structures/selection.ts"
import { bytesOfValue, idOf, PropertyCounts } from "./property-counts.ts"
import { valuesInPasses } from "./value-passes.ts"

/** Bytes of a property in the result, and of each of its values and bins. */
const propertyBytes = 300
const listedBytes = 60
/** Bytes of the counts of a property with one value. */
const countsBytes = 1_800
/** If the memory is not sufficient, counts that take more than this share of it are made separately. */
const largeShare = 1 / 8
/** Maximum attempts to count in one pass, each without the properties that were too large for the one before. */
const maxAttempts = 3

/**
 * The property keys of each event name, and how often each value occurs. If the counts do not fit into memory together,
 * the largest are counted separately, in several passes.
 */
export function* values(
  query: ValuesQuery,
  snapshot: Snapshot,
  budget: MemoryBudget,
): Generator<void, ValuesResult> {
  const { keys, scope } = query
  const { websites, filters, crawlers, kinds } = scope
  const { cache } = snapshot
  const key = JSON.stringify({ values: keys ?? null, websites, filters, crawlers, kinds })
  // Ranges of about the same length have the same large properties.
  const largeKey = `large ${Math.round(Math.log2(scope.to - scope.from))} ${key}`
  const large = new Set(cache.find<readonly string[]>(largeKey, ""))
  for (let attempt = 1; attempt <= maxAttempts; attempt++) {
    const attemptBudget = budget.child()
    const spec: PropertiesSpec = {
      keys,
      large,
      bytes: new Map(),
      numbers: new NumberDictionaries(attemptBudget),
    }
    let listed: PropertyValues[]
    try {
      listed = yield* valuesInOnePass(key, spec, query, snapshot, attemptBudget)
    } catch (error) {
      if (!(error instanceof OutOfMemoryBudgetError)) throw error
      attemptBudget.release()
      const added = [...spec.bytes].filter(([, bytes]) => bytes > budget.limit * largeShare)
      if (added.length === 0) break
      for (const [id] of added) large.add(id)
      cache.put(largeKey, "", [...large], JSON.stringify([largeKey, ...large]).length * 2, false)
      continue
    }
    if (large.size === 0) return { properties: listed }
    attemptBudget.release()
    budget.reserve(listed.reduce((sum, property) => sum + bytesOf(property), 0))
    const uncounted = listed.filter((property) => large.has(idOf(property)))
    const counted = yield* valuesInPasses(query, snapshot, budget, uncounted)
    const properties = listed.flatMap((property) => {
      const id = idOf(property)
      return large.has(id) ? (counted.get(id) ?? []) : property
    })
    return { properties }
  }
  return { properties: [...(yield* valuesInPasses(query, snapshot, budget)).values()] }
}

function* valuesInOnePass(
  key: string,
  spec: PropertiesSpec,
  { scope, top, bins }: ValuesQuery,
  snapshot: Snapshot,
  budget: MemoryBudget,
): Generator<void, PropertyValues[]> {
  const { filters, from, to } = scope
  const { size } = spec.large
  const aggregationKey = size > 0 ? `${key} ${JSON.stringify([...spec.large].sort())}` : key
  const aggregation: Aggregation<Properties, TimeRange> = {
    keyOf: () => aggregationKey,
    empty: (_, budget, base) => new Properties(spec, budget, base),
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
  return properties ?? []
}

function bytesOf({ top, numbers }: PropertyValues): number {
  return propertyBytes + (top.length + (numbers?.bins.length ?? 0)) * listedBytes
}

interface PropertiesSpec {
  /** Undefined: all. */
  keys: readonly string[] | undefined
  /** Ids of properties that are listed, but not counted. */
  large: ReadonlySet<string>
  /** Most bytes that the counts of a property took in one aggregate, or the numbers of its key, by id. */
  bytes: Map<string, number>
  /** Shared by all aggregates of the query. */
  numbers: NumberDictionaries
}

interface Counted {
  counts: PropertyCounts
  /** The memory of `counts`. */
  budget: MemoryBudget
}

/** The properties of each event name. */
class Properties implements Mergeable<Properties> {
  /** Events of each name. */
  readonly #events: Counter<string>
  /** By id, see `idOf`. */
  readonly #counted = new Map<string, Counted>()
  /** By key, and the bytes reserved for it: other aggregates that share it can be evicted from the cache. */
  readonly #dictionaries = new Map<string, { dictionary: NumberDictionary; bytes: number }>()

  constructor(
    private readonly spec: PropertiesSpec,
    private readonly budget: MemoryBudget,
    private readonly base?: Properties,
  ) {
    this.#events = new Counter(bytesOfValue, budget, base ? base.#events : undefined)
  }

  add(batch: Batch, selection: Selection): void {
    const { name } = batch
    const { keys, large } = this.spec
    this.#events.add(name, sizeOf(selection))
    for (const key of keys ? new Set(keys) : batch.keys().keys()) {
      const isLarge = large.has(idOf({ name, key }))
      const column = isLarge ? undefined : batch.property(key)
      if (column || isLarge) this.#change(name, key, (counts) => column && counts.add(column, selection))
    }
  }

  *merge(other: Properties): Generator<void, void> {
    if (other.base) yield* this.merge(other.base)
    this.#events.merge(other.#events)
    for (const { counts: added } of other.#counted.values()) {
      this.#change(added.name, added.key, (counts) => counts.merge(added))
      yield
    }
  }

  pack(): void {
    for (const { counts } of this.#counted.values()) counts.pack()
    for (const { dictionary } of this.#dictionaries.values()) dictionary.trim()
  }

  *list(top: number, bins: number | undefined): Generator<void, PropertyValues[]> {
    const properties: PropertyValues[] = []
    for (const [id, { counts }] of this.#all()) {
      const { name, key } = counts
      if (counts.isEmpty && !this.spec.large.has(id)) continue
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

  #all(): ReadonlyMap<string, Counted> {
    return this.base ? new Map([...this.base.#all(), ...this.#counted]) : this.#counted
  }

  /** Changes the counts of a property, but not those of the base. */
  #change(name: string, key: string, change: (counts: PropertyCounts) => void): void {
    const id = idOf({ name, key })
    const { counts, budget } = this.#mutableCounts(id, name, key)
    change(counts)
    const numbers = this.#dictionaries.get(key)
    if (numbers) {
      const { bytes } = numbers.dictionary
      this.budget.reserve(bytes - numbers.bytes)
      numbers.bytes = bytes
    }
    const { bytes } = this.spec
    bytes.set(id, Math.max(bytes.get(id) ?? 0, budget.reserved, numbers?.bytes ?? 0))
  }

  #mutableCounts(id: string, name: string, key: string): Counted {
    let counted = this.#counted.get(id)
    if (!counted) {
      const budget = this.budget.child()
      budget.reserve(countsBytes + id.length)
      const base = this.base ? this.base.#find(id)?.counts : undefined
      counted = { counts: new PropertyCounts(name, key, budget, () => this.#dictionaryOf(key), base), budget }
      this.#counted.set(id, counted)
    }
    return counted
  }

  #find(id: string): Counted | undefined {
    return this.#counted.get(id) ?? (this.base ? this.base.#find(id) : undefined)
  }

  #dictionaryOf(key: string): NumberDictionary {
    let numbers = this.#dictionaries.get(key)
    if (!numbers) {
      numbers = { dictionary: this.spec.numbers.of(key, this.#findDictionary(key)), bytes: 0 }
      this.#dictionaries.set(key, numbers)
    }
    return numbers.dictionary
  }

  #findDictionary(key: string): NumberDictionary | undefined {
    const known = this.#dictionaries.get(key)?.dictionary
    return known ?? (this.base ? this.base.#findDictionary(key) : undefined)
  }
}
