import {
  type Batch,
  type Codes,
  type Column,
  dayMs,
  type IdKind,
  type RowLocator,
  type Value,
} from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import { lowerBound } from "../../columns/typed-arrays.ts"
import { type BatchField, type Dimension, isBatchField } from "../fields.ts"
import { textOf } from "../json-values.ts"
import type { Bucket, GroupKey, Measure } from "../query.ts"
import { columnOf, kindOf } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { indexAt, type Selection, sizeOf, sliceSelection } from "../structures/selection.ts"
import { bucketAt } from "../structures/time-zone.ts"
import { GroupKeys } from "./group-keys.ts"
import { GroupRows } from "./group-rows.ts"
import type { Measurement } from "./measurement.ts"
import { type MeasureContext, measurementOf } from "./measures.ts"
import type { Mergeable } from "./partial-aggregates.ts"

/**
 * Bytes per group in a measure that stores one number per group. Its array is three quarters full on average. Other
 * measures reserve memory for their objects themselves.
 */
const measureBytes = 12
/** Up to this number of codes, or combinations of codes, groups are looked up in a table of at most 16 KB. */
const maxTableSize = 4_096
/** Number of groups to merge or list per step. A step takes about 5 ms. */
export const groupsPerStep = 4_096
/** Bytes of a row locator. */
const locatorBytes = 100

/**
 * Defines a group table. Definitions are cached together with their tables, so they must hold no more data than
 * necessary.
 */
export interface GroupTableSpec extends MeasureContext {
  by: readonly Dimension[]
  measures: readonly Measure[]
  websiteIds: ReadonlyMap<number, string>
  locators: RowLocators
}

/**
 * Groups events by dimensions and time, and computes the measures of each group. In a batch, each dimension value has a
 * code, so each combination of codes is looked up only once.
 */
export class GroupTable implements Mergeable<GroupTable> {
  readonly #keys: GroupKeys
  readonly #measures: Measurement[]
  /** Tables that map codes to groups. Keyed by the array of a column's values, which all slices of a block share. */
  readonly #groupsOfCodes = new WeakMap<
    readonly Value[],
    Map<string, { values: (readonly Value[] | undefined)[]; table: Uint32Array }>
  >()

  /** `base` contains the initial groups, for the same query and time range. It must not change afterwards. */
  constructor(
    private readonly spec: GroupTableSpec,
    private readonly buckets: readonly Bucket[],
    private readonly budget: MemoryBudget,
    base?: GroupTable,
  ) {
    this.#keys = new GroupKeys(spec.by.length, base ? base.#keys : undefined)
    budget.reserve(this.#keys.count * measureBytes * spec.measures.length)
    this.#measures = spec.measures.map((measure, index) =>
      measurementOf(measure, spec, budget, base ? base.#measures[index] : undefined),
    )
  }

  /** Returns the number of the group with these dimension values and this bucket. Adds the group if it is new. */
  groupOf(by: GroupKey, bucket: number): number {
    const known = this.#keys.find(by, bucket)
    if (known !== undefined) return known
    this.budget.reserve(this.#keys.bytesOf(by) + this.#measures.length * measureBytes)
    const group = this.#keys.add(by, bucket)
    for (const measure of this.#measures) measure.grow()
    return group
  }

  /** Counts events without reading them. All dimensions must be in `batchFields`. */
  count(batch: Pick<Batch, "name" | "kind" | "website">, bucket: number, events: number): void {
    const { name } = batch
    const by = this.spec.by.map((dimension) =>
      isBatchField(dimension) ? this.#batchValueOf(batch, dimension) : null,
    )
    const group = this.groupOf(by, bucket)
    for (const measure of this.#measures) measure.count(group, name, events)
  }

  /** Adds events. Each event must fall into one of the buckets. */
  add(batch: Batch, selection: Selection): void {
    const { buckets } = this
    const parts = this.spec.by.map((dimension) => this.#partOf(batch, dimension, selection))
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
    const by: (string | null)[] = []
    const groupAt = (n: number) => {
      copyKeys(by, parts, indexAt(selection, n))
      return this.groupOf(by, bucket)
    }
    const table = this.#tableOf(parts, varying, bucket)
    if (table) groupsByTable(groups, table, groupAt)
    else groupsByMap(groups, groupAt)
    for (const measure of this.#measures) measure.addEach(groups, batch, selection)
  }

  /**
   * Returns a table that maps each code to its group + 1, or to 0 if the code has no group yet. Returns undefined if
   * there might be too many codes, or if a varying dimension is not a column.
   */
  #tableOf(
    parts: readonly (string | null | Part)[],
    varying: readonly Part[],
    bucket: number,
  ): Uint32Array | undefined {
    const size = varying.reduce((product, part) => product * part.size, 1)
    const values = varying[0]?.values
    if (size > maxTableSize || !values || varying.some((part) => !part.values)) return undefined
    let tables = this.#groupsOfCodes.get(values)
    if (!tables) {
      tables = new Map()
      this.#groupsOfCodes.set(values, tables)
    }
    const others = parts.map((part) => (typeof part === "object" && part !== null ? part.size : part))
    const key = `${bucket} ${JSON.stringify(others)}`
    let known = tables.get(key)
    // The values of the first column usually determine the other columns, because they belong to a single block. If
    // another column has other values, the table is replaced.
    if (!known || varying.some((part, at) => part.values !== known?.values[at])) {
      known = { values: varying.map((part) => part.values), table: new Uint32Array(size) }
      tables.set(key, known)
    }
    return known.table
  }

  /**
   * Merges another table of the same query. Bucket indexes must match. Creates no objects per group, because the
   * objects for 200,000 groups would amount to about 100 MB of garbage.
   */
  *merge(other: GroupTable): Generator<void, void> {
    const by: (string | null)[] = []
    for (let from = 0; from < other.#keys.count; from++) {
      if (from % groupsPerStep === groupsPerStep - 1) yield
      other.#keys.copyTo(by, from)
      const group = this.groupOf(by, other.#keys.bucketOf(from))
      for (let index = 0; index < this.#measures.length; index++)
        (this.#measures[index] as Measurement).merge(group, other.#measures[index] as Measurement, from)
    }
  }

  /** Reduces memory use. Afterwards, the table can only be merged into other tables or serve as their base. */
  pack(): void {
    for (const measure of this.#measures) measure.pack()
  }

  /** Returns all groups with their values. */
  *rows(): Generator<void, GroupRows> {
    const rows = new GroupRows(this.spec.by.length, this.#measures.length)
    let group = 0
    const fieldOf = (dimension: number) => this.#keys.valueOf(group, dimension)
    const measured = (measure: number) => (this.#measures[measure] as Measurement).value(group)
    for (; group < this.#keys.count; group++) {
      if (group % groupsPerStep === 0) {
        if (group > 0) yield
        this.budget.reserve(Math.min(groupsPerStep, this.#keys.count - group) * rows.bytesPerRow)
      }
      rows.add(fieldOf, this.#keys.bucketOf(group), measured)
    }
    return rows
  }

  /**
   * Returns the value of `field`. Reads no other field of the batch, because a joined batch has no single name or kind.
   */
  #batchValueOf(batch: Pick<Batch, "name" | "kind" | "website">, field: BatchField): string | null {
    if (field === "event_name") return batch.name
    return field === "kind" ? batch.kind : (this.spec.websiteIds.get(batch.website) ?? null)
  }

  #partOf(batch: Batch, dimension: Dimension, selection: Selection): string | null | Part {
    const { locators } = this.spec
    if (dimension === "event_name" && batch.names) return partOf(batch.names())
    if (isBatchField(dimension)) return this.#batchValueOf(batch, dimension)
    const kind = kindOf[dimension]
    if (kind) return locators.partOf(batch, kind, selection)
    const column = columnOf(batch, dimension)
    return !column || column.values.length === 0 ? null : partOf(column)
  }
}

/** A dimension that varies within a batch. */
interface Part {
  codes: Codes
  /** The values that the codes refer to, if the dimension is a column. */
  values?: readonly Value[]
  /** One more than the largest code. */
  size: number
  /** Returns the dimension value of a code. */
  keyOf(code: number): string | null
}

function partOf({ codes, values }: Column): Part {
  return {
    codes,
    values,
    size: values.length + 1,
    keyOf: (code) => (code === 0 ? null : textOf(values[code - 1] as (typeof values)[number])),
  }
}

/**
 * For each ID that is a dimension value, remembers where to find an event with this ID. Groups contain dictionary IDs
 * until all events have been added. The texts of the IDs are then read from the remembered events.
 */
export class RowLocators {
  readonly #locators = new Map<IdKind, Map<number, RowLocator>>()

  constructor(private readonly budget: MemoryBudget) {}

  partOf(batch: Batch, kind: IdKind, selection: Selection): Part {
    const { website, name, base } = batch
    const codes = batch[kind]()
    const times = batch.times()
    let locators = this.#locators.get(kind)
    if (!locators) {
      locators = new Map()
      this.#locators.set(kind, locators)
    }
    const size = sizeOf(selection)
    let largest = 0
    for (let n = 0; n < size; n++) {
      const index = indexAt(selection, n)
      const id = codes[index] as number
      largest = Math.max(largest, id)
      if (id === 0 || locators.has(id)) continue
      this.budget.reserve(locatorBytes)
      locators.set(id, { dictionaryId: id, website, name, ts: base + (times[index] as number) })
    }
    return { codes, size: largest + 1, keyOf: (code) => (code === 0 ? null : String(code)) }
  }

  /** Replaces dictionary IDs in groups with their texts. */
  *withTexts(rows: GroupRows, by: readonly Dimension[], source: Snapshot): Generator<void, GroupRows> {
    if (this.#locators.size === 0) return rows
    const texts = new Map<IdKind, Map<number, string>>()
    for (const [kind, locators] of this.#locators)
      texts.set(kind, yield* source.texts(kind, [...locators.values()]))
    const found = new GroupRows(rows.dimensions, rows.measures)
    let row = 0
    const textOf = (dimension: number) => {
      const part = rows.fieldOf(row, dimension)
      const kind = kindOf[by[dimension] as Dimension]
      return kind && part !== null ? (texts.get(kind)?.get(Number(part)) ?? null) : part
    }
    const measured = (measure: number) => rows.valueOf(row, measure)
    for (; row < rows.count; row++) found.add(textOf, rows.bucketOf(row), measured)
    return found
  }
}

/** Replaces each code with its group, using a table. */
function groupsByTable(codes: Uint32Array, table: Uint32Array, groupAt: (n: number) => number): void {
  for (let n = 0; n < codes.length; n++) {
    const code = codes[n] as number
    if (table[code] === 0) table[code] = groupAt(n) + 1
    codes[n] = (table[code] as number) - 1
  }
}

/** Replaces each code with its group, using a map. */
function groupsByMap(codes: Uint32Array, groupAt: (n: number) => number): void {
  const groupOfCode = new Map<number, number>()
  for (let n = 0; n < codes.length; n++) {
    const code = codes[n] as number
    let group = groupOfCode.get(code)
    if (group === undefined) {
      group = groupAt(n)
      groupOfCode.set(code, group)
    }
    codes[n] = group
  }
}

/** Returns one code per selected event, which combines the codes of all columns. */
function codesOf(parts: readonly Part[], selection: Selection): Uint32Array {
  const combined = new Uint32Array(sizeOf(selection))
  const size = parts.reduce((product, part) => product * part.size, 1)
  if (size <= 2 ** 32) {
    for (const { codes, size } of parts) {
      addCodes(combined, codes, size, selection)
    }
    return combined
  }
  const codeOf = new Map<string, number>()
  for (let n = 0; n < combined.length; n++) {
    const key = parts.map(({ codes }) => codes[indexAt(selection, n)]).join()
    let code = codeOf.get(key)
    if (code === undefined) {
      code = codeOf.size
      codeOf.set(key, code)
    }
    combined[n] = code
  }
  return combined
}

function addCodes(combined: Uint32Array, codes: Codes, size: number, { first, at }: Selection): void {
  if (at) {
    for (let n = 0; n < combined.length; n++)
      combined[n] = (combined[n] as number) * size + (codes[at[n] as number] as number)
  } else {
    for (let n = 0; n < combined.length; n++)
      combined[n] = (combined[n] as number) * size + (codes[first + n] as number)
  }
}

/** Writes the dimension values of an event to `by`. */
function copyKeys(by: (string | null)[], parts: readonly (string | null | Part)[], index: number): void {
  for (let dimension = 0; dimension < parts.length; dimension++) {
    const part = parts[dimension] as string | null | Part
    by[dimension] = typeof part === "object" && part !== null ? part.keyOf(part.codes[index] as number) : part
  }
}
