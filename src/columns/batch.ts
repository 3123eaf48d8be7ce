import { type EventKind, kindIndex } from "../event-kinds.ts"
import { type ContextField, contextFields } from "../store/contexts.ts"
import { type IdKind, idKinds } from "../store/identities.ts"
import type { StoredIdSet } from "./stored-id-set.ts"
import type { Codes } from "./typed-arrays.ts"

/** A JSON value other than null. */
export type Value = string | number | boolean | object

/**
 * One value per event, dictionary-encoded. Code 0 means missing. Any other code stands for `values[code - 1]`. Values
 * are distinct.
 */
export interface Column {
  codes: Codes
  values: readonly Value[]
  /** The values as an array of numbers. Set only if the column is from a block and all values are numbers. */
  numbers?: Float64Array | undefined
  /** The sparse form of the column. Set if only a few events have a value. `codes` is then computed on first read. */
  few?: Few
}

/** The sparse form of a column, with only the events that have a value. */
export interface Few {
  /** Positions in the batch, ascending. */
  at: Uint32Array
  /** Codes of these events. No code is 0. */
  codes: Codes
}

export type TextField = "namespace" | "source" | "path" | ContextField

export const textFields: readonly TextField[] = ["namespace", "source", "path", ...contextFields]

/**
 * Columns of the events of one website, name, kind and UTC day, sorted by time and then by order of arrival. Either all
 * events are from crawlers, or none are. Batches from blocks and from rows behave the same. A column is read when it is
 * first requested. Callers must not modify columns.
 */
export interface Batch {
  /**
   * The batch holds all events of its website, name, kind and crawler flag with `after` < id <= `last`. `ids`: the row
   * ids of the events, if known.
   */
  readonly receipt: { after: number; last: number; ids?: Float64Array }
  /** Identifies the slices of a block, which never change. Undefined for rows. */
  readonly block?: number | string
  /** The name of each event. Set only for a batch of several slices of a block. See `JoinedBatch`. */
  names?(): Column
  /** The slices of such a batch. Undefined if the batch has only the matching events of the slices. */
  readonly slices?: readonly { name: string; events: number }[]
  website: number
  name: string
  kind: EventKind
  crawler: boolean
  count: number
  /** Unix ms of the start of the day. `times` are relative to it. */
  base: number
  /** Times in ms after `base`, ascending. */
  times(): Uint32Array
  /**
   * Dictionary ids of anonymous ids, starting at 1. 0 means that there is none. A dictionary id stands for the same
   * text in all batches of a snapshot.
   */
  visitors(): Uint32Array
  sessions(): Uint32Array
  profiles(): Uint32Array
  /** The distinct ids of all events. If undefined, they are not stored, and the ids of the events must be read. */
  distinct?(kind: IdKind): StoredIdSet | undefined
  /** The column of a field, or undefined if no event has a value. */
  column(field: TextField): Column | undefined
  /** The column of a top-level key, or undefined if no event has the key. */
  property(key: string): Column | undefined
  /** Top-level keys, with the number of events that have a value for each. */
  keys(): ReadonlyMap<string, number>
  /** Number of events with at least one property. A property with the value null counts. */
  withProperties(): number
  /** 1 for each event with at least one property, 0 for the others. */
  hasProperties(): Uint8Array
}

/** The fields that distinguish the batches of a website and day, and the slices of a block. */
export type SliceId = Pick<Batch, "name" | "kind" | "crawler">

/** Returns a string that is unique for each `SliceId`. */
export function sliceKey({ name, kind, crawler }: SliceId): string {
  return `${crawler ? 1 : 0} ${kindIndex(kind)} ${name}`
}

/** Thrown when a block or the type of a row was removed after it was looked up. The reader must open a new snapshot. */
export class StaleBlockError extends Error {}

export { type Codes, type IdKind, idKinds }

/** One more than the largest dictionary id that visitors(), sessions() and profiles() return. */
export type DictionarySizes = Record<IdKind, number>

/** Locates an event that has the id behind a dictionary id, so that the text of the id can be read. */
export interface RowLocator {
  dictionaryId: number
  website: number
  name: string
  /** Unix ms */
  ts: number
}

export const dayMs = 86_400_000
