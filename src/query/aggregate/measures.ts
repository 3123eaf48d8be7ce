import type { Batch, Column, DictionarySizes, IdKind, Value } from "../../columns/batch.ts"
import type { Stamps } from "../../columns/stamps.ts"
import { copyInto } from "../../columns/typed-arrays.ts"
import { numberOf } from "../json.ts"
import { emptyPropertyMeasures, type Measure } from "../query.ts"
import { columnOf } from "../scan/matcher.ts"
import { Counter } from "../structures/counter.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { forEachValue, indexAt, type Selection, sizeOf } from "../structures/selection.ts"
import { percentile, sortByValue, sumOf, totalCount } from "../structures/statistics.ts"
import { DistinctIds } from "./distinct-ids.ts"
import { GroupedIds } from "./grouped-ids.ts"
import type { Measurement } from "./measurement.ts"

/** What all measures of a query share. */
export interface MeasureContext {
  numbers: DictionarySizes
  stamps: Stamps
  /** Whether the events of one batch can belong to many groups. */
  hasManyGroups: boolean
}

/**
 * Creates the state of a measure. `base`: the initial state, of the same measure and so of the same class. It must no longer
 * change.
 */
export function measurementOf(
  measure: Measure,
  { numbers, stamps, hasManyGroups }: MeasureContext,
  budget: MemoryBudget,
  base?: Measurement,
): Measurement {
  const distinct = (kind: IdKind) =>
    hasManyGroups
      ? new GroupedIds(kind, numbers[kind], stamps, budget, base as GroupedIds | undefined)
      : new DistinctIds(kind, numbers[kind], budget, base as DistinctIds | undefined)
  if (typeof measure === "object")
    return new PropertyStatistic(measure, budget, base as PropertyStatistic | undefined)
  switch (measure) {
    case "events":
      return new EventCount(0, base as EventCount | undefined)
    case "with_properties":
      return new WithPropertiesCount(0, base as WithPropertiesCount | undefined)
    case "users":
      return distinct("visitors")
    case "sessions":
    case "profiles":
      return distinct(measure)
    case "pages":
      return new DistinctPaths(textBytes, budget, base as DistinctPaths | undefined)
    case "event_types":
      return new DistinctNames(textBytes, budget, base as DistinctNames | undefined)
    case "first":
    case "last":
      return new TimeLimit(measure, base as TimeLimit | undefined)
  }
}

/** A measure that holds one number per group. */
abstract class ScalarMeasure {
  protected values: Float64Array
  #groups = 0

  constructor(
    private readonly start: number,
    base?: ScalarMeasure,
  ) {
    this.values = base ? base.values.slice() : new Float64Array(8)
    this.#groups = base ? base.#groups : 0
  }

  grow(): void {
    if (this.#groups === this.values.length) {
      this.values = copyInto(new Float64Array(this.#groups * 2), this.values)
    }
    this.values[this.#groups++] = this.start
  }

  pack(): void {}

  value(group: number): number | null {
    return this.values[group] as number
  }
}

class EventCount extends ScalarMeasure implements Measurement {
  count(group: number, _name: string, events: number): void {
    this.values[group] = (this.values[group] as number) + events
  }

  addAll(group: number, batch: Batch, selection: Selection): void {
    this.count(group, batch.name, sizeOf(selection))
  }

  addEach(groups: Uint32Array): void {
    const { values } = this
    for (let n = 0; n < groups.length; n++) {
      const group = groups[n] as number
      values[group] = (values[group] as number) + 1
    }
  }

  merge(group: number, other: EventCount, from: number): void {
    this.count(group, "", other.values[from] as number)
  }
}

class WithPropertiesCount extends ScalarMeasure implements Measurement {
  count(): void {}

  addAll(group: number, batch: Batch, selection: Selection): void {
    const { values } = this
    const all = batch.withProperties()
    const size = sizeOf(selection)
    if (all === 0 || all === batch.count) values[group] = (values[group] as number) + (all && size)
    else if (size === batch.count) values[group] = (values[group] as number) + all
    else {
      const has = batch.propertied()
      for (let n = 0; n < size; n++)
        values[group] = (values[group] as number) + (has[indexAt(selection, n)] as number)
    }
  }

  addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    if (batch.withProperties() === 0) return
    const { values } = this
    const has = batch.propertied()
    for (let n = 0; n < groups.length; n++) {
      const group = groups[n] as number
      values[group] = (values[group] as number) + (has[indexAt(selection, n)] as number)
    }
  }

  merge(group: number, other: WithPropertiesCount, from: number): void {
    this.values[group] = (this.values[group] as number) + (other.values[from] as number)
  }
}

/** The time of the first or last event. */
class TimeLimit extends ScalarMeasure implements Measurement {
  constructor(
    private readonly which: "first" | "last",
    base?: TimeLimit,
  ) {
    super(Number.NaN, base)
  }

  count(): void {}

  #add(group: number, time: number): void {
    const before = this.values[group] as number
    if (Number.isNaN(before) || (this.which === "first" ? time < before : time > before))
      this.values[group] = time
  }

  addAll(group: number, batch: Batch, selection: Selection): void {
    const place = indexAt(selection, this.which === "first" ? 0 : sizeOf(selection) - 1)
    this.#add(group, batch.base + (batch.times()[place] as number))
  }

  addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    const times = batch.times()
    for (let n = 0; n < groups.length; n++)
      this.#add(groups[n] as number, batch.base + (times[indexAt(selection, n)] as number))
  }

  merge(group: number, other: TimeLimit, from: number): void {
    const time = other.value(from)
    if (time !== null) this.#add(group, time)
  }

  override value(group: number): number | null {
    const time = this.values[group] as number
    return Number.isNaN(time) ? null : time
  }
}

/** A measure that holds an object per group, created when it is first needed. */
abstract class LazyMeasure<Item> {
  readonly #items: (Item | undefined)[]

  constructor(private readonly base?: LazyMeasure<Item>) {
    this.#items = base ? base.#items.map(() => undefined) : []
  }

  grow(): void {
    this.#items.push(undefined)
  }

  count(_group: number, _name: string, _events: number): void {}
  pack(): void {}

  /** Returns the object of a group, or undefined if nothing was added. */
  protected of(group: number): Item | undefined {
    return this.#items[group] ?? this.base?.of(group)
  }

  /** Returns an object that can be modified, and creates it if needed. */
  protected own(group: number): Item {
    let item = this.#items[group]
    if (item === undefined) {
      item = this.create(this.base?.of(group))
      this.#items[group] = item
    }
    return item
  }

  /** Iterates the objects that do not belong to the base. */
  protected *all(): Generator<Item> {
    for (const item of this.#items) if (item !== undefined) yield item
  }

  /** Creates an object that starts with the contents of `base`. */
  protected abstract create(base: Item | undefined): Item
}

/**
 * Counts how often each value occurs in each group. By default the measure is the number of distinct values.
 */
abstract class CounterMeasure<Value> extends LazyMeasure<Counter<Value>> implements Measurement {
  constructor(
    private readonly bytesOf: (value: Value) => number,
    private readonly budget: MemoryBudget,
    base?: CounterMeasure<Value>,
  ) {
    super(base)
  }

  protected override create(base: Counter<Value> | undefined): Counter<Value> {
    return base ? Counter.over(base, this.bytesOf, this.budget) : new Counter(this.bytesOf, this.budget)
  }

  abstract addAll(group: number, batch: Batch, selection: Selection): void
  abstract addEach(groups: Uint32Array, batch: Batch, selection: Selection): void

  override pack(): void {
    for (const counter of this.all()) counter.pack()
  }

  merge(group: number, other: CounterMeasure<Value>, from: number): void {
    const counter = other.of(from)
    if (counter) this.own(group).merge(counter)
  }

  value(group: number): number | null {
    return this.of(group)?.size ?? 0
  }
}

/** Counts distinct event names. All events of a batch have the same name. */
class DistinctNames extends CounterMeasure<string> {
  override count(group: number, name: string, events: number): void {
    this.own(group).add(name, events)
  }

  override addAll(group: number, batch: Batch, selection: Selection): void {
    this.count(group, batch.name, sizeOf(selection))
  }

  override addEach(groups: Uint32Array, batch: Batch): void {
    for (const group of new Set(groups)) this.count(group, batch.name, 1)
  }
}

/** Counts values of a column. Values repeat, so codes are counted before values are looked up. */
abstract class ColumnCounterMeasure<Counted> extends CounterMeasure<Counted> {
  protected abstract columnOf(batch: Batch): Column | undefined
  /** Returns what to count for a value, or undefined for nothing. */
  protected abstract countedOf(value: Value | undefined): Counted | undefined

  override addAll(group: number, batch: Batch, selection: Selection): void {
    const column = this.columnOf(batch)
    if (!column) return
    forEachValue(column, selection, (value, times) => this.#add(group, value, times))
  }

  override addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    const column = this.columnOf(batch)
    if (!column) return
    const { codes, values } = column
    // Counting codes first does not pay off if there are nearly as many values as events.
    const hasRepeats = values.length < groups.length / 4
    const counts: (Uint32Array | undefined)[] = []
    for (let n = 0; n < groups.length; n++) {
      const group = groups[n] as number
      const code = codes[indexAt(selection, n)] as number
      if (code === 0) continue
      if (hasRepeats) {
        let ofGroup = counts[group]
        if (!ofGroup) {
          ofGroup = new Uint32Array(values.length + 1)
          counts[group] = ofGroup
        }
        ofGroup[code] = (ofGroup[code] as number) + 1
        continue
      }
      this.#add(group, values[code - 1], 1)
    }
    counts.forEach((ofGroup, group) => {
      ofGroup?.forEach((times, code) => {
        if (times > 0) this.#add(group, values[code - 1], times)
      })
    })
  }

  #add(group: number, value: Value | undefined, times: number): void {
    const counted = this.countedOf(value)
    if (counted !== undefined) this.own(group).add(counted, times)
  }
}

class DistinctPaths extends ColumnCounterMeasure<string> {
  protected override columnOf(batch: Batch): Column | undefined {
    return batch.column("path")
  }

  protected override countedOf(value: Value | undefined): string | undefined {
    return typeof value === "string" ? value : undefined
  }
}

/** A statistic of the numbers of a property. */
class PropertyStatistic extends ColumnCounterMeasure<number> {
  constructor(
    private readonly measure: Extract<Measure, object>,
    budget: MemoryBudget,
    base?: PropertyStatistic,
  ) {
    super(() => 0, budget, base)
  }

  protected override columnOf(batch: Batch): Column | undefined {
    return columnOf(batch, this.measure.of)
  }

  protected override countedOf(value: Value | undefined): number | undefined {
    return numberOf(value)
  }

  override value(group: number): number | null {
    const counted = [...(this.of(group)?.entries() ?? [])]
    const { what } = this.measure
    if (counted.length === 0) return emptyPropertyMeasures[what]
    switch (what) {
      case "count":
        return totalCount(counted)
      case "sum":
        return sumOf(counted)
      case "avg":
        return sumOf(counted) / totalCount(counted)
      case "min":
        return sortByValue(counted)[0]?.[0] ?? null
      case "max":
        return sortByValue(counted).at(-1)?.[0] ?? null
      case "p50":
        return percentile(sortByValue(counted), 0.5)
      case "p95":
        return percentile(sortByValue(counted), 0.95)
    }
  }
}

function textBytes(text: string): number {
  return text.length * 2
}
