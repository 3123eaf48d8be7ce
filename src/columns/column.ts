import type { Codes, Column, Few, Value } from "./batch.ts"
import { enlarge, lowerBound } from "./typed-arrays.ts"

/**
 * Estimated bytes of memory: `entryBytes` for each event that has a value, and `valueBytes` for each distinct value,
 * not counting its characters.
 */
export const entryBytes = 12
export const valueBytes = 100
/**
 * Estimated bytes of memory per character of a string. An object or array uses `jsonCharacterBytes` per character of
 * its JSON, because most of the memory of a parsed value such as `[[],[]]` consists of object headers.
 */
export const characterBytes = 3
const jsonCharacterBytes = 16
/**
 * A column is sparse if at most one in this many events has a value. An array of all codes would be larger than the
 * sparse form of such a column.
 */
const sparseRatio = 8
/**
 * Maximum number of events in a set of columns. A time of day (below 2^27 ms) and the position of an event (below 2^26)
 * are packed into one double, which has 53 bits.
 */
export const maxEvents = 2 ** 26

/**
 * The distinct values of a column, in the order in which they were first added. A column of several slices can use one
 * dictionary for all of them, so that the slices can be joined without looking up values.
 */
export class ValueDictionary {
  readonly values: Value[] = []
  /** Created when the second value is added, because the columns of generated keys usually have only one value. */
  #byValue: Map<Value, number> | undefined
  #byJson: Map<string, number> | undefined
  /**
   * Maps the codes of other dictionaries to codes of this one. The key is the other dictionary's list of values. Code 0
   * stays 0. Any other code maps to 0 until its value is added to this dictionary.
   */
  #mappings: WeakMap<readonly Value[], Uint32Array> | undefined
  bytes = 0

  /** Returns the code of a value, and adds the value if it is new. */
  codeOf(value: Value): number {
    return typeof value === "object" ? this.#codeOfJson(value) : this.#codeOf(value)
  }

  /**
   * Returns `codes`, which maps the codes for `values` to codes of this dictionary. If it maps a code to 0, `fill` adds
   * the value to this dictionary, stores its code in `codes`, and returns it.
   */
  mappingOf(values: readonly Value[]): { codes: Uint32Array; fill: (code: number) => number } {
    this.#mappings ??= new WeakMap()
    let codes = this.#mappings.get(values)
    if (!codes) {
      codes = new Uint32Array(values.length + 1)
      this.#mappings.set(values, codes)
    }
    const mapping = codes
    return {
      codes,
      fill: (code) => {
        const own = this.codeOf(values[code - 1] as Value)
        mapping[code] = own
        return own
      },
    }
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

  /** Returns the code of an object or array. Objects and arrays with the same JSON count as the same value. */
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
}

/** The dictionaries of columns, which several slices share. */
export class ValueDictionaries {
  readonly #byColumn = new Map<string, ValueDictionary>()

  of(column: string): ValueDictionary {
    let dictionary = this.#byColumn.get(column)
    if (!dictionary) {
      dictionary = new ValueDictionary()
      this.#byColumn.set(column, dictionary)
    }
    return dictionary
  }
}

/** Builds a column event by event. Needs memory only for events that have a value. */
export class ValueColumn {
  /** Pairs of position and code, one for each event that has a value. */
  #entries = new Uint32Array(4)
  #count = 0
  /** The position that was set last. `#isSorted`: true if all positions were set in ascending order. */
  #last = -1
  #isSorted = true

  constructor(readonly dictionary = new ValueDictionary()) {}

  /** True if no event has a value. */
  get isEmpty(): boolean {
    return this.#count === 0
  }

  /** Number of events that have a value. */
  get size(): number {
    return this.#count
  }

  /** Estimated bytes of memory without the dictionary. */
  get bytes(): number {
    return this.#count * entryBytes
  }

  set(index: number, value: Value | null | undefined): void {
    if (value === null || value === undefined) return
    this.setCode(index, this.dictionary.codeOf(value))
  }

  /** Sets the code of an event. Set each position at most once. */
  setCode(index: number, code: number): void {
    const at = this.#count++ * 2
    if (at === this.#entries.length) this.#entries = enlarge(this.#entries, at)
    this.#entries[at] = index
    this.#entries[at + 1] = code
    if (index < this.#last) this.#isSorted = false
    this.#last = index
  }

  /**
   * Returns the column. `count`: number of events, with or without a value. `ranks`: the new position of each event. If
   * `ranks` is undefined, positions do not change.
   */
  finish(count: number, ranks?: Uint32Array): Column {
    const entries = this.#entries
    const entryCount = this.#count
    // If no event has a value, the column lists no values, even if its shared dictionary has some.
    const values = entryCount > 0 ? this.dictionary.values : []
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
      const packed = sorted[n] as number
      at[n] = Math.floor(packed / maxEvents)
      codes[n] = packed % maxEvents
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
    readonly numbers?: Float64Array | undefined,
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
    return new SparseColumn(few, this.values, end - first, this.numbers)
  }

  /** Returns a copy for temporary use. If the array of all codes is computed in the copy, it is freed with the copy. */
  withoutCodes(): SparseColumn {
    return new SparseColumn(this.few, this.values, this.count, this.numbers)
  }
}

/**
 * Distinct numbers as a typed array, and as a list. The list is created on first use, because most queries do not need
 * it.
 */
export class NumberValues {
  #list: readonly number[] | undefined

  constructor(readonly array: Float64Array) {}

  get list(): readonly number[] {
    if (!this.#list) {
      // Uses a loop, because spreading a typed array takes ten times as long.
      const list: number[] = []
      for (let index = 0; index < this.array.length; index++) list.push(this.array[index] as number)
      this.#list = list
    }
    return this.#list
  }
}

/** A column whose values are all numbers. */
export class NumberColumn implements Column {
  constructor(
    readonly codes: Codes,
    private readonly distinct: NumberValues,
  ) {}

  get values(): readonly number[] {
    return this.distinct.list
  }

  get numbers(): Float64Array {
    return this.distinct.array
  }

  /** Returns the events from `first` to `end`, exclusive. */
  slice(first: number, end: number): NumberColumn {
    return new NumberColumn(this.codes.subarray(first, end), this.distinct)
  }
}

/** Returns the events of a column from `first` to `end`, exclusive. */
export function sliceOf(column: Column, first: number, end: number): Column {
  if (column instanceof SparseColumn || column instanceof NumberColumn) return column.slice(first, end)
  return { codes: column.codes.subarray(first, end), values: column.values }
}

/**
 * Concatenates columns into one column, whose values are distinct again. `counts`: the number of events in each column.
 * In an undefined column, no event has a value. Columns with the same list of values are concatenated without looking
 * up values.
 */
export function joinColumns(columns: readonly (Column | undefined)[], counts: readonly number[]): Column {
  const [first] = columns
  if (first && columns.length === 1) return first
  const shared = columns.find((column) => column && column.values.length > 0)
  const isShared = (column: Column | undefined) =>
    !column || column.values === shared?.values || column.values.length === 0
  if (shared && columns.every(isShared)) return concatenateColumns(columns, counts, shared)
  const builder = new ValueColumn()
  let at = 0
  columns.forEach((column, index) => {
    if (column) appendColumn(builder, at, column)
    at += counts[index] as number
  })
  return builder.finish(at)
}

function concatenateColumns(
  columns: readonly (Column | undefined)[],
  counts: readonly number[],
  { values, numbers }: Column,
): Column {
  const count = counts.reduce((sum, count) => sum + count, 0)
  const entries = columns.reduce((sum, column) => sum + (column ? presentIn(column) : 0), 0)
  const isSparse = entries * sparseRatio <= count
  const at = new Uint32Array(isSparse ? entries : 0)
  const codes = emptyCodes(isSparse ? entries : count, values.length)
  let [position, n] = [0, 0]
  columns.forEach((column, index) => {
    const few = column?.few
    if (few) {
      for (let entry = 0; entry < few.at.length; entry++) {
        const target = position + (few.at[entry] as number)
        if (isSparse) at[n] = target
        codes[isSparse ? n++ : target] = few.codes[entry] as number
      }
    } else if (column && !isSparse) codes.set(column.codes, position)
    else if (column) {
      for (let event = 0; event < column.codes.length; event++) {
        if (column.codes[event] === 0) continue
        at[n] = position + event
        codes[n++] = column.codes[event] as number
      }
    }
    position += counts[index] as number
  })
  return isSparse ? new SparseColumn({ at, codes }, values, count, numbers) : { codes, values, numbers }
}

/**
 * Appends `column` to `to`. The first event of `column` has the position `offset` in `to`. Looks up each distinct value
 * at most once.
 */
export function appendColumn(to: ValueColumn, offset: number, column: Column): void {
  const { few, values } = column
  if (values.length === 0) return
  const { codes: mapping, fill } = to.dictionary.mappingOf(values)
  if (few) {
    for (let n = 0; n < few.at.length; n++) {
      const code = few.codes[n] as number
      to.setCode(offset + (few.at[n] as number), (mapping[code] as number) || fill(code))
    }
    return
  }
  const { codes } = column
  for (let index = 0; index < codes.length; index++) {
    const code = codes[index] as number
    if (code !== 0) to.setCode(offset + index, (mapping[code] as number) || fill(code))
  }
}

/**
 * Returns the column with each value replaced by `textOf(value)`. If the text is empty, the event has no value in the
 * result. Returns undefined if no event has a value.
 */
export function mapColumn(
  column: Column,
  count: number,
  textOf: (value: Value) => string,
): Column | undefined {
  const values: string[] = []
  const codeOf = new Map<string, number>()
  const mapping = new Uint32Array(column.values.length + 1)
  for (const [index, value] of column.values.entries()) {
    const text = textOf(value)
    if (text === "") continue
    let code = codeOf.get(text)
    if (code === undefined) {
      code = values.push(text)
      codeOf.set(text, code)
    }
    mapping[index + 1] = code
  }
  if (values.length === 0) return undefined
  const { few } = column
  if (!few) {
    const { codes } = column
    const mapped = emptyCodes(count, values.length)
    for (let index = 0; index < count; index++) mapped[index] = mapping[codes[index] as number] as number
    return { codes: mapped, values }
  }
  const at = few.at.filter((_, n) => mapping[few.codes[n] as number] !== 0)
  const mapped = few.codes.map((code) => mapping[code] as number).filter((code) => code !== 0)
  return new SparseColumn({ at, codes: mapped }, values, count)
}

export function emptyCodes(count: number, values: number): Codes {
  if (values < 256) return new Uint8Array(count)
  return values < 65_536 ? new Uint16Array(count) : new Uint32Array(count)
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
