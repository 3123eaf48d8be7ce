import type { Db, Statement } from "../store/db/driver.ts"
import {
  type Batch,
  type Codes,
  type Column,
  dayMs,
  type IdKind,
  StaleBlockError,
  type TextField,
  type Value,
} from "./batch.ts"
import {
  type Layout,
  numberForms,
  type Place,
  padded,
  quartersPerDay,
  segmentsPerBlock,
} from "./block-writer.ts"
import { buildMemory, ColumnBuilder, MemoryBatch, SparseColumn } from "./column-builder.ts"
import type { RowReader } from "./row-reader.ts"

const hourMs = 3_600_000

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

function codesIn(bytes: Uint8Array, offset: number, count: number, width: Place["w"]): Codes {
  return width === 0 ? new Uint8Array(count).fill(1) : arrayOf(bytes, offset, count, width)
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
  /** An estimate of the memory that its columns take, read from rows. */
  bytes: number
}

/** Of a row of `blocks`. Earlier versions did not note `bytes`. */
export const blockColumns = `
  id, website_rid as website, day, name, crawler, after_id as afterId, last_id as lastId, events, quarters, stale,
  coalesce(bytes, events * 100) as bytes`

const sql = {
  layout: "select layout from blocks where id = :id and stale = 0",
  segment: "select data from segments where id = :id",
}

/**
 * Questions after which a column that none of them read gives its place in memory to another: some pages of the dashboard. Of more
 * than fits, one after the other would push out what the next one needs first.
 */
const questionsKept = 16
/** Bytes that a character of JSON takes that was read, a column beside its codes, a value beside its text, and a number. */
const jsonCharacterBytes = 4
const columnBytes = 300
const valueBytes = 40
const numberBytes = 8

/** Something of a block in memory, and the bytes that it takes. */
interface Held<Thing> {
  thing: Thing
  bytes: number
}

/** As many of the first ones, at least one, as take no more memory together than columns are made in. */
export function fittingBlocks<Row extends Pick<BlockRow, "bytes">>(blocks: readonly Row[]): Row[] {
  let bytes = 0
  const end = blocks.findIndex((block, index) => {
    bytes += block.bytes
    return index > 0 && bytes > buildMemory
  })
  return end < 0 ? [...blocks] : blocks.slice(0, end)
}

/** Reads columns of blocks, and keeps those read before as long as they take no more than `memory` says. */
export class BlockReader {
  readonly #layout: Statement
  readonly #segment: Statement
  /** By the block's id, which is never given twice, and what it is; what was read last comes last. */
  readonly #held = new Map<string, Held<unknown> & { question: number }>()
  #bytes = 0
  #question = 0
  /** Bytes of columns that were ever read. */
  read = 0

  constructor(
    db: Db,
    private readonly rows: RowReader,
    private readonly numbersOf: (kind: IdKind, texts: readonly string[]) => Uint32Array,
    /** Bytes. */
    private readonly memory: () => number = () => 0,
  ) {
    this.#layout = db.prepare(sql.layout).pluck()
    this.#segment = db.prepare(sql.segment).pluck()
  }

  open(row: BlockRow): Batch {
    return new StoredBatch(row, this)
  }

  /** A new question begins. */
  begin(): void {
    this.#question++
  }

  /** What `make` gives, or gave for an earlier question. Of one key it is always of the same type. */
  hold<Thing>(block: number, name: string, make: () => Held<Thing>): Thing {
    const key = `${block} ${name}`
    const known = this.#held.get(key)
    if (known) {
      if (known.question !== this.#question) {
        known.question = this.#question
        this.#held.delete(key)
        this.#held.set(key, known)
      }
      return known.thing as Thing
    }
    const { thing, bytes } = make()
    this.#held.set(key, { thing, bytes, question: this.#question })
    this.#bytes += bytes
    const memory = this.memory()
    for (const [oldest, { question }] of this.#held) {
      if (this.#bytes <= memory) break
      this.#drop(oldest !== key && question < this.#question - questionsKept ? oldest : key)
      if (!this.#held.has(key)) break
    }
    return thing
  }

  /** Drops the columns that were used least recently until the others fit into the memory. */
  trim(): void {
    const memory = this.memory()
    for (const oldest of this.#held.keys()) {
      if (this.#bytes <= memory) return
      this.#drop(oldest)
    }
  }

  #drop(key: string): void {
    this.#bytes -= this.#held.get(key)?.bytes ?? 0
    this.#held.delete(key)
  }

  /** Throws Moved. */
  layout({ id }: BlockRow): KnownLayout {
    return this.hold(id, "layout", () => {
      const text = this.#layout.get({ id }) as string | undefined
      if (text === undefined) throw new StaleBlockError()
      const layout = JSON.parse(text) as Layout
      const placeOf = new Map(layout.properties.map(([key, , place]) => [key, place]))
      return { thing: { ...layout, placeOf }, bytes: text.length * jsonCharacterBytes }
    })
  }

  /** Throws Moved. */
  segment(row: BlockRow, index: number): Uint8Array {
    const data = this.#segment.get({ id: row.id * segmentsPerBlock + index }) as Uint8Array | undefined
    if (!data) throw new StaleBlockError()
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
    const layers = layersOf(blocks).map((ofName) => ({ ofName, builder: new ColumnBuilder(this.rows) }))
    for (let from = begin; from < begin + dayMs; from += hourMs) {
      for (const row of this.rows.byTime(first.website, from, from + hourMs, after, last)) {
        const key = nameKey(this.rows.typeOf(row[2]).name, row[4])
        for (const { ofName, builder } of layers) {
          const block = ofName.get(key)
          if (block && block.afterId < row[0] && row[0] <= block.lastId) builder.add(row)
        }
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

interface KnownLayout extends Layout {
  /** By key. */
  placeOf: ReadonlyMap<string, Place | null>
}

const none: ReadonlyMap<string, number> = new Map()

/** A block, read column by column when it is asked for. It holds what it read itself; the reader, what has room. */
class StoredBatch implements Batch {
  readonly block: number
  readonly website: number
  readonly name: string
  readonly crawler: boolean
  readonly count: number
  readonly base: number
  readonly receipt: Batch["receipt"]
  #layout: KnownLayout | undefined
  #keys: ReadonlyMap<string, number> | undefined
  #restKeys: ReadonlyMap<string, number> | undefined
  #rows: MemoryBatch | undefined
  readonly #codes = new Map<string, Codes>()
  readonly #columns = new Map<string, Column>()

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
    this.receipt = { after: row.afterId, last: row.lastId }
  }

  times = () => this.#codesOf("times", this.#places.times) as Uint32Array
  visitors = () => this.#codesOf("visitors", this.#places.ids.visitors) as Uint32Array
  sessions = () => this.#codesOf("sessions", this.#places.ids.sessions) as Uint32Array
  profiles = () => this.#codesOf("profiles", this.#places.ids.profiles) as Uint32Array

  column(field: TextField): Column {
    const place = this.#places.fields[field]
    return place ? this.#column(field, place) : { codes: new Uint8Array(this.count), values: [] }
  }

  property(key: string): Column | undefined {
    const place = this.#places.placeOf.get(key)
    if (place) return this.#column(`property.${key}`, place)
    return place === null || this.#rest().has(key) ? this.#fromRows().property(key) : undefined
  }

  keys(): ReadonlyMap<string, number> {
    this.#keys ??= new Map([
      ...this.#places.properties.map(([key, events]): [string, number] => [key, events]),
      ...this.#rest(),
    ])
    return this.#keys
  }

  /** Properties that are not in the layout. */
  #rest(): ReadonlyMap<string, number> {
    const { rest } = this.#places
    if (!rest) return none
    this.#restKeys ??= this.reader.hold(this.block, "rest", () => {
      const bytes = this.#segment(rest).thing.subarray(rest.o, rest.o + (rest.v as number))
      const thing = new Map(JSON.parse(new TextDecoder().decode(bytes)) as [string, number][])
      return { thing, bytes: bytes.length * jsonCharacterBytes + thing.size * valueBytes }
    })
    return this.#restKeys
  }

  withProperties(): number {
    return this.#places.withProperties
  }

  propertied(): Uint8Array {
    const { propertied, withProperties } = this.#places
    if (propertied) return this.#codesOf("propertied", propertied) as Uint8Array
    return new Uint8Array(this.count).fill(withProperties > 0 ? 1 : 0)
  }

  get #places(): KnownLayout {
    this.#layout ??= this.reader.layout(this.row)
    return this.#layout
  }

  #fromRows(): MemoryBatch {
    this.#rows ??= this.reader.hold(this.block, "rows", () => {
      const thing = this.reader.fromRows(this.row)
      // An event that went since the block was looked up would shift all others.
      if (thing?.count !== this.count) throw new StaleBlockError()
      return { thing, bytes: this.row.bytes }
    })
    return this.#rows
  }

  /** Numbers where nothing is said take four bytes each. */
  #codesOf(name: string, place: Place | undefined): Codes {
    let codes = this.#codes.get(name)
    if (!codes) {
      codes = place
        ? this.reader.hold(this.block, name, () => this.#read(place))
        : new Uint32Array(this.count)
      this.#codes.set(name, codes)
    }
    return codes
  }

  #column(name: string, place: Place): Column {
    let column = this.#columns.get(name)
    if (!column) {
      column = this.reader.hold<Column>(this.block, name, () => {
        const raw = this.#segment(place)
        const events = place.n ?? this.count
        const codesAt = place.o + (place.n === undefined ? 0 : padded(place.n * 4))
        const begin = codesAt + padded(events * place.w)
        const text = raw.thing.subarray(begin, begin + (place.v as number))
        // A copy begins where any array of numbers may.
        const values = place.f
          ? [...new numberForms[place.f](copyOf(text))]
          : (JSON.parse(new TextDecoder().decode(text)) as Value[])
        const ofValues = values.length * (place.f ? numberBytes : valueBytes)
        const codes = codesIn(raw.thing, codesAt, events, place.w)
        const bytes = raw.bytes + columnBytes + ofValues
        if (place.n === undefined) return { thing: { codes, values }, bytes }
        const at = arrayOf(raw.thing, place.o, events, 4) as Uint32Array
        // The array of all codes may be made.
        return { thing: new SparseColumn({ at, codes }, values, this.count), bytes: bytes + this.count }
      })
      this.#columns.set(name, column)
    }
    return column
  }

  #read(place: Place): Held<Codes> {
    const { thing: segment, bytes } = this.#segment(place)
    return { thing: codesIn(segment, place.o, this.count, place.w), bytes: bytes + columnBytes }
  }

  /** Small columns have one together. */
  #segment({ s }: Place): Held<Uint8Array> {
    const read = () => this.reader.segment(this.row, s)
    if (s > 0) {
      const thing = read()
      return { thing, bytes: thing.length }
    }
    const thing = this.reader.hold(this.block, "small columns", () => {
      const thing = read()
      return { thing, bytes: thing.length }
    })
    return { thing, bytes: 0 }
  }
}
