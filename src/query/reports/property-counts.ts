import type { Column, Value } from "../../columns/batch.ts"
import { numberOf, textOf } from "../json-values.ts"
import type { PropertyNumbers, PropertyValues } from "../query.ts"
import { CodeCounts, type CodeDictionary } from "../structures/code-counts.ts"
import { histogram } from "../structures/histogram.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { type Frequency, MostFrequent } from "../structures/most-frequent.ts"
import { NumberCounts } from "../structures/number-counts.ts"
import { firstCode, NumberDictionary } from "../structures/number-dictionary.ts"
import { forEachValue, presentOnly, type Selection } from "../structures/selection.ts"
import { percentile, sortByValue, sumOf, totalCount, type ValueCounts } from "../structures/statistics.ts"
import { TextDictionary } from "../structures/text-dictionary.ts"

/**
 * If more values than this were added to the base of a summary, the summary is computed from all counts instead of the
 * summary of the base.
 */
const maxChanged = 2_048
/** Maximum number of frequent values that are cached with counts, and the counts for which a histogram is computed. */
const [maxFrequent, countedUpTo] = [1_024, 4_096]
/** Bytes of a list entry with a number and its count. */
const sortedNumberBytes = 64

type Described = Omit<PropertyValues, "name" | "key" | "events" | "numbers">
/** The counts and lengths that `addTo` updates for each distinct value. */
type Kinds = Omit<Described, "cardinality" | "numericTexts" | "top">
type Kind = "numeric" | "boolean" | "date" | "url"

/** The dictionaries of a property key, shared by all event names. Each dictionary is created on first use. */
export class PropertyDictionaries {
  #numbers: NumberDictionary | undefined
  #texts: TextDictionary | undefined

  /**
   * `textSeed` is the seed of the `TextDictionary`. Values in `base`, which must not change afterwards, keep their
   * codes.
   */
  constructor(
    private readonly budget: MemoryBudget,
    private readonly textSeed: number,
    private readonly base?: PropertyDictionaries,
  ) {}

  get numbers(): NumberDictionary {
    this.#numbers ??= new NumberDictionary(this.budget, this.base?.knownNumbers)
    return this.#numbers
  }

  get texts(): TextDictionary {
    this.#texts ??= new TextDictionary(this.budget, this.textSeed, this.base?.knownTexts)
    return this.#texts
  }

  get knownNumbers(): NumberDictionary | undefined {
    return this.#numbers ?? this.base?.knownNumbers
  }

  get knownTexts(): TextDictionary | undefined {
    return this.#texts ?? this.base?.knownTexts
  }

  /** Reduces memory use once the dictionaries are complete. */
  shrink(): void {
    this.#numbers?.shrink()
    this.#texts?.shrink()
  }

  /** Like `shrink`, but afterwards, the dictionaries can only be merged into other dictionaries. */
  pack(): void {
    this.#numbers?.shrink()
    this.#texts?.pack()
  }
}

/**
 * Counts the values of a property in the events with one name. JSON numbers are counted separately from all other
 * values, which are called texts here.
 */
export class PropertyCounts {
  readonly #numbers: NumberSource
  readonly #texts: TextSource

  /** `base` contains the initial counts. It must not change afterwards. */
  constructor(
    private readonly dictionaries: PropertyDictionaries,
    budget: MemoryBudget,
    base?: PropertyCounts,
  ) {
    this.#numbers = new NumberSource(dictionaries, budget, base ? base.#numbers : undefined)
    this.#texts = new TextSource(dictionaries, budget, base ? base.#texts : undefined)
  }

  add(column: Column, selection: Selection): void {
    const [all, present] = column.few ? presentOnly(column, column.few, selection) : [column, selection]
    const { dictionaries } = this
    if (all.numbers || all.values.every((value) => typeof value === "number")) {
      const mapping = dictionaries.numbers.codesOfColumn(all, present)
      this.#numbers.counts.addAll(all.codes, mapping, present)
      return
    }
    const { mapping, hasNumbers } = dictionaries.texts.codesOfColumn(all, present)
    this.#texts.counts.addAll(all.codes, mapping, present)
    if (!hasNumbers) return
    forEachValue(all, present, (value, times) => {
      if (typeof value === "number") this.addValue(value, times)
    })
  }

  addValue(value: Value, times: number): void {
    const { dictionaries } = this
    if (typeof value === "number") this.#numbers.counts.add(dictionaries.numbers.codeOf(value), times)
    else this.#texts.counts.add(dictionaries.texts.codeOf(textOf(value)), times)
  }

  merge(other: PropertyCounts): void {
    const [numbers, texts] = [other.#numbers.known, other.#texts.known]
    if (numbers) this.#numbers.counts.merge(numbers)
    if (texts) this.#texts.counts.merge(texts)
  }

  /** See `CodeCounts.shrink`. */
  shrink(): void {
    this.#numbers.own?.shrink()
    this.#texts.own?.shrink()
  }

  /** Returns statistics that list up to `top` of the most frequent values, or undefined if no value was counted. */
  statistics(top: number): Described | undefined {
    const [numbers, texts] = [nonEmpty(this.#numbers.summary(top)), nonEmpty(this.#texts.summary(top))]
    if (numbers && texts) return this.#statisticsOfBoth(top)
    const summary = numbers ?? texts
    if (!summary) return undefined
    const { kinds, cardinality } = summary
    const listed = summary.top.slice(0, top).map(({ value, count }) => ({
      text: (numbers ? this.dictionaries.numbers : this.dictionaries.texts).textOf(value),
      count,
    }))
    return { ...kinds, numericTexts: numbers ? 0 : kinds.numeric, cardinality, top: listed }
  }

  /** Returns the statistics of numbers and texts together. The number 5 and the string "5" count as the same value. */
  #statisticsOfBoth(top: number): Described {
    const { numbers, texts } = this.dictionaries
    const kinds = { ...noKinds }
    let [cardinality, numericTexts] = [0, 0]
    const frequent = new MostFrequent<string>(top, (left, right) => (left < right ? -1 : 1))
    const countsOfTexts = this.#texts.counts.counts()
    this.#numbers.counts.forEach((code, times) => {
      const text = numbers.textOf(code)
      const same = texts.find(text)
      const count = times + (same === undefined ? 0 : (countsOfTexts[same] as number))
      if (count > times) {
        if (numberOf(text) !== undefined) numericTexts++
        countsOfTexts[same as number] = 0
      }
      addTo(kinds, "numeric", text.length, count)
      cardinality++
      frequent.add(text, count)
    })
    for (let code = firstCode; code < countsOfTexts.length; code++) {
      const count = countsOfTexts[code] as number
      if (count === 0) continue
      const kind = kindOf(texts, code)
      if (kind === "numeric") numericTexts++
      addTo(kinds, kind, texts.textLengthOf(code), count)
      cardinality++
      frequent.add(texts.textOf(code), count)
    }
    countsOfTexts.fill(0)
    const listed = frequent.list().map(({ value, count }) => ({ text: value, count }))
    return { ...kinds, numericTexts, cardinality, top: listed }
  }

  /**
   * Returns statistics of the numeric values, or undefined if there are none. `memory` limits the memory used to
   * compute them.
   */
  numbers(bins: number, memory: MemoryBudget): PropertyNumbers | undefined {
    const budget = memory.child()
    const { known } = this.#numbers
    const texts = this.#texts.known
    budget.reserve((known?.dictionary.size ?? 0) * sortedNumberBytes)
    let sorted = known?.sorted() ?? []
    // The number 5 and the string "5" count as the same number.
    const fromTexts = new Map<number, number>()
    texts?.forEach((code, times) => {
      if (kindOf(texts.dictionary, code) !== "numeric") return
      const number = numberOf(texts.dictionary.textOf(code)) as number
      const count = fromTexts.get(number)
      if (count === undefined) budget.reserve(sortedNumberBytes * 2)
      fromTexts.set(number, (count ?? 0) + times)
    })
    if (fromTexts.size > 0) {
      for (const [number, times] of sorted) fromTexts.set(number, (fromTexts.get(number) ?? 0) + times)
      sorted = sortByValue([...fromTexts])
    }
    budget.release()
    return sorted.length === 0 ? undefined : numberStatistics(sorted, bins)
  }
}

interface Summary {
  kinds: Kinds
  cardinality: number
  /** Codes of the most frequent values. There are fewer than `limit` only if there are no other values. */
  top: readonly Frequency<number>[]
  limit: number
}

/**
 * The most frequent values in no particular order: all values whose count is at least that of the least frequent one in
 * the list.
 */
interface FrequentCodes {
  codes: Uint32Array
  counts: Float64Array
  /** The list was computed for this number of values. It has more if the last ones are equally frequent. */
  needed: number
}

function nonEmpty(summary: Summary | undefined): Summary | undefined {
  return summary && summary.cardinality > 0 ? summary : undefined
}

/** The counts of the values in one of the two dictionaries. */
abstract class Source<
  Dictionary extends CodeDictionary<Dictionary> & {
    textLengthOf: (code: number) => number
    compare: (left: number, right: number) => number
  },
  Counts extends CodeCounts<Dictionary>,
> {
  /** The counts of the base and of the values added to it. Undefined if no value was added. */
  own: Counts | undefined
  /** Computed on first use. Afterwards, no value can be added. */
  #summary: Summary | undefined
  /** Computed on first use, like `#summary`. */
  #frequent: FrequentCodes | undefined
  /** For this number of values or more, `frequent` returns undefined. */
  #tooFrequent = Number.POSITIVE_INFINITY

  constructor(
    protected readonly dictionaries: PropertyDictionaries,
    protected readonly budget: MemoryBudget,
    private readonly base?: Source<Dictionary, Counts>,
  ) {}

  protected abstract create(base: Counts | undefined): Counts
  protected abstract kindOf(dictionary: Dictionary, code: number): Kind | undefined

  /** Counts that can be changed. Created on first use. */
  get counts(): Counts {
    this.own ??= this.create(this.base?.known)
    return this.own
  }

  /** All counts, including those of the base. Undefined if nothing was counted. */
  get known(): Counts | undefined {
    return this.own ?? this.base?.known
  }

  /** Returns a summary that lists at least `limit` of the most frequent values, or all values if there are fewer. */
  summary(limit: number): Summary | undefined {
    const known = this.#summary
    if (known && (known.limit >= limit || known.top.length < known.limit)) return known
    const { own, base } = this
    if (!own) return base?.summary(limit)
    const summary =
      (base && own.hasFewAdditions ? this.#extended(own, base, limit) : undefined) ??
      this.#complete(own, limit)
    this.#summary = summary
    return summary
  }

  #complete(counts: Counts, limit: number): Summary {
    const { dictionary } = counts
    const frequent = frequentIn(dictionary, limit)
    const kinds = { ...noKinds }
    let cardinality = 0
    counts.forEach((code, count) => {
      addTo(kinds, this.kindOf(dictionary, code), dictionary.textLengthOf(code), count)
      cardinality++
      frequent.add(code, count)
    })
    return { limit, kinds, cardinality, top: frequent.list() }
  }

  /**
   * Computes the summary from the summary of the base and a few additions. Returns undefined if there are too many
   * additions.
   */
  #extended(counts: Counts, base: Source<Dictionary, Counts>, limit: number): Summary | undefined {
    const { dictionary } = counts
    const changed = new Map<number, { added: number; before: number }>()
    counts.forEachAddition((code, added, before) => changed.set(code, { added, before }))
    if (changed.size > maxChanged) return undefined
    const frequent = frequentIn(dictionary, limit)
    // Rounded up to a power of two, so that later queries with a few more additions can use the same list.
    const needed = 2 ** Math.ceil(Math.log2(limit + changed.size + 1))
    const known = limit === 0 ? undefined : base.frequent(needed)
    const before = base.summary(known || limit === 0 ? 0 : needed)
    if (!before) return undefined
    if (known)
      for (let index = 0; index < known.codes.length; index++) {
        const code = known.codes[index] as number
        if (!changed.has(code)) frequent.add(code, known.counts[index] as number)
      }
    else if (limit > 0)
      for (const { value, count } of before.top) if (!changed.has(value)) frequent.add(value, count)
    const kinds = { ...before.kinds }
    let { cardinality } = before
    for (const [code, { added, before }] of changed) {
      frequent.add(code, before + added)
      if (before > 0) kinds.occurrences += added
      else {
        addTo(kinds, this.kindOf(dictionary, code), dictionary.textLengthOf(code), added)
        cardinality++
      }
    }
    return { limit, kinds, cardinality, top: frequent.list() }
  }

  /**
   * Returns at least `needed` of the most frequent values, or all values if there are fewer. Unlike `summary`, does not
   * compare the texts of values. Returns undefined if so many values are equally frequent that the list would be too
   * long.
   */
  frequent(needed: number): FrequentCodes | undefined {
    const { own, base } = this
    if (!own) return base?.frequent(needed)
    if (this.#frequent && this.#frequent.needed >= needed) return this.#frequent
    if (needed >= this.#tooFrequent) return undefined
    const histogram = new Uint32Array(countedUpTo + 1)
    own.forEach((_, count) => {
      const capped = Math.min(count, countedUpTo)
      histogram[capped] = (histogram[capped] as number) + 1
    })
    let minCount = countedUpTo
    let total = histogram[minCount] as number
    while (minCount > 1 && total < needed) total += histogram[--minCount] as number
    if (total > maxFrequent) {
      this.#tooFrequent = Math.min(needed, this.#tooFrequent)
      return undefined
    }
    const [codes, counts] = [new Uint32Array(total), new Float64Array(total)]
    let at = 0
    own.forEach((code, count) => {
      if (count < minCount) return
      codes[at] = code
      counts[at++] = count
    })
    this.#frequent = { codes, counts, needed }
    return this.#frequent
  }
}

class NumberSource extends Source<NumberDictionary, NumberCounts> {
  protected override create(base: NumberCounts | undefined): NumberCounts {
    return new NumberCounts(this.dictionaries.numbers, this.budget, base)
  }

  protected override kindOf(): Kind {
    return "numeric"
  }
}

class TextSource extends Source<TextDictionary, CodeCounts<TextDictionary>> {
  protected override create(base: CodeCounts<TextDictionary> | undefined): CodeCounts<TextDictionary> {
    return new CodeCounts(this.dictionaries.texts, this.budget, base)
  }

  protected override kindOf(dictionary: TextDictionary, code: number): Kind | undefined {
    return kindOf(dictionary, code)
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

/** Adds a distinct value that occurs `count` times. `length` is the length of its text. */
function addTo(kinds: Kinds, kind: Kind | undefined, length: number, count: number): void {
  kinds.occurrences += count
  kinds.totalLength += length
  kinds.maxLength = Math.max(kinds.maxLength, length)
  if (kind) kinds[kind]++
}

/** A calendar date, with or without a time. */
export const datePattern = /^\d{4}-\d{2}-\d{2}([T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?)?$/
const urlPattern = /^https?:\/\/\S+$/i
/**
 * The possible first characters of a text that has a `Kind`, as UTF-16 code units. Reading the first character of a
 * text is much faster than creating the whole string.
 */
const firstUnits = new Set(Array.from("-0123456789tfhH", (character) => character.charCodeAt(0)))

function kindOf(dictionary: TextDictionary, code: number): Kind | undefined {
  const unit = dictionary.firstUnitOf(code)
  // 0 stands for an empty text, or for a wide text (see `TextDictionary`), which can be a URL.
  if (unit !== 0 && !firstUnits.has(unit)) return undefined
  const text = dictionary.textOf(code)
  if (numberOf(text) !== undefined) return "numeric"
  if (text === "true" || text === "false") return "boolean"
  if (datePattern.test(text) && !Number.isNaN(Date.parse(text))) return "date"
  return urlPattern.test(text) ? "url" : undefined
}

/** Creates a collector of the most frequent codes. Equally frequent codes are in the order of their values. */
function frequentIn(
  dictionary: { compare: (left: number, right: number) => number },
  limit: number,
): MostFrequent<number> {
  return new MostFrequent(limit, (left, right) => dictionary.compare(left, right))
}

/** Returns the statistics of at least one number. `sorted` must be in ascending order. */
export function numberStatistics(sorted: ValueCounts, bins: number): PropertyNumbers {
  return {
    count: totalCount(sorted),
    // These type assertions are safe because the list is not empty.
    min: sorted[0]?.[0] as number,
    max: sorted.at(-1)?.[0] as number,
    sum: sumOf(sorted),
    p50: percentile(sorted, 0.5),
    p95: percentile(sorted, 0.95),
    bins: histogram(sorted, bins),
  }
}
