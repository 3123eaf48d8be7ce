import type { Batch, Column } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import {
  type Aggregation,
  type Mergeable,
  PartialAggregates,
  type TimeRange,
} from "../aggregate/partial-aggregates.ts"
import { numberOf, textOf } from "../json.ts"
import type { PropertyNumbers, PropertyValues, ValuesQuery, ValuesResult } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import { Counter } from "../structures/counter.ts"
import { MemoryBudget } from "../structures/id-set.ts"
import { eachValue, type Selection, sizeOf } from "../structures/selection.ts"
import { ascending, binsOf, sumOf, totalOf, valueAtShare } from "../structures/statistics.ts"

/** Bytes of an answer for a property of a name, and for each value or bin. */
const propertyBytes = 300
/** Bytes that the counts of a property of a name take, be it of one value. */
const countsBytes = 1_800
const listedBytes = 60
/** Bytes that a text takes beside its characters, and any value for its place in an order. */
const valueBytes = 24
const placeBytes = 8

/** Property keys of each event name, and how often each value is there. */
export function* values(
  question: ValuesQuery,
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, ValuesResult> {
  const { scope, keys, top, bins } = question
  const { websites, filters, crawlers, from, to } = scope
  const key = JSON.stringify({ values: keys ?? null, websites, filters, crawlers })
  const counted: Aggregation<Properties, TimeRange> = {
    keyOf: () => key,
    empty: (_, budget, base) => new Properties(keys, budget, base),
    addCounts: () => false,
  }
  const matcher = new Matcher(scope, filters, source)
  const counting = new PartialAggregates(source, matcher, counted, budget)
  const properties = yield* counting.of(
    { from, to },
    {
      key: `${top} ${bins}`,
      make: (all) => all.list(top, bins),
      bytes: (found) => found.reduce((sum, one) => sum + bytesOf(one), 0),
    },
  )
  return { properties: properties ?? [] }
}

function bytesOf({ top, numbers }: PropertyValues): number {
  return propertyBytes + (top.length + (numbers?.bins.length ?? 0)) * listedBytes
}

/** The properties of each event name. */
class Properties implements Mergeable<Properties> {
  /** Events of each name. */
  readonly #events: Counter<string>
  readonly #found = new Map<string, PropertyCounts>()

  constructor(
    private readonly wanted: readonly string[] | undefined,
    private readonly budget: MemoryBudget,
    private readonly base?: Properties,
  ) {
    this.#events = new Counter(knownBytes, budget, base ? base.#events : undefined)
  }

  add(batch: Batch, selection: Selection): void {
    const { name } = batch
    this.#events.add(name, sizeOf(selection))
    for (const key of this.wanted ? new Set(this.wanted) : batch.keys().keys()) {
      const column = batch.property(key)
      if (column) this.#own(name, key).add(column, selection)
    }
  }

  merge(other: Properties): void {
    if (other.base) this.merge(other.base)
    this.#events.merge(other.#events)
    for (const counts of other.#found.values()) this.#own(counts.name, counts.key).merge(counts)
  }

  pack(): void {
    for (const { values } of this.#found.values()) values.pack()
  }

  list(top: number, bins: number | undefined): PropertyValues[] {
    return [...this.#all().values()]
      .filter(({ values }) => values.size > 0)
      .map((one) => {
        const { name, key } = one
        const numbers = bins === undefined ? undefined : one.numbers(bins)
        const listed = {
          name,
          key,
          events: this.#events.times(name),
          ...one.shown(top),
          ...(numbers ? { numbers } : {}),
        }
        this.budget.take(bytesOf(listed))
        return listed
      })
  }

  #all(): Map<string, PropertyCounts> {
    return this.base ? new Map([...this.base.#all(), ...this.#found]) : this.#found
  }

  /** To be changed. */
  #own(name: string, key: string): PropertyCounts {
    const place = `${name.length} ${name}${key}`
    let counts = this.#found.get(place)
    if (!counts) {
      this.budget.take(countsBytes + place.length)
      counts = new PropertyCounts(name, key, this.budget, this.base ? this.base.#find(place) : undefined)
      this.#found.set(place, counts)
    }
    return counts
  }

  #find(place: string): PropertyCounts | undefined {
    return this.#found.get(place) ?? (this.base ? this.base.#find(place) : undefined)
  }
}

/** Objects and lists as their text: to make text of a number or a boolean takes longer than to find it. */
type Known = string | number | boolean

/** What values look like, each once. */
type Kinds = Pick<
  PropertyValues,
  "occurrences" | "numeric" | "boolean" | "date" | "url" | "totalLength" | "maxLength"
>

/** How often each value of a property of a name is there. */
class PropertyCounts {
  readonly values: Counter<Known>
  readonly #base: PropertyCounts | undefined
  readonly #types: Set<string>
  /** Made when it is first asked for, after which nothing is to be added. */
  #kinds: Kinds | undefined
  #sorted: Known[] | undefined
  /** Of values of several types, which are counted as texts: those that stand for JSON numbers. */
  readonly #numbers = new Set<string>()

  constructor(
    readonly name: string,
    readonly key: string,
    budget: MemoryBudget,
    base?: PropertyCounts,
  ) {
    this.values = base ? Counter.over(base.values, knownBytes, budget) : new Counter(knownBytes, budget)
    this.#base = base?.values.isPacked ? undefined : base
    this.#types = new Set(base ? base.#types : [])
  }

  add(column: Column, selection: Selection): void {
    eachValue(column, selection, (value, times) => {
      this.#add(typeof value === "object" ? textOf(value) : value, times)
    })
  }

  #add(value: Known, times: number): void {
    if (this.values.add(value, times)) this.#types.add(typeof value)
  }

  merge(other: PropertyCounts): void {
    this.values.merge(other.values)
    for (const type of other.#types) this.#types.add(type)
  }

  shown(top: number): Omit<PropertyValues, "name" | "key" | "events"> {
    if (this.#types.size > 1) return this.#asTexts().shown(top)
    return { ...this.#allKinds(), cardinality: this.values.size, top: this.#top(top) }
  }

  /** Undefined where there are none. */
  numbers(bins: number): PropertyNumbers | undefined {
    if (this.#allKinds().numeric === 0) return undefined
    // 5 and "5" are the same number.
    const counted = new Map<number, number>()
    for (const [value, times] of this.values.entries()) {
      const number = numberOf(value)
      if (number !== undefined) counted.set(number, (counted.get(number) ?? 0) + times)
    }
    const sorted = ascending([...counted])
    return {
      count: totalOf(sorted),
      min: sorted[0]?.[0] as number,
      max: sorted.at(-1)?.[0] as number,
      sum: sumOf(sorted),
      p50: valueAtShare(sorted, 0.5),
      p95: valueAtShare(sorted, 0.95),
      bins: binsOf(sorted, bins),
    }
  }

  /** 5 and "5" are the same text. */
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
      for (const [value, times] of this.values.gained()) {
        kinds.occurrences += times
        if (!base?.values.has(value)) meet(kinds, value, this.#numbers)
      }
      this.#kinds = kinds
    }
    return this.#kinds
  }

  #top(most: number): { text: string; count: number }[] {
    if (most === 0) return []
    const listed = (values: Known[]) =>
      values.slice(0, most).map((value) => ({ text: String(value), count: this.values.times(value) }))
    if (!this.#base) return listed(this.#inOrder())
    const candidates = Array.from(this.values.gained(), ([value]) => value)
    const gained = new Set(candidates)
    // Those that gained nothing are in their order already.
    let others = 0
    for (const value of this.#base.#inOrder()) {
      if (gained.has(value)) continue
      if (others++ === most) break
      candidates.push(value)
    }
    return listed(this.#sort(candidates))
  }

  #inOrder(): Known[] {
    this.#sorted ??= this.#sort(Array.from(this.values.entries(), ([value]) => value))
    return this.#sorted
  }

  /** The most frequent first, ties in the order of their text. */
  #sort(values: Known[]): Known[] {
    const times = new Map(values.map((value) => [value, this.values.times(value)]))
    return values.sort(
      (one, other) =>
        (times.get(other) as number) - (times.get(one) as number) || (String(one) < String(other) ? -1 : 1),
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

/** `numbers`: texts that stand for JSON numbers. */
function meet(kinds: Kinds, value: Known, numbers: ReadonlySet<string>): void {
  const text = String(value)
  kinds.totalLength += text.length
  kinds.maxLength = Math.max(kinds.maxLength, text.length)
  if (numberOf(value) !== undefined || numbers.has(text)) kinds.numeric++
  else if (text === "true" || text === "false") kinds.boolean++
  else if (dateForm.test(text) && !Number.isNaN(Date.parse(text))) kinds.date++
  else if (urlForm.test(text)) kinds.url++
}

/** A value is also in a list in its order, once it is to be shown. */
function knownBytes(value: Known): number {
  return typeof value === "string" ? valueBytes + value.length * 2 : placeBytes
}

/** A calendar date, with or without a time. */
const dateForm = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/
const urlForm = /^https?:\/\/\S+$/i
