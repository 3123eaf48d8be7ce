import type { EventKind } from "../event-kinds.ts"
import { type Context, type ContextKind, contextTables } from "../store/context-tables.ts"
import { type Column, dayMs, type IdKind, sliceKey, type TextField, type Value } from "./batch.ts"
import {
  characterBytes,
  entryBytes,
  mapColumn,
  ValueColumn,
  ValueDictionaries,
  valueBytes,
} from "./column.ts"
import { parseProperties, WideRows } from "./lazy-properties.ts"
import {
  type Columns,
  keyBytes,
  type PropertyColumns,
  propertiesIn,
  rowBytes,
  setBytes,
} from "./memory-batch.ts"
import type { EventType, Row, RowReader } from "./row-reader.ts"
import { orderOf, ranksOf } from "./time-order.ts"
import { enlarge } from "./typed-arrays.ts"

/** Returns the dictionary id for each id in `texts`. Called when all ids are known. */
export type DictionaryIdsOf = (kind: IdKind, texts: readonly string[]) => Uint32Array

/**
 * Maximum memory in bytes for building columns, as estimated by `bytes`. The limit applies no matter what clients send.
 * The columns of 65,536 ordinary rows need less. Including garbage and encoded data, the process uses two to three
 * times as much memory.
 */
export const buildMemory = 33_554_432
/**
 * A builder is full if it has this many combinations of website and day. Each combination becomes a block, which the
 * main thread stores in about 100 µs.
 */
const maxDays = 512
/**
 * A step reads at most this many rows, and ends early once the columns have grown by this many bytes. It takes about
 * 30 ms.
 */
const rowsPerStep = 8_192
const bytesPerStep = 8_388_608

/**
 * Builds columns from rows: one set of columns (a group) for each website, day, name and kind, separately for crawlers
 * and people.
 */
export class ColumnBuilder {
  /** Groups by website and day. */
  readonly #websites = new Map<number, Map<number, DayGroups>>()
  #days = 0
  /**
   * Groups for the website and day of the row that was added last. The next row usually has the same website and day.
   */
  #last: DayGroups | undefined
  /** Temporary codes for ids, starting at 1. They are replaced when the dictionary ids are known. */
  readonly #texts: Record<IdKind, Map<string, number>> = {
    visitors: new Map(),
    sessions: new Map(),
    profiles: new Map(),
  }
  #rows = 0
  #bytes = 0

  /** `memory`: the estimated number of bytes in use at which the builder is full. */
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
    return this.#bytes >= this.memory || this.#days >= maxDays
  }

  /**
   * Takes one step: adds rows with ids above `after` and at most `last`, until a limit of the step is reached or the
   * builder is full. Returns the id up to which rows were read. The last row can exceed the memory limit by a few MB.
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
    const [id, website, typeId, ts, crawler] = row
    const type = this.rows.typeOf(typeId)
    const dayGroups = this.#dayOf(website, Math.floor(ts / dayMs))
    const group = dayGroups.groupOf(typeId, type, crawler, this.rows)
    const before = group.count > 0 ? group.bytes : 0
    group.add(
      id,
      ts - dayGroups.day * dayMs,
      this.#codeOf("visitors", row[5]),
      this.#codeOf("sessions", row[6]),
      this.#codeOf("profiles", row[7]),
      type,
      row[8],
      row[9],
    )
    const [clientId, acquisitionId] = [row[10], row[11]]
    if (clientId !== null) group.setContext("client", clientId, this.rows)
    if (acquisitionId !== null) group.setContext("acquisition", acquisitionId, this.rows)
    this.#bytes += group.bytes - before
    this.#rows++
  }

  #dayOf(website: number, day: number): DayGroups {
    if (this.#last?.website === website && this.#last.day === day) return this.#last
    let websiteDays = this.#websites.get(website)
    if (!websiteDays) {
      websiteDays = new Map()
      this.#websites.set(website, websiteDays)
    }
    let dayGroups = websiteDays.get(day)
    if (!dayGroups) {
      dayGroups = new DayGroups(website, day)
      websiteDays.set(day, dayGroups)
      this.#days++
    }
    this.#last = dayGroups
    return dayGroups
  }

  /** Yields each set of columns, and releases its memory afterwards. Must be called only once. */
  *finish(dictionaryIdsOf: DictionaryIdsOf): Generator<Columns> {
    const idsOf = (kind: IdKind): Uint32Array => {
      const texts = [...this.#texts[kind].keys()]
      const ids = new Uint32Array(texts.length + 1)
      ids.set(dictionaryIdsOf(kind, texts), 1)
      this.#texts[kind].clear()
      return ids
    }
    const dictionaryIds = {
      visitors: idsOf("visitors"),
      sessions: idsOf("sessions"),
      profiles: idsOf("profiles"),
    }
    this.#last = undefined
    for (const websiteDays of this.#websites.values()) {
      for (const [day, dayGroups] of websiteDays) {
        websiteDays.delete(day)
        for (const group of dayGroups.groups()) yield group.finish(dictionaryIds)
      }
    }
  }

  #codeOf(kind: IdKind, text: string | null): number {
    if (text === null) return 0
    const texts = this.#texts[kind]
    let code = texts.get(text)
    if (code === undefined) {
      code = texts.size + 1
      texts.set(text, code)
      this.#bytes += valueBytes + text.length * characterBytes
    }
    return code
  }
}

/** The groups for one website and day. They share the value dictionaries. */
class DayGroups {
  readonly #bySlice = new Map<string, Group>()
  /**
   * Groups by event type and crawler flag, which are combined into one number, because looking up a number is faster
   * than looking up a string.
   */
  readonly #byType = new Map<number, Group>()
  readonly dictionaries = new ValueDictionaries()

  constructor(
    readonly website: number,
    readonly day: number,
  ) {}

  groupOf(typeId: number, { name, kind }: EventType, crawler: 0 | 1, rows: RowReader): Group {
    const typeKey = typeId * 2 + crawler
    let group = this.#byType.get(typeKey)
    if (!group) {
      const key = sliceKey({ name, kind, crawler: crawler === 1 })
      group = this.#bySlice.get(key)
      if (!group) {
        group = new Group(rows, this, name, kind, crawler === 1)
        this.#bySlice.set(key, group)
      }
      this.#byType.set(typeKey, group)
    }
    return group
  }

  groups(): Iterable<Group> {
    return this.#bySlice.values()
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
  readonly #fields: Record<"namespace" | "source" | "path", ValueColumn>
  readonly #contexts: Partial<Record<ContextKind, Contexts>> = {}
  readonly #properties = new Map<string, ValueColumn>()
  readonly #hasProperties: number[] = []
  readonly #wide = new WideRows()
  /** Estimated bytes of memory in use. */
  bytes = setBytes

  constructor(
    private readonly rows: RowReader,
    private readonly dayGroups: DayGroups,
    private readonly name: string,
    private readonly kind: EventKind,
    private readonly crawler: boolean,
  ) {
    this.#fields = {
      namespace: new ValueColumn(dayGroups.dictionaries.of("namespace")),
      source: new ValueColumn(dayGroups.dictionaries.of("source")),
      path: new ValueColumn(dayGroups.dictionaries.of("path")),
    }
  }

  get count(): number {
    return this.#count
  }

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
    this.#hasProperties.push(0)
    this.#ids.visitors[index] = visitor
    this.#ids.sessions[index] = session
    this.#ids.profiles[index] = profile
    this.#set(this.#fields.namespace, index, namespace)
    this.#set(this.#fields.source, index, source)
    this.#set(this.#fields.path, index, path)
    if (properties === null) return
    if (WideRows.isWide(keys, properties)) {
      const before = this.#wide.bytes
      this.#wide.add(index, keys, properties)
      this.bytes += this.#wide.bytes - before
      this.#hasProperties[index] = 1
      return
    }
    const parsed = parseProperties(keys, properties)
    for (let at = 0; at < parsed.keys.length; at++)
      this.#setProperty(index, parsed.keys[at] as string, parsed.values[at])
    this.#hasProperties[index] = parsed.keys.length > 0 ? 1 : 0
  }

  /** Sets a context for the event that was added last. */
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
      column = new ValueColumn(this.dayGroups.dictionaries.of(`property.${key}`))
      this.#properties.set(key, column)
      this.bytes += keyBytes + key.length * characterBytes
    }
    this.#set(column, index, value)
  }

  #set(column: ValueColumn, index: number, value: Value | null | undefined): void {
    if (value === null || value === undefined) return
    const { dictionary } = column
    const before = dictionary.bytes
    column.setCode(index, dictionary.codeOf(value))
    this.bytes += entryBytes + dictionary.bytes - before
  }

  finish(dictionaryIds: Record<IdKind, Uint32Array>): Columns {
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
    const inOrder = <Numbers extends Float64Array | Uint8Array>(
      numbers: Numbers,
      from: number[],
    ): Numbers => {
      for (let index = 0; index < count; index++)
        numbers[index] = from[order ? (order[index] as number) : index] as number
      return numbers
    }
    const fields: Partial<Record<TextField, Column>> = {}
    for (const field of ["namespace", "source", "path"] as const) {
      const column = this.#fields[field]
      if (!column.isEmpty) fields[field] = column.finish(count, ranks)
    }
    const wide = this.#wide
    return {
      website: this.dayGroups.website,
      name: this.name,
      kind: this.kind,
      crawler: this.crawler,
      day: this.dayGroups.day,
      count,
      times: pick(this.#times),
      ids: {
        visitors: pick(this.#ids.visitors, dictionaryIds.visitors),
        sessions: pick(this.#ids.sessions, dictionaryIds.sessions),
        profiles: pick(this.#ids.profiles, dictionaryIds.profiles),
      },
      fields: Object.assign(
        fields,
        ...Object.values(this.#contexts).map((contexts) => contexts.finish(count, ranks)),
      ),
      // If no row is wide, builds the columns of all properties now. Otherwise, the columns are not built until a query
      // needs them.
      properties: wide.isEmpty
        ? builtProperties(this.#properties, count, ranks)
        : wide.reader(this.rows, this.#properties, count, ranks),
      isWide: !wide.isEmpty,
      hasProperties: inOrder(new Uint8Array(count), this.#hasProperties),
      rowIds: inOrder(new Float64Array(count), this.#rowIds),
      bytes: this.bytes,
      textBytes: this.bytes - wide.parsedBytes,
    }
  }
}

/**
 * Builds the columns of all properties. This is a separate function, because a closure created in `Group.finish` would
 * keep the whole group in memory, and the group is larger than the columns.
 */
function builtProperties(
  properties: ReadonlyMap<string, ValueColumn>,
  count: number,
  ranks: Uint32Array | undefined,
): () => PropertyColumns {
  return always(
    propertiesIn(new Map([...properties].map(([key, column]) => [key, column.finish(count, ranks)]))),
  )
}

function always<Result>(result: Result): () => Result {
  return () => result
}

/**
 * Bytes of memory per event for all columns of a context, with one byte per code, because most columns have fewer than
 * 256 values.
 */
const codesBytes = { client: 12, acquisition: 12 }

/** The client contexts or the acquisition contexts of a group. */
class Contexts {
  /** The context id of each event. */
  readonly #ids = new ValueColumn()
  readonly #byId = new Map<number, Context>()
  #bytes = 0

  constructor(private readonly kind: ContextKind) {}

  /** Estimated bytes of memory, including the columns that `finish` creates. */
  get bytes(): number {
    return this.#bytes + this.#ids.bytes + this.#ids.dictionary.bytes
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
      // The type assertion is safe because `set` has stored the context of each id.
      const column = mapColumn(ids, count, (id) => (this.#byId.get(id as number) as Context)[field] ?? "")
      if (column) fields[field] = column
    }
    return fields
  }
}
