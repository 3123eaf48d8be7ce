import type { EventKind } from "../event-kinds.ts"
import { type Batch, type Codes, type Column, dayMs, type IdKind, type TextField } from "./batch.ts"
import type { BlockRow, Slice } from "./block.ts"
import { type ColumnLocation, slicesPerBlock } from "./block-format.ts"
import type { OpenLayout } from "./block-layout.ts"
import type { BlockRows } from "./block-rows.ts"
import { sliceOf } from "./column.ts"
import type { SegmentReader } from "./segment-reader.ts"
import type { StoredIdSet } from "./stored-id-set.ts"

/** A batch that reads a slice of a block. Each column is read when it is first requested. */
export class StoredBatch implements Batch {
  readonly block: number
  readonly website: number
  readonly name: string
  readonly kind: EventKind
  readonly crawler: boolean
  readonly count: number
  readonly base: number
  readonly receipt: Batch["receipt"]
  readonly #row: BlockRow
  #openLayout: OpenLayout | undefined
  #keys: ReadonlyMap<string, number> | undefined
  readonly #codes = new Map<string, Codes>()
  readonly #columns = new Map<string, Column>()

  constructor(
    private readonly slice: Slice,
    private readonly segments: SegmentReader,
    private readonly rows: BlockRows,
  ) {
    const { block, index, name, kind, crawler, events } = slice
    this.#row = block
    this.block = block.id * slicesPerBlock + index
    this.website = block.website
    this.name = name
    this.kind = kind
    this.crawler = crawler
    this.count = events
    this.base = block.day * dayMs
    this.receipt = { after: block.afterId, last: block.lastId }
  }

  // The type assertions are safe because times and dictionary ids are stored in 4 bytes each.
  times = () => this.#codesOf("times", this.#layout.times) as Uint32Array
  visitors = () => this.#codesOf("visitors", this.#layout.ids.visitors) as Uint32Array
  sessions = () => this.#codesOf("sessions", this.#layout.ids.sessions) as Uint32Array
  profiles = () => this.#codesOf("profiles", this.#layout.ids.profiles) as Uint32Array

  distinct(kind: IdKind): StoredIdSet | undefined {
    return this.count === this.#row.events ? this.segments.distinct(this.#row, kind) : undefined
  }

  column(field: TextField): Column | undefined {
    const location = this.#layout.fields[field]
    if (!location) return undefined
    return this.#columnOf(field, this.slice.first, () =>
      this.segments.column(this.#row, field, location, this.#row.events),
    )
  }

  property(key: string): Column | undefined {
    const property = this.#layout.byKey.get(key) ?? this.segments.inRest(this.#row, key)
    const first = property?.firstOf(this.slice.index)
    if (!property || first === undefined) return undefined
    const { location, count } = property
    const name = `property.${key}`
    if (!location) return this.rows.property(this.slice, key, property)
    return this.#columnOf(name, first, () => this.segments.column(this.#row, name, location, count))
  }

  keys(): ReadonlyMap<string, number> {
    if (this.#keys) return this.#keys
    const keys = new Map<string, number>()
    for (const properties of [this.#layout.byKey, this.segments.rest(this.#row)]) {
      for (const [key, property] of properties) {
        const events = property.eventsOf(this.slice.index)
        if (events !== undefined) keys.set(key, events)
      }
    }
    this.#keys = keys
    return keys
  }

  withProperties(): number {
    return this.#layout.withProperties[this.slice.index] as number
  }

  hasProperties(): Uint8Array {
    const { propertied } = this.#layout
    // The type assertion is safe because this column is stored as one byte per event.
    if (propertied) return this.#codesOf("propertied", propertied) as Uint8Array
    return new Uint8Array(this.count).fill(this.withProperties() > 0 ? 1 : 0)
  }

  get #layout(): OpenLayout {
    this.#openLayout ??= this.segments.layout(this.#row)
    return this.#openLayout
  }

  /**
   * Returns the codes of this slice. If `location` is undefined, no event in the block has an id of this kind, and the
   * result is an array of zeros.
   */
  #codesOf(name: string, location: ColumnLocation | undefined): Codes {
    let codes = this.#codes.get(name)
    if (!codes) {
      const { first, events } = this.slice
      codes = location
        ? this.segments.codes(this.#row, name, location, this.#row.events).subarray(first, first + events)
        : new Uint32Array(this.count)
      this.#codes.set(name, codes)
    }
    return codes
  }

  /**
   * Returns a column with the codes of this slice and the values of the whole block. All slices share the array of
   * values.
   */
  #columnOf(name: string, first: number, read: () => Column): Column {
    let column = this.#columns.get(name)
    if (!column) {
      column = sliceOf(read(), first, first + this.count)
      this.#columns.set(name, column)
    }
    return column
  }
}
