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
  /** Without fields that no event has. */
  fields: Partial<Record<TextField, Column>>
  /** Each result parses wide rows again, and holds what it parsed. */
  properties: () => PropertyColumns
  /** Some of the rows are wide: see `WideRows`. */
  isWide?: boolean
  /** 1 for events that have at least one property. */
  propertied: Uint8Array
  /** Row ids, if the columns were built from rows. */
  rowIds?: Float64Array
  /** Estimated bytes of memory that building them takes. */
  bytes: number
  /** The same while wide rows are not parsed. */
  textBytes?: number
}

/** The columns of properties by key. */
export interface PropertyColumns {
  one(key: string): Column | undefined
  /** Number of events with a value, by key; in steps of a few ms. */
  counts(): Generator<void, ReadonlyMap<string, number>>
  /** The columns of some keys, and perhaps others; in steps of a few ms. */
  some(keys: ReadonlySet<string>): Generator<void, ReadonlyMap<string, Column>>
}

export function propertiesIn(columns: ReadonlyMap<string, Column>): PropertyColumns {
  return {
    one: (key) => columns.get(key),
    counts: () => withoutSteps(new Map([...columns].map(([key, column]) => [key, presentIn(column)]))),
    some: () => withoutSteps(columns),
  }
}

/** Bytes of memory that building takes: a set of columns, a row in it, and a property key in addition to its text. */
export const setBytes = 3_000
export const rowBytes = 48
export const keyBytes = 500

/** A batch of columns in memory. */
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
    const column = this.#properties.one(key)
    return column instanceof SparseColumn ? column.withoutCodes() : column
  }
  propertied = () => this.columns.propertied
  withProperties = () => present(this.columns.propertied)

  keys(): ReadonlyMap<string, number> {
    this.#keys ??= runToEnd(this.#properties.counts())
    return this.#keys
  }
}
