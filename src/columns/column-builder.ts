import {
  type Batch,
  type Codes,
  type Column,
  dayMs,
  type Few,
  type IdKind,
  idKinds,
  type TextField,
  type Value,
} from "./batch.ts"
import type { Row, RowReader } from "./row-reader.ts"

/** A set of columns in memory. */
export interface Columns {
  website: number
  name: string
  crawler: boolean
  day: number
  count: number
  times: Uint32Array
  ids: Record<IdKind, Uint32Array>
  fields: Record<TextField, Column>
  properties: Map<string, Column>
  /** 1 for events that have at least one property. */
  propertied: Uint8Array
  /** Row ids, if the columns were built from rows. */
  rowIds?: Float64Array
  /** Estimated bytes of memory that building them takes. */
  bytes: number
}

/** Returns the dictionary id of each text. Called once all ids are known. */
export type NumbersOf = (kind: IdKind, texts: readonly string[]) => Uint32Array

/**
 * Limit of the bytes of memory, estimated as below, in which columns are built, whatever was sent. Columns of
 * 65,536 ordinary rows fit. The process takes two to three times as much, with garbage and
 * encoded data.
 */
export const buildMemory = 33_554_432
/**
 * Sets of columns from which a builder is full: each becomes a slice, which the main thread stores in about
 * 30 us.
 */
const maxGroups = 1_024
/** Limits of one step of reading, in rows and in bytes of columns: about 30 ms. */
const rowsPerStep = 8_192
const bytesPerStep = 8_388_608
/**
 * Bytes of memory: a set of columns, a row in it, a property key, a value of a row, and a distinct value or
 * id besides its text.
 */
const groupBytes = 3_000
const rowBytes = 48
const keyBytes = 500
const entryBytes = 12
const valueBytes = 100
/**
 * Bytes of memory per character of a text, and per character of the JSON of an object or array: `[[],[]]` is
 * mostly object headers.
 */
const characterBytes = 3
const jsonCharacterBytes = 16
/** A column is sparse if at most one event in this many has a value: the array of all codes would be larger. */
const sparseRatio = 8
/**
 * Limit of events per set of columns: a time of day (below 2^27 ms) and a position (below 2^26) are packed
 * into one double.
 */
const maxEvents = 2 ** 26

/** Builds columns from rows: one set for each website, day and name, separately for crawlers and people. */
export class ColumnBuilder {
  readonly #groups = new Map<string, Group>()
  readonly #texts: Record<IdKind, Map<string, number>> = {
    visitors: new Map(),
    sessions: new Map(),
    profiles: new Map(),
  }
  #rows = 0
  #bytes = 0

  /** `memory`: estimated bytes from which the builder is full. */
  constructor(
    private readonly rows: RowReader,
    private readonly memory = buildMemory,
  ) {}

  /** Number of rows added. */
  get count(): number {
    return this.#rows
  }

  /** Estimated bytes of memory in use. */
  get bytes(): number {
    return this.#bytes
  }

  get isFull(): boolean {
    return this.#bytes >= this.memory || this.#groups.size >= maxGroups
  }

  /**
   * Adds rows with `after` < id <= `last`, up to the limits of one step or until the builder is full. Returns
   * the id of the last row read. The last row can exceed the memory by a few MB.
   */
  addSome(after: number, last: number): number {
    const end = Math.min(after + rowsPerStep, last)
    const stop = this.#bytes + bytesPerStep
    for (const row of this.rows.byId(after, end)) {
      this.add(row)
      if (this.#bytes >= stop || this.isFull) return row[0]
    }
    return end
  }

  add(row: Row): void {
    const [, website, typeId, ts, crawler] = row
    const type = this.rows.typeOf(typeId)
    const day = Math.floor(ts / dayMs)
    const key = `${website} ${day} ${crawler} ${type.name}`
    let group = this.#groups.get(key)
    if (!group) {
      group = new Group(website, day, type.name, crawler === 1)
      this.#groups.set(key, group)
      this.#bytes += group.bytes
    }
    const before = group.bytes
    group.add(
      row[0],
      ts - day * dayMs,
      this.#local("visitors", row[5]),
      this.#local("sessions", row[6]),
      this.#local("profiles", row[7]),
      type.namespace,
      type.source,
      row[8],
      type.keys,
      row[9],
    )
    this.#bytes += group.bytes - before
    this.#rows++
  }

  /** Yields each set of columns and releases its memory. Call it once. */
  *finish(numbersOf: NumbersOf): Generator<Columns> {
    const numbers = {} as Record<IdKind, Uint32Array>
    for (const kind of idKinds) {
      const texts = [...this.#texts[kind].keys()]
      const dictionaryIds = numbersOf(kind, texts)
      numbers[kind] = new Uint32Array(texts.length + 1)
      numbers[kind].set(dictionaryIds, 1)
      this.#texts[kind].clear()
    }
    for (const [key, group] of this.#groups) {
      this.#groups.delete(key)
      yield group.finish(numbers)
    }
  }

  #local(kind: IdKind, text: string | null): number {
    if (text === null) return 0
    const texts = this.#texts[kind]
    let number = texts.get(text)
    if (number === undefined) {
      number = texts.size + 1
      texts.set(text, number)
      this.#bytes += valueBytes + text.length * characterBytes
    }
    return number
  }
}

/** Builds a column event by event. Its memory depends only on the events that have a value. */
export class ValueColumn {
  readonly values: Value[] = []
  /** Pairs of position and code, one for each event that has a value. */
  #entries = new Uint32Array(4)
  #count = 0
  /** The position set last, and whether positions were set in ascending order. */
  #last = -1
  #isSorted = true
  /** Created for the second value: most keys that senders make up have only one. */
  #byValue: Map<Value, number> | undefined
  #byJson: Map<string, number> | undefined
  bytes = 0

  set(index: number, value: Value | null | undefined): void {
    if (value === null || value === undefined) return
    this.setCode(index, this.codeOf(value))
  }

  /** Returns the code of a value, and adds the value if it is new. */
  codeOf(value: Value): number {
    return typeof value === "object" ? this.#codeOfJson(value) : this.#codeOf(value)
  }

  /** Sets the code of an event. Set each position at most once. */
  setCode(index: number, code: number): void {
    const at = this.#count++ * 2
    if (at === this.#entries.length) this.#entries = enlarge(this.#entries, at)
    this.#entries[at] = index
    this.#entries[at + 1] = code
    if (index < this.#last) this.#isSorted = false
    this.#last = index
    this.bytes += entryBytes
  }

  #codeOf(value: Value): number {
    if (value === this.values[0]) return 1
    let code = this.#byValue?.get(value)
    if (code !== undefined) return code
    code = this.values.push(value)
    if (code > 1) {
      this.#byValue ??= new Map()
      this.#byValue.set(value, code)
    }
    this.bytes += valueBytes + (typeof value === "string" ? value.length * characterBytes : 0)
    return code
  }

  /** Objects and arrays are the same value if their JSON is the same. */
  #codeOfJson(value: object): number {
    const json = JSON.stringify(value)
    this.#byJson ??= new Map()
    let code = this.#byJson.get(json)
    if (code === undefined) {
      code = this.values.push(value)
      this.#byJson.set(json, code)
      this.bytes += valueBytes + json.length * jsonCharacterBytes
    }
    return code
  }

  /** Returns the column. `ranks`: the new position of each event; undefined keeps the positions. */
  finish(count: number, ranks?: Uint32Array): Column {
    const { values } = this
    const entries = this.#entries
    const entryCount = this.#count
    if (entryCount * sparseRatio > count) {
      const codes = emptyCodes(count, values.length)
      for (let at = 0; at < entryCount * 2; at += 2) {
        const position = entries[at] as number
        codes[ranks ? (ranks[position] as number) : position] = entries[at + 1] as number
      }
      return { codes, values }
    }
    const sorted = new Float64Array(entryCount)
    for (let n = 0; n < entryCount; n++) {
      const position = entries[n * 2] as number
      sorted[n] =
        (ranks ? (ranks[position] as number) : position) * maxEvents + (entries[n * 2 + 1] as number)
    }
    if (ranks || !this.#isSorted) sorted.sort()
    const at = new Uint32Array(entryCount)
    const codes = emptyCodes(entryCount, values.length)
    for (let n = 0; n < entryCount; n++) {
      const both = sorted[n] as number
      at[n] = Math.floor(both / maxEvents)
      codes[n] = both % maxEvents
    }
    return new SparseColumn({ at, codes }, values, count)
  }
}

/** A column in which few events have a value. The array of all codes is computed on first use. */
export class SparseColumn implements Column {
  #codes: Codes | undefined

  constructor(
    readonly few: Few,
    readonly values: readonly Value[],
    private readonly count: number,
  ) {}

  get codes(): Codes {
    if (!this.#codes) {
      const { at, codes } = this.few
      const all = emptyCodes(this.count, this.values.length)
      for (let n = 0; n < at.length; n++) all[at[n] as number] = codes[n] as number
      this.#codes = all
    }
    return this.#codes
  }

  /** Returns the events from `first` to `end`, exclusive. */
  slice(first: number, end: number): SparseColumn {
    const { at, codes } = this.few
    const [from, to] = [lowerBound(at, first), lowerBound(at, end)]
    const few = { at: at.slice(from, to), codes: codes.subarray(from, to) }
    if (first > 0) for (let n = 0; n < few.at.length; n++) few.at[n] = (few.at[n] as number) - first
    return new SparseColumn(few, this.values, end - first)
  }

  /** Returns a copy without the array of all codes, so that the array is released with the copy. */
  withoutCodes(): SparseColumn {
    return new SparseColumn(this.few, this.values, this.count)
  }
}

/** Returns the index of the first of the ascending positions that is not below `minimum`. */
function lowerBound(positions: Uint32Array, minimum: number): number {
  let [low, high] = [0, positions.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((positions[middle] as number) < minimum) low = middle + 1
    else high = middle
  }
  return low
}

class Group {
  #count = 0
  #times = new Uint32Array(4)
  readonly #rowIds: number[] = []
  readonly #ids: Record<IdKind, Uint32Array> = {
    visitors: new Uint32Array(4),
    sessions: new Uint32Array(4),
    profiles: new Uint32Array(4),
  }
  readonly #fields: Record<TextField, ValueColumn> = {
    namespace: new ValueColumn(),
    source: new ValueColumn(),
    path: new ValueColumn(),
  }
  readonly #properties = new Map<string, ValueColumn>()
  readonly #propertied: number[] = []
  /** Estimated bytes of memory in use. */
  bytes = groupBytes

  constructor(
    private readonly website: number,
    private readonly day: number,
    private readonly name: string,
    private readonly crawler: boolean,
  ) {}

  add(
    id: number,
    time: number,
    visitor: number,
    session: number,
    profile: number,
    namespace: string | null,
    source: string | null,
    path: string | null,
    keys: string[] | undefined,
    properties: string | null,
  ): void {
    const index = this.#count++
    const { visitors, sessions, profiles } = this.#ids
    if (index >= this.#times.length) {
      this.#times = enlarge(this.#times, index)
      this.#ids.visitors = enlarge(visitors, index)
      this.#ids.sessions = enlarge(sessions, index)
      this.#ids.profiles = enlarge(profiles, index)
    }
    this.bytes += rowBytes
    this.#times[index] = time
    this.#rowIds.push(id)
    this.#propertied.push(0)
    this.#ids.visitors[index] = visitor
    this.#ids.sessions[index] = session
    this.#ids.profiles[index] = profile
    this.#set(this.#fields.namespace, index, namespace)
    this.#set(this.#fields.source, index, source)
    this.#set(this.#fields.path, index, path)
    if (properties === null) return
    if (keys) {
      const values = JSON.parse(`[${properties}]`) as (Value | null)[]
      for (let at = 0; at < keys.length; at++) this.#setProperty(index, keys[at] as string, values[at])
      this.#propertied[index] = keys.length > 0 ? 1 : 0
      return
    }
    const object = JSON.parse(properties) as Record<string, Value | null>
    const ownKeys = Object.keys(object)
    for (const key of ownKeys) this.#setProperty(index, key, object[key])
    this.#propertied[index] = ownKeys.length > 0 ? 1 : 0
  }

  #setProperty(index: number, key: string, value: Value | null | undefined): void {
    if (value === null || value === undefined) return
    let column = this.#properties.get(key)
    if (!column) {
      column = new ValueColumn()
      this.#properties.set(key, column)
      this.bytes += keyBytes + key.length * characterBytes
    }
    this.#set(column, index, value)
  }

  #set(column: ValueColumn, index: number, value: Value | null | undefined): void {
    const before = column.bytes
    column.set(index, value)
    this.bytes += column.bytes - before
  }

  finish(numbers: Record<IdKind, Uint32Array>): Columns {
    const count = this.#count
    const order = orderOf(this.#times, count)
    const ranks = order && ranksOf(order)
    const pick = (from: Uint32Array, mapping?: Uint32Array) => {
      const to = new Uint32Array(count)
      for (let index = 0; index < count; index++) {
        const value = from[order ? (order[index] as number) : index] as number
        to[index] = mapping ? (mapping[value] as number) : value
      }
      return to
    }
    const inOrder = (values: number[]) =>
      order ? Array.from(order, (position) => values[position] as number) : values
    const { namespace, source, path } = this.#fields
    return {
      website: this.website,
      name: this.name,
      crawler: this.crawler,
      day: this.day,
      count,
      times: pick(this.#times),
      ids: {
        visitors: pick(this.#ids.visitors, numbers.visitors),
        sessions: pick(this.#ids.sessions, numbers.sessions),
        profiles: pick(this.#ids.profiles, numbers.profiles),
      },
      fields: {
        namespace: namespace.finish(count, ranks),
        source: source.finish(count, ranks),
        path: path.finish(count, ranks),
      },
      properties: new Map([...this.#properties].map(([key, column]) => [key, column.finish(count, ranks)])),
      propertied: Uint8Array.from(inOrder(this.#propertied)),
      rowIds: Float64Array.from(inOrder(this.#rowIds)),
      bytes: this.bytes,
    }
  }
}

/**
 * Returns the positions of `times` in a stable ascending order, or undefined if the times are sorted already.
 * Throws RangeError.
 */
function orderOf(times: Uint32Array, count: number): Uint32Array | undefined {
  let sorted = true
  for (let index = 1; index < count && sorted; index++)
    sorted = (times[index - 1] as number) <= (times[index] as number)
  if (sorted) return undefined
  if (count > maxEvents) throw new RangeError(`${count} events in one set of columns, more than ${maxEvents}`)
  const keys = new Float64Array(count)
  for (let index = 0; index < count; index++) keys[index] = (times[index] as number) * maxEvents + index
  keys.sort()
  return Uint32Array.from(keys, (key) => key % maxEvents)
}

/** Returns the new position of each old position. */
function ranksOf(order: Uint32Array): Uint32Array {
  const ranks = new Uint32Array(order.length)
  for (let rank = 0; rank < order.length; rank++) ranks[order[rank] as number] = rank
  return ranks
}

export function emptyCodes(count: number, values: number): Codes {
  if (values < 256) return new Uint8Array(count)
  return values < 65_536 ? new Uint16Array(count) : new Uint32Array(count)
}

/** Returns a copy with room for the position `index`, at least twice as large. */
function enlarge(array: Uint32Array, index: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(2 ** Math.ceil(Math.log2(index + 1)), array.length * 2))
  larger.set(array)
  return larger
}

/**
 * Merges batches of one website, day and name into one set of columns. `parts` are in order of receipt, and
 * no two overlap.
 */
export function merge(parts: readonly Batch[]): Columns {
  const [first] = parts as [Batch]
  const count = parts.reduce((sum, part) => sum + part.count, 0)
  const gather = (of: (part: Batch) => Uint32Array) => {
    const all = new Uint32Array(count)
    let at = 0
    for (const part of parts) {
      all.set(of(part), at)
      at += part.count
    }
    return all
  }
  const times = gather((part) => part.times())
  const order = orderOf(times, count)
  const sorted = (all: Uint32Array) =>
    order ? all.map((_, index) => all[order[index] as number] as number) : all
  const ranks = order && ranksOf(order)
  let bytes = groupBytes + count * rowBytes
  const column = (of: (part: Batch) => Column | undefined): Column => {
    const builder = new ValueColumn()
    let at = 0
    for (const part of parts) {
      const from = of(part)
      if (from) copyInto(builder, at, from)
      at += part.count
    }
    bytes += builder.bytes
    return builder.finish(count, ranks)
  }
  const keys = new Set(parts.flatMap((part) => [...part.keys().keys()]))
  const merged = {
    website: first.website,
    name: first.name,
    crawler: first.crawler,
    day: Math.floor(first.base / dayMs),
    count,
    times: sorted(times),
    ids: {
      visitors: sorted(gather((part) => part.visitors())),
      sessions: sorted(gather((part) => part.sessions())),
      profiles: sorted(gather((part) => part.profiles())),
    },
    fields: {
      namespace: column((part) => part.column("namespace")),
      source: column((part) => part.column("source")),
      path: column((part) => part.column("path")),
    },
    properties: new Map([...keys].map((key) => [key, column((part) => part.property(key))])),
    propertied: Uint8Array.from(sorted(gather((part) => Uint32Array.from(part.propertied())))),
  }
  for (const key of keys) bytes += keyBytes + key.length * characterBytes
  return { ...merged, bytes }
}

/** Appends a column at the position `offset`. Looks up each value that occurs once. */
function copyInto(to: ValueColumn, offset: number, column: Column): void {
  const { few, values } = column
  const mapping = new Uint32Array(values.length + 1)
  const codeOf = (code: number) => {
    if (mapping[code] === 0) mapping[code] = to.codeOf(values[code - 1] as Value)
    return mapping[code] as number
  }
  if (few) {
    for (let n = 0; n < few.at.length; n++)
      to.setCode(offset + (few.at[n] as number), codeOf(few.codes[n] as number))
    return
  }
  const { codes } = column
  for (let index = 0; index < codes.length; index++) {
    const code = codes[index] as number
    if (code !== 0) to.setCode(offset + index, codeOf(code))
  }
}

/** Concatenates columns into one with distinct values. `counts`: the number of events of each column. */
export function joinColumns(columns: readonly Column[], counts: readonly number[]): Column {
  const [first] = columns
  if (first && columns.length === 1) return first
  const builder = new ValueColumn()
  let at = 0
  columns.forEach((column, index) => {
    copyInto(builder, at, column)
    at += counts[index] as number
  })
  return builder.finish(at)
}

/** A batch of columns in memory. */
export class MemoryBatch implements Batch {
  readonly website: number
  readonly name: string
  readonly crawler: boolean
  readonly count: number
  readonly base: number
  #keys: Map<string, number> | undefined

  constructor(readonly columns: Columns) {
    this.website = columns.website
    this.name = columns.name
    this.crawler = columns.crawler
    this.count = columns.count
    this.base = columns.day * dayMs
  }

  get receipt(): Batch["receipt"] {
    const { rowIds } = this.columns
    if (!rowIds) throw new Error("merged columns have no row ids")
    return { after: 0, last: Number.MAX_SAFE_INTEGER, ids: rowIds }
  }

  times = () => this.columns.times
  visitors = () => this.columns.ids.visitors
  sessions = () => this.columns.ids.sessions
  profiles = () => this.columns.ids.profiles
  column = (field: TextField) => this.columns.fields[field]
  property = (key: string) => {
    const column = this.columns.properties.get(key)
    return column instanceof SparseColumn ? column.withoutCodes() : column
  }
  propertied = () => this.columns.propertied
  withProperties = () => present(this.columns.propertied)

  keys(): ReadonlyMap<string, number> {
    this.#keys ??= new Map([...this.columns.properties].map(([key, column]) => [key, presentIn(column)]))
    return this.#keys
  }
}

/** Counts the events that have a value. */
export function presentIn(column: Column): number {
  return column.few ? column.few.at.length : present(column.codes)
}

/** Counts the codes that are not 0. */
export function present(codes: Codes): number {
  let count = 0
  for (let index = 0; index < codes.length; index++) if (codes[index] !== 0) count++
  return count
}
