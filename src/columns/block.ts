import type { Db, Statement } from "../store/native.ts"
import {
  type Batch,
  type Codes,
  type Column,
  dayMs,
  type Kind,
  kinds,
  type TextField,
  type Value,
} from "./batch.ts"
import { Builder, type Columns, MemoryBatch, present } from "./builder.ts"
import type { Rows } from "./rows.ts"

/** Segments of one block have ids from `block * segmentsPerBlock` on; the triggers of migration 0006 know it too. */
const segmentsPerBlock = 1_024
/** Bytes from which a column has a segment of its own: SQLite reads the pages of a value from its begin. */
const ownSegment = 2_048
/** Distinct strings, or more than half as many as events, from which a column is left in the rows: it would be hardly smaller than they are. */
const manyStrings = 256
/** Numbers up to which a JSON array of them is as small as any other form. */
const fewNumbers = 16
/** Events from which the counts a quarter of an hour are kept; of fewer the times are as quickly read. */
const eventsWithQuarters = 64
const quarterMs = 900_000
const hourMs = 3_600_000
export const quartersPerDay = 96

/** Where a column's bytes are: segment, offset in it, width of a code (0: every event has the first value), number of values' bytes. */
interface Place {
  s: number
  o: number
  /** Bytes a code. */
  w: 0 | 1 | 2 | 4
  /** Bytes of the values behind the codes. */
  v?: number
  /** The values are numbers of this form, and no JSON array. */
  f?: NumberForm
}

/** Signed integers of 1, 2 or 4 bytes, or 64-bit floats. */
type NumberForm = "i1" | "i2" | "i4" | "f8"
const numberForms = { i1: Int8Array, i2: Int16Array, i4: Int32Array, f8: Float64Array } as const

interface Layout {
  times: Place
  ids: Partial<Record<Kind, Place>>
  fields: Partial<Record<TextField, Place>>
  /** Key, events with a value, and its place; null: left in the rows. */
  properties: [key: string, present: number, place: Place | null][]
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
  layout: string
  segments: Uint8Array[]
}

export function encode(columns: Columns): EncodedBlock {
  const packer = new Packer()
  const ids: Layout["ids"] = {}
  for (const kind of kinds) {
    const numbers = columns.ids[kind]
    if (numbers.some((number) => number !== 0)) ids[kind] = packer.pack(numbers)
  }
  const fields: Layout["fields"] = {}
  for (const [field, column] of Object.entries(columns.fields) as [TextField, Column][]) {
    if (column.values.length > 0) fields[field] = packer.packColumn(column)
  }
  const properties = [...columns.properties].map(([key, column]): Layout["properties"][number] => {
    const events = present(column.codes)
    return [key, events, staysInRows(column, events) ? null : packer.packColumn(column)]
  })
  const withProperties = present(columns.propertied)
  const layout: Layout = {
    times: packer.pack(columns.times),
    ids,
    fields,
    properties,
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

  pack(codes: Codes, values?: Uint8Array): Place {
    const bytes = new Uint8Array(padded(codes.byteLength) + (values?.length ?? 0))
    bytes.set(new Uint8Array(codes.buffer, codes.byteOffset, codes.byteLength))
    if (values) bytes.set(values, padded(codes.byteLength))
    return this.#put(bytes, codes.BYTES_PER_ELEMENT as 1 | 2 | 4)
  }

  packColumn({ codes, values }: Column): Place {
    const form = values.length > fewNumbers && values.every(isNumber) ? formOf(values) : undefined
    const bytes = form
      ? new Uint8Array(numberForms[form].from(values as number[]).buffer)
      : new TextEncoder().encode(JSON.stringify(values))
    const constant = values.length === 1 && codes.every((code) => code === 1)
    const place = constant ? this.#put(bytes, 0) : this.pack(codes, bytes)
    place.v = bytes.length
    if (form) place.f = form
    return place
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

/** Up to the next multiple of eight, where any typed array may begin. */
function padded(bytes: number): number {
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

/** What `blocks.quarters` holds, one count a quarter of an hour. */
export function readQuarters(bytes: Uint8Array): Codes {
  return arrayOf(bytes, 0, quartersPerDay, (bytes.length / quartersPerDay) as 1 | 2 | 4)
}

function arrayOf(bytes: Uint8Array, offset: number, count: number, width: 1 | 2 | 4): Codes {
  const at = bytes.byteOffset + offset
  if (width === 1) return new Uint8Array(bytes.buffer, at, count)
  const [buffer, begin] =
    at % width === 0 ? [bytes.buffer, at] : [copyOf(bytes.subarray(offset, offset + count * width)), 0]
  return width === 2 ? new Uint16Array(buffer, begin, count) : new Uint32Array(buffer, begin, count)
}

/** What SQLite gives is a Buffer, part of a pool that others share; its `slice` makes no copy. */
function copyOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}

/** A row of `blocks` without its columns. */
export interface BlockRow {
  id: number
  website: number
  day: number
  name: string
  crawler: 0 | 1
  afterId: number
  lastId: number
  events: number
  quarters: Uint8Array | null
  stale: number
}

/** The block was made anew or deleted since it was looked up: whoever reads must look again. */
export class Moved extends Error {}

const sql = {
  layout: "select layout from blocks where id = :id and stale = 0",
  segment: "select data from segments where id = :id",
}

/** Questions after which a block that none of them looked at gives its place in memory to another. */
const questionsKept = 4
/** Bytes that an open block takes before any column of it is read. */
const openBytes = 2_000
/** Bytes that a value takes in memory beside its text, and a number. */
const valueBytes = 40
const numberBytes = 8

/** Reads columns of blocks, and keeps those read before as long as they take no more than `memory` says. */
export class BlockReader {
  readonly #layout: Statement
  readonly #segment: Statement
  /** By id of the block, which is never given twice; the one looked at last comes last. */
  readonly #kept = new Map<number, { batch: StoredBatch; bytes: number; question: number }>()
  #bytes = 0
  #question = 0
  /** Bytes of columns that were ever read. */
  read = 0

  constructor(
    db: Db,
    private readonly rows: Rows,
    private readonly numbersOf: (kind: Kind, texts: readonly string[]) => Uint32Array,
    /** Bytes. */
    private readonly memory: () => number = () => 0,
  ) {
    this.#layout = db.prepare(sql.layout).pluck()
    this.#segment = db.prepare(sql.segment).pluck()
  }

  open(row: BlockRow): Batch {
    const kept = this.#kept.get(row.id)
    if (kept) {
      this.#kept.delete(row.id)
      this.#kept.set(row.id, kept)
      kept.question = this.#question
      return kept.batch
    }
    const batch = new StoredBatch(row, this)
    this.#kept.set(row.id, { batch, bytes: 0, question: this.#question })
    this.loaded(row, openBytes)
    return batch
  }

  /** A new question begins. */
  begin(): void {
    this.#question++
  }

  /**
   * More of a block is in memory. Where that is too much, what was not looked at for some questions goes, and else the
   * block itself: of more than fits, one question after the other would push out what the next one needs first.
   */
  loaded({ id }: BlockRow, bytes: number): void {
    const kept = this.#kept.get(id)
    if (!kept) return
    kept.bytes += bytes
    this.#bytes += bytes
    const memory = this.memory()
    for (const [oldest, { question }] of this.#kept) {
      if (this.#bytes <= memory) return
      this.#drop(oldest !== id && question < this.#question - questionsKept ? oldest : id)
      if (!this.#kept.has(id)) return
    }
  }

  #drop(id: number): void {
    this.#bytes -= this.#kept.get(id)?.bytes ?? 0
    this.#kept.delete(id)
  }

  /** Throws Moved. */
  layout(row: BlockRow): Layout {
    const text = this.#layout.get({ id: row.id }) as string | undefined
    if (text === undefined) throw new Moved()
    return JSON.parse(text) as Layout
  }

  /** Throws Moved. */
  segment(row: BlockRow, index: number): Uint8Array {
    const data = this.#segment.get({ id: row.id * segmentsPerBlock + index }) as Uint8Array | undefined
    if (!data) throw new Moved()
    this.read += data.length
    return data
  }

  /** The same events as a block, read from the rows. Undefined where there is none any more. */
  fromRows(row: BlockRow): MemoryBatch | undefined {
    return this.allFromRows([row]).get(row.id)
  }

  /** The same for blocks of one website and day, by the block's id. */
  allFromRows(blocks: readonly BlockRow[]): Map<number, MemoryBatch> {
    const steps = this.readAnew(blocks)
    for (;;) {
      const step = steps.next()
      if (step.done) return step.value
    }
  }

  /** The same in steps of an hour: however many of the day's blocks there are, its rows are read once. */
  *readAnew(blocks: readonly BlockRow[]): Generator<void, Map<number, MemoryBatch>> {
    const found = new Map<number, MemoryBatch>()
    const [first] = blocks
    if (!first) return found
    const begin = first.day * dayMs
    const after = Math.min(...blocks.map(({ afterId }) => afterId))
    const last = Math.max(...blocks.map(({ lastId }) => lastId))
    const layers = layersOf(blocks).map((ofName) => ({ ofName, builder: new Builder(this.rows) }))
    for (let from = begin; from < begin + dayMs; from += hourMs) {
      const rows = this.rows.byTime(first.website, from, from + hourMs, after, last)
      for (const { ofName, builder } of layers) {
        builder.add(
          rows.filter((row) => {
            const block = ofName.get(nameKey(this.rows.typeOf(row[2]).name, row[4]))
            return block !== undefined && block.afterId < row[0] && row[0] <= block.lastId
          }),
        )
      }
      yield
    }
    for (const { ofName, builder } of layers) {
      for (const columns of builder.finish(this.numbersOf)) {
        const block = ofName.get(nameKey(columns.name, columns.crawler ? 1 : 0))
        if (block) found.set(block.id, new MemoryBatch(columns))
      }
    }
    return found
  }
}

function nameKey(name: string, crawler: 0 | 1): string {
  return `${crawler} ${name}`
}

/** Blocks by name, in as many maps as the name has blocks that day: one, but for a day that is not over. */
function layersOf(blocks: readonly BlockRow[]): Map<string, BlockRow>[] {
  const layers: Map<string, BlockRow>[] = []
  for (const block of blocks) {
    const key = nameKey(block.name, block.crawler)
    let layer = layers.find((one) => !one.has(key))
    if (!layer) {
      layer = new Map()
      layers.push(layer)
    }
    layer.set(key, block)
  }
  return layers
}

/** A block, read column by column when it is asked for. */
class StoredBatch implements Batch {
  readonly block: number
  readonly website: number
  readonly name: string
  readonly crawler: boolean
  readonly count: number
  readonly base: number
  #layout: Layout | undefined
  #keys: ReadonlyMap<string, number> | undefined
  #shared: Uint8Array | undefined
  #rows: MemoryBatch | undefined
  readonly #numbers: Partial<Record<Kind | "times", Uint32Array>> = {}
  readonly #fields: Partial<Record<TextField, Column>> = {}
  readonly #properties = new Map<string, Column | undefined>()

  constructor(
    private readonly row: BlockRow,
    private readonly reader: BlockReader,
  ) {
    this.block = row.id
    this.website = row.website
    this.name = row.name
    this.crawler = row.crawler === 1
    this.count = row.events
    this.base = row.day * dayMs
  }

  times(): Uint32Array {
    this.#numbers.times ??= this.#codes(this.#places.times) as Uint32Array
    return this.#numbers.times
  }

  visitors = () => this.#ids("visitors")
  sessions = () => this.#ids("sessions")
  profiles = () => this.#ids("profiles")

  column(field: TextField): Column {
    this.#fields[field] ??= this.#column(this.#places.fields[field])
    return this.#fields[field]
  }

  property(key: string): Column | undefined {
    if (!this.#properties.has(key)) {
      const [, , place] = this.#places.properties.find(([other]) => other === key) ?? []
      this.#properties.set(
        key,
        place === null ? this.#fromRows().property(key) : place && this.#column(place),
      )
    }
    return this.#properties.get(key)
  }

  keys(): ReadonlyMap<string, number> {
    this.#keys ??= new Map(this.#places.properties.map(([key, events]) => [key, events]))
    return this.#keys
  }

  withProperties(): number {
    return this.#places.withProperties
  }

  propertied(): Uint8Array {
    const { propertied, withProperties } = this.#places
    if (propertied) return this.#codes(propertied) as Uint8Array
    return new Uint8Array(this.count).fill(withProperties > 0 ? 1 : 0)
  }

  get #places(): Layout {
    this.#layout ??= this.reader.layout(this.row)
    return this.#layout
  }

  #fromRows(): MemoryBatch {
    if (!this.#rows) {
      this.#rows = this.reader.fromRows(this.row)
      this.reader.loaded(this.row, this.count * 10 * valueBytes)
    }
    // An event that went since the block was looked up would shift all others.
    if (this.#rows?.count !== this.count) throw new Moved()
    return this.#rows
  }

  #ids(kind: Kind): Uint32Array {
    const place = this.#places.ids[kind]
    this.#numbers[kind] ??= place ? (this.#codes(place) as Uint32Array) : new Uint32Array(this.count)
    return this.#numbers[kind]
  }

  #bytes(place: Place): Uint8Array {
    if (place.s === 0 && this.#shared) return this.#shared
    const bytes = this.reader.segment(this.row, place.s)
    this.reader.loaded(this.row, bytes.length)
    if (place.s === 0) this.#shared = bytes
    return bytes
  }

  #codes(place: Place, bytes = this.#bytes(place)): Codes {
    if (place.w === 0) return new Uint8Array(this.count).fill(1)
    return arrayOf(bytes, place.o, this.count, place.w)
  }

  #column(place: Place | undefined): Column {
    if (!place) return { codes: new Uint8Array(this.count), values: [] }
    const bytes = this.#bytes(place)
    const begin = place.o + padded(this.count * place.w)
    const raw = bytes.subarray(begin, begin + (place.v as number))
    // A copy begins where any array of numbers may.
    const values = place.f
      ? [...new numberForms[place.f](copyOf(raw))]
      : (JSON.parse(new TextDecoder().decode(raw)) as Value[])
    this.reader.loaded(this.row, values.length * (place.f ? numberBytes : valueBytes))
    return { codes: this.#codes(place, bytes), values }
  }
}

const writeSql = {
  insertBlock: `
    insert into blocks (website_rid, day, name, crawler, after_id, last_id, events, quarters, layout)
    values (:website, :day, :name, :crawler, :afterId, :lastId, :events, :quarters, :layout)`,
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
