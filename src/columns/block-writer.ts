import type { Db, Statement } from "../store/db/driver.ts"
import { type Codes, type Column, type IdKind, idKinds, type TextField, type Value } from "./batch.ts"
import { type Columns, present, presentIn } from "./column-builder.ts"

// What a block is in the database: `layout` says where each column stands in its segments. `block.ts` reads it.

/** Segments of one block have ids from `block * segmentsPerBlock` on; the triggers of migration 0006 know it too. */
export const segmentsPerBlock = 1_024
/** Bytes from which a column has a segment of its own: SQLite reads the pages of a value from its begin. */
const ownSegment = 2_048
/** Distinct strings, or more than half as many as events, from which a column is left in the rows: it would be hardly smaller than they are. */
const manyStrings = 256
/** Properties of a block that have a place in its layout: those that most events have. The rest is left in the rows, and listed apart. */
const listedProperties = 1_000
/** Numbers up to which a JSON array of them is as small as any other form. */
const fewNumbers = 16
/** Events from which the counts a quarter of an hour are kept; of fewer the times are as quickly read. */
const eventsWithQuarters = 64
const quarterMs = 900_000
export const quartersPerDay = 96

/** Where a column's bytes are: segment, offset in it, width of a code (0: every event has the first value), number of values' bytes. */
export interface Place {
  s: number
  o: number
  /** Bytes a code. */
  w: 0 | 1 | 2 | 4
  /** Bytes of the values behind the codes. */
  v?: number
  /** Only so many events have a value. Their places stand before the codes, in 4 bytes each, and the codes are theirs. */
  n?: number
  /** The values are numbers of this form, and no JSON array. */
  f?: NumberForm
}

/** Signed integers of 1, 2 or 4 bytes, or 64-bit floats. */
type NumberForm = "i1" | "i2" | "i4" | "f8"
export const numberForms = { i1: Int8Array, i2: Int16Array, i4: Int32Array, f8: Float64Array } as const

export interface Layout {
  times: Place
  ids: Partial<Record<IdKind, Place>>
  fields: Partial<Record<TextField, Place>>
  /** Key, events with a value, and its place; null: left in the rows. */
  properties: [key: string, present: number, place: Place | null][]
  /** JSON of further properties, `[key, present]` each, which are left in the rows. */
  rest?: Place
  withProperties: number
  /** Where only some events have properties. */
  propertied?: Place
}

export interface EncodedBlock {
  website: number
  day: number
  name: string
  crawler: boolean
  events: number
  quarters: Uint8Array | null
  /** An estimate of the memory that it takes to make it. */
  bytes: number
  layout: string
  segments: Uint8Array[]
}

export function encode(columns: Columns): EncodedBlock {
  const packer = new Packer()
  const ids: Layout["ids"] = {}
  for (const kind of idKinds) {
    const numbers = columns.ids[kind]
    if (numbers.some((number) => number !== 0)) ids[kind] = packer.pack(numbers)
  }
  const fields: Layout["fields"] = {}
  for (const [field, column] of Object.entries(columns.fields) as [TextField, Column][]) {
    if (column.values.length > 0) fields[field] = packer.packColumn(column)
  }
  const all = [...columns.properties].map(([key, column]) => ({ key, column, events: presentIn(column) }))
  if (all.length > listedProperties) all.sort((one, other) => other.events - one.events)
  const rest = all.splice(listedProperties)
  const properties = all.map(({ key, column, events }): Layout["properties"][number] => [
    key,
    events,
    staysInRows(column, events) ? null : packer.packColumn(column),
  ])
  const withProperties = present(columns.propertied)
  const layout: Layout = {
    times: packer.pack(columns.times),
    ids,
    fields,
    properties,
    ...(rest.length > 0 ? { rest: packer.packJson(rest.map(({ key, events }) => [key, events])) } : {}),
    withProperties,
    ...(withProperties > 0 && withProperties < columns.count
      ? { propertied: packer.pack(columns.propertied) }
      : {}),
  }
  return {
    website: columns.website,
    day: columns.day,
    name: columns.name,
    crawler: columns.crawler,
    events: columns.count,
    quarters: quartersOf(columns.times),
    bytes: columns.bytes,
    layout: JSON.stringify(layout),
    segments: packer.segments(),
  }
}

function staysInRows({ values }: Column, events: number): boolean {
  return values.length > manyStrings && values.length > events / 2 && !values.every(isNumber)
}

function isNumber(value: Value): value is number {
  return typeof value === "number"
}

/** The smallest form that gives all numbers back as they are; -0 is 0 everywhere else, too. */
function formOf(numbers: readonly number[]): NumberForm {
  const fitting = (["i1", "i2", "i4"] as const).find((form) =>
    numberForms[form].from(numbers).every((number, index) => number === numbers[index]),
  )
  return fitting ?? "f8"
}

/** Puts columns one after the other into segments; the first one is shared by the small ones. */
class Packer {
  #shared: Uint8Array[] = []
  #sharedSize = 0
  readonly #own: Uint8Array[] = []

  pack(codes: Codes): Place {
    return this.#put(together([codes]), codes.BYTES_PER_ELEMENT as 1 | 2 | 4)
  }

  packColumn(column: Column): Place {
    const { few, values } = column
    const codes = few ? few.codes : column.codes
    const form = values.length > fewNumbers && values.every(isNumber) ? formOf(values) : undefined
    const bytes = form
      ? new Uint8Array(numberForms[form].from(values as number[]).buffer)
      : new TextEncoder().encode(JSON.stringify(values))
    const constant = values.length === 1 && codes.every((code) => code === 1)
    const parts = [few?.at ?? [], constant ? [] : codes, bytes].flat()
    const place = this.#put(together(parts), constant ? 0 : (codes.BYTES_PER_ELEMENT as 1 | 2 | 4))
    place.v = bytes.length
    if (form) place.f = form
    if (few) place.n = few.at.length
    return place
  }

  packJson(value: unknown): Place {
    const bytes = new TextEncoder().encode(JSON.stringify(value))
    return { ...this.#put(bytes, 0), v: bytes.length }
  }

  #put(bytes: Uint8Array, width: Place["w"]): Place {
    if (bytes.length >= ownSegment && this.#own.length < segmentsPerBlock - 2) {
      this.#own.push(bytes)
      return { s: this.#own.length, o: 0, w: width }
    }
    const place: Place = { s: 0, o: this.#sharedSize, w: width }
    this.#shared.push(bytes)
    this.#sharedSize += padded(bytes.length)
    return place
  }

  segments(): Uint8Array[] {
    const shared = new Uint8Array(this.#sharedSize)
    let at = 0
    for (const bytes of this.#shared) {
      shared.set(bytes, at)
      at += padded(bytes.length)
    }
    return [shared, ...this.#own]
  }
}

/** One after the other, each from a multiple of eight on. */
function together(parts: readonly (Codes | Uint8Array)[]): Uint8Array {
  const last = parts.at(-1) as Uint8Array
  const all = new Uint8Array(
    parts.slice(0, -1).reduce((sum, { byteLength }) => sum + padded(byteLength), last.byteLength),
  )
  let at = 0
  for (const { buffer, byteOffset, byteLength } of parts) {
    all.set(new Uint8Array(buffer, byteOffset, byteLength), at)
    at += padded(byteLength)
  }
  return all
}

/** Up to the next multiple of eight, where any typed array may begin. */
export function padded(bytes: number): number {
  return Math.ceil(bytes / 8) * 8
}

function quartersOf(times: Uint32Array): Uint8Array | null {
  if (times.length < eventsWithQuarters) return null
  const counts = new Uint32Array(quartersPerDay)
  for (const time of times) {
    const quarter = Math.floor(time / quarterMs)
    counts[quarter] = (counts[quarter] as number) + 1
  }
  const most = counts.reduce((one, other) => Math.max(one, other))
  if (most < 2 ** 8) return Uint8Array.from(counts)
  return new Uint8Array((most < 2 ** 16 ? Uint16Array.from(counts) : counts).buffer)
}

const writeSql = {
  insertBlock: `
    insert into blocks (website_rid, day, name, crawler, after_id, last_id, events, quarters, bytes, layout)
    values (:website, :day, :name, :crawler, :afterId, :lastId, :events, :quarters, :bytes, :layout)`,
  insertSegment: "insert into segments (id, data) values (:id, :data)",
}

/** Inside the caller's transaction. */
export class BlockWriter {
  readonly #block: Statement
  readonly #segment: Statement

  constructor(db: Db) {
    this.#block = db.prepare(writeSql.insertBlock)
    this.#segment = db.prepare(writeSql.insertSegment)
  }

  insert({ segments, crawler, ...block }: EncodedBlock, afterId: number, lastId: number): void {
    const { lastInsertRowid } = this.#block.run({ ...block, crawler: crawler ? 1 : 0, afterId, lastId })
    segments.forEach((data, index) => {
      this.#segment.run({ id: Number(lastInsertRowid) * segmentsPerBlock + index, data })
    })
  }
}
