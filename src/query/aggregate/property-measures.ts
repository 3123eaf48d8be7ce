import type { Batch, Value } from "../../columns/batch.ts"
import { copyInto, wideCodes } from "../../columns/typed-arrays.ts"
import type { Property } from "../fields.ts"
import { numberOf } from "../json-values.ts"
import { emptyPropertyMeasures, type PropertyMeasure } from "../query.ts"
import { columnOf } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { NumberCounts } from "../structures/number-counts.ts"
import { firstCode, type NumberDictionaries, type NumberDictionary } from "../structures/number-dictionary.ts"
import {
  forEachGroupValue,
  forEachValue,
  presentOnly,
  type Selection,
  sizeOf,
} from "../structures/selection.ts"
import { LazyMeasure } from "./measure-state.ts"
import type { Measurement } from "./measurement.ts"

const shares = { p50: 0.5, p75: 0.75, p90: 0.9, p95: 0.95, p99: 0.99 } as const

type PercentileMeasure = keyof typeof shares
type TotalMeasure = Exclude<PropertyMeasure, PercentileMeasure>

/** Creates the state of a property measure. For `base`, see `measurementOf`. */
export function propertyMeasurementOf(
  { what, of }: { what: PropertyMeasure; of: Property },
  numbers: NumberDictionaries,
  budget: MemoryBudget,
  base?: Measurement,
): Measurement {
  return isPercentile(what)
    ? new Percentile(what, of, numbers, budget, base as Percentile | undefined)
    : new Totals(what, of, budget, base as Totals | undefined)
}

function isPercentile(what: PropertyMeasure): what is PercentileMeasure {
  return Object.hasOwn(shares, what)
}

/** A percentile of a numeric property. */
class Percentile extends LazyMeasure<NumberCounts> implements Measurement {
  readonly #dictionary: NumberDictionary
  #dictionaryBytes = 0

  constructor(
    private readonly what: PercentileMeasure,
    private readonly property: Property,
    numbers: NumberDictionaries,
    private readonly budget: MemoryBudget,
    base?: Percentile,
  ) {
    super(base)
    this.#dictionary = numbers.of(property, base ? base.#dictionary : undefined)
    this.#reserveDictionary()
  }

  protected override create(base: NumberCounts | undefined): NumberCounts {
    return new NumberCounts(this.#dictionary, this.budget, base)
  }

  addAll(group: number, batch: Batch, selection: Selection): void {
    const all = columnOf(batch, this.property)
    if (!all) return
    const [column, present] = all.few ? presentOnly(all, all.few, selection) : ([all, selection] as const)
    const mapping = this.#dictionary.codesOfColumn(column, present)
    this.#reserveDictionary()
    this.own(group).addAll(column.codes, mapping, present)
  }

  addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    const column = columnOf(batch, this.property)
    if (!column) return
    const { codes } = column
    const { first, at } = selection
    const mapping = this.#dictionary.codesOfColumn(column, selection)
    this.#reserveDictionary()
    for (let n = 0; n < groups.length; n++) {
      const code = mapping[codes[at ? (at[n] as number) : first + n] as number] as number
      if (code >= firstCode) this.own(groups[n] as number).add(code, 1)
    }
  }

  /**
   * Reserves memory for the whole dictionary, because this aggregate keeps it alive even if the other aggregates that
   * share it are evicted from the cache.
   */
  #reserveDictionary(): void {
    const { bytes } = this.#dictionary
    this.budget.reserve(bytes - this.#dictionaryBytes)
    this.#dictionaryBytes = bytes
  }

  override pack(): void {
    for (const counts of this.all()) counts.pack()
    this.#dictionary.trim()
  }

  merge(group: number, other: Percentile, from: number): void {
    const counts = other.of(from)
    if (!counts) return
    this.own(group).merge(counts)
    this.#reserveDictionary()
  }

  value(group: number): number | null {
    return this.of(group)?.percentile(shares[this.what]) ?? emptyPropertyMeasures[this.what]
  }
}

/** Indexes into the state of a group. `lost` is the rounding error of `sum`. */
const [count, sum, lost, min, max] = [0, 1, 2, 3, 4]
const width = 5

/** The count, sum, mean, minimum or maximum of a numeric property. Takes up 40 bytes per group. */
class Totals implements Measurement {
  #state: Float64Array
  #groups: number

  constructor(
    private readonly what: TotalMeasure,
    private readonly property: Property,
    private readonly budget: MemoryBudget,
    base?: Totals,
  ) {
    this.#groups = base ? base.#groups : 0
    this.#state = base ? base.#state.slice() : new Float64Array(width)
    budget.reserve(this.#state.byteLength)
  }

  grow(): void {
    const at = this.#groups++ * width
    if (at === this.#state.length) {
      this.budget.reserve(this.#state.byteLength)
      this.#state = copyInto(new Float64Array(at * 2), this.#state)
    }
    this.#state[at + min] = Number.POSITIVE_INFINITY
    this.#state[at + max] = Number.NEGATIVE_INFINITY
  }

  count(): void {}
  pack(): void {}

  addAll(group: number, batch: Batch, selection: Selection): void {
    const column = columnOf(batch, this.property)
    if (!column) return
    const { codes, few, numbers } = column
    if (few || !numbers || numbers.length * 2 < sizeOf(selection)) {
      forEachValue(column, selection, (value, times) => this.#add(group, value, times))
      return
    }
    const { first, end, at } = selection
    const { times, total, rest, least, most } = totalsOf(
      numbers,
      wideCodes(codes.subarray(first, end)),
      first,
      at,
    )
    if (times > 0) this.#combine(group, times, total, rest, least, most)
  }

  addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    const column = columnOf(batch, this.property)
    if (!column) return
    forEachGroupValue(column, groups, selection, (group, value, times) => this.#add(group, value, times))
  }

  #add(group: number, value: Value, times: number): void {
    const number = numberOf(value)
    if (number !== undefined) this.#combine(group, times, number * times, 0, number, number)
  }

  merge(group: number, other: Totals, from: number): void {
    const at = from * width
    const [times = 0, total = 0, rest = 0, least = 0, most = 0] = other.#state.subarray(at, at + width)
    this.#combine(group, times, total, rest, least, most)
  }

  /** Adds with compensated (Neumaier) summation, so that the order of values hardly affects the result. */
  #combine(group: number, times: number, term: number, termLost: number, least: number, most: number): void {
    const state = this.#state
    const at = group * width
    const before = state[at + sum] as number
    const after = before + term
    const rounding = Math.abs(before) >= Math.abs(term) ? before - after + term : term - after + before
    state[at + count] = (state[at + count] as number) + times
    state[at + sum] = after
    state[at + lost] = (state[at + lost] as number) + rounding + termLost
    state[at + min] = Math.min(state[at + min] as number, least)
    state[at + max] = Math.max(state[at + max] as number, most)
  }

  value(group: number): number | null {
    const at = group * width
    const times = this.#state[at + count] as number
    if (times === 0) return emptyPropertyMeasures[this.what]
    const total = (this.#state[at + sum] as number) + (this.#state[at + lost] as number)
    switch (this.what) {
      case "count":
        return times
      case "sum":
        return total
      case "avg":
        return total / times
      case "min":
        return this.#state[at + min] as number
      case "max":
        return this.#state[at + max] as number
    }
  }
}

/**
 * Computes the state of `Totals` for numbers that rarely repeat. `codes` contains the codes of the events from position
 * `first` on. `at` contains the positions of the events to include, or is undefined to include all events.
 */
function totalsOf(numbers: Float64Array, codes: Uint32Array, first: number, at: Uint32Array | undefined) {
  // Declared separately, because the loop takes four times as long with array destructuring.
  let times = 0
  let total = 0
  let rest = 0
  let least = Number.POSITIVE_INFINITY
  let most = Number.NEGATIVE_INFINITY
  const length = at ? at.length : codes.length
  for (let n = 0; n < length; n++) {
    const code = codes[at ? (at[n] as number) - first : n] as number
    if (code === 0) continue
    const number = numbers[code - 1] as number
    const after = total + number
    const added = after - total
    // This branchless computation of the rounding error (Knuth) is twice as fast as comparing the two numbers.
    rest += total - (after - added) + (number - added)
    total = after
    times++
    if (number < least) least = number
    if (number > most) most = number
  }
  return { times, total, rest, least, most }
}
