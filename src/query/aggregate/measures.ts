import type { Batch, DictionarySizes, IdKind, Value } from "../../columns/batch.ts"
import type { Stamps } from "../../columns/stamps.ts"
import type { Measure } from "../query.ts"
import { Counter } from "../structures/counter.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import type { NumberDictionaries } from "../structures/number-dictionary.ts"
import {
  forEachDistinctValue,
  forEachGroupValue,
  forEachValue,
  indexAt,
  type Selection,
  sizeOf,
} from "../structures/selection.ts"
import { DistinctIds } from "./distinct-ids.ts"
import { GroupedIds } from "./grouped-ids.ts"
import { LazyMeasure, ScalarMeasure } from "./measure-state.ts"
import type { Measurement } from "./measurement.ts"
import { propertyMeasurementOf } from "./property-measures.ts"

/** The context that all measures of a query share. */
export interface MeasureContext {
  dictionarySizes: DictionarySizes
  stamps: Stamps
  numbers: NumberDictionaries
  /** True if the events of one batch can fall into many groups. */
  hasManyGroups: boolean
}

/**
 * Creates the state of a measure. `base` is the initial state, which must be of the same measure (and therefore of the
 * same class) and must not change afterwards.
 */
export function measurementOf(
  measure: Measure,
  { dictionarySizes, stamps, numbers, hasManyGroups }: MeasureContext,
  budget: MemoryBudget,
  base?: Measurement,
): Measurement {
  const distinct = (kind: IdKind) =>
    hasManyGroups
      ? new GroupedIds(kind, dictionarySizes[kind], stamps, budget, base as GroupedIds | undefined)
      : new DistinctIds(kind, dictionarySizes[kind], stamps, budget, base as DistinctIds | undefined)
  if (typeof measure === "object") return propertyMeasurementOf(measure, numbers, budget, base)
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
      return new FirstOrLastTime(measure, base as FirstOrLastTime | undefined)
  }
}

class EventCount extends ScalarMeasure implements Measurement {
  count(group: number, _name: string, events: number): void {
    this.values[group] = (this.values[group] as number) + events
  }

  addAll(group: number, _batch: Batch, selection: Selection): void {
    this.count(group, "", sizeOf(selection))
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
      const has = batch.hasProperties()
      for (let n = 0; n < size; n++)
        values[group] = (values[group] as number) + (has[indexAt(selection, n)] as number)
    }
  }

  addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    if (batch.withProperties() === 0) return
    const { values } = this
    const has = batch.hasProperties()
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
class FirstOrLastTime extends ScalarMeasure implements Measurement {
  constructor(
    private readonly which: "first" | "last",
    base?: FirstOrLastTime,
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
    const times = batch.times()
    const timeAt = (n: number) => batch.base + (times[indexAt(selection, n)] as number)
    const size = sizeOf(selection)
    // In a joined batch, times are only sorted within each name.
    if (batch.names) for (let n = 0; n < size; n++) this.#add(group, timeAt(n))
    else this.#add(group, timeAt(this.which === "first" ? 0 : size - 1))
  }

  addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    const times = batch.times()
    for (let n = 0; n < groups.length; n++)
      this.#add(groups[n] as number, batch.base + (times[indexAt(selection, n)] as number))
  }

  merge(group: number, other: FirstOrLastTime, from: number): void {
    const time = other.value(from)
    if (time !== null) this.#add(group, time)
  }

  override value(group: number): number | null {
    const time = this.values[group] as number
    return Number.isNaN(time) ? null : time
  }
}

/** Counts how often each value occurs in each group. The result is the number of distinct values. */
abstract class CounterMeasure<Counted> extends LazyMeasure<Counter<Counted>> implements Measurement {
  constructor(
    private readonly bytesOf: (value: Counted) => number,
    private readonly budget: MemoryBudget,
    base?: CounterMeasure<Counted>,
  ) {
    super(base)
  }

  protected override create(base: Counter<Counted> | undefined): Counter<Counted> {
    return base ? Counter.over(base, this.bytesOf, this.budget) : new Counter(this.bytesOf, this.budget)
  }

  abstract addAll(group: number, batch: Batch, selection: Selection): void
  abstract addEach(groups: Uint32Array, batch: Batch, selection: Selection): void

  override pack(): void {
    for (const counter of this.all()) counter.pack()
  }

  merge(group: number, other: CounterMeasure<Counted>, from: number): void {
    const counter = other.of(from)
    if (counter) this.own(group).merge(counter)
  }

  value(group: number): number | null {
    return this.of(group)?.size ?? 0
  }
}

/** Counts distinct event names. All events of a batch have the same name unless the batch has a column of names. */
class DistinctNames extends CounterMeasure<string> {
  override count(group: number, name: string, events: number): void {
    this.own(group).add(name, events)
  }

  override addAll(group: number, batch: Batch, selection: Selection): void {
    if (batch.slices && sizeOf(selection) === batch.count)
      for (const { name, events } of batch.slices) this.count(group, name, events)
    else if (batch.names)
      forEachValue(batch.names(), selection, (name, times) => this.count(group, String(name), times))
    else this.count(group, batch.name, sizeOf(selection))
  }

  override addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    if (batch.names)
      forEachGroupValue(batch.names(), groups, selection, (group, name) => this.count(group, String(name), 1))
    else for (const group of new Set(groups)) this.count(group, batch.name, 1)
  }
}

/** Counts distinct paths. Looks up each code of a column only once, because paths repeat. */
class DistinctPaths extends CounterMeasure<string> {
  override addAll(group: number, batch: Batch, selection: Selection): void {
    const column = batch.column("path")
    if (column) forEachDistinctValue(column, selection, (path) => this.#add(group, path, 1))
  }

  override addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    const column = batch.column("path")
    if (!column) return
    forEachGroupValue(column, groups, selection, (group, path, times) => this.#add(group, path, times))
  }

  #add(group: number, path: Value, times: number): void {
    if (typeof path === "string") this.own(group).add(path, times)
  }
}

function textBytes(text: string): number {
  return text.length * 2
}
