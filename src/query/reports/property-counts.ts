import type { Column, Value } from "../../columns/batch.ts"
import { numberOf, textOf } from "../json-values.ts"
import type { PropertyNumbers, PropertyValues } from "../query.ts"
import { Counter } from "../structures/counter.ts"
import { MemoryBudget } from "../structures/memory-budget.ts"
import { NumberCounts } from "../structures/number-counts.ts"
import type { NumberDictionary } from "../structures/number-dictionary.ts"
import { forEachValue, presentOnly, type Selection } from "../structures/selection.ts"
import { histogram, percentile, sortByValue, sumOf, totalCount } from "../structures/statistics.ts"

/** Bytes of a text without its characters, and of the entry of any value in the sorted list. */
const valueBytes = 24
const sortedBytes = 8
/** Candidates for the most frequent values that are collected before the list is sorted and cut. */
const spareCandidates = 1_024

/**
 * A counted value. Objects and arrays are counted as text. Numbers and booleans are not, because converting them takes
 * longer than a lookup.
 */
export type CountedValue = string | number | boolean

/** Identifies a property of an event name. */
export function idOf({ name, key }: Pick<PropertyValues, "name" | "key">): string {
  return `${name.length} ${name}${key}`
}

export function countedValue(value: Value): CountedValue {
  return typeof value === "object" ? textOf(value) : value
}

/** Statistics over distinct values. */
type Kinds = Pick<
  PropertyValues,
  "occurrences" | "numeric" | "boolean" | "date" | "url" | "totalLength" | "maxLength"
>

/** Counts the values of a property of an event name. */
export class PropertyCounts {
  /** The values that are not in `#numbers`. */
  readonly values: Counter<CountedValue>
  readonly #base: PropertyCounts | undefined
  /** The types of `values`. */
  readonly #types: Set<string>
  #numbers: NumberCounts | undefined
  readonly #baseNumbers: NumberCounts | undefined
  /** The counts whose numbers are `#baseNumbers`. */
  readonly #numberBase: PropertyCounts | undefined
  /** Computed on first use, like `#kinds`. */
  #numberSummary: NumberSummary | undefined
  /** Computed on first use. Nothing can be added after that. */
  #kinds: Kinds | undefined
  #sorted: CountedValue[] | undefined
  /** If values are counted as text, the texts of those that are JSON numbers. */
  readonly #numberTexts = new Set<string>()

  /**
   * `dictionary`: returns the dictionary of the numbers, which it shares with other event names. Undefined: numbers are
   * counted like other values, which takes more memory, but can be done in parts.
   */
  constructor(
    readonly name: string,
    readonly key: string,
    private readonly budget: MemoryBudget,
    private readonly dictionary?: () => NumberDictionary,
    base?: PropertyCounts,
  ) {
    this.values = base ? Counter.over(base.values, bytesOfValue, budget) : new Counter(bytesOfValue, budget)
    this.#base = base?.values.isPacked ? undefined : base
    this.#baseNumbers = base ? base.#anyNumbers : undefined
    this.#numberBase = base
    this.#types = new Set(base ? base.#types : [])
  }

  get isEmpty(): boolean {
    return this.values.size === 0 && !this.#allNumbers
  }

  add(column: Column, selection: Selection): void {
    const { dictionary } = this
    if (dictionary && column.numbers) {
      const [all, present] = column.few ? presentOnly(column, column.few, selection) : [column, selection]
      const mapping = dictionary().codesOfColumn(all, present)
      this.#mutableNumbers(dictionary).addAll(all.codes, mapping, present)
      return
    }
    forEachValue(column, selection, (value, times) => this.addValue(countedValue(value), times))
  }

  addValue(value: CountedValue, times: number): void {
    const { dictionary } = this
    if (dictionary && typeof value === "number") {
      const code = dictionary().codeOf(value)
      this.#mutableNumbers(dictionary).add(code, times)
    } else if (this.values.add(value, times)) this.#types.add(typeof value)
  }

  merge(other: PropertyCounts): void {
    this.values.merge(other.values)
    for (const type of other.#types) this.#types.add(type)
    const numbers = other.#anyNumbers
    if (numbers && this.dictionary) this.#mutableNumbers(this.dictionary).merge(numbers)
  }

  pack(): void {
    this.values.pack()
    this.#numbers?.pack()
  }

  /** The counts of numbers, including the base. */
  get #anyNumbers(): NumberCounts | undefined {
    return this.#numbers ?? this.#baseNumbers
  }

  /** Undefined if no number was counted. */
  get #allNumbers(): NumberCounts | undefined {
    const numbers = this.#anyNumbers
    return numbers?.hasNumbers ? numbers : undefined
  }

  #mutableNumbers(dictionary: () => NumberDictionary): NumberCounts {
    this.#numbers ??= new NumberCounts(dictionary(), this.budget, this.#baseNumbers)
    return this.#numbers
  }

  statistics(top: number): Omit<PropertyValues, "name" | "key" | "events"> {
    const numbers = this.#allNumbers
    if (this.#types.size + (numbers ? 1 : 0) > 1) {
      let numericTexts = 0
      for (const [value] of this.values.entries())
        if (typeof value === "string" && numberOf(value) !== undefined) numericTexts++
      return { ...this.#asTexts().statistics(top), numericTexts }
    }
    if (numbers) {
      const { kinds, top: frequent } = this.#summaryOfNumbers(numbers, top)
      const listed = frequent.slice(0, top).map(({ code, count }) => ({
        text: String(numbers.dictionary.numberOf(code)),
        count,
      }))
      return { ...kinds, numericTexts: 0, cardinality: kinds.numeric, top: listed }
    }
    const kinds = this.#allKinds()
    const numericTexts = this.#types.has("string") ? kinds.numeric : 0
    return { ...kinds, numericTexts, cardinality: this.values.size, top: this.#top(top) }
  }

  /** `limit`: minimum length of the list of the most frequent numbers, if there are as many. */
  #summaryOfNumbers(numbers: NumberCounts, limit: number): NumberSummary {
    const known = this.#numberSummary
    if (known && (known.limit >= limit || known.top.length < known.limit)) return known
    const base = this.#numberBase
    const summary =
      !this.#numbers && base
        ? base.#summaryOfNumbers(numbers, limit)
        : base && numbers.hasFewAdditions
          ? this.#extendedSummary(numbers, base, limit)
          : summaryOf(numbers, limit)
    this.#numberSummary = summary
    return summary
  }

  /** The summary of the base and of few additions. */
  #extendedSummary(numbers: NumberCounts, base: PropertyCounts, limit: number): NumberSummary {
    const baseNumbers = base.#anyNumbers
    if (!baseNumbers) return summaryOf(numbers, limit)
    const { dictionary } = numbers
    const changed = new Map<number, number>()
    numbers.forEachAddition((code, added, before) => changed.set(code, before + added))
    // A power of two, so that the summary of the base serves later queries with a few more additions.
    const baseLimit = 2 ** Math.ceil(Math.log2(limit + changed.size + 1))
    const summary = base.#summaryOfNumbers(baseNumbers, baseLimit)
    const kinds = { ...summary.kinds }
    numbers.forEachAddition((code, added, before) => {
      kinds.occurrences += added
      if (before === 0) addNumber(kinds, dictionary.textLengthOf(code))
    })
    const frequent = new MostFrequentNumbers(dictionary, limit)
    for (const { code, count } of summary.top) if (!changed.has(code)) frequent.add(code, count)
    for (const [code, count] of changed) frequent.add(code, count)
    return { limit, kinds, top: frequent.list() }
  }

  /** Undefined if no value is a number. */
  numbers(bins: number): PropertyNumbers | undefined {
    const numbers = this.#allNumbers
    if (!numbers && this.#allKinds().numeric === 0) return undefined
    // 5 and "5" are the same number.
    const counted = new Map<number, number>()
    for (const [value, times] of this.values.entries()) {
      const number = numberOf(value)
      if (number !== undefined) counted.set(number, (counted.get(number) ?? 0) + times)
    }
    numbers?.forEach((code, times) => {
      const number = numbers.dictionary.numberOf(code)
      counted.set(number, (counted.get(number) ?? 0) + times)
    })
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

  /** Converts all values to text, because 5 and "5" are the same text. */
  #asTexts(): PropertyCounts {
    const texts = new PropertyCounts(this.name, this.key, new MemoryBudget(Number.POSITIVE_INFINITY))
    const add = (value: CountedValue, times: number) => {
      texts.addValue(String(value), times)
      if (typeof value === "number") texts.#numberTexts.add(String(value))
    }
    for (const [value, times] of this.values.entries()) add(value, times)
    const numbers = this.#allNumbers
    numbers?.forEach((code, times) => {
      add(numbers.dictionary.numberOf(code), times)
    })
    return texts
  }

  #allKinds(): Kinds {
    if (!this.#kinds) {
      const base = this.#base
      const kinds = { ...(base ? base.#allKinds() : noKinds) }
      for (const [value, times] of this.values.additions()) {
        kinds.occurrences += times
        if (!base?.values.has(value)) addKind(kinds, value, this.#numberTexts)
      }
      this.#kinds = kinds
    }
    return this.#kinds
  }

  #top(limit: number): TextCount[] {
    if (limit === 0) return []
    if (!this.#base) {
      const frequent = new MostFrequent(limit)
      for (const [value, count] of this.values.additions()) frequent.add(value, count)
      return frequent.list()
    }
    const candidates = Array.from(this.values.additions(), ([value]) => value)
    const changed = new Set(candidates)
    // Values without new counts are already sorted.
    let unchanged = 0
    for (const value of this.#base.#sortedValues()) {
      if (changed.has(value)) continue
      if (unchanged++ === limit) break
      candidates.push(value)
    }
    return this.#sort(candidates)
      .slice(0, limit)
      .map((value) => ({ text: String(value), count: this.values.times(value) }))
  }

  #sortedValues(): CountedValue[] {
    this.#sorted ??= this.#sort(Array.from(this.values.entries(), ([value]) => value))
    return this.#sorted
  }

  /** Sorts by frequency, most frequent first, ties by their text. */
  #sort(values: CountedValue[]): CountedValue[] {
    const times = new Map(values.map((value) => [value, this.values.times(value)]))
    return values.sort(
      (a, b) => (times.get(b) as number) - (times.get(a) as number) || (String(a) < String(b) ? -1 : 1),
    )
  }
}

/** A value in a list of the most frequent values. */
type TextCount = PropertyValues["top"][number]

/** Most frequent first, ties by their text. */
export function compareCounts(left: TextCount, right: TextCount): number {
  return right.count - left.count || (left.text < right.text ? -1 : 1)
}

/** Collects the most frequent values. Holds few more than `limit` of them. */
class MostFrequent {
  #listed: TextCount[] = []
  #last: TextCount | undefined

  constructor(private readonly limit: number) {}

  add(value: CountedValue, count: number): void {
    const last = this.#last
    if (last && count < last.count) return
    const candidate = { text: String(value), count }
    if (last && compareCounts(last, candidate) < 0) return
    if (this.#listed.push(candidate) > this.limit + spareCandidates) this.list()
  }

  /** The values, most frequent first. */
  list(): TextCount[] {
    this.#listed = this.#listed.sort(compareCounts).slice(0, this.limit)
    this.#last = this.#listed[this.limit - 1]
    return this.#listed
  }
}

/** The statistics of the numbers of a property. */
interface NumberSummary {
  kinds: Kinds
  /** The most frequent numbers; fewer than `limit` only if there are no more. */
  top: readonly NumberCount[]
  limit: number
}

interface NumberCount {
  code: number
  count: number
}

/** Like `MostFrequent`, by code. */
class MostFrequentNumbers {
  #listed: NumberCount[] = []
  #last: NumberCount | undefined

  constructor(
    private readonly dictionary: NumberDictionary,
    private readonly limit: number,
  ) {}

  add(code: number, count: number): void {
    if (this.limit === 0) return
    const last = this.#last
    if (last && (count < last.count || (count === last.count && this.#compare(last, { code, count }) < 0)))
      return
    if (this.#listed.push({ code, count }) > this.limit + spareCandidates) this.list()
  }

  list(): NumberCount[] {
    this.#listed = this.#listed.sort((left, right) => this.#compare(left, right)).slice(0, this.limit)
    this.#last = this.#listed[this.limit - 1]
    return this.#listed
  }

  #compare(left: NumberCount, right: NumberCount): number {
    const text = ({ code }: NumberCount) => String(this.dictionary.numberOf(code))
    return right.count - left.count || (text(left) < text(right) ? -1 : 1)
  }
}

function summaryOf(numbers: NumberCounts, limit: number): NumberSummary {
  const { dictionary } = numbers
  const frequent = new MostFrequentNumbers(dictionary, limit)
  const kinds = { ...noKinds }
  numbers.forEach((code, count) => {
    kinds.occurrences += count
    addNumber(kinds, dictionary.textLengthOf(code))
    frequent.add(code, count)
  })
  return { limit, kinds, top: frequent.list() }
}

/** Adds a distinct number with a text of `length` characters. */
function addNumber(kinds: Kinds, length: number): void {
  kinds.numeric++
  kinds.totalLength += length
  kinds.maxLength = Math.max(kinds.maxLength, length)
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

/** Adds a distinct value. `numbers`: the texts of JSON numbers. */
function addKind(kinds: Kinds, value: CountedValue, numbers: ReadonlySet<string>): void {
  const text = String(value)
  kinds.totalLength += text.length
  kinds.maxLength = Math.max(kinds.maxLength, text.length)
  if (numberOf(value) !== undefined || numbers.has(text)) kinds.numeric++
  else if (text === "true" || text === "false") kinds.boolean++
  else if (datePattern.test(text) && !Number.isNaN(Date.parse(text))) kinds.date++
  else if (urlPattern.test(text)) kinds.url++
}

/** Bytes of a value, including its entry in the sorted list that is created for the result. */
export function bytesOfValue(value: CountedValue): number {
  return typeof value === "string" ? valueBytes + value.length * 2 : sortedBytes
}

/** A calendar date, with or without a time. */
export const datePattern = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/
const urlPattern = /^https?:\/\/\S+$/i
