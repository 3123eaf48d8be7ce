import type { EventKind } from "../event-kinds.ts"
import { runToEnd, withoutSteps } from "../steps.ts"
import { type Batch, type Column, dayMs, type IdKind, type TextField } from "./batch.ts"
import { present, presentIn, SparseColumn } from "./column.ts"

/** A set of columns in memory. */
export interface Columns {
  website: number
  name: string
  kind: EventKind
  crawler: boolean
  day: number
  count: number
  times: Uint32Array
  ids: Record<IdKind, Uint32Array>
  /** Fields that no event has are absent. */
  fields: Partial<Record<TextField, Column>>
  /** Each call returns a new object, which parses the wide rows when they are first read, and caches the result. */
  properties: () => PropertyColumns
  /** True if some rows are wide. See `WideRows`. */
  isWide?: boolean
  /** 1 for each event with at least one property, 0 for the others. */
  hasProperties: Uint8Array
  /** Row ids of the events. Set only if the columns were built from rows. */
  rowIds?: Float64Array
  /** Estimated memory for building the columns, in bytes. */
  bytes: number
  /** Estimated memory as long as the wide rows are not parsed, in bytes. */
  textBytes?: number
}

/** Property columns, by key. */
export interface PropertyColumns {
  columnOf(key: string): Column | undefined
  /** Returns the number of events with a value for each key. Yields every few ms. */
  counts(): Generator<void, ReadonlyMap<string, number>>
  /** Returns the columns of these keys. The map can also contain columns of other keys. Yields every few ms. */
  columnsOf(keys: ReadonlySet<string>): Generator<void, ReadonlyMap<string, Column>>
}

export function propertiesIn(columns: ReadonlyMap<string, Column>): PropertyColumns {
  return {
    columnOf: (key) => columns.get(key),
    counts: () => withoutSteps(new Map([...columns].map(([key, column]) => [key, presentIn(column)]))),
    columnsOf: () => withoutSteps(columns),
  }
}

/**
 * Estimated bytes of memory for building columns: `setBytes` per set of columns, `rowBytes` per row, and `keyBytes` per
 * property key, in addition to its characters.
 */
export const setBytes = 3_000
export const rowBytes = 48
export const keyBytes = 500

/** A batch whose columns are in memory. */
export class MemoryBatch implements Batch {
  readonly website: number
  readonly name: string
  readonly kind: EventKind
  readonly crawler: boolean
  readonly count: number
  readonly base: number
  #keys: ReadonlyMap<string, number> | undefined
  readonly #properties: PropertyColumns

  constructor(readonly columns: Columns) {
    this.#properties = columns.properties()
    this.website = columns.website
    this.name = columns.name
    this.kind = columns.kind
    this.crawler = columns.crawler
    this.count = columns.count
    this.base = columns.day * dayMs
  }

  get receipt(): Batch["receipt"] {
    const { rowIds } = this.columns
    if (!rowIds) throw new Error("merged columns have no row ids")
    return { after: 0, last: Number.MAX_SAFE_INTEGER, ids: rowIds }
  }

  times = () => this.columns.times
  visitors = () => this.columns.ids.visitors
  sessions = () => this.columns.ids.sessions
  profiles = () => this.columns.ids.profiles
  column = (field: TextField) => this.columns.fields[field]
  property = (key: string) => {
    const column = this.#properties.columnOf(key)
    return column instanceof SparseColumn ? column.withoutCodes() : column
  }
  hasProperties = () => this.columns.hasProperties
  withProperties = () => present(this.columns.hasProperties)

  keys(): ReadonlyMap<string, number> {
    this.#keys ??= runToEnd(this.#properties.counts())
    return this.#keys
  }
}
