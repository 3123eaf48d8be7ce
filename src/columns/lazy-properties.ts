import { runToEnd } from "../steps.ts"
import type { Column, Value } from "./batch.ts"
import { appendColumn, ValueColumn } from "./column.ts"
import { keyBytes, type PropertyColumns } from "./memory-batch.ts"
import type { RowReader } from "./row-reader.ts"

/**
 * A row with more property keys than this is wide: its properties stay text until a query reads them. Parsing thousands
 * of keys takes 2 ms, and most queries read none of them. Rows with few keys but long strings do not count as wide,
 * because parsing them once is fast. If they were treated as wide, they might be parsed again for each key that a query
 * reads.
 */
const wideKeys = 256
/**
 * Minimum length of JSON with `wideKeys` keys, in characters. Each key needs at least a quoted letter, a colon, a digit
 * and a comma.
 */
const minWideCharacters = wideKeys * 6
/**
 * If at most this many keys are read, the texts are searched for each of them. If more keys are read, the texts are
 * parsed, and columns are built for `keysPerGroup` keys at a time.
 */
const searchedKeys = 4
const keysPerGroup = 16_384
/** Number of columns that are finished in one step, which takes about 2 ms. */
const columnsPerStep = 2_048
/** Estimated bytes of memory per character of a row's properties, as text and when parsed. */
const textCharacterBytes = 2
const parsedCharacterBytes = 4
/**
 * Estimated bytes of memory: `countedKeyBytes` per key in the list of keys, in addition to its characters, and
 * `builtKeyBytes` per column that is being built.
 */
const countedKeyBytes = 200
const builtKeyBytes = keyBytes + 100

/** A row whose properties have not been parsed yet. */
interface WideRow {
  index: number
  keys: string[] | undefined
  properties: string
}

/** The wide rows in a set of columns. Their properties stay text until a query reads them. */
export class WideRows {
  readonly #rows: WideRow[] = []
  readonly #keySets = new Set<string[]>()
  /** Estimated bytes of memory for the texts. */
  textBytes = 0
  /** Estimated additional bytes of memory when the texts are parsed. */
  parsedBytes = 0

  get bytes(): number {
    return this.textBytes + this.parsedBytes
  }

  /** True if a row is wide. `keys`: undefined if the keys are in `properties`. */
  static isWide(keys: readonly string[] | undefined, properties: string): boolean {
    if (keys) return keys.length > wideKeys
    return properties.length > minWideCharacters && keysIn(properties, wideKeys + 1) > wideKeys
  }

  get isEmpty(): boolean {
    return this.#rows.length === 0
  }

  add(index: number, keys: string[] | undefined, properties: string): void {
    this.#rows.push({ index, keys, properties })
    const newKeys = !keys ? keysIn(properties) : this.#keySets.has(keys) ? 0 : keys.length
    if (keys) this.#keySets.add(keys)
    this.textBytes += properties.length * textCharacterBytes
    this.parsedBytes +=
      properties.length * (parsedCharacterBytes - textCharacterBytes) + newKeys * countedKeyBytes
  }

  /**
   * Returns a function that returns the columns for all rows of the set. `ordinary`: columns for the rows that are not
   * wide. They are not modified. `ranks`: see `ValueColumn.finish`.
   */
  reader(
    reader: RowReader,
    ordinary: ReadonlyMap<string, ValueColumn>,
    count: number,
    ranks: Uint32Array | undefined,
  ): () => PropertyColumns {
    const rows = this.#rows
    return () => new WideProperties(reader, rows, ordinary, count, ranks)
  }
}

/** The property columns of a set with wide rows, whose texts are parsed when a property is first read. */
class WideProperties implements PropertyColumns {
  readonly #found = new Map<string, Column | undefined>()
  #counts: ReadonlyMap<string, number> | undefined
  /**
   * Index of the group of each key. A group consists of consecutive keys in `#counts`, because keys are mostly read in
   * that order.
   */
  #groupOf: ReadonlyMap<string, number> | undefined
  #group: { index: number; columns: ReadonlyMap<string, Column> } | undefined

  constructor(
    private readonly reader: RowReader,
    private readonly wide: readonly WideRow[],
    private readonly ordinary: ReadonlyMap<string, ValueColumn>,
    private readonly count: number,
    private readonly ranks: Uint32Array | undefined,
  ) {}

  columnOf(key: string): Column | undefined {
    if (this.#found.has(key)) return this.#found.get(key)
    if (this.#found.size === searchedKeys) return this.#inGroup(key)
    const columns = new Map<string, ValueColumn>()
    for (const { index, keys, properties } of this.wide)
      this.#set(columns, index, key, propertyOf(this.reader, keys, properties, key))
    const column = (columns.get(key) ?? this.ordinary.get(key))?.finish(this.count, this.ranks)
    this.#found.set(key, column)
    return column
  }

  #inGroup(key: string): Column | undefined {
    this.#groupOf ??= new Map(
      [...runToEnd(this.counts()).keys()].map((key, index) => [key, Math.floor(index / keysPerGroup)]),
    )
    const groupOf = this.#groupOf
    const index = groupOf.get(key)
    if (index === undefined) return undefined
    if (this.#group?.index !== index) {
      this.#group = undefined
      this.#group = { index, columns: runToEnd(this.#build((key) => groupOf.get(key) === index)) }
    }
    return this.#group.columns.get(key)
  }

  *counts(): Generator<void, ReadonlyMap<string, number>> {
    if (this.#counts) return this.#counts
    const counts = new Map<string, number>()
    for (const [key, column] of this.ordinary) counts.set(key, column.size)
    for (const row of this.wide) {
      for (const [key] of parsed(this.reader, row)) counts.set(key, (counts.get(key) ?? 0) + 1)
      yield
    }
    this.#counts = counts
    return counts
  }

  columnsOf(keys: ReadonlySet<string>): Generator<void, ReadonlyMap<string, Column>> {
    return this.#build((key) => keys.has(key))
  }

  *#build(isChosen: (key: string) => boolean): Generator<void, ReadonlyMap<string, Column>> {
    const columns = new Map<string, ValueColumn>()
    for (const row of this.wide) {
      for (const [key, value] of parsed(this.reader, row))
        if (isChosen(key)) this.#set(columns, row.index, key, value)
      yield
    }
    this.reader.parsedBytes += columns.size * builtKeyBytes
    for (const [key, column] of this.ordinary)
      if (isChosen(key) && !columns.has(key)) columns.set(key, column)
    const finished = new Map<string, Column>()
    for (const [key, column] of columns) {
      finished.set(key, column.finish(this.count, this.ranks))
      if (finished.size % columnsPerStep === 0) yield
    }
    return finished
  }

  /**
   * Adds a value to a column in `columns`. If the column is missing, first creates it as a copy of the ordinary column.
   */
  #set(columns: Map<string, ValueColumn>, index: number, key: string, value: Value | null | undefined): void {
    if (value === null || value === undefined) return
    let column = columns.get(key)
    if (!column) {
      column = new ValueColumn()
      const ordinary = this.ordinary.get(key)
      if (ordinary) appendColumn(column, 0, ordinary.finish(this.count))
      columns.set(key, column)
    }
    column.set(index, value)
  }
}

/** Iterates over the properties of a row that have a value. */
function* parsed(reader: RowReader, row: WideRow): Generator<[key: string, value: Value]> {
  reader.parsedBytes += row.properties.length * parsedCharacterBytes
  const { keys, values } = parseProperties(row.keys, row.properties)
  for (let at = 0; at < keys.length; at++) {
    const value = values[at]
    if (value !== null && value !== undefined) yield [keys[at] as string, value]
  }
}

/**
 * Parses the properties of a row, which were validated before they were stored. `keys`: the property keys, if the event
 * type stores them. In that case, `properties` contains only the values. Otherwise, it is a JSON object.
 */
export function parseProperties(
  keys: string[] | undefined,
  properties: string,
): { keys: string[]; values: (Value | null)[] } {
  if (keys) return { keys, values: JSON.parse(`[${properties}]`) }
  const object: Record<string, Value | null> = JSON.parse(properties)
  return { keys: Object.keys(object), values: Object.values(object) }
}

/** Returns the value of one property of a row. See `parseProperties`. */
export function propertyOf(
  reader: RowReader,
  keys: string[] | undefined,
  properties: string | null,
  key: string,
): Value | null | undefined {
  if (properties === null) return null
  const at = keys ? keys.lastIndexOf(key) : 0
  // Searches the text for the key first, because parsing thousands of keys takes 2 ms, and most rows do not have this
  // key. The search cannot miss a key, because JSON.stringify wrote the text. It can also match a string value, in
  // which case the row is parsed unnecessarily.
  if (at < 0 || (!keys && !properties.includes(JSON.stringify(key)))) return null
  reader.parsedBytes += properties.length * parsedCharacterBytes
  if (keys) return (JSON.parse(`[${properties}]`) as (Value | null)[])[at]
  return (JSON.parse(properties) as Record<string, Value | null>)[key]
}

/** Counts the colons after quotes in JSON, up to `limit`. There are at least as many of these colons as keys. */
function keysIn(json: string, limit = Number.POSITIVE_INFINITY): number {
  let count = 0
  for (let at = json.indexOf('":'); at >= 0 && count < limit; at = json.indexOf('":', at + 2)) count++
  return count
}
