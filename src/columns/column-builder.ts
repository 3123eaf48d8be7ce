import type { EventKind } from "../event-kinds.ts"
import { type Context, type ContextKind, contextTables } from "../store/context-tables.ts"
import { type Column, dayMs, type IdKind, idKinds, type TextField, type Value } from "./batch.ts"
import { characterBytes, mapColumn, ValueColumn, valueBytes } from "./column.ts"
import { type Columns, keyBytes, rowBytes, setBytes } from "./memory-batch.ts"
import type { EventType, Row, RowReader } from "./row-reader.ts"
import { orderOf, ranksOf } from "./time-order.ts"
import { enlarge } from "./typed-arrays.ts"

/** Returns the dictionary id of each text. Called once all ids are known. */
export type NumbersOf = (kind: IdKind, texts: readonly string[]) => Uint32Array

/**
 * Limit of the bytes of memory, as `bytes` estimates them, in which columns are built, whatever was sent. Columns of
 * 65,536 ordinary rows fit. The process takes two to three times as much, with garbage and
 * encoded data.
 */
export const buildMemory = 33_554_432
/**
 * Number of sets of columns at which a builder is full. Each becomes a slice, which the main thread stores in about
 * 30 us.
 */
const maxGroups = 1_024
/** Limits of one step of reading, in rows and in bytes of columns: about 30 ms. */
const rowsPerStep = 8_192
const bytesPerStep = 8_388_608

/** Builds columns from rows: one set for each website, day, name and kind, separately for crawlers and people. */
export class ColumnBuilder {
  readonly #groups = new Map<string, Group>()
  readonly #texts: Record<IdKind, Map<string, number>> = {
    visitors: new Map(),
    sessions: new Map(),
    profiles: new Map(),
  }
  #rows = 0
  #bytes = 0

  /** `memory`: estimated bytes at which the builder is full. */
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
    const [
      id,
      website,
      typeId,
      ts,
      crawler,
      visitor,
      session,
      profile,
      path,
      properties,
      clientId,
      acquisitionId,
    ] = row
    const type = this.rows.typeOf(typeId)
    const day = Math.floor(ts / dayMs)
    const key = `${website} ${day} ${crawler} ${type.kind} ${type.name}`
    let group = this.#groups.get(key)
    if (!group) {
      group = new Group(website, day, type.name, type.kind, crawler === 1)
      this.#groups.set(key, group)
      this.#bytes += group.bytes
    }
    const before = group.bytes
    group.add(
      id,
      ts - day * dayMs,
      this.#local("visitors", visitor),
      this.#local("sessions", session),
      this.#local("profiles", profile),
      type,
      path,
      properties,
    )
    if (clientId !== null) group.setContext("client", clientId, this.rows)
    if (acquisitionId !== null) group.setContext("acquisition", acquisitionId, this.rows)
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

class Group {
  #count = 0
  #times = new Uint32Array(4)
  readonly #rowIds: number[] = []
  readonly #ids: Record<IdKind, Uint32Array> = {
    visitors: new Uint32Array(4),
    sessions: new Uint32Array(4),
    profiles: new Uint32Array(4),
  }
  readonly #fields: Record<"namespace" | "source" | "path", ValueColumn> = {
    namespace: new ValueColumn(),
    source: new ValueColumn(),
    path: new ValueColumn(),
  }
  readonly #contexts: Partial<Record<ContextKind, Contexts>> = {}
  readonly #properties = new Map<string, ValueColumn>()
  readonly #propertied: number[] = []
  /** Estimated bytes of memory in use. */
  bytes = setBytes

  constructor(
    private readonly website: number,
    private readonly day: number,
    private readonly name: string,
    private readonly kind: EventKind,
    private readonly crawler: boolean,
  ) {}

  add(
    id: number,
    time: number,
    visitor: number,
    session: number,
    profile: number,
    { namespace, source, keys }: EventType,
    path: string | null,
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

  /** Sets a context of the event that was added last. */
  setContext(kind: ContextKind, id: number, rows: RowReader): void {
    let contexts = this.#contexts[kind]
    if (!contexts) {
      contexts = new Contexts(kind)
      this.#contexts[kind] = contexts
    }
    const before = contexts.bytes
    contexts.set(this.#count - 1, id, rows)
    this.bytes += contexts.bytes - before
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
    const fields: Partial<Record<TextField, Column>> = {}
    for (const field of ["namespace", "source", "path"] as const) {
      const column = this.#fields[field]
      if (column.values.length > 0) fields[field] = column.finish(count, ranks)
    }
    return {
      website: this.website,
      name: this.name,
      kind: this.kind,
      crawler: this.crawler,
      day: this.day,
      count,
      times: pick(this.#times),
      ids: {
        visitors: pick(this.#ids.visitors, numbers.visitors),
        sessions: pick(this.#ids.sessions, numbers.sessions),
        profiles: pick(this.#ids.profiles, numbers.profiles),
      },
      fields: Object.assign(
        fields,
        ...Object.values(this.#contexts).map((contexts) => contexts.finish(count, ranks)),
      ),
      properties: new Map([...this.#properties].map(([key, column]) => [key, column.finish(count, ranks)])),
      propertied: Uint8Array.from(inOrder(this.#propertied)),
      rowIds: Float64Array.from(inOrder(this.#rowIds)),
      bytes: this.bytes,
    }
  }
}

/** Bytes of memory of the columns of a context's fields for each event: most have fewer than 256 values. */
const codesBytes = { client: 12, acquisition: 12 }

/** The contexts of one kind of the events of a group. */
class Contexts {
  /** The ids of the contexts. */
  readonly #ids = new ValueColumn()
  readonly #byId = new Map<number, Context>()
  #bytes = 0

  constructor(private readonly kind: ContextKind) {}

  /** Estimated bytes of memory in use, and of the columns that `finish` makes. */
  get bytes(): number {
    return this.#bytes + this.#ids.bytes
  }

  set(index: number, id: number, rows: RowReader): void {
    this.#ids.set(index, id)
    this.#bytes += codesBytes[this.kind]
    if (this.#byId.has(id)) return
    const context = rows.contextOf(this.kind, id)
    this.#byId.set(id, context)
    for (const value of Object.values(context)) this.#bytes += valueBytes + value.length * characterBytes
  }

  finish(count: number, ranks: Uint32Array | undefined): Partial<Record<TextField, Column>> {
    const ids = this.#ids.finish(count, ranks)
    const fields: Partial<Record<TextField, Column>> = {}
    for (const field of contextTables[this.kind].fields) {
      // `set` has stored the context of each id.
      const column = mapColumn(ids, count, (id) => (this.#byId.get(id as number) as Context)[field] ?? "")
      if (column) fields[field] = column
    }
    return fields
  }
}
