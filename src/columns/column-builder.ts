import { dayMs, type IdKind, idKinds, type TextField, type Value } from "./batch.ts"
import { characterBytes, ValueColumn, valueBytes } from "./column.ts"
import { type Columns, keyBytes, rowBytes, setBytes } from "./memory-batch.ts"
import type { Row, RowReader } from "./row-reader.ts"
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
  bytes = setBytes

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
