import type { Batch, Column, DictionarySizes, IdKind, Value } from "../../columns/batch.ts"
import { numberOf } from "../json.ts"
import { emptyPropertyMeasures, type Measure } from "../query.ts"
import { columnOf } from "../scan/matcher.ts"
import { Counter } from "../structures/counter.ts"
import { IdSet } from "../structures/id-set.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { forEachValue, indexAt, type Selection, sizeOf } from "../structures/selection.ts"
import { percentile, sortByValue, sumOf, totalCount } from "../structures/statistics.ts"

/** A measure of every group. */
export interface Measurement {
  /** One group more. */
  grow(): void
  /** Events of which nothing but the name is known. */
  count(group: number, name: string, events: number): void
  addAll(group: number, batch: Batch, selection: Selection): void
  /** `groups`: that of each selected event. */
  addEach(groups: Uint32Array, batch: Batch, selection: Selection): void
  /** Adds a group of another one of the same measure. */
  merge(group: number, other: Measurement, from: number): void
  /** Makes it smaller; from then on it is only merged into others, or the begin of others. */
  pack(): void
  value(group: number): number | null
}

/** `base`: what it begins with, of the same measure, which must not change any more. */
export function measurementOf(
  measure: Measure,
  numbers: DictionarySizes,
  budget: MemoryBudget,
  base?: Measurement,
): Measurement {
  if (typeof measure === "object") return new Numeric(measure, budget, base as Numeric | undefined)
  switch (measure) {
    case "events":
      return new Events(0, base as Events | undefined)
    case "with_properties":
      return new WithProperties(0, base as WithProperties | undefined)
    case "users":
      return new DistinctIds("visitors", numbers.visitors, budget, base as DistinctIds | undefined)
    case "sessions":
    case "profiles":
      return new DistinctIds(measure, numbers[measure], budget, base as DistinctIds | undefined)
    case "pages":
      return new Paths(textBytes, budget, base as Paths | undefined)
    case "event_types":
      return new Names(textBytes, budget, base as Names | undefined)
    case "first":
    case "last":
      return new Times(measure, base as Times | undefined)
  }
}

/** A number for each group. */
abstract class Numbered {
  protected values: Float64Array
  #groups = 0

  constructor(
    private readonly start: number,
    base?: Numbered,
  ) {
    this.values = base ? base.values.slice() : new Float64Array(8)
    this.#groups = base ? base.#groups : 0
  }

  grow(): void {
    if (this.#groups === this.values.length) {
      const larger = new Float64Array(this.#groups * 2)
      larger.set(this.values)
      this.values = larger
    }
    this.values[this.#groups++] = this.start
  }

  pack(): void {}

  value(group: number): number | null {
    return this.values[group] as number
  }
}

class Events extends Numbered implements Measurement {
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

  merge(group: number, other: Events, from: number): void {
    this.count(group, "", other.values[from] as number)
  }
}

class WithProperties extends Numbered implements Measurement {
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

  merge(group: number, other: WithProperties, from: number): void {
    this.values[group] = (this.values[group] as number) + (other.values[from] as number)
  }
}

/** The first or the last time. */
class Times extends Numbered implements Measurement {
  constructor(
    private readonly which: "first" | "last",
    base?: Times,
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

  merge(group: number, other: Times, from: number): void {
    const time = other.value(from)
    if (time !== null) this.#add(group, time)
  }

  override value(group: number): number | null {
    const time = this.values[group] as number
    return Number.isNaN(time) ? null : time
  }
}

/** Something larger for each group, which is made when it is first needed. */
abstract class Collected<Thing> {
  readonly #things: (Thing | undefined)[]

  constructor(private readonly base?: Collected<Thing>) {
    this.#things = base ? base.#things.map(() => undefined) : []
  }

  grow(): void {
    this.#things.push(undefined)
  }

  count(_group: number, _name: string, _events: number): void {}
  pack(): void {}

  /** Undefined: nothing was ever added. */
  protected of(group: number): Thing | undefined {
    return this.#things[group] ?? this.base?.of(group)
  }

  /** To be changed. */
  protected own(group: number): Thing {
    let thing = this.#things[group]
    if (thing === undefined) {
      thing = this.made(this.base?.of(group))
      this.#things[group] = thing
    }
    return thing
  }

  /** Those that are not the base's. */
  protected *all(): Generator<Thing> {
    for (const thing of this.#things) if (thing !== undefined) yield thing
  }

  /** A new one, which begins with what the base has. */
  protected abstract made(base: Thing | undefined): Thing
}

/** Distinct ids of each group. Of many groups most have one id, which takes no set: it stands in the set's place. */
class DistinctIds implements Measurement {
  /** 0: what the base has. */
  readonly #sets: (IdSet | number)[]

  constructor(
    private readonly kind: IdKind,
    private readonly range: number,
    private readonly budget: MemoryBudget,
    private readonly base?: DistinctIds,
  ) {
    this.#sets = base ? base.#sets.map(() => 0) : []
  }

  grow(): void {
    this.#sets.push(0)
  }

  count(): void {}

  addAll(group: number, batch: Batch, selection: Selection): void {
    const ids = batch[this.kind]()
    if (sizeOf(selection) === 1) this.#add(group, ids[indexAt(selection, 0)] as number)
    else this.#own(group).addAll(ids, selection)
  }

  addEach(groups: Uint32Array, batch: Batch, selection: Selection): void {
    const ids = batch[this.kind]()
    for (let n = 0; n < groups.length; n++)
      this.#add(groups[n] as number, ids[indexAt(selection, n)] as number)
  }

  #add(group: number, id: number): void {
    const own = this.#sets[group] as IdSet | number
    if (typeof own === "object") own.add(id)
    else if (id !== 0 && own !== id) {
      const known = this.#of(group)
      if (known === 0) this.#sets[group] = id
      else if (known !== id) this.#own(group).add(id)
    }
  }

  merge(group: number, other: DistinctIds, from: number): void {
    const ids = other.#of(from)
    if (typeof ids === "number") this.#add(group, ids)
    else this.#own(group).merge(ids)
  }

  pack(): void {
    for (const set of this.#sets) if (typeof set === "object") set.pack()
  }

  value(group: number): number {
    const ids = this.#of(group)
    return typeof ids === "number" ? Math.min(ids, 1) : ids.size
  }

  #of(group: number): IdSet | number {
    return this.#sets[group] || (this.base ? this.base.#of(group) : 0)
  }

  /** A set, to be changed. */
  #own(group: number): IdSet {
    const own = this.#sets[group] as IdSet | number
    if (typeof own === "object") return own
    const known = this.#of(group)
    const set =
      typeof known === "object"
        ? IdSet.over(known, this.range, this.budget)
        : new IdSet(this.range, this.budget)
    if (typeof known === "number") set.add(known)
    this.#sets[group] = set
    return set
  }
}

/** How often each group has each value; the measure is how many values there are, where nothing else is said. */
abstract class Tallied<Value> extends Collected<Counter<Value>> implements Measurement {
  constructor(
    private readonly bytesOf: (value: Value) => number,
    private readonly budget: MemoryBudget,
    base?: Tallied<Value>,
  ) {
    super(base)
  }

  protected override made(base: Counter<Value> | undefined): Counter<Value> {
    return base ? Counter.over(base, this.bytesOf, this.budget) : new Counter(this.bytesOf, this.budget)
  }

  abstract addAll(group: number, batch: Batch, selection: Selection): void
  abstract addEach(groups: Uint32Array, batch: Batch, selection: Selection): void

  override pack(): void {
    for (const tally of this.all()) tally.pack()
  }

  merge(group: number, other: Tallied<Value>, from: number): void {
    const tally = other.of(from)
    if (tally) this.own(group).merge(tally)
  }

  value(group: number): number | null {
    return this.of(group)?.size ?? 0
  }
}

/** Distinct event names; all events of a batch have the same. */
class Names extends Tallied<string> {
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

/** Values of a column. Values repeat, so they are counted before they are looked up. */
abstract class ColumnTallied<Counted> extends Tallied<Counted> {
  protected abstract columnOf(batch: Batch): Column | undefined
  /** What is counted of a value; undefined: nothing. */
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
    // Unless there are nearly as many values as events.
    const repeated = values.length < groups.length / 4
    const counts: (Uint32Array | undefined)[] = []
    for (let n = 0; n < groups.length; n++) {
      const group = groups[n] as number
      const code = codes[indexAt(selection, n)] as number
      if (code === 0) continue
      if (repeated) {
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

class Paths extends ColumnTallied<string> {
  protected override columnOf(batch: Batch): Column {
    return batch.column("path")
  }

  protected override countedOf(value: Value | undefined): string | undefined {
    return typeof value === "string" ? value : undefined
  }
}

/** Of the numbers of a property. */
class Numeric extends ColumnTallied<number> {
  constructor(
    private readonly measure: Extract<Measure, object>,
    budget: MemoryBudget,
    base?: Numeric,
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
