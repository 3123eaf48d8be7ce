import { kindIndex } from "../event-kinds.ts"
import type { Db, Statement } from "../store/db/driver.ts"
import { type Codes, type Column, idKinds, textFields, type Value } from "./batch.ts"
import {
  bySlice,
  type ColumnLocation,
  type EncodedBlock,
  type Layout,
  type ListedKey,
  minEventsForQuarters,
  type NumberForm,
  numberForms,
  padTo8Bytes,
  quarterMs,
  quartersPerDay,
  type Segment,
  segmentsPerBlock,
} from "./block-format.ts"
import { emptyCodes, joinColumns, present } from "./column.ts"
import type { Columns, PropertyColumns } from "./memory-batch.ts"
import { listedProperties, staysInRows } from "./property-column-policy.ts"
import { SingleNumberLists } from "./single-number-lists.ts"
import { packIdSet } from "./stored-id-set.ts"
import { lowerBoundOfDoubles } from "./typed-arrays.ts"

/**
 * A column of at least this many bytes has its own segment. To read it from a shared segment, SQLite would have to read
 * all pages that precede it in the segment.
 */
const minSegmentBytes = 2_048
/** The writer yields after packing this many columns or listing this many keys, which takes a few ms. */
const packedPerStep = 64
const listedPerStep = 4_096
/** Up to this many numbers are stored as a JSON array, which at this length is as small as any binary form. */
const maxJsonNumbers = 16
/**
 * A set of distinct ids is stored only if the column of ids is at least this many times as large. Otherwise, reading
 * the set instead of the column saves too little.
 */
const minIdSetRatio = 4

/**
 * Encodes columns as a block. `sets`: one set of columns for each slice. All sets must have the same website and day.
 * Yields after each step, which takes a few ms.
 */
export function* encode(sets: readonly Columns[]): Generator<void, EncodedBlock> {
  const sorted = [...sets].sort(bySlice)
  const [first] = sorted as [Columns]
  const packer = new Packer()
  const times = packer.pack(concatenateCodes(sorted.map((set) => set.times)))
  const ids: Layout["ids"] = {}
  const distinct: NonNullable<Layout["distinct"]> = {}
  const counts = sorted.map(({ count }) => count)
  // Sets of distinct ids are useful only for blocks with events of one kind, from people, because by default, queries
  // exclude crawlers and select one kind.
  const hasIdSets = sorted.every(({ kind, crawler }) => kind === first.kind && !crawler)
  for (const kind of idKinds) {
    const dictionaryIds = concatenateCodes(sorted.map((set) => set.ids[kind]))
    if (!dictionaryIds.some((id) => id !== 0)) continue
    ids[kind] = packer.pack(dictionaryIds)
    const set = hasIdSets ? packIdSet(dictionaryIds) : undefined
    if (set && set.length * minIdSetRatio <= dictionaryIds.byteLength) distinct[kind] = packer.packBytes(set)
  }
  const fields: Layout["fields"] = {}
  for (const field of textFields) {
    const columns = sorted.map((set) => set.fields[field])
    if (columns.some((column) => column)) fields[field] = packer.packColumn(joinColumns(columns, counts))
  }
  const all = sorted.map((set) => set.properties())
  const keys = yield* listKeys(all)
  const listed = keys.slice(0, listedProperties)
  const listedKeys = new Set(listed.map(([key]) => key))
  const propertiesOf: ReadonlyMap<string, Column>[] = []
  for (const columns of all) propertiesOf.push(yield* columns.columnsOf(listedKeys))
  const properties: Layout["properties"] = []
  for (const [key, slices, events] of listed) {
    const column = joinColumns(
      slices.map((slice) => propertiesOf[slice]?.get(key) as Column),
      slices.map((slice) => counts[slice] as number),
    )
    properties.push([key, slices, events, staysInRows(column) ? null : packer.packColumn(column)])
    if (properties.length % packedPerStep === 0) yield
  }
  const withProperties = sorted.map(({ hasProperties }) => present(hasProperties))
  const events = sum(counts)
  const isPartial = sum(withProperties) > 0 && sum(withProperties) < events
  const layout: Layout = {
    times,
    ids,
    ...(Object.keys(distinct).length > 0 ? { distinct } : {}),
    fields,
    properties,
    ...(keys.length > listedProperties ? { rest: packer.packJson(keys.slice(listedProperties)) } : {}),
    withProperties,
    ...(isPartial
      ? { propertied: packer.pack(Buffer.concat(sorted.map(({ hasProperties }) => hasProperties))) }
      : {}),
  }
  return {
    website: first.website,
    day: first.day,
    events,
    slices: sorted.map(({ name, kind, crawler, count }) => [
      name,
      crawler ? 1 : 0,
      count,
      ...(kind === "custom" ? ([] as const) : ([kindIndex(kind)] as const)),
    ]),
    quarters: quartersOf(sorted),
    bytes: sum(sorted.map(({ bytes }) => bytes)),
    layout: JSON.stringify(layout),
    segments: packer.segments(),
  }
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0)
}

/** Lists all property keys. If there are more keys than the layout holds, sorts them by descending number of events. */
function* listKeys(all: readonly PropertyColumns[]): Generator<void, ListedKey[]> {
  const keys = new Map<string, ListedKey>()
  const lists = new SingleNumberLists()
  let count = 0
  for (const [slice, properties] of all.entries()) {
    for (const [key, events] of yield* properties.counts()) {
      if (++count % listedPerStep === 0) yield
      const listed = keys.get(key)
      if (!listed) keys.set(key, [key, lists.of(slice), lists.of(events)])
      else {
        listed[1] = appended(listed[1], slice)
        listed[2] = appended(listed[2], events)
      }
    }
  }
  const listed = [...keys.values()]
  if (listed.length <= listedProperties) return listed
  return listed.sort(([, , left], [, , right]) => sum(right) - sum(left))
}

/** Appends to a list that `SingleNumberLists` may have returned. Copies the list if it has one number. */
function appended(list: readonly number[], number: number): readonly number[] {
  if (list.length === 1) return [...list, number]
  // The type assertion is safe because longer lists are created above, for one key.
  const own = list as number[]
  own.push(number)
  return own
}

function concatenateCodes(arrays: readonly Uint32Array[]): Uint32Array {
  const all = new Uint32Array(sum(arrays.map(({ length }) => length)))
  let at = 0
  for (const array of arrays) {
    all.set(array, at)
    at += array.length
  }
  return all
}

function isNumber(value: Value): value is number {
  return typeof value === "number"
}

/** Returns the smallest form that represents all numbers exactly. -0 becomes 0, as everywhere else. */
function formOf(numbers: Float64Array): NumberForm {
  let [least, most] = [0, 0]
  for (const number of numbers) {
    if (!Number.isInteger(number)) return "f8"
    if (number < least) least = number
    else if (number > most) most = number
  }
  const bits = ([8, 16, 32] as const).find((bits) => least >= -(2 ** (bits - 1)) && most < 2 ** (bits - 1))
  return bits ? formOfBits[bits] : "f8"
}
const formOfBits = { 8: "i1", 16: "i2", 32: "i4" } as const

/** zstd's fastest level. Higher levels do not compress codes better. */
const compression = { level: 1 }
/**
 * A segment is compressed if compression at least halves its size. This is the case for the codes of fields with a few
 * frequent values, and for the dictionary ids of sessions whose events are close together, but not for times. Each byte
 * of a compressed segment takes 1.5 ns longer to read.
 */
const minRatio = 2

function segmentOf(bytes: Uint8Array): Segment {
  const compressed = Bun.zstdCompressSync(bytes as Uint8Array<ArrayBuffer>, compression)
  return compressed.length * minRatio <= bytes.length
    ? { data: compressed, size: bytes.length }
    : { data: bytes, size: null }
}

/** Packs columns into segments. Small columns share the first segment. */
class Packer {
  #shared: Uint8Array[] = []
  #sharedSize = 0
  readonly #large: Uint8Array[] = []

  pack(codes: Codes): ColumnLocation {
    return this.#append(concatenate([codes]), codes.BYTES_PER_ELEMENT as 1 | 2 | 4)
  }

  packColumn(column: Column): ColumnLocation {
    const { few, values } = column
    const isNumeric = values.length > maxJsonNumbers && values.every(isNumber)
    const sorted = isNumeric ? new Float64Array(values).sort() : undefined
    const form = sorted ? formOf(sorted) : undefined
    const original = few ? few.codes : column.codes
    const codes = sorted ? codesInOrder(original, values as readonly number[], sorted) : original
    const bytes =
      form && sorted
        ? new Uint8Array(new numberForms[form](sorted).buffer)
        : new TextEncoder().encode(JSON.stringify(values))
    const constant = values.length === 1 && codes.every((code) => code === 1)
    const parts = [few?.at ?? [], constant ? [] : codes, bytes].flat()
    const location = this.#append(concatenate(parts), constant ? 0 : (codes.BYTES_PER_ELEMENT as 1 | 2 | 4))
    location.v = bytes.length
    if (form) location.f = form
    if (few) location.n = few.at.length
    return location
  }

  packJson(value: unknown): ColumnLocation {
    return this.packBytes(new TextEncoder().encode(JSON.stringify(value)))
  }

  packBytes(bytes: Uint8Array): ColumnLocation {
    return { ...this.#append(bytes, 0), v: bytes.length }
  }

  #append(bytes: Uint8Array, width: ColumnLocation["w"]): ColumnLocation {
    if (bytes.length >= minSegmentBytes && this.#large.length < segmentsPerBlock - 2) {
      this.#large.push(bytes)
      return { s: this.#large.length, o: 0, w: width }
    }
    const location: ColumnLocation = { s: 0, o: this.#sharedSize, w: width }
    this.#shared.push(bytes)
    this.#sharedSize += padTo8Bytes(bytes.length)
    return location
  }

  segments(): Segment[] {
    const shared = new Uint8Array(this.#sharedSize)
    let at = 0
    for (const bytes of this.#shared) {
      shared.set(bytes, at)
      at += padTo8Bytes(bytes.length)
    }
    return [shared, ...this.#large].map(segmentOf)
  }
}

/**
 * Returns the codes of a column for its values in ascending order (`sorted`). Because the values are sorted, queries
 * can merge the values of several blocks without looking up each value.
 */
function codesInOrder(codes: Codes, values: readonly number[], sorted: Float64Array): Codes {
  const newCodes = new Uint32Array(values.length + 1)
  for (let index = 0; index < values.length; index++)
    newCodes[index + 1] = lowerBoundOfDoubles(sorted, values[index] as number) + 1
  const inOrder = emptyCodes(codes.length, values.length)
  for (let at = 0; at < codes.length; at++) inOrder[at] = newCodes[codes[at] as number] as number
  return inOrder
}

/** Concatenates arrays. In the result, each array starts at a multiple of eight bytes. */
function concatenate(parts: readonly (Codes | Uint8Array)[]): Uint8Array {
  const last = parts.at(-1) as Uint8Array
  const all = new Uint8Array(
    parts.slice(0, -1).reduce((sum, { byteLength }) => sum + padTo8Bytes(byteLength), last.byteLength),
  )
  let at = 0
  for (const { buffer, byteOffset, byteLength } of parts) {
    all.set(new Uint8Array(buffer, byteOffset, byteLength), at)
    at += padTo8Bytes(byteLength)
  }
  return all
}

/**
 * Counts the events in each quarter hour, for each slice of at least `minEventsForQuarters` events. Returns null if
 * there is no such slice. The largest count determines the number of bytes per count: 1, 2 or 4.
 */
function quartersOf(sorted: readonly Columns[]): Uint8Array | null {
  const large = sorted.filter(({ count }) => count >= minEventsForQuarters)
  if (large.length === 0) return null
  const counts = new Uint32Array(large.length * quartersPerDay)
  let largest = 0
  large.forEach(({ times }, slice) => {
    for (const time of times) {
      const quarter = slice * quartersPerDay + Math.floor(time / quarterMs)
      counts[quarter] = (counts[quarter] as number) + 1
      largest = Math.max(largest, counts[quarter] as number)
    }
  })
  if (largest < 2 ** 8) return Uint8Array.from(counts)
  return new Uint8Array((largest < 2 ** 16 ? Uint16Array.from(counts) : counts).buffer)
}

const writeSql = {
  insertBlock: `
    insert into blocks (website_rid, day, name, crawler, after_id, last_id, events, quarters, bytes, layout, slices)
    values (:website, :day, '', 0, :afterId, :lastId, :events, :quarters, :bytes, :layout, :slices)`,
  insertSegment: "insert into segments (id, data, size) values (:id, :data, :size)",
}

/** Stores encoded blocks. The caller must open a transaction. */
export class BlockWriter {
  readonly #block: Statement
  readonly #segment: Statement

  constructor(db: Db) {
    this.#block = db.prepare(writeSql.insertBlock)
    this.#segment = db.prepare(writeSql.insertSegment)
  }

  insert({ segments, slices, ...block }: EncodedBlock, afterId: number, lastId: number): void {
    const row = { ...block, slices: JSON.stringify(slices), afterId, lastId }
    const { lastInsertRowid } = this.#block.run(row)
    segments.forEach((segment, index) => {
      this.#segment.run({ id: Number(lastInsertRowid) * segmentsPerBlock + index, ...segment })
    })
  }
}
