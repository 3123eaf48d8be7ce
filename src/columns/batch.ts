/** Codes of a column: few values take one byte each. */
export type Codes = Uint8Array | Uint16Array | Uint32Array

/** A JSON value other than null. */
export type Value = string | number | boolean | object

/** One value an event, by code: 0 where it is missing, else `values[code - 1]`. No value is there twice. */
export interface Column {
  codes: Codes
  values: readonly Value[]
  /** Where few events have a value: those. `codes` is then made when it is read. */
  few?: Few
}

/** The events that have a value. */
export interface Few {
  /** Their places in the batch, ascending. */
  at: Uint32Array
  /** Their codes, none of them 0. */
  codes: Codes
}

export type TextField = "namespace" | "source" | "path"

/**
 * Events of one website, one name and one UTC day, all of them crawlers' or none, column by column, in the order of
 * time and then of receipt. Whether they come from a block or from rows makes no difference. Columns are read when they are
 * asked for, and must not be changed.
 */
export interface Batch {
  /** Its events are those of its website, name and kind with ids above `after`, up to `last`; `ids`: where they are known. */
  readonly receipt: { after: number; last: number; ids?: Float64Array }
  /** Of a block, whose events are always the same: its id. */
  readonly block?: number
  website: number
  name: string
  crawler: boolean
  count: number
  /** Unix ms that `times` count from: the begin of the day. */
  base: number
  /** ms after `base`, ascending. */
  times(): Uint32Array
  /** Numbers of anonymous ids, from 1; 0 where there is none. Each number stands for one id, over all batches of an answer. */
  visitors(): Uint32Array
  sessions(): Uint32Array
  profiles(): Uint32Array
  column(field: TextField): Column
  /** Undefined where no event has that top-level key. */
  property(key: string): Column | undefined
  /** Top-level keys with the number of events that have a value for it. */
  keys(): ReadonlyMap<string, number>
  /** Events with at least one property, a null included. */
  withProperties(): number
  /** 1 for each of them, 0 for the others. */
  propertied(): Uint8Array
}

/** A block or the type of a row is not there any more since it was looked up: whoever reads must look again. */
export class StaleBlockError extends Error {}

export type IdKind = "visitors" | "sessions" | "profiles"
export const idKinds: readonly IdKind[] = ["visitors", "sessions", "profiles"]

/** One more than the largest number that visitors(), sessions() and profiles() give. */
export type DictionarySizes = Record<IdKind, number>

/** An event that has the id behind a number. */
export interface RowLocator {
  number: number
  website: number
  name: string
  /** Unix ms */
  ts: number
}

export const dayMs = 86_400_000
