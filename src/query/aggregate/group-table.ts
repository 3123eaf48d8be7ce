import {
  type Batch,
  type Codes,
  type DictionarySizes,
  dayMs,
  type IdKind,
  type RowLocator,
} from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import { textOf } from "../json.ts"
import type { Bucket, Dimension, Group, Measure } from "../query.ts"
import { columnOf, kindOf } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { indexAt, lowerBound, type Selection, sizeOf, sliceSelection } from "../structures/selection.ts"
import { bucketAt } from "../structures/zone.ts"
import { type Measurement, measurementOf } from "./measures.ts"
import type { Mergeable } from "./partial-aggregates.ts"

/** Bytes that a group takes beside its measures. */
export const groupBytes = 300
/** Bytes that an event with an id takes, by which the id is looked up. */
const sightingBytes = 100

/** What tables are made for. They may be kept for the next question, and with them whatever is here. */
export interface GroupTableSpec {
  by: readonly Dimension[]
  measures: readonly Measure[]
  numbers: DictionarySizes
  websiteIds: ReadonlyMap<number, string>
  sightings: RowLocators
}

/** Groups of events, by dimensions and time, and their measures. */
export class GroupTable implements Mergeable<GroupTable> {
  readonly #groups = new Map<string, number>()
  readonly #found: { by: (string | null)[]; bucket: number }[]
  readonly #measures: Measurement[]

  /** `base`: what it begins with, of the same question and time, which must not change any more. */
  constructor(
    private readonly of: GroupTableSpec,
    private readonly buckets: readonly Bucket[],
    private readonly budget: MemoryBudget,
    private readonly base?: GroupTable,
  ) {
    this.#found = base ? base.#found.slice() : []
    this.#measures = of.measures.map((measure, index) =>
      measurementOf(measure, of.numbers, budget, base ? base.#measures[index] : undefined),
    )
  }

  /** The group with these dimensions, which there is from now on. */
  groupOf(by: (string | null)[], bucket: number): number {
    const key = `${bucket} ${by.map((part) => (part === null ? "-" : `${part.length}:${part}`)).join("")}`
    const known = this.#known(key)
    if (known !== undefined) return known
    this.budget.reserve(groupBytes + key.length * 2)
    const group = this.#found.push({ by, bucket }) - 1
    this.#groups.set(key, group)
    for (const measure of this.#measures) measure.grow()
    return group
  }

  #known(key: string): number | undefined {
    return this.#groups.get(key) ?? (this.base ? this.base.#known(key) : undefined)
  }

  /** Events of which nothing but the name and the website is known. */
  count(name: string, website: number, bucket: number, events: number): void {
    const { by: dimensions, websiteIds } = this.of
    const by = dimensions.map((dimension) =>
      dimension === "event_name" ? name : (websiteIds.get(website) ?? null),
    )
    const group = this.groupOf(by, bucket)
    for (const measure of this.#measures) measure.count(group, name, events)
  }

  /** Events that are all in one of the buckets. */
  add(batch: Batch, selection: Selection): void {
    const { buckets } = this
    const parts = this.of.by.map((dimension) => this.#partOf(batch, dimension, selection))
    if (buckets.length === 1) {
      this.#addTo(0, batch, selection, parts)
      return
    }
    let bucket = bucketAt(buckets, batch.base + (batch.times()[indexAt(selection, 0)] as number))
    for (let { first } = selection; first < selection.end; bucket++) {
      const until = (buckets[bucket] as Bucket).to - batch.base
      const end =
        until >= dayMs ? selection.end : Math.min(lowerBound(batch.times(), until, first), selection.end)
      const some = sliceSelection(selection, first, end)
      if (sizeOf(some) > 0) this.#addTo(bucket, batch, some, parts)
      first = end
    }
  }

  #addTo(bucket: number, batch: Batch, selection: Selection, parts: readonly (string | null | Part)[]): void {
    const varying = parts.filter((part): part is Part => typeof part === "object" && part !== null)
    if (varying.length === 0) {
      const group = this.groupOf(parts as (string | null)[], bucket)
      for (const measure of this.#measures) measure.addAll(group, batch, selection)
      return
    }
    const groups = codesOf(varying, selection)
    const groupOfCode = new Map<number, number>()
    for (let n = 0; n < groups.length; n++) {
      const code = groups[n] as number
      let group = groupOfCode.get(code)
      if (group === undefined) {
        group = this.groupOf(keysAt(parts, indexAt(selection, n)), bucket)
        groupOfCode.set(code, group)
      }
      groups[n] = group
    }
    for (const measure of this.#measures) measure.addEach(groups, batch, selection)
  }

  /** Adds another one of the same question, in the buckets of the same places. */
  merge(other: GroupTable): void {
    other.#found.forEach(({ by, bucket }, from) => {
      const group = this.groupOf(by, bucket)
      this.#measures.forEach((measure, index) => {
        measure.merge(group, other.#measures[index] as Measurement, from)
      })
    })
  }

  pack(): void {
    for (const measure of this.#measures) measure.pack()
  }

  rows(): Group[] {
    return this.#found.map(({ by, bucket }, group) => ({
      by,
      bucket,
      values: this.#measures.map((measure) => measure.value(group)),
    }))
  }

  #partOf(batch: Batch, dimension: Dimension, selection: Selection): string | null | Part {
    const { websiteIds, sightings } = this.of
    if (dimension === "event_name") return batch.name
    if (dimension === "website_id") return websiteIds.get(batch.website) ?? null
    const kind = kindOf[dimension]
    if (kind) return sightings.partOf(batch, kind, selection)
    const column = columnOf(batch, dimension)
    if (!column || column.values.length === 0) return null
    const { codes, values } = column
    return {
      codes,
      size: values.length + 1,
      keyOf: (code) => (code === 0 ? null : textOf(values[code - 1] as (typeof values)[number])),
    }
  }
}

/** How an event's group is found where it is not the same for all of a batch: by a code. */
interface Part {
  codes: Codes
  /** One more than the largest code. */
  size: number
  /** What stands in the group for a code. */
  keyOf(code: number): string | null
}

/** Events with ids that are a dimension. Until the end their number stands for their text. */
export class RowLocators {
  readonly #seen = new Map<IdKind, Map<number, RowLocator>>()

  constructor(private readonly budget: MemoryBudget) {}

  partOf(batch: Batch, kind: IdKind, selection: Selection): Part {
    const { website, name, base } = batch
    const codes = batch[kind]()
    const times = batch.times()
    let seen = this.#seen.get(kind)
    if (!seen) {
      seen = new Map()
      this.#seen.set(kind, seen)
    }
    const size = sizeOf(selection)
    let largest = 0
    for (let n = 0; n < size; n++) {
      const index = indexAt(selection, n)
      const number = codes[index] as number
      largest = Math.max(largest, number)
      if (number === 0 || seen.has(number)) continue
      this.budget.reserve(sightingBytes)
      seen.set(number, { number, website, name, ts: base + (times[index] as number) })
    }
    return { codes, size: largest + 1, keyOf: (code) => (code === 0 ? null : String(code)) }
  }

  /** The same rows with the ids' text. */
  *withTexts(rows: Group[], by: readonly Dimension[], source: Snapshot): Generator<void, Group[]> {
    if (this.#seen.size === 0) return rows
    const texts = new Map<IdKind, Map<number, string>>()
    for (const [kind, seen] of this.#seen) texts.set(kind, yield* source.texts(kind, [...seen.values()]))
    return rows.map((row) => ({
      ...row,
      by: row.by.map((part, index) => {
        const kind = kindOf[by[index] as Dimension]
        return kind && part !== null ? (texts.get(kind)?.get(Number(part)) ?? null) : part
      }),
    }))
  }
}

/** A code for each selected event; those of several columns are put together. */
function codesOf(parts: readonly Part[], selection: Selection): Uint32Array {
  const together = new Uint32Array(sizeOf(selection))
  const size = parts.reduce((product, part) => product * part.size, 1)
  if (size <= 2 ** 32) {
    for (const { codes, size } of parts) {
      for (let n = 0; n < together.length; n++)
        together[n] = (together[n] as number) * size + (codes[indexAt(selection, n)] as number)
    }
    return together
  }
  const codeOf = new Map<string, number>()
  for (let n = 0; n < together.length; n++) {
    const key = parts.map(({ codes }) => codes[indexAt(selection, n)]).join()
    let code = codeOf.get(key)
    if (code === undefined) {
      code = codeOf.size
      codeOf.set(key, code)
    }
    together[n] = code
  }
  return together
}

function keysAt(parts: readonly (string | null | Part)[], index: number): (string | null)[] {
  return parts.map((part) =>
    typeof part === "object" && part !== null ? part.keyOf(part.codes[index] as number) : part,
  )
}
