import { type Batch, type Codes, dayMs, type Kind, type Sighting } from "../columns/batch.ts"
import { quartersPerDay, readQuarters } from "../columns/block.ts"
import type { Entry, EventSource } from "../columns/source.ts"
import { type Budget, Distinct } from "./distinct.ts"
import { columnOf, dimensionOf, firstFrom, kindOf, Matcher, type Selection } from "./filter.ts"
import type { Bucket, Dimension, Group, GroupsAnswer, GroupsQuestion, Measure } from "./question.ts"
import { bucketsOf } from "./zone.ts"

const quarterMs = dayMs / quartersPerDay
/** Bytes that a group takes beside its measures. */
const groupBytes = 300

/** Measures by dimensions and time. */
export function* groups(
  question: GroupsQuestion,
  source: EventSource,
  budget: Budget,
): Generator<void, GroupsAnswer> {
  const { scope, granularity } = question
  const buckets: Bucket[] = granularity
    ? bucketsOf(scope.from, scope.to, scope.zone, granularity)
    : [{ from: scope.from, to: scope.to, label: "" }]
  const matcher = new Matcher(scope, scope.filters, source)
  const table = new Table(question, source, budget)
  const counted = !matcher.perEvent && canBeCounted(question)
  for (const entry of source.entries(matcher.names)) {
    if (!matcher.accepts(entry)) continue
    if (counted && addCounts(table, entry, scope, buckets, source)) continue
    const batch = source.open(entry)
    const selection = batch && matcher.select(batch)
    if (batch && selection) table.add(batch, selection, buckets)
    yield
  }
  if (question.by.length === 0 && !granularity) table.groupOf([], 0)
  return { groups: yield* table.finish(), buckets }
}

/** Counts alone, of names: what blocks tell without their columns. */
function canBeCounted({ by, measures }: GroupsQuestion): boolean {
  return (
    by.every((dimension) => dimension === "event_name" || dimension === "website_id") &&
    measures.every((measure) => measure === "events" || measure === "event_types")
  )
}

/** False where the block does not tell; nothing is added then. */
function addCounts(
  table: Table,
  { block, name, website, day }: Entry,
  { from, to }: { from: number; to: number },
  buckets: readonly Bucket[],
  source: EventSource,
): boolean {
  if (!block) return false
  const base = day * dayMs
  const [begin, end] = [Math.max(from, base), Math.min(to, base + dayMs)]
  let index = bucketAt(buckets, begin)
  const first = buckets[index] as Bucket
  if (begin === base && end === base + dayMs && first.to >= end) {
    table.count(name, website, index, block.events)
    source.counted = true
    return true
  }
  if (!block.quarters) return false
  const edges = [begin, end]
  for (let at = index; at < buckets.length && (buckets[at] as Bucket).to < end; at++)
    edges.push((buckets[at] as Bucket).to)
  if (edges.some((edge) => (edge - base) % quarterMs !== 0)) return false
  const quarters = readQuarters(block.quarters)
  for (let quarter = (begin - base) / quarterMs; quarter < (end - base) / quarterMs; ) {
    const until = Math.min((buckets[index] as Bucket).to, end)
    let events = 0
    for (; base + quarter * quarterMs < until; quarter++) events += quarters[quarter] as number
    if (events > 0) table.count(name, website, index, events)
    index++
  }
  source.counted = true
  return true
}

/** The bucket that a time is in. */
function bucketAt(buckets: readonly Bucket[], time: number): number {
  let [low, high] = [0, buckets.length - 1]
  while (low < high) {
    const middle = (low + high + 1) >>> 1
    if ((buckets[middle] as Bucket).from <= time) low = middle
    else high = middle - 1
  }
  return low
}

/** How an event's group is found: the same for all of a batch, or by a code. */
interface Part {
  codes: Codes
  /** What stands in the group for each code. */
  keys: (string | null)[]
}

/** Groups and their measures. */
class Table {
  readonly #groups = new Map<string, number>()
  /** Where there are no dimensions: a bucket's group, without making a key of it. */
  readonly #byBucket: (number | undefined)[] = []
  readonly #found: { by: (string | null)[]; bucket: number }[] = []
  readonly #measures: Measurement[]
  /** For each dimension that is an id, an event with each of its numbers. */
  readonly #sightings = new Map<Kind, Map<number, Sighting>>()

  constructor(
    private readonly question: GroupsQuestion,
    private readonly source: EventSource,
    private readonly budget: Budget,
  ) {
    this.#measures = question.measures.map((measure) => measurementOf(measure, source, budget))
  }

  groupOf(by: (string | null)[], bucket: number): number {
    if (by.length > 0) return this.#keyed(by, bucket)
    let group = this.#byBucket[bucket]
    if (group === undefined) {
      group = this.#keyed(by, bucket)
      this.#byBucket[bucket] = group
    }
    return group
  }

  #keyed(by: (string | null)[], bucket: number): number {
    const key = `${bucket} ${by.map((part) => (part === null ? "-" : `${part.length}:${part}`)).join("")}`
    let group = this.#groups.get(key)
    if (group === undefined) {
      group = this.#found.length
      this.budget.take(groupBytes + key.length * 2)
      this.#groups.set(key, group)
      this.#found.push({ by, bucket })
      for (const measure of this.#measures) measure.grow()
    }
    return group
  }

  count(name: string, website: number, bucket: number, events: number): void {
    const group = this.groupOf(
      this.question.by.map((dimension) =>
        dimension === "event_name" ? name : (this.source.websiteId(website) ?? null),
      ),
      bucket,
    )
    for (const measure of this.#measures) measure.count(group, name, events)
  }

  add(batch: Batch, selection: Selection, buckets: readonly Bucket[]): void {
    const parts = this.question.by.map((dimension) => this.#partOf(batch, dimension))
    const varying = parts.filter((part): part is Part => typeof part === "object" && part !== null)
    const { local, size } = combine(batch.count, varying)
    let bucket =
      buckets.length === 1 ? 0 : bucketAt(buckets, batch.base + (batch.times()[selection.first] as number))
    for (let first = selection.first; first < selection.end; bucket++) {
      const until = (buckets[bucket] as Bucket).to
      const end =
        buckets.length === 1 || until >= batch.base + dayMs
          ? selection.end
          : Math.min(firstFrom(batch.times(), until - batch.base, first), selection.end)
      if (end > first) this.#addRange(batch, { ...selection, first, end }, bucket, parts, local, size)
      first = end
    }
  }

  #addRange(
    batch: Batch,
    selection: Selection,
    bucket: number,
    parts: (string | null | Part)[],
    local: Codes | undefined,
    size: number,
  ): void {
    if (!local) {
      const { mask, first, end } = selection
      if (mask && mask.indexOf(1, first) >>> 0 >= end) return
      const group = this.groupOf(parts as (string | null)[], bucket)
      for (const measure of this.#measures) measure.addAll(group, batch, selection)
      return
    }
    const groupOfCode = new Int32Array(size).fill(-1)
    const { first, end, mask } = selection
    // The group of each event, from `first` on; -1: not selected.
    const groupAt = new Int32Array(end - first)
    for (let index = first; index < end; index++) {
      if (mask && mask[index] === 0) {
        groupAt[index - first] = -1
        continue
      }
      const code = local[index] as number
      let group = groupOfCode[code] as number
      if (group < 0) {
        group = this.groupOf(keysAt(parts, index), bucket)
        groupOfCode[code] = group
      }
      groupAt[index - first] = group
    }
    for (const measure of this.#measures) measure.addEach(groupAt, batch, first, end)
  }

  #partOf(batch: Batch, dimension: Dimension): string | null | Part {
    if (dimension === "event_name") return batch.name
    if (dimension === "website_id") return this.source.websiteId(batch.website) ?? null
    const kind = kindOf[dimension]
    if (kind) return this.#idPart(batch, kind)
    const { codes, texts } = dimensionOf(batch, dimension)
    return texts.length === 1 ? null : { codes, keys: texts }
  }

  /** The ids' text is looked up at the end; until then their number stands for it. */
  #idPart(batch: Batch, kind: Kind): string | null | Part {
    const numbers = batch[kind]()
    const times = batch.times()
    let sightings = this.#sightings.get(kind)
    if (!sightings) {
      sightings = new Map()
      this.#sightings.set(kind, sightings)
    }
    const keys: (string | null)[] = [null]
    const codeOf = new Map<number, number>([[0, 0]])
    const codes = new Uint32Array(batch.count)
    for (let index = 0; index < codes.length; index++) {
      const number = numbers[index] as number
      let code = codeOf.get(number)
      if (code === undefined) {
        code = keys.push(String(number)) - 1
        codeOf.set(number, code)
        if (!sightings.has(number)) {
          this.budget.take(100)
          const { website, name, base } = batch
          sightings.set(number, { number, website, name, ts: base + (times[index] as number) })
        }
      }
      codes[index] = code
    }
    return { codes, keys }
  }

  *finish(): Generator<void, Group[]> {
    const texts = new Map<Kind, Map<number, string>>()
    for (const [kind, seen] of this.#sightings) {
      seen.delete(0)
      texts.set(kind, yield* this.source.texts(kind, [...seen.values()]))
    }
    return this.#found.map(({ by, bucket }, group) => ({
      by: by.map((part, index) => {
        const kind = kindOf[this.question.by[index] as Dimension]
        return kind && part !== null ? (texts.get(kind)?.get(Number(part)) ?? null) : part
      }),
      bucket,
      values: this.#measures.map((measure) => measure.value(group)),
    }))
  }
}

/** One code an event for several columns; undefined where there is none. */
function combine(count: number, parts: readonly Part[]): { local: Codes | undefined; size: number } {
  const [only, ...more] = parts
  if (!only) return { local: undefined, size: 1 }
  if (more.length === 0) return { local: only.codes, size: only.keys.length }
  const size = parts.reduce((product, part) => product * part.keys.length, 1)
  const local = new Uint32Array(count)
  if (size <= 2 ** 22) {
    for (const { codes, keys } of parts) {
      for (let index = 0; index < count; index++)
        local[index] = (local[index] as number) * keys.length + (codes[index] as number)
    }
    return { local, size }
  }
  const codeOf = new Map<string, number>()
  for (let index = 0; index < count; index++) {
    const key = parts.map(({ codes }) => codes[index]).join()
    let code = codeOf.get(key)
    if (code === undefined) {
      code = codeOf.size
      codeOf.set(key, code)
    }
    local[index] = code
  }
  return { local, size: codeOf.size }
}

function keysAt(parts: readonly (string | null | Part)[], index: number): (string | null)[] {
  return parts.map((part) =>
    typeof part === "object" && part !== null
      ? (part.keys[part.codes[index] as number] as string | null)
      : part,
  )
}

/** A measure of every group. */
interface Measurement {
  /** One group more. */
  grow(): void
  /** Events of which nothing but the name is known. */
  count(group: number, name: string, events: number): void
  addAll(group: number, batch: Batch, selection: Selection): void
  /** `groupAt`: the group of each event from `first` on, -1 for none. */
  addEach(groupAt: Int32Array, batch: Batch, first: number, end: number): void
  value(group: number): number | null
}

function measurementOf(measure: Measure, source: EventSource, budget: Budget): Measurement {
  if (typeof measure === "object") return new Numeric(measure, budget)
  switch (measure) {
    case "events":
      return new Events()
    case "users":
      return new DistinctIds("visitors", source, budget)
    case "sessions":
    case "profiles":
      return new DistinctIds(measure, source, budget)
    case "pages":
      return new Texts((batch) => dimensionOf(batch, "path"), budget)
    case "event_types":
      return new Names(budget)
    case "with_properties":
      return new WithProperties()
    case "first":
    case "last":
      return new Times(measure)
  }
}

/** Numbers, one a group, that grow with the groups. */
class Sums {
  values = new Float64Array(64)
  length = 0

  push(start: number): void {
    if (this.length === this.values.length) {
      const larger = new Float64Array(this.length * 2)
      larger.set(this.values)
      this.values = larger
    }
    this.values[this.length++] = start
  }
}

function selected({ first, end, mask }: Selection): number {
  if (!mask) return end - first
  let count = 0
  for (let index = first; index < end; index++) if (mask[index] !== 0) count++
  return count
}

class Events implements Measurement {
  readonly #sums = new Sums()
  grow = () => this.#sums.push(0)

  count(group: number, _name: string, events: number): void {
    this.#sums.values[group] = (this.#sums.values[group] as number) + events
  }

  addAll(group: number, batch: Batch, selection: Selection): void {
    this.count(group, batch.name, selected(selection))
  }

  addEach(groupAt: Int32Array): void {
    const { values } = this.#sums
    for (let index = 0; index < groupAt.length; index++) {
      const group = groupAt[index] as number
      if (group >= 0) values[group] = (values[group] as number) + 1
    }
  }

  value = (group: number) => this.#sums.values[group] as number
}

class WithProperties implements Measurement {
  readonly #sums = new Sums()
  grow = () => this.#sums.push(0)
  count(): void {}

  addAll(group: number, batch: Batch, selection: Selection): void {
    const { values } = this.#sums
    const all = batch.withProperties()
    if (all === 0) return
    if (all === batch.count) values[group] = (values[group] as number) + selected(selection)
    else if (!selection.mask && selection.end - selection.first === batch.count)
      values[group] = (values[group] as number) + all
    else {
      const has = batch.propertied()
      for (let index = selection.first; index < selection.end; index++) {
        if (has[index] !== 0 && selection.mask?.[index] !== 0) values[group] = (values[group] as number) + 1
      }
    }
  }

  addEach(groupAt: Int32Array, batch: Batch, first: number): void {
    const { values } = this.#sums
    const all = batch.withProperties()
    if (all === 0) return
    const has = all === batch.count ? undefined : batch.propertied()
    for (let index = 0; index < groupAt.length; index++) {
      const group = groupAt[index] as number
      if (group >= 0 && has?.[first + index] !== 0) values[group] = (values[group] as number) + 1
    }
  }

  value = (group: number) => this.#sums.values[group] as number
}

class DistinctIds implements Measurement {
  readonly #sets: Distinct[] = []
  readonly #range: number

  constructor(
    private readonly kind: Kind,
    source: EventSource,
    private readonly budget: Budget,
  ) {
    this.#range = source.numbers[kind]
  }

  grow(): void {
    this.#sets.push(new Distinct(this.#range, this.budget))
  }

  count(): void {}

  addAll(group: number, batch: Batch, { first, end, mask }: Selection): void {
    this.#sets[group]?.addAll(batch[this.kind](), first, end, mask)
  }

  addEach(groupAt: Int32Array, batch: Batch, first: number): void {
    const numbers = batch[this.kind]()
    for (let index = 0; index < groupAt.length; index++) {
      const group = groupAt[index] as number
      if (group >= 0) (this.#sets[group] as Distinct).add(numbers[first + index] as number)
    }
  }

  value = (group: number) => (this.#sets[group] as Distinct).size
}

/** Distinct texts of a column. */
class Texts implements Measurement {
  readonly #sets: Set<string>[] = []

  constructor(
    private readonly of: (batch: Batch) => { codes: Codes; texts: (string | null)[] },
    private readonly budget: Budget,
  ) {}

  grow(): void {
    this.#sets.push(new Set())
  }

  count(): void {}

  #add(group: number, text: string | null): void {
    const set = this.#sets[group] as Set<string>
    if (text === null || set.has(text)) return
    this.budget.take(text.length * 2 + 50)
    set.add(text)
  }

  addAll(group: number, batch: Batch, { first, end, mask }: Selection): void {
    const { codes, texts } = this.of(batch)
    if (texts.length === 1) return
    const seen = new Uint8Array(texts.length)
    for (let index = first; index < end; index++) if (mask?.[index] !== 0) seen[codes[index] as number] = 1
    seen.forEach((yes, code) => {
      if (yes) this.#add(group, texts[code] as string | null)
    })
  }

  addEach(groupAt: Int32Array, batch: Batch, first: number): void {
    const { codes, texts } = this.of(batch)
    if (texts.length === 1) return
    for (let index = 0; index < groupAt.length; index++) {
      const group = groupAt[index] as number
      if (group >= 0) this.#add(group, texts[codes[first + index] as number] as string | null)
    }
  }

  value = (group: number) => (this.#sets[group] as Set<string>).size
}

/** Distinct event names; all events of a batch have the same. */
class Names implements Measurement {
  readonly #sets: Set<string>[] = []

  constructor(private readonly budget: Budget) {}

  grow(): void {
    this.#sets.push(new Set())
  }

  count(group: number, name: string): void {
    const set = this.#sets[group] as Set<string>
    if (!set.has(name)) this.budget.take(50)
    set.add(name)
  }

  addAll(group: number, batch: Batch): void {
    this.count(group, batch.name)
  }

  addEach(groupAt: Int32Array, batch: Batch): void {
    const seen = new Set<number>(groupAt)
    seen.delete(-1)
    for (const group of seen) this.count(group, batch.name)
  }

  value = (group: number) => (this.#sets[group] as Set<string>).size
}

/** The first or the last time. */
class Times implements Measurement {
  readonly #sums = new Sums()

  constructor(private readonly which: "first" | "last") {}

  grow = () => this.#sums.push(Number.NaN)
  count(): void {}

  #add(group: number, time: number): void {
    const { values } = this.#sums
    const before = values[group] as number
    if (Number.isNaN(before) || (this.which === "first" ? time < before : time > before)) values[group] = time
  }

  addAll(group: number, batch: Batch, { first, end, mask }: Selection): void {
    const times = batch.times()
    const at =
      this.which === "first"
        ? mask
          ? mask.indexOf(1, first)
          : first
        : mask
          ? mask.lastIndexOf(1, end - 1)
          : end - 1
    this.#add(group, batch.base + (times[at] as number))
  }

  addEach(groupAt: Int32Array, batch: Batch, first: number): void {
    const times = batch.times()
    for (let index = 0; index < groupAt.length; index++) {
      const group = groupAt[index] as number
      if (group >= 0) this.#add(group, batch.base + (times[first + index] as number))
    }
  }

  value(group: number): number | null {
    const time = this.#sums.values[group] as number
    return Number.isNaN(time) ? null : time
  }
}

/** Of the numbers of a property. Values repeat, so they are counted before they are summed. */
class Numeric implements Measurement {
  readonly #groups: Map<number, number>[] = []

  constructor(
    private readonly measure: Extract<Measure, object>,
    private readonly budget: Budget,
  ) {}

  grow(): void {
    this.#groups.push(new Map())
  }

  count(): void {}

  #add(group: number, value: number, times: number): void {
    const counts = this.#groups[group] as Map<number, number>
    const before = counts.get(value)
    if (before === undefined) this.budget.take(40)
    counts.set(value, (before ?? 0) + times)
  }

  addAll(group: number, batch: Batch, { first, end, mask }: Selection): void {
    const column = columnOf(batch, this.measure.of)
    if (!column) return
    const { codes, values } = column
    const counts = new Uint32Array(values.length + 1)
    for (let index = first; index < end; index++) {
      if (mask && mask[index] === 0) continue
      const code = codes[index] as number
      counts[code] = (counts[code] as number) + 1
    }
    values.forEach((value, index) => {
      const times = counts[index + 1] as number
      if (typeof value === "number" && times > 0) this.#add(group, value, times)
    })
  }

  addEach(groupAt: Int32Array, batch: Batch, first: number): void {
    const column = columnOf(batch, this.measure.of)
    if (!column) return
    const { codes, values } = column
    // Values repeat, unless there are nearly as many as events.
    const repeated = values.length < groupAt.length / 4
    const counts: (Uint32Array | undefined)[] = []
    for (let index = 0; index < groupAt.length; index++) {
      const group = groupAt[index] as number
      const code = codes[first + index] as number
      if (group < 0 || code === 0) continue
      if (repeated) {
        let ofGroup = counts[group]
        if (!ofGroup) {
          ofGroup = new Uint32Array(values.length + 1)
          counts[group] = ofGroup
        }
        ofGroup[code] = (ofGroup[code] as number) + 1
        continue
      }
      const value = values[code - 1]
      if (typeof value === "number") this.#add(group, value, 1)
    }
    counts.forEach((ofGroup, group) => {
      values.forEach((value, index) => {
        const times = ofGroup?.[index + 1] as number
        if (typeof value === "number" && times > 0) this.#add(group, value, times)
      })
    })
  }

  value(group: number): number | null {
    const counts = this.#groups[group] as Map<number, number>
    const { what } = this.measure
    if (what === "count") return totalOf(counts)
    if (counts.size === 0) return null
    if (what === "sum") return sumOf(counts)
    if (what === "avg") return sumOf(counts) / totalOf(counts)
    const sorted = [...counts.keys()].sort((one, other) => one - other)
    if (what === "min") return sorted[0] as number
    if (what === "max") return sorted.at(-1) as number
    return nearestRank(sorted, counts, what === "p50" ? 0.5 : 0.95)
  }
}

function totalOf(counts: ReadonlyMap<number, number>): number {
  let total = 0
  for (const times of counts.values()) total += times
  return total
}

/** With what a plain sum loses added up beside it (Neumaier), so that the order of the values makes no difference that shows. */
function sumOf(counts: ReadonlyMap<number, number>): number {
  let sum = 0
  let lost = 0
  for (const [value, times] of counts) {
    const term = value * times
    const next = sum + term
    lost += Math.abs(sum) >= Math.abs(term) ? sum - next + term : term - next + sum
    sum = next
  }
  return sum + lost
}

/** The value that at least `share` of all are not above. */
function nearestRank(sorted: readonly number[], counts: ReadonlyMap<number, number>, share: number): number {
  const rank = Math.max(1, Math.ceil(share * totalOf(counts)))
  let seen = 0
  for (const value of sorted) {
    seen += counts.get(value) as number
    if (seen >= rank) return value
  }
  return sorted.at(-1) as number
}
