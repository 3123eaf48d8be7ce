import { ByteWriter, ParquetWriter, type SchemaElement } from "hyparquet-writer"
import type { StoredEvent } from "../store/event-reader.ts"
import { eventFields } from "./fields.ts"

const elements = {
  INT64: { type: "INT64" },
  STRING: { type: "BYTE_ARRAY", converted_type: "UTF8" },
  TIMESTAMP: { type: "INT64", converted_type: "TIMESTAMP_MILLIS" },
  BOOLEAN: { type: "BOOLEAN" },
} as const

const schema: SchemaElement[] = [
  { name: "events", num_children: eventFields.length },
  ...eventFields.map(
    (field): SchemaElement => ({
      name: field.name,
      ...elements[field.type],
      repetition_type: "nullable" in field ? "OPTIONAL" : "REQUIRED",
    }),
  ),
]

/**
 * Writes events as a Parquet file, one row group at a time. A group ends after `groupRows` events or `groupCharacters`
 * characters of properties.
 */
export async function* parquetOf(
  events: AsyncIterable<StoredEvent[]>,
  {
    groupRows,
    groupCharacters,
    pause,
  }: { groupRows: number; groupCharacters: number; pause: () => Promise<void> | undefined },
): AsyncGenerator<Uint8Array> {
  const writer = new ByteWriter()
  const parquet = new ParquetWriter({ writer, schema, createdBy: "databuddy" })
  const write = (rows: StoredEvent[]): Uint8Array => {
    const columnData = eventFields.map(({ name, type }) => ({
      name,
      data: rows.map((row) => (type === "INT64" ? BigInt(row[name]) : row[name])),
    }))
    parquet.write({ columnData, rowGroupSize: rows.length })
    return takeBytes(writer)
  }
  let rows: StoredEvent[] = []
  let characters = 0
  // Row groups do not depend on the sizes of batches, so that the same events always result in the same bytes.
  for await (const batch of events) {
    for (const event of batch) {
      rows.push(event)
      characters += event.properties?.length ?? 0
      if (rows.length < groupRows && characters < groupCharacters) continue
      yield write(rows)
      rows = []
      characters = 0
      await pause()
    }
  }
  if (rows.length > 0) yield write(rows)
  parquet.finish()
  yield takeBytes(writer)
}

/** Returns the bytes written since the last call. The writer keeps counting the file offset. */
function takeBytes(writer: ByteWriter): Uint8Array {
  const bytes = new Uint8Array(writer.getBuffer())
  writer.index = 0
  return bytes
}
