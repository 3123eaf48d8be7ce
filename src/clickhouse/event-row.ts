import { eventKinds } from "../event-kinds.ts"
import { acquisitionFields, clientFields } from "../store/contexts.ts"
import type { StoredEvent } from "../store/event-reader.ts"
import { RowEncoder } from "./row-encoder.ts"

// Converts events to rows of the cluster's table `events`, and rows to events. The list `columns` determines which
// columns are inserted, selected and hashed. This program and the cluster compute the same hash for an event, from the
// concatenation of its columns as text.

type Value = string | number | boolean | null

/**
 * Types of columns. A type determines how a column is declared in ClickHouse, how it is selected, and how it is
 * converted to text for the hash.
 */
const types = {
  id: { type: "UInt64", select: (name: string) => name, text: (name: string) => `toString(${name})` },
  text: { type: "LowCardinality(String)", select: (name: string) => name, text: (name: string) => name },
  /** A string. A missing value is stored as '' in the cluster and represented as null in this program. */
  textOrEmpty: {
    type: "LowCardinality(String)",
    select: (name: string) => name,
    text: (name: string) => name,
  },
  nullable: {
    type: "Nullable(String)",
    select: (name: string) => name,
    text: (name: string) => `ifNull(concat('+', ${name}), '')`,
  },
  time: {
    type: "DateTime64(3, 'UTC')",
    select: (name: string) => `toUnixTimestamp64Milli(${name})`,
    text: (name: string) => `toString(toUnixTimestamp64Milli(${name}))`,
  },
  flag: {
    type: "Bool",
    select: (name: string) => name,
    text: (name: string) => `toString(toUInt8(${name}))`,
  },
} as const

type Type = keyof typeof types

const columns = [
  { name: "id", field: "id", type: "id" },
  { name: "website", field: "website_id", type: "textOrEmpty" },
  { name: "kind", field: "kind", type: "text" },
  { name: "name", field: "name", type: "text" },
  { name: "namespace", field: "namespace", type: "textOrEmpty" },
  { name: "source", field: "source", type: "textOrEmpty" },
  { name: "ts", field: "timestamp", type: "time" },
  { name: "received_at", field: "received_at", type: "time" },
  { name: "anonymous_id", field: "anonymous_id", type: "nullable" },
  { name: "session_id", field: "session_id", type: "nullable" },
  { name: "profile_id", field: "profile_id", type: "nullable" },
  { name: "path", field: "path", type: "nullable" },
  { name: "event_id", field: "event_id", type: "nullable" },
  { name: "credential", field: "credential", type: "text" },
  { name: "crawler", field: "crawler", type: "flag" },
  { name: "properties", field: "properties", type: "nullable" },
  ...[...clientFields, ...acquisitionFields].map(
    (name) => ({ name, field: name, type: "textOrEmpty" }) as const,
  ),
] as const satisfies readonly { name: string; field: keyof StoredEvent; type: Type }[]

/** The columns of an insert, in the order in which `RowEncoder` writes them. */
export const insertColumns: readonly string[] = columns.map(({ name }) => name)

/** The structure of the table, in ClickHouse's format. */
export const tableStructure = columns.map(({ name, type }) => `${name} ${types[type].type}`).join(", ")

/** The select list for `eventOf`. */
export const selectedColumns = columns.map(({ name, type }) => types[type].select(name)).join(", ")

/**
 * ClickHouse SQL expression for the hash of a row. The hash equals the result of `hashOf`. NUL separates the columns,
 * because no string contains it; see `plainTextError`.
 */
export const rowHash = `xxHash64(concat(${columns.map(({ name, type }) => types[type].text(name)).join(", '\\0', ")}))`

/** Returns the 64-bit hash of an event. */
export function hashOf(event: StoredEvent): bigint {
  let text = ""
  for (const { field, type } of columns) {
    if (field !== "id") text += "\0"
    const value: Value = event[field]
    if (type === "nullable") text += value === null ? "" : `+${value}`
    else if (type === "flag") text += value ? "1" : "0"
    else text += value ?? ""
  }
  return Bun.hash.xxHash64(text)
}

/**
 * Returns the event in a row with the columns `selectedColumns`. Throws an Error if this version does not know the kind
 * of the event.
 */
export function eventOf(row: readonly unknown[]): StoredEvent {
  const event: Record<string, unknown> = {}
  columns.forEach(({ field, type }, index) => {
    const value = row[index]
    event[field] = type === "textOrEmpty" && value === "" ? null : value
  })
  if (!eventKinds.some((kind) => kind === event.kind))
    throw new Error(`this version does not know the event kind ${String(event.kind)}`)
  // The type assertion is safe because the object has exactly the columns of the table.
  return event as unknown as StoredEvent
}

/** Encodes events as rows with the columns `insertColumns`. */
export class EventEncoder {
  readonly #encoder = new RowEncoder()
  rows = 0

  get bytes(): number {
    return this.#encoder.bytes
  }

  add(event: StoredEvent): void {
    const encoder = this.#encoder
    for (const { field, type } of columns) {
      const value: Value = event[field]
      if (type === "id" || type === "time") encoder.integer(Number(value))
      else if (type === "flag") encoder.byte(value ? 1 : 0)
      else if (type !== "nullable") encoder.text(value === null ? "" : String(value))
      else if (value === null) encoder.byte(1)
      else {
        encoder.byte(0)
        encoder.text(String(value))
      }
    }
    this.rows++
  }

  /** Returns the encoded rows in chunks. */
  finish(): Uint8Array[] {
    return this.#encoder.finish()
  }
}
