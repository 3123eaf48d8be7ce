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
import type { Row, Rows } from "./rows.ts"

/** Columns as they stand in memory. */
export interface Columns {
  website: number
  name: string
  crawler: boolean
  day: number
  count: number
  times: Uint32Array
  ids: Record<Kind, Uint32Array>
  fields: Record<TextField, Column>
  properties: Map<string, Column>
  /** 1 for events that have a property. */
  propertied: Uint8Array
  /** Row ids, where the columns were made from rows. */
  rowIds?: Float64Array
}

/** Numbers for ids: the caller says which, once all are known. */
export type NumbersOf = (kind: Kind, texts: readonly string[]) => Uint32Array

/** Turns rows into columns, one set for each website, day, name, and crawlers or not. */
export class Builder {
  readonly #groups = new Map<string, Group>()
  readonly #texts: Record<Kind, Map<string, number>> = {
    visitors: new Map(),
    sessions: new Map(),
    profiles: new Map(),
  }
  #rows = 0

  constructor(private readonly rows: Rows) {}

  /** Rows that were added. */
  get count(): number {
    return this.#rows
  }

  add(rows: readonly Row[]): void {
    for (const row of rows) {
      const [, website, typeId, ts, crawler] = row
      const type = this.rows.typeOf(typeId)
      const day = Math.floor(ts / dayMs)
      const key = `${website} ${day} ${crawler} ${type.name}`
      let group = this.#groups.get(key)
      if (!group) {
        group = new Group(website, day, type.name, crawler === 1)
        this.#groups.set(key, group)
      }
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
    }
    this.#rows += rows.length
  }

  finish(numbersOf: NumbersOf): Columns[] {
    const numbers = {} as Record<Kind, Uint32Array>
    for (const kind of kinds) {
      const texts = [...this.#texts[kind].keys()]
      const found = numbersOf(kind, texts)
      numbers[kind] = new Uint32Array(texts.length + 1)
      numbers[kind].set(found, 1)
    }
    return [...this.#groups.values()].map((group) => group.finish(numbers))
  }

  #local(kind: Kind, text: string | null): number {
    if (text === null) return 0
    const texts = this.#texts[kind]
    let number = texts.get(text)
    if (number === undefined) {
      number = texts.size + 1
      texts.set(text, number)
    }
    return number
  }
}

/** A column that grows: one code an event. */
class Growing {
  codes = new Uint32Array(16)
  values: Value[] = []
  readonly #byValue = new Map<Value, number>()
  readonly #byJson = new Map<Value, number>()

  set(index: number, value: Value | null | undefined): void {
    if (value === null || value === undefined) return
    if (index >= this.codes.length) this.codes = grown(this.codes, index + 1)
    this.codes[index] = this.#codeOf(value)
  }

  /** Objects and arrays are the same value where their JSON is. */
  #codeOf(value: Value): number {
    const isObject = typeof value === "object"
    const codes: Map<Value, number> = isObject ? this.#byJson : this.#byValue
    const key = isObject ? JSON.stringify(value) : value
    let code = codes.get(key)
    if (code === undefined) {
      code = this.values.push(value)
      codes.set(key, code)
    }
    return code
  }
}

class Group {
  #count = 0
  #times = new Uint32Array(16)
  readonly #rowIds: number[] = []
  readonly #ids: Record<Kind, Uint32Array> = {
    visitors: new Uint32Array(16),
    sessions: new Uint32Array(16),
    profiles: new Uint32Array(16),
  }
  readonly #fields: Record<TextField, Growing> = {
    namespace: new Growing(),
    source: new Growing(),
    path: new Growing(),
  }
  readonly #properties = new Map<string, Growing>()
  #propertied: number[] = []

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
      this.#times = grown(this.#times, index + 1)
      this.#ids.visitors = grown(visitors, index + 1)
      this.#ids.sessions = grown(sessions, index + 1)
      this.#ids.profiles = grown(profiles, index + 1)
    }
    this.#times[index] = time
    this.#rowIds.push(id)
    this.#propertied.push(0)
    this.#ids.visitors[index] = visitor
    this.#ids.sessions[index] = session
    this.#ids.profiles[index] = profile
    this.#fields.namespace.set(index, namespace)
    this.#fields.source.set(index, source)
    this.#fields.path.set(index, path)
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
    }
    column.set(index, value)
  }

  finish(numbers: Record<Kind, Uint32Array>): Columns {
    const count = this.#count
    const order = orderOf(this.#times, count)
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
    const column = ({ codes, values }: Growing): Column => {
      const all = codes.length < count ? grown(codes, count) : codes
      const to = emptyCodes(count, values.length)
      for (let index = 0; index < count; index++) {
        to[index] = all[order ? (order[index] as number) : index] as number
      }
      return { codes: to, values }
    }
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
        namespace: column(this.#fields.namespace),
        source: column(this.#fields.source),
        path: column(this.#fields.path),
      },
      properties: new Map([...this.#properties].map(([key, growing]) => [key, column(growing)])),
      propertied: Uint8Array.from(inOrder(this.#propertied)),
      rowIds: Float64Array.from(inOrder(this.#rowIds)),
    }
  }
}

/** The places of `times` in ascending order, equal ones as they stand; undefined where they are in order already. */
function orderOf(times: Uint32Array, count: number): Uint32Array | undefined {
  let sorted = true
  for (let index = 1; index < count && sorted; index++)
    sorted = (times[index - 1] as number) <= (times[index] as number)
  if (sorted) return undefined
  // Time and place in one number: both are below 2^27, as long as there are fewer events than that.
  const keys = new Float64Array(count)
  for (let index = 0; index < count; index++) keys[index] = (times[index] as number) * 2 ** 26 + index
  keys.sort()
  return Uint32Array.from(keys, (key) => key % 2 ** 26)
}

export function emptyCodes(count: number, values: number): Codes {
  if (values < 256) return new Uint8Array(count)
  return values < 65_536 ? new Uint16Array(count) : new Uint32Array(count)
}

function grown(array: Uint32Array, least: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 ** Math.ceil(Math.log2(least + 1)))
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
  const column = (of: (part: Batch) => Column | undefined): Column => {
    const together = new Growing()
    let at = 0
    for (const part of parts) {
      const from = of(part)
      if (from) {
        for (let index = 0; index < part.count; index++) {
          const code = from.codes[index] as number
          if (code !== 0) together.set(at + index, from.values[code - 1])
        }
      }
      at += part.count
    }
    const all = together.codes.length < count ? grown(together.codes, count) : together.codes
    const codes = emptyCodes(count, together.values.length)
    for (let index = 0; index < count; index++)
      codes[index] = all[order ? (order[index] as number) : index] as number
    return { codes, values: together.values }
  }
  const keys = new Set(parts.flatMap((part) => [...part.keys().keys()]))
  return {
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
  property = (key: string) => this.columns.properties.get(key)
  propertied = () => this.columns.propertied
  withProperties = () => present(this.columns.propertied)

  keys(): ReadonlyMap<string, number> {
    this.#keys ??= new Map([...this.columns.properties].map(([key, { codes }]) => [key, present(codes)]))
    return this.#keys
  }
}

/** How many events have a value. */
export function present(codes: Codes): number {
  let count = 0
  for (let index = 0; index < codes.length; index++) if (codes[index] !== 0) count++
  return count
}
