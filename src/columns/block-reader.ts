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
  bySlice,
  eventsWithQuarters,
  type Layout,
  type ListedKey,
  numberForms,
  type Place,
  padded,
  quartersPerDay,
  segmentsPerBlock,
  slicesPerBlock,
} from "./block-writer.ts"
import { buildMemory, ColumnBuilder, MemoryBatch, SparseColumn, ValueColumn } from "./column-builder.ts"
import type { Row, RowReader } from "./row-reader.ts"

const hourMs = 3_600_000

function arrayOf(bytes: Uint8Array, offset: number, count: number, width: 1 | 2 | 4): Codes {
  const at = bytes.byteOffset + offset
  if (width === 1) return new Uint8Array(bytes.buffer, at, count)
  const [buffer, start] =
    at % width === 0 ? [bytes.buffer, at] : [copyOf(bytes.subarray(offset, offset + count * width)), 0]
  return width === 2 ? new Uint16Array(buffer, start, count) : new Uint32Array(buffer, start, count)
}

function codesIn(bytes: Uint8Array, offset: number, count: number, width: Place["w"]): Codes {
  return width === 0 ? new Uint8Array(count).fill(1) : arrayOf(bytes, offset, count, width)
}

/**
 * Copies bytes. SQLite returns a Buffer, which can be part of a shared pool and whose `slice` does not copy.
 */
function copyOf(bytes: Uint8Array): ArrayBuffer {
  return new Uint8Array(bytes).buffer
}

/** A row of `blocks`, without the data of its columns. */
export interface BlockRow {
  id: number
  /** Rid; below 0 if another block has replaced this one. */
  website: number
  /** Days since 1970-01-01. */
  day: number
  /** The block holds events with `afterId` < id <= `lastId`. */
  afterId: number
  lastId: number
  events: number
  /** Number of deletions of its events. 0: the block is current. */
  stale: number
  /** Estimated bytes of memory that its columns take while they are built from rows. */
  bytes: number
  slices: readonly Slice[]
  /**
   * The block holds a single name: it was sealed before blocks held all names of a day. Such blocks can
   * overlap in row ids.
   */
  isOfName: boolean
}

/** The events of one name in a block. */
export interface Slice {
  block: BlockRow
  index: number
  name: string
  crawler: boolean
  /** Position of its first event in the block. */
  first: number
  events: number
  /** Events in each of the day's 96 quarter hours; null for a slice with few events. */
  quarters: Codes | null
}

/** Columns of `blocks` that `blockOf` reads. Earlier versions did not store `bytes`. */
export const blockColumns = `
  id, website_rid as website, day, name, crawler, after_id as afterId, last_id as lastId, events, quarters, stale, slices,
  coalesce(bytes, events * 100) as bytes`

/** A row as SQLite returns it. */
export interface RawBlock extends Omit<BlockRow, "slices" | "isOfName"> {
  name: string
  crawler: 0 | 1
  quarters: Uint8Array | null
  slices: string | null
}

export function blockOf({ name, crawler, quarters, slices, ...row }: RawBlock): BlockRow {
  const named: [string, 0 | 1, number][] =
    slices === null ? [[name, crawler, row.events]] : JSON.parse(slices)
  const parts: Slice[] = []
  const block: BlockRow = { ...row, slices: parts, isOfName: slices === null }
  const large = named.filter(([, , events]) => events >= eventsWithQuarters).length
  const width = quarters ? quarters.length / quartersPerDay / large : 0
  let [first, counted] = [0, 0]
  for (const [index, [name, crawler, events]] of named.entries()) {
    const hasQuarters = quarters !== null && events >= eventsWithQuarters
    const at = counted * quartersPerDay * width
    parts.push({
      block,
      index,
      name,
      crawler: crawler === 1,
      first,
      events,
      quarters: hasQuarters ? arrayOf(quarters, at, quartersPerDay, width as 1 | 2 | 4) : null,
    })
    if (hasQuarters) counted++
    first += events
  }
  return block
}

const sql = {
  layout: "select layout from blocks where id = :id and stale = 0",
  segment: "select data from segments where id = :id",
}

/** A layout, with its properties by key. */
interface OpenLayout extends Layout {
  byKey: ReadonlyMap<string, OpenProperty>
}

interface OpenProperty {
  /** Events with a value, by index of the slices that have the key. */
  events: ReadonlyMap<number, number>
  /** Position of a slice's first code in the column, by index of the slice. */
  firstOf: ReadonlyMap<number, number>
  /** Number of codes in the column. */
  count: number
  place: Place | null
}

function openProperty(
  slices: readonly Slice[],
  [, having, events]: ListedKey,
  place: Place | null,
): OpenProperty {
  const firstOf = new Map<number, number>()
  let count = 0
  for (const slice of having) {
    firstOf.set(slice, count)
    count += (slices[slice] as Slice).events
  }
  return { events: new Map(having.map((slice, at) => [slice, events[at] as number])), firstOf, count, place }
}

/** The layout of a block with a single name, as stored before blocks had slices. */
interface LayoutOfName extends Omit<Layout, "properties" | "withProperties"> {
  properties: [key: string, events: number, place: Place | null][]
  withProperties: number
}

function openLayout({ slices, isOfName }: BlockRow, text: string): OpenLayout {
  const parsed = JSON.parse(text) as Layout | LayoutOfName
  const layout: Layout = isOfName ? withSlice(parsed as LayoutOfName) : (parsed as Layout)
  const byKey = layout.properties.map(([key, having, events, place]): [string, OpenProperty] => [
    key,
    openProperty(slices, [key, having, events], place),
  ])
  return { ...layout, byKey: new Map(byKey) }
}

function withSlice({ properties, withProperties, ...layout }: LayoutOfName): Layout {
  return {
    ...layout,
    properties: properties.map(([key, events, place]) => [key, [0], [events], place]),
    withProperties: [withProperties],
  }
}

const none: ReadonlyMap<string, OpenProperty> = new Map()

/**
 * A column can be evicted once this many queries have not read it: as many as a few dashboard pages run. With
 * plain LRU, a working set larger than the memory would evict each column just before it is read again.
 */
const queriesBeforeEviction = 16
/**
 * Bytes of memory: a character of parsed JSON, a column besides its codes, a value besides its text, and a
 * number.
 */
const jsonCharacterBytes = 6
const columnBytes = 300
const valueBytes = 40
const numberBytes = 8

/** Cached data of a block, and the bytes that it takes. */
interface Cached<Content> {
  content: Content
  bytes: number
}

/** Returns the longest prefix of at least one block whose columns fit the build memory together. */
export function fittingBlocks<Row extends Pick<BlockRow, "bytes">>(blocks: readonly Row[]): Row[] {
  let bytes = 0
  const end = blocks.findIndex((block, index) => {
    bytes += block.bytes
    return index > 0 && bytes > buildMemory
  })
  return end < 0 ? [...blocks] : blocks.slice(0, end)
}

/** Reads columns of blocks, and caches them up to `memory()` bytes. */
export class BlockReader {
  readonly #layout: Statement
  readonly #segment: Statement
  /**
   * Keyed by block id (never reused) and name of the data, in order of use: the most recently used entry is
   * last.
   */
  readonly #cached = new Map<string, Cached<unknown> & { query: number }>()
  /**
   * Keys of entries over the memory limit. Dropped when another day is read, because the slices of a day are
   * read in sequence.
   */
  readonly #excess = new Set<string>()
  /** Website and day read last. */
  #day = ""
  #bytes = 0
  #query = 0
  /** Total bytes of columns read from the database. */
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

  open(slice: Slice): Batch {
    return new StoredBatch(slice, this)
  }

  /** Marks the start of a query, for the cache. */
  startQuery(): void {
    this.#query++
  }

  /**
   * Returns the cached data of this name, or calls `make` and caches the result. A name always has the same
   * type.
   */
  cached<Content>({ id, website, day }: BlockRow, name: string, make: () => Cached<Content>): Content {
    this.#dropExcess(`${website} ${day}`)
    const key = `${id} ${name}`
    const known = this.#cached.get(key)
    if (known) {
      if (known.query !== this.#query) {
        known.query = this.#query
        this.#cached.delete(key)
        this.#cached.set(key, known)
      }
      return known.content as Content
    }
    const { content, bytes } = make()
    this.#cached.set(key, { content, bytes, query: this.#query })
    this.#bytes += bytes
    const memory = this.memory()
    for (const [oldest, { query }] of this.#cached) {
      if (this.#bytes <= memory) return content
      if (oldest === key || query >= this.#query - queriesBeforeEviction) break
      this.#drop(oldest)
    }
    if (this.#bytes > memory) this.#excess.add(key)
    return content
  }

  #dropExcess(day: string): void {
    if (day === this.#day) return
    this.#day = day
    if (this.#excess.size === 0) return
    const memory = this.memory()
    for (const key of this.#excess) {
      if (this.#bytes <= memory) break
      this.#drop(key)
    }
    this.#excess.clear()
  }

  /** Evicts the least recently used columns until the rest fits the memory. */
  trim(): void {
    const memory = this.memory()
    for (const oldest of this.#cached.keys()) {
      if (this.#bytes <= memory) return
      this.#drop(oldest)
    }
  }

  #drop(key: string): void {
    this.#bytes -= this.#cached.get(key)?.bytes ?? 0
    this.#cached.delete(key)
  }

  /** Returns the layout of a block. Throws StaleBlockError. */
  layout(row: BlockRow): OpenLayout {
    return this.cached(row, "layout", () => {
      const text = this.#layout.get({ id: row.id }) as string | undefined
      if (text === undefined) throw new StaleBlockError()
      return { content: openLayout(row, text), bytes: text.length * jsonCharacterBytes }
    })
  }

  /** Reads a segment from the database. Throws StaleBlockError. */
  #readSegment(row: BlockRow, index: number): Uint8Array {
    const data = this.#segment.get({ id: row.id * segmentsPerBlock + index }) as Uint8Array | undefined
    if (!data) throw new StaleBlockError()
    this.read += data.length
    return data
  }

  /** Reads the segment of a place. Segment 0, which small columns share, is cached. */
  #segmentOf(row: BlockRow, { s }: Place): Cached<Uint8Array> {
    if (s > 0) {
      const content = this.#readSegment(row, s)
      return { content, bytes: content.length }
    }
    const content = this.cached(row, "small columns", () => {
      const content = this.#readSegment(row, s)
      return { content, bytes: content.length }
    })
    return { content, bytes: 0 }
  }

  /**
   * Reads a column without values: one code for each of the `count` events of the block. Throws
   * StaleBlockError.
   */
  codes(row: BlockRow, name: string, place: Place, count: number): Codes {
    return this.cached(row, name, () => {
      const { content, bytes } = this.#segmentOf(row, place)
      return { content: codesIn(content, place.o, count, place.w), bytes: bytes + columnBytes }
    })
  }

  /** Reads a column with its values. Throws StaleBlockError. */
  column(row: BlockRow, name: string, place: Place, count: number): Column {
    return this.cached<Column>(row, name, () => {
      const segment = this.#segmentOf(row, place)
      const present = place.n ?? count
      const codesAt = place.o + (place.n === undefined ? 0 : padded(place.n * 4))
      const valuesAt = codesAt + padded(present * place.w)
      const text = segment.content.subarray(valuesAt, valuesAt + (place.v as number))
      // A copy is aligned for any typed array.
      const values = place.f
        ? [...new numberForms[place.f](copyOf(text))]
        : (JSON.parse(new TextDecoder().decode(text)) as Value[])
      const codes = codesIn(segment.content, codesAt, present, place.w)
      const bytes = segment.bytes + columnBytes + values.length * (place.f ? numberBytes : valueBytes)
      if (place.n === undefined) return { content: { codes, values }, bytes }
      const at = arrayOf(segment.content, place.o, present, 4) as Uint32Array
      return { content: new SparseColumn({ at, codes }, values, count), bytes }
    })
  }

  /**
   * Reads the list of properties outside the layout, whose values are all in the rows. Throws
   * StaleBlockError.
   */
  rest(row: BlockRow): ReadonlyMap<string, OpenProperty> {
    const { rest } = this.layout(row)
    if (!rest) return none
    return this.cached(row, "rest", () => {
      const bytes = this.#segmentOf(row, rest).content.subarray(rest.o, rest.o + (rest.v as number))
      const listed = JSON.parse(new TextDecoder().decode(bytes)) as (
        | ListedKey
        | [key: string, events: number]
      )[]
      const content = new Map(
        listed.map(([key, slices, events]) => [
          key,
          openProperty(
            row.slices,
            typeof slices === "number" ? [key, [0], [slices]] : [key, slices, events ?? []],
            null,
          ),
        ]),
      )
      return { content, bytes: bytes.length * jsonCharacterBytes + content.size * valueBytes * 4 }
    })
  }

  /**
   * Reads a property of a slice from the rows. The first such property of a block is read alone. For a second
   * one, all columns of the block are built from its rows at once. Throws StaleBlockError.
   */
  propertyFromRows(slice: Slice, key: string, property: OpenProperty): Column | undefined {
    const { block, name, crawler, index, events } = slice
    const first = property.firstOf.get(index)
    if (first === undefined) return undefined
    const firstProperty = this.cached(block, "property from rows", () => ({
      content: { key },
      bytes: columnBytes,
    }))
    if (firstProperty.key !== key)
      return this.#batchesFromRows(block).get(sliceKey(name, crawler))?.property(key)
    return sliceOf(this.#columnFromRows(block, key, property), first, first + events)
  }

  #batchesFromRows(row: BlockRow): ReadonlyMap<string, MemoryBatch> {
    return this.cached(row, "rows", () => {
      const batches = this.fromRows(row)
      // An event that was deleted after the block was looked up would shift all later ones.
      if (row.slices.some(({ events }, index) => events !== batches[index]?.count))
        throw new StaleBlockError()
      const content = new Map(batches.map((batch) => [sliceKey(batch.name, batch.crawler), batch]))
      return { content, bytes: row.bytes }
    })
  }

  #columnFromRows(row: BlockRow, key: string, property: OpenProperty): Column {
    return this.cached(row, `property.${key}`, () => {
      const column = new ValueColumn()
      const slices = new Map(
        row.slices.map((slice) => [
          sliceKey(slice.name, slice.crawler),
          { left: slice.events, at: property.firstOf.get(slice.index) },
        ]),
      )
      for (let hour = 0; hour < dayMs; hour += hourMs) {
        for (const [, , typeId, , crawler, , , , , properties] of this.#rowsOf(row, hour)) {
          const type = this.rows.typeOf(typeId)
          const slice = slices.get(sliceKey(type.name, crawler === 1))
          if (!slice || slice.left-- === 0) throw new StaleBlockError()
          if (slice.at === undefined) continue
          column.set(slice.at++, propertyOf(type.keys, properties, key))
        }
      }
      // An event that was deleted after the block was looked up would shift all later ones.
      for (const { left } of slices.values()) if (left !== 0) throw new StaleBlockError()
      const content = column.finish(property.count)
      return { content, bytes: columnBytes + column.bytes }
    })
  }

  /** Iterates the rows of an hour of the day, by time and then id. `hour`: ms after the start of the day. */
  #rowsOf({ website, day, afterId, lastId }: BlockRow, hour: number): IterableIterator<Row> {
    const from = day * dayMs + hour
    return this.rows.byTime(website, from, from + hourMs, afterId, lastId)
  }

  /** Reads the dictionary ids of all events of a block. Throws StaleBlockError. */
  ids(row: BlockRow, kind: IdKind): Uint32Array {
    const place = this.layout(row).ids[kind]
    return place ? (this.codes(row, kind, place, row.events) as Uint32Array) : new Uint32Array(0)
  }

  /** Builds the batches of a block from the rows. */
  fromRows(row: BlockRow): MemoryBatch[] {
    return this.allFromRows([row]).get(row.id) ?? []
  }

  /** Builds the batches of several blocks of one website and day from the rows, by block id. */
  allFromRows(blocks: readonly BlockRow[]): Map<number, MemoryBatch[]> {
    const steps = this.readFromRows(blocks)
    for (;;) {
      const step = steps.next()
      if (step.done) return step.value
    }
  }

  /**
   * Like `allFromRows`, but yields after each hour. Reads the rows of the day once, however many blocks there
   * are.
   */
  *readFromRows(blocks: readonly BlockRow[]): Generator<void, Map<number, MemoryBatch[]>> {
    const [first] = blocks
    if (!first) return new Map()
    const afterId = Math.min(...blocks.map(({ afterId }) => afterId))
    const lastId = Math.max(...blocks.map(({ lastId }) => lastId))
    const builders = blocks.map((block) => ({ block, builder: new ColumnBuilder(this.rows) }))
    for (let hour = 0; hour < dayMs; hour += hourMs) {
      for (const row of this.#rowsOf({ ...first, afterId, lastId }, hour))
        for (const { block, builder } of builders) if (this.#holds(block, row)) builder.add(row)
      yield
    }
    return new Map(
      builders.map(({ block, builder }) => [
        block.id,
        [...builder.finish(this.numbersOf)].map((columns) => new MemoryBatch(columns)).sort(bySlice),
      ]),
    )
  }

  #holds({ afterId, lastId, isOfName, slices: [slice] }: BlockRow, [id, , typeId, , crawler]: Row): boolean {
    if (id <= afterId || id > lastId) return false
    return !isOfName || (slice?.name === this.rows.typeOf(typeId).name && slice.crawler === (crawler === 1))
  }
}

/** Identifies a slice within a block. */
export function sliceKey(name: string, crawler: boolean): string {
  return `${crawler ? 1 : 0} ${name}`
}

function propertyOf(
  keys: string[] | undefined,
  properties: string | null,
  key: string,
): Value | null | undefined {
  if (properties === null) return null
  if (!keys) return (JSON.parse(properties) as Record<string, Value | null>)[key]
  const at = keys.lastIndexOf(key)
  return at < 0 ? null : (JSON.parse(`[${properties}]`) as (Value | null)[])[at]
}

function sliceOf(column: Column, first: number, end: number): Column {
  if (column instanceof SparseColumn) return column.slice(first, end)
  return { codes: column.codes.subarray(first, end), values: column.values }
}

/** A slice of a block. Each column is read when it is first requested. */
class StoredBatch implements Batch {
  readonly block: number
  readonly website: number
  readonly name: string
  readonly crawler: boolean
  readonly count: number
  readonly base: number
  readonly receipt: Batch["receipt"]
  readonly #row: BlockRow
  #openLayout: OpenLayout | undefined
  #keys: ReadonlyMap<string, number> | undefined
  readonly #codes = new Map<string, Codes>()
  readonly #columns = new Map<string, Column>()

  constructor(
    private readonly slice: Slice,
    private readonly reader: BlockReader,
  ) {
    const { block, index, name, crawler, events } = slice
    this.#row = block
    this.block = block.id * slicesPerBlock + index
    this.website = block.website
    this.name = name
    this.crawler = crawler
    this.count = events
    this.base = block.day * dayMs
    this.receipt = { after: block.afterId, last: block.lastId }
  }

  times = () => this.#codesOf("times", this.#layout.times) as Uint32Array
  visitors = () => this.#codesOf("visitors", this.#layout.ids.visitors) as Uint32Array
  sessions = () => this.#codesOf("sessions", this.#layout.ids.sessions) as Uint32Array
  profiles = () => this.#codesOf("profiles", this.#layout.ids.profiles) as Uint32Array

  column(field: TextField): Column {
    const place = this.#layout.fields[field]
    if (!place) return { codes: new Uint8Array(this.count), values: [] }
    return this.#columnOf(field, this.slice.first, () =>
      this.reader.column(this.#row, field, place, this.#row.events),
    )
  }

  property(key: string): Column | undefined {
    const property = this.#layout.byKey.get(key) ?? this.reader.rest(this.#row).get(key)
    const first = property?.firstOf.get(this.slice.index)
    if (!property || first === undefined) return undefined
    const { place, count } = property
    const name = `property.${key}`
    if (!place) return this.reader.propertyFromRows(this.slice, key, property)
    return this.#columnOf(name, first, () => this.reader.column(this.#row, name, place, count))
  }

  keys(): ReadonlyMap<string, number> {
    this.#keys ??= new Map(
      [...this.#layout.byKey, ...this.reader.rest(this.#row)].flatMap(
        ([key, { events }]): [string, number][] => {
          const own = events.get(this.slice.index)
          return own === undefined ? [] : [[key, own]]
        },
      ),
    )
    return this.#keys
  }

  withProperties(): number {
    return this.#layout.withProperties[this.slice.index] as number
  }

  propertied(): Uint8Array {
    const { propertied } = this.#layout
    if (propertied) return this.#codesOf("propertied", propertied) as Uint8Array
    return new Uint8Array(this.count).fill(this.withProperties() > 0 ? 1 : 0)
  }

  get #layout(): OpenLayout {
    this.#openLayout ??= this.reader.layout(this.#row)
    return this.#openLayout
  }

  /** Codes of this slice. Dictionary ids that are not stored are all 0, four bytes each. */
  #codesOf(name: string, place: Place | undefined): Codes {
    let codes = this.#codes.get(name)
    if (!codes) {
      const { first, events } = this.slice
      codes = place
        ? this.reader.codes(this.#row, name, place, this.#row.events).subarray(first, first + events)
        : new Uint32Array(this.count)
      this.#codes.set(name, codes)
    }
    return codes
  }

  /** Codes of this slice with the values of the whole block. All slices share the array of values. */
  #columnOf(name: string, first: number, read: () => Column): Column {
    let column = this.#columns.get(name)
    if (!column) {
      column = sliceOf(read(), first, first + this.count)
      this.#columns.set(name, column)
    }
    return column
  }
}
