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

/** Columns as they stand in memory. */
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
  /** 1 for events that have a property. */
  propertied: Uint8Array
  /** Row ids, where the columns were made from rows. */
  rowIds?: Float64Array
  /** An estimate of the memory that it takes to make them. */
  bytes: number
}

/** Numbers for ids: the caller says which, once all are known. */
export type NumbersOf = (kind: IdKind, texts: readonly string[]) => Uint32Array

/**
 * Bytes of memory in which columns are made, by the estimates below, whatever was sent: those of 65,536 ordinary rows take half of it.
 * The process takes two to three times as much, with what is garbage and what is encoded.
 */
export const buildMemory = 67_108_864
/** Sets of columns from which a builder counts as full: each is a block, and is stored on the main thread in some 30 us. */
const mostGroups = 1_024
/** Rows, and bytes of what becomes of them, that are read in one step: some 30 ms. */
const rowsPerStep = 8_192
const bytesPerStep = 8_388_608
/** Bytes that a set of columns takes, a row in it, a property key, a value of a row, and a distinct value or id beside its text. */
const groupBytes = 3_000
const rowBytes = 48
const keyBytes = 500
const entryBytes = 12
const valueBytes = 100
/** Bytes of memory for a character of a text, and of an object's or array's JSON: `[[],[]]` is mostly headers of objects. */
const characterBytes = 3
const jsonCharacterBytes = 16
/** One event in so many that has a value, or fewer, are few: the array of all codes would be larger. */
const fewFrom = 8
/** Events of one set of columns: a time of day (below 2^27) and a place share one double. */
const mostEvents = 2 ** 26

/** Turns rows into columns, one set for each website, day, name, and crawlers or not. */
export class ColumnBuilder {
  readonly #groups = new Map<string, Group>()
  readonly #texts: Record<IdKind, Map<string, number>> = {
    visitors: new Map(),
    sessions: new Map(),
    profiles: new Map(),
  }
  #rows = 0
  #bytes = 0

  /** `memory`: bytes from which it is full. */
  constructor(
    private readonly rows: RowReader,
    private readonly memory = buildMemory,
  ) {}

  /** Rows that were added. */
  get count(): number {
    return this.#rows
  }

  /** An estimate of the memory that it takes. */
  get bytes(): number {
    return this.#bytes
  }

  get isFull(): boolean {
    return this.#bytes >= this.memory || this.#groups.size >= mostGroups
  }

  /**
   * Adds rows with `after` < id <= `last`, as many as are read in one step and leave it no more than full; up to which id. One row is
   * at most some MB more than full.
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

  /** Each set of columns is let go of once it is made: to be called once. */
  *finish(numbersOf: NumbersOf): Generator<Columns> {
    const numbers = {} as Record<IdKind, Uint32Array>
    for (const kind of idKinds) {
      const texts = [...this.#texts[kind].keys()]
      const found = numbersOf(kind, texts)
      numbers[kind] = new Uint32Array(texts.length + 1)
      numbers[kind].set(found, 1)
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

/** A column that grows, event by event. What it takes depends on the events that have a value alone. */
class Growing {
  readonly values: Value[] = []
  /** Place and code of each event that has a value, in turn. */
  #entries = new Uint32Array(4)
  #count = 0
  /** Made for a second value: most keys that are made up by the sender have one. */
  #byValue: Map<Value, number> | undefined
  #byJson: Map<string, number> | undefined
  bytes = 0

  /** `index` ascends. */
  set(index: number, value: Value | null | undefined): void {
    if (value === null || value === undefined) return
    const at = this.#count++ * 2
    if (at === this.#entries.length) this.#entries = grown(this.#entries, at)
    this.#entries[at] = index
    this.#entries[at + 1] = typeof value === "object" ? this.#codeOfJson(value) : this.#codeOf(value)
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

  /** Objects and arrays are the same value where their JSON is. */
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

  /** `ranks`: where each place goes; undefined: they stay. */
  finish(count: number, ranks: Uint32Array | undefined): Column {
    const { values } = this
    const entries = this.#entries
    const had = this.#count
    if (had * fewFrom > count) {
      const codes = emptyCodes(count, values.length)
      for (let at = 0; at < had * 2; at += 2) {
        const place = entries[at] as number
        codes[ranks ? (ranks[place] as number) : place] = entries[at + 1] as number
      }
      return { codes, values }
    }
    const sorted = new Float64Array(had)
    for (let n = 0; n < had; n++) {
      const place = entries[n * 2] as number
      sorted[n] = (ranks ? (ranks[place] as number) : place) * mostEvents + (entries[n * 2 + 1] as number)
    }
    if (ranks) sorted.sort()
    const at = new Uint32Array(had)
    const codes = emptyCodes(had, values.length)
    for (let n = 0; n < had; n++) {
      const both = sorted[n] as number
      at[n] = Math.floor(both / mostEvents)
      codes[n] = both % mostEvents
    }
    return new SparseColumn({ at, codes }, values, count)
  }
}

/** A column in which few events have a value. */
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

  /** The same without the array of all codes, which is let go of with this. */
  own(): SparseColumn {
    return new SparseColumn(this.few, this.values, this.count)
  }
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
  readonly #fields: Record<TextField, Growing> = {
    namespace: new Growing(),
    source: new Growing(),
    path: new Growing(),
  }
  readonly #properties = new Map<string, Growing>()
  readonly #propertied: number[] = []
  /** An estimate of the memory that it takes. */
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
      this.#times = grown(this.#times, index)
      this.#ids.visitors = grown(visitors, index)
      this.#ids.sessions = grown(sessions, index)
      this.#ids.profiles = grown(profiles, index)
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
    const own = Object.keys(object)
    for (const key of own) this.#setProperty(index, key, object[key])
    this.#propertied[index] = own.length > 0 ? 1 : 0
  }

  #setProperty(index: number, key: string, value: Value | null | undefined): void {
    if (value === null || value === undefined) return
    let column = this.#properties.get(key)
    if (!column) {
      column = new Growing()
      this.#properties.set(key, column)
      this.bytes += keyBytes + key.length * characterBytes
    }
    this.#set(column, index, value)
  }

  #set(column: Growing, index: number, value: Value | null | undefined): void {
    const before = column.bytes
    column.set(index, value)
    this.bytes += column.bytes - before
  }

  finish(numbers: Record<IdKind, Uint32Array>): Columns {
    const count = this.#count
    const order = orderOf(this.#times, count)
    const ranks = order && ranksOf(order)
    const pick = (from: Uint32Array, through?: Uint32Array) => {
      const to = new Uint32Array(count)
      for (let index = 0; index < count; index++) {
        const value = from[order ? (order[index] as number) : index] as number
        to[index] = through ? (through[value] as number) : value
      }
      return to
    }
    const inOrder = (values: number[]) =>
      order ? Array.from(order, (place) => values[place] as number) : values
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
      properties: new Map([...this.#properties].map(([key, growing]) => [key, growing.finish(count, ranks)])),
      propertied: Uint8Array.from(inOrder(this.#propertied)),
      rowIds: Float64Array.from(inOrder(this.#rowIds)),
      bytes: this.bytes,
    }
  }
}

/** The places of `times` in ascending order, equal ones as they stand; undefined where they are in order already. */
function orderOf(times: Uint32Array, count: number): Uint32Array | undefined {
  let sorted = true
  for (let index = 1; index < count && sorted; index++)
    sorted = (times[index - 1] as number) <= (times[index] as number)
  if (sorted) return undefined
  if (count > mostEvents)
    throw new RangeError(`${count} events in one set of columns, more than ${mostEvents}`)
  const keys = new Float64Array(count)
  for (let index = 0; index < count; index++) keys[index] = (times[index] as number) * mostEvents + index
  keys.sort()
  return Uint32Array.from(keys, (key) => key % mostEvents)
}

/** Where each place goes. */
function ranksOf(order: Uint32Array): Uint32Array {
  const ranks = new Uint32Array(order.length)
  for (let rank = 0; rank < order.length; rank++) ranks[order[rank] as number] = rank
  return ranks
}

export function emptyCodes(count: number, values: number): Codes {
  if (values < 256) return new Uint8Array(count)
  return values < 65_536 ? new Uint16Array(count) : new Uint32Array(count)
}

/** With room for the place `index`, at least twice as large. */
function grown(array: Uint32Array, index: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(2 ** Math.ceil(Math.log2(index + 1)), array.length * 2))
  larger.set(array)
  return larger
}

/**
 * The events of several sets of columns of one website, day and name as one; they are in the order of receipt, one set
 * after the other.
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
    const together = new Growing()
    let at = 0
    for (const part of parts) {
      const from = of(part)
      if (from?.few) {
        const { at: places, codes } = from.few
        for (let n = 0; n < places.length; n++)
          together.set(at + (places[n] as number), from.values[(codes[n] as number) - 1])
      } else if (from) {
        const { codes, values } = from
        for (let index = 0; index < part.count; index++) {
          const code = codes[index] as number
          if (code !== 0) together.set(at + index, values[code - 1])
        }
      }
      at += part.count
    }
    bytes += together.bytes
    return together.finish(count, ranks)
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

/** Columns in memory as the engine sees them. */
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
    if (!rowIds) throw new Error("merged columns do not say which rows they are")
    return { after: 0, last: Number.MAX_SAFE_INTEGER, ids: rowIds }
  }

  times = () => this.columns.times
  visitors = () => this.columns.ids.visitors
  sessions = () => this.columns.ids.sessions
  profiles = () => this.columns.ids.profiles
  column = (field: TextField) => this.columns.fields[field]
  property = (key: string) => {
    const column = this.columns.properties.get(key)
    return column instanceof SparseColumn ? column.own() : column
  }
  propertied = () => this.columns.propertied
  withProperties = () => present(this.columns.propertied)

  keys(): ReadonlyMap<string, number> {
    this.#keys ??= new Map([...this.columns.properties].map(([key, column]) => [key, presentIn(column)]))
    return this.#keys
  }
}

/** How many events have a value. */
export function presentIn(column: Column): number {
  return column.few ? column.few.at.length : present(column.codes)
}

export function present(codes: Codes): number {
  let count = 0
  for (let index = 0; index < codes.length; index++) if (codes[index] !== 0) count++
  return count
}
