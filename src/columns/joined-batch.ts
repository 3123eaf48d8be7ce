import type { EventKind } from "../event-kinds.ts"
import { type Batch, type Codes, type Column, dayMs, type IdKind, type TextField } from "./batch.ts"
import type { BlockRow, Slice } from "./block.ts"
import { type ColumnLocation, slicesPerBlock } from "./block-format.ts"
import type { OpenProperty } from "./block-layout.ts"
import type { BlockRows } from "./block-rows.ts"
import { emptyCodes, joinColumns, sliceOf } from "./column.ts"
import type { SegmentReader } from "./segment-reader.ts"
import type { StoredIdSet } from "./stored-id-set.ts"

/**
 * Joins adjacent slices of a block into one batch, for queries that do not depend on the order of events. A day has a
 * slice for each name, and reading slices one by one would take longer than counting their events. The events of the
 * batch can have different names and kinds. `names` returns the name of each event. The times are sorted only within
 * each slice.
 */
export class JoinedBatch implements Batch {
  readonly block: string
  readonly website: number
  readonly count: number
  readonly base: number
  readonly #row: BlockRow
  /** Position of the batch's first event within the block. `#end`: position after its last event. */
  readonly #first: number
  readonly #end: number
  #names: Column | undefined
  readonly #columns = new Map<string, Column | undefined>()

  constructor(
    readonly slices: readonly Slice[],
    private readonly segments: SegmentReader,
    private readonly rows: BlockRows,
  ) {
    const [first, last] = [slices[0] as Slice, slices.at(-1) as Slice]
    this.#row = first.block
    this.#first = first.first
    this.#end = last.first + last.events
    this.block = `${first.block.id * slicesPerBlock + first.index} ${slices.length}`
    this.website = first.block.website
    this.count = this.#end - this.#first
    this.base = first.block.day * dayMs
  }

  get name(): string {
    throw new Error("the events of a joined batch have several names")
  }

  get kind(): EventKind {
    throw new Error("the events of a joined batch can have several kinds")
  }

  get crawler(): boolean {
    throw new Error("the events of a joined batch can be from crawlers and from people")
  }

  get receipt(): Batch["receipt"] {
    throw new Error("the events of a joined batch are not in the order of receipt")
  }

  names(): Column {
    if (!this.#names) {
      const values = [...new Set(this.slices.map(({ name }) => name))]
      const codes = emptyCodes(this.count, values.length)
      let code = 0
      // Slices are sorted by name.
      for (const { name, first, events } of this.slices) {
        if (values[code - 1] !== name) code++
        codes.fill(code, first - this.#first, first - this.#first + events)
      }
      this.#names = { codes, values }
    }
    return this.#names
  }

  // The type assertions are safe because times and dictionary ids are stored in 4 bytes each.
  times = () => this.#codesOf("times", this.segments.layout(this.#row).times) as Uint32Array
  visitors = () => this.#idsOf("visitors")
  sessions = () => this.#idsOf("sessions")
  profiles = () => this.#idsOf("profiles")

  distinct(kind: IdKind): StoredIdSet | undefined {
    return this.count === this.#row.events ? this.segments.distinct(this.#row, kind) : undefined
  }

  column(field: TextField): Column | undefined {
    const location = this.segments.layout(this.#row).fields[field]
    if (!location) return undefined
    return this.#columnOf(field, () =>
      sliceOf(this.segments.column(this.#row, field, location, this.#row.events), this.#first, this.#end),
    )
  }

  property(key: string): Column | undefined {
    return this.#columnOf(`property.${key}`, () => {
      const property = this.segments.layout(this.#row).byKey.get(key) ?? this.segments.inRest(this.#row, key)
      return property && this.#propertyOf(key, property)
    })
  }

  #propertyOf(key: string, property: OpenProperty): Column | undefined {
    const { location, count } = property
    const slicesWithKey = this.slices.filter(({ index }) => property.firstOf(index) !== undefined)
    const [first] = slicesWithKey
    if (!first) return undefined
    if (location && slicesWithKey.length === this.slices.length) {
      const all = this.segments.column(this.#row, `property.${key}`, location, count)
      const from = property.firstOf(first.index) as number
      return sliceOf(all, from, from + this.count)
    }
    const columns = this.slices.map((slice): Column | undefined => {
      const from = property.firstOf(slice.index)
      if (from === undefined) return undefined
      if (!location) return this.rows.property(slice, key, property)
      const all = this.segments.column(this.#row, `property.${key}`, location, count)
      return sliceOf(all, from, from + slice.events)
    })
    return joinColumns(
      columns,
      this.slices.map(({ events }) => events),
    )
  }

  keys(): ReadonlyMap<string, number> {
    const keys = new Map<string, number>()
    for (const properties of [this.segments.layout(this.#row).byKey, this.segments.rest(this.#row)]) {
      for (const [key, property] of properties) {
        let total: number | undefined
        for (const { index } of this.slices) {
          const events = property.eventsOf(index)
          if (events !== undefined) total = (total ?? 0) + events
        }
        if (total !== undefined) keys.set(key, total)
      }
    }
    return keys
  }

  withProperties(): number {
    const { withProperties } = this.segments.layout(this.#row)
    return this.slices.reduce((sum, { index }) => sum + (withProperties[index] as number), 0)
  }

  hasProperties(): Uint8Array {
    const { propertied } = this.segments.layout(this.#row)
    // The type assertion is safe because this column is stored as one byte per event.
    if (propertied) return this.#codesOf("propertied", propertied) as Uint8Array
    return new Uint8Array(this.count).fill(this.withProperties() > 0 ? 1 : 0)
  }

  #idsOf(kind: IdKind): Uint32Array {
    const location = this.segments.layout(this.#row).ids[kind]
    return location ? (this.#codesOf(kind, location) as Uint32Array) : new Uint32Array(this.count)
  }

  #codesOf(name: string, location: ColumnLocation): Codes {
    return this.segments.codes(this.#row, name, location, this.#row.events).subarray(this.#first, this.#end)
  }

  /** Returns the same object each time a column is read, because reports identify a column by its array of values. */
  #columnOf(name: string, read: () => Column | undefined): Column | undefined {
    if (!this.#columns.has(name)) this.#columns.set(name, read())
    return this.#columns.get(name)
  }
}
