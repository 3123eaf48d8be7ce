import type { Db, Statement } from "../store/db/driver.ts"
import { type Codes, type Column, type IdKind, StaleBlockError, type Value } from "./batch.ts"
import type { BlockRow } from "./block.ts"
import {
  type ColumnLocation,
  numberForms,
  padTo8Bytes,
  type Segment,
  segmentsPerBlock,
} from "./block-format.ts"
import { findInRest, type OpenLayout, type OpenProperty, openLayout, openRest } from "./block-layout.ts"
import { NumberColumn, NumberValues, SparseColumn } from "./column.ts"
import { type Cached, type ColumnCache, columnBytes } from "./column-cache.ts"
import { StoredIdSet } from "./stored-id-set.ts"
import { arrayOf, copyOf } from "./typed-arrays.ts"

const sql = {
  layout: "select layout from blocks where id = :id and stale = 0",
  segment: "select data, size from segments where id = :id",
}

const none: ReadonlyMap<string, OpenProperty> = new Map()

/**
 * If at most this many keys of a block are read, the list of properties that are not in the layout is searched for each
 * of them. If more keys are read, the whole list is parsed.
 */
const searchedKeys = 4
/**
 * Estimated bytes of memory per character of JSON that is not parsed, per character of JSON together with its parsed
 * form, per property of a block, per value (in addition to its text), and per number (stored in both a list and an
 * array).
 */
const characterBytes = 2
const jsonCharacterBytes = 6
const propertyBytes = 300
const valueBytes = 40
const numberBytes = 16
/** ASCII codes. */

/** Reads the columns of blocks from their segments. */
export class SegmentReader {
  readonly #layout: Statement
  readonly #segment: Statement
  /** Bytes of columns read from the database, in total. */
  read = 0

  constructor(
    db: Db,
    private readonly cache: ColumnCache,
  ) {
    this.#layout = db.prepare(sql.layout).pluck()
    this.#segment = db.prepare(sql.segment)
  }

  /** Returns the layout of a block. Throws StaleBlockError. */
  layout(row: BlockRow): OpenLayout {
    return this.cache.get(row, "layout", () => {
      const text = this.#layout.get({ id: row.id }) as string | undefined
      if (text === undefined) throw new StaleBlockError()
      const content = openLayout(row, text)
      return { content, bytes: text.length * jsonCharacterBytes + content.byKey.size * propertyBytes }
    })
  }

  /** Reads a segment from the database. Throws StaleBlockError. */
  #readSegment(row: BlockRow, index: number): Uint8Array {
    const segment = this.#segment.get({ id: row.id * segmentsPerBlock + index }) as Segment | undefined
    if (!segment) throw new StaleBlockError()
    const { data, size } = segment
    this.read += size ?? data.length
    return size === null ? data : Bun.zstdDecompressSync(data as Uint8Array<ArrayBuffer>)
  }

  /**
   * Reads the segment that contains a column. Caches segment 0, which small columns share. `bytes` of the result does
   * not include memory that the cache has already counted.
   */
  #segmentOf(row: BlockRow, { s }: ColumnLocation): Cached<Uint8Array> {
    if (s > 0) {
      const content = this.#readSegment(row, s)
      return { content, bytes: content.length }
    }
    const content = this.cache.get(row, "small columns", () => {
      const content = this.#readSegment(row, s)
      return { content, bytes: content.length }
    })
    return { content, bytes: 0 }
  }

  /**
   * Reads a column that has only codes, such as times: one code for each of the block's `count` events. Throws
   * StaleBlockError.
   */
  codes(row: BlockRow, name: string, location: ColumnLocation, count: number): Codes {
    return this.cache.get(row, name, () => {
      const { content, bytes } = this.#segmentOf(row, location)
      return { content: codesIn(content, location.o, count, location.w), bytes: bytes + columnBytes }
    })
  }

  /** Reads a column with its values. Throws StaleBlockError. */
  column(row: BlockRow, name: string, location: ColumnLocation, count: number): Column {
    return this.cache.get<Column>(row, name, () => {
      const segment = this.#segmentOf(row, location)
      const present = location.n ?? count
      const codesAt = location.o + (location.n === undefined ? 0 : padTo8Bytes(location.n * 4))
      const valuesAt = codesAt + padTo8Bytes(present * location.w)
      const text = segment.content.subarray(valuesAt, valuesAt + (location.v as number))
      const codes = codesIn(segment.content, codesAt, present, location.w)
      const few = location.n !== undefined && { at: arrayOf(segment.content, location.o, present, 4), codes }
      if (location.f) {
        const numbers = new NumberValues(numbersIn(text, location.f))
        const bytes = segment.bytes + columnBytes + numbers.array.length * numberBytes
        if (!few) return { content: new NumberColumn(codes, numbers), bytes }
        return { content: new SparseColumn(few, numbers.list, count, numbers.array), bytes }
      }
      // JSON.parse creates independent strings. Parts of a split text would keep the whole text in memory, for example in
      // cached groups. The type assertion is safe because `block-writer.ts` wrote the JSON.
      const values = JSON.parse(new TextDecoder().decode(text)) as Value[]
      const bytes = segment.bytes + columnBytes + values.length * valueBytes
      return { content: few ? new SparseColumn(few, values, count) : { codes, values }, bytes }
    })
  }

  /**
   * Reads the list of properties that are not in the layout. Their values are only in the rows. Throws StaleBlockError.
   */
  rest(row: BlockRow): ReadonlyMap<string, OpenProperty> {
    const { rest } = this.layout(row)
    if (!rest) return none
    return this.cache.get(row, "rest", () => {
      const text = this.#textOf(row, rest)
      const content = openRest(row, text)
      return { content, bytes: text.length * jsonCharacterBytes + content.size * propertyBytes }
    })
  }

  /** Reads the entry for one key in the list that `rest` reads. Throws StaleBlockError. */
  inRest(row: BlockRow, key: string): OpenProperty | undefined {
    const { rest } = this.layout(row)
    if (!rest) return undefined
    const searched = this.cache.get(row, "searched rest", () => {
      const text = this.#textOf(row, rest)
      return {
        content: { text, found: new Map<string, OpenProperty | undefined>() },
        bytes: text.length * characterBytes,
      }
    })
    const { text, found } = searched
    if (found.has(key)) return found.get(key)
    if (found.size === searchedKeys) return this.rest(row).get(key)
    const property = findInRest(row, text, key)
    found.set(key, property)
    return property
  }

  #textOf(row: BlockRow, location: ColumnLocation): string {
    const bytes = this.#segmentOf(row, location).content
    return new TextDecoder().decode(bytes.subarray(location.o, location.o + (location.v as number)))
  }

  /**
   * Reads the set of distinct ids in a block. Returns undefined if the block does not store it. Throws StaleBlockError.
   */
  distinct(row: BlockRow, kind: IdKind): StoredIdSet | undefined {
    const location = this.layout(row).distinct?.[kind]
    if (!location) return undefined
    return this.cache.get(row, `distinct ${kind}`, () => {
      const { content, bytes } = this.#segmentOf(row, location)
      const set = content.subarray(location.o, location.o + (location.v as number))
      return { content: new StoredIdSet(set), bytes: bytes + columnBytes }
    })
  }

  /**
   * Reads the dictionary ids of one kind of all events in a block. Returns an empty array if no event has such an id.
   * Throws StaleBlockError.
   */
  ids(row: BlockRow, kind: IdKind): Uint32Array {
    const location = this.layout(row).ids[kind]
    // The type assertion is safe because dictionary ids are stored in 4 bytes each.
    return location ? (this.codes(row, kind, location, row.events) as Uint32Array) : new Uint32Array(0)
  }
}

function numbersIn(bytes: Uint8Array, form: keyof typeof numberForms): Float64Array {
  const { buffer, byteOffset, byteLength } = bytes
  if (form === "f8" && byteOffset % 8 === 0) return new Float64Array(buffer, byteOffset, byteLength / 8)
  // A copy is aligned for any typed array.
  return new Float64Array(new numberForms[form](copyOf(bytes)))
}

function codesIn(bytes: Uint8Array, offset: number, count: number, width: ColumnLocation["w"]): Codes {
  return width === 0 ? new Uint8Array(count).fill(1) : arrayOf(bytes, offset, count, width)
}
