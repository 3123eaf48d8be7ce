/** Codes of a column: small ones take one byte. */
export type Codes = Uint8Array | Uint16Array | Uint32Array

/** A JSON value other than null. */
export type Value = string | number | boolean | object

/** One value an event, by code: 0 where it is missing, else `values[code - 1]`. No value is there twice. */
export interface Column {
  codes: Codes
  values: readonly Value[]
}

/**
 * Events of one website, one name and one UTC day, all of them crawlers' or none, column by column, in the order of
 * time and then of receipt. Whether they come from a block or from rows makes no difference. Columns are read when they are
 * asked for, and must not be changed.
 */
export interface Batch {
  website: number
  name: string
  crawler: boolean
  count: number
  /** Unix ms that `times` count from. */
  base: number
  /** ms after `base`, ascending. */
  times(): Uint32Array
  /** Numbers of anonymous ids, from 1; 0 where there is none. Each number stands for one id, over all batches of an answer. */
  visitors(): Uint32Array
  sessions(): Uint32Array
  profiles(): Uint32Array
  column(field: "namespace" | "source" | "path"): Column
  /** Undefined where no event has that top-level key. */
  property(key: string): Column | undefined
  /** Top-level keys with the number of events that have a value for it. */
  keys(): ReadonlyMap<string, number>
  /** Events with at least one property, a null included. */
  withProperties(): number
}

/** One more than the largest number that visitors(), sessions() and profiles() give. */
export interface Numbers {
  visitors: number
  sessions: number
  profiles: number
}

export type Kind = "visitors" | "sessions" | "profiles"

/** Events of a batch: those from `first` up to, but without, `end` whose `mask` is not 0; no mask: all of them. */
export interface Selection {
  first: number
  end: number
  mask: Uint8Array | undefined
}

/** Where the engine gets events from, as they are at one moment. */
export interface Source {
  readonly numbers: Numbers
  /**
   * All batches with events of the scope's websites and range (crawlers as it says), by day, the earliest first; inside a day by website,
   * name, and order of receipt. `names`: of these events alone. They may hold events outside of the range, at the edges.
   */
  batches(wanted: { names?: readonly string[] | undefined }): Iterable<Batch>
  /** The number of an id; 0 where no event has it. */
  numberOf(kind: Kind, text: string): number
  /** The ids that stand behind numbers; each with an event (its website, name and time) that has it. */
  texts(kind: Kind, wanted: readonly Sighting[]): Map<number, string>
}

export interface Sighting {
  number: number
  website: number
  name: string
  /** Unix ms */
  ts: number
}

/** Says which events of a batch are meant. Made once a question, for it looks ids up. */
export interface Matcher {
  /** Names that events must have; undefined: any. */
  readonly names: readonly string[] | undefined
  /** Undefined where there is none. `within`: look at these alone. */
  select(batch: Batch, within?: Selection): Selection | undefined
}
