import { kindIndex } from "../event-kinds.ts"
import { dayMs, type IdKind, type SliceId, type TextField } from "./batch.ts"

// The format of blocks, which README.md describes. `block-writer.ts` writes it, and `segment-reader.ts` reads it. The
// bytes of a block are in segments, and its `layout` says where each column is. A block holds the events of one website
// and UTC day, slice after slice. A slice holds the events of one name and kind, from crawlers or from people, sorted by
// time and then by order of arrival. A column stores each distinct value once, and the codes of the events in all slices
// that have the column.

/** The ids of a block's segments start at `block * segmentsPerBlock`. The triggers in migration 0006 rely on this. */
export const segmentsPerBlock = 1_024
/**
 * Maximum number of slices per block. `stored-batch.ts` combines the block id and the index of a slice into one number.
 */
export const slicesPerBlock = 65_536

/**
 * For each slice of at least this many events, the block stores the number of events in each quarter hour. For smaller
 * slices, reading the times is just as fast.
 */
export const minEventsForQuarters = 64

export const quarterMs = 900_000
export const quartersPerDay = dayMs / quarterMs

/** Locates the bytes of a column. */
export interface ColumnLocation {
  /** Index of the column's segment in the block. */
  s: number
  /** Offset in the segment, in bytes. */
  o: number
  /** Bytes per code. 0 means that every event has the first value. */
  w: 0 | 1 | 2 | 4
  /** Size of the distinct values in bytes. The values follow the codes. */
  v?: number
  /**
   * For a sparse column, the number of events that have a value. The positions of these events (4 bytes each) come
   * before their codes.
   */
  n?: number
  /** If set, the values are binary numbers of this form instead of a JSON array. */
  f?: NumberForm
}

/** Signed integers of 1, 2 or 4 bytes, or 64-bit floats. */
export type NumberForm = "i1" | "i2" | "i4" | "f8"
export const numberForms = { i1: Int8Array, i2: Int16Array, i4: Int32Array, f8: Float64Array } as const

/**
 * A property key, the indexes of the slices that have it, and for each of these slices the number of events with a
 * value.
 */
export type ListedKey = [key: string, slices: readonly number[], events: readonly number[]]

export interface Layout {
  times: ColumnLocation
  ids: Partial<Record<IdKind, ColumnLocation>>
  /**
   * The distinct ids in the block, in the format of `stored-id-set.ts`. They are not stored in all blocks, and earlier
   * versions never stored them.
   */
  distinct?: Partial<Record<IdKind, ColumnLocation>>
  fields: Partial<Record<TextField, ColumnLocation>>
  /**
   * Each property's column has codes only for the slices that are listed with it. If its location is null, the values
   * are only in the rows.
   */
  properties: [...ListedKey, location: ColumnLocation | null][]
  /** JSON of the `ListedKey`s of all other properties. Their values are only in the rows. */
  rest?: ColumnLocation
  /** Number of events with at least one property, by slice. */
  withProperties: number[]
  /**
   * The column that tells which events have properties. It is stored only if some events have properties and some do
   * not.
   */
  propertied?: ColumnLocation
}

export interface EncodedBlock {
  website: number
  day: number
  events: number
  /** Name, crawlers (1) or people (0), number of events, and `kindIndex` of the kind (absent for custom). */
  slices: [name: string, crawler: 0 | 1, events: number, kind?: number][]
  quarters: Uint8Array | null
  /** Estimated memory for building the block's columns from rows, in bytes. */
  bytes: number
  layout: string
  segments: Segment[]
}

/** A row of `segments`. */
export interface Segment {
  /** The bytes, possibly compressed with zstd. */
  data: Uint8Array
  /** Uncompressed size in bytes. Null if `data` is not compressed. */
  size: number | null
}

/** Sorts slices by name, then people before crawlers, then by kind. */
export function bySlice(left: SliceId, right: SliceId): number {
  if (left.name !== right.name) return left.name < right.name ? -1 : 1
  return Number(left.crawler) - Number(right.crawler) || kindIndex(left.kind) - kindIndex(right.kind)
}

/** Rounds up to a multiple of eight bytes, which aligns any typed array. */
export function padTo8Bytes(bytes: number): number {
  return Math.ceil(bytes / 8) * 8
}
