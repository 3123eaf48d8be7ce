import { type EventKind, kindIndex } from "../event-kinds.ts"
import { type ContextField, contextFields } from "../store/contexts.ts"
import { type IdKind, idKinds } from "../store/identities.ts"
import type { StoredIdSet } from "./stored-id-set.ts"
import type { Codes } from "./typed-arrays.ts"

/** A JSON value other than null. */
export type Value = string | number | boolean | object

/**
 * One value per event, dictionary-encoded: each event has a code. Code 0 means that the event has no value. Any other
 * code stands for `values[code - 1]`. The values are distinct.
 */
export interface Column {
  codes: Codes
  values: readonly Value[]
  /** The values as an array of numbers. Set only if the column is read from a block and all its values are numbers. */
  numbers?: Float64Array | undefined
  /**
   * The sparse form of the column. Set if only a few events have a value. In this case, `codes` is computed when it is
   * first read.
   */
  few?: Few
}

/** The sparse form of a column, which lists only the events that have a value. */
export interface Few {
  /** Positions of these events in the batch, ascending. */
  at: Uint32Array
  /** Codes of these events. No code is 0. */
  codes: Codes
}

export type TextField = "namespace" | "source" | "path" | ContextField

export const textFields: readonly TextField[] = ["namespace", "source", "path", ...contextFields]

/**
 * A set of events and their columns. The events have the same website, name, kind and UTC day, and either all or none
 * are from crawlers. They are sorted by time and then by order of arrival. A batch behaves the same whether it is read
 * from a block or from rows. Each column is read when it is first requested. Callers must not modify columns.
 */
export interface Batch {
  /**
   * The batch holds all events with its website, name, kind, day and crawler flag whose row ids are above `after` and
   * at most `last`. `ids`: the row ids of the events, if known.
   */
  readonly receipt: { after: number; last: number; ids?: Float64Array }
  /**
   * Identifies the slice of a block (or several slices) from which the batch is read. Slices never change. Undefined
   * for a batch from rows.
   */
  readonly block?: number | string
  /**
   * Returns the name of each event. Defined only for a batch that joins several slices of a block. See `JoinedBatch`.
   */
  names?(): Column
  /**
   * The slices that the batch joins. Undefined for other batches, and for a batch that has only some events of the
   * slices.
   */
  readonly slices?: readonly { name: string; events: number }[]
  website: number
  name: string
  kind: EventKind
  crawler: boolean
  count: number
  /** Unix ms of the start of the day. `times` are relative to it. */
  base: number
  /** Returns times in ms after `base`, ascending. */
  times(): Uint32Array
  /**
   * Returns the dictionary id of each event, which is a number that stands for an id. Dictionary ids start at 1, and 0
   * means that the event has no such id. A dictionary id stands for the same id in all batches of a snapshot. The id of
   * a visitor is the anonymous id.
   */
  visitors(): Uint32Array
  sessions(): Uint32Array
  profiles(): Uint32Array
  /**
   * Returns the distinct ids of all events, or undefined if they are not stored. In this case, callers must read the id
   * of each event.
   */
  distinct?(kind: IdKind): StoredIdSet | undefined
  /** Returns the column of a field. May return undefined if no event has a value. */
  column(field: TextField): Column | undefined
  /** Returns the column of a top-level property key, or undefined if no event has the key. */
  property(key: string): Column | undefined
  /** Returns all top-level property keys, and for each one the number of events that have a value. */
  keys(): ReadonlyMap<string, number>
  /** Returns the number of events with at least one property. A property counts even if its value is null. */
  withProperties(): number
  /** Returns 1 for each event with at least one property, and 0 for the others. */
  hasProperties(): Uint8Array
}

/** The fields that distinguish batches with the same website and day, and slices of the same block. */
export type SliceId = Pick<Batch, "name" | "kind" | "crawler">

/** Returns a string that is unique for each `SliceId`. */
export function sliceKey({ name, kind, crawler }: SliceId): string {
  return `${crawler ? 1 : 0} ${kindIndex(kind)} ${name}`
}

/**
 * Thrown when a block, or the event type of a row, was removed after the snapshot was opened. The reader must open a
 * new snapshot.
 */
export class StaleBlockError extends Error {}

export { type Codes, type IdKind, idKinds }

/** For each kind of id, one more than the largest dictionary id. */
export type DictionarySizes = Record<IdKind, number>

/**
 * Locates an event that has the id for which a dictionary id stands, so that the id can be read from the event's row.
 */
export interface RowLocator {
  dictionaryId: number
  website: number
  name: string
  /** Unix ms */
  ts: number
}

export const dayMs = 86_400_000
