import { acquisitionFields, clientFields } from "../store/contexts.ts"
import type { StoredEvent } from "../store/event-reader.ts"

/** Fields of an event in the order of the `events` view, with their Parquet types. */
export const eventFields = [
  { name: "id", type: "INT64" },
  { name: "website_id", type: "STRING", nullable: true },
  { name: "name", type: "STRING" },
  { name: "namespace", type: "STRING", nullable: true },
  { name: "source", type: "STRING", nullable: true },
  { name: "timestamp", type: "TIMESTAMP" },
  { name: "received_at", type: "TIMESTAMP" },
  { name: "anonymous_id", type: "STRING", nullable: true },
  { name: "session_id", type: "STRING", nullable: true },
  { name: "profile_id", type: "STRING", nullable: true },
  { name: "path", type: "STRING", nullable: true },
  { name: "event_id", type: "STRING", nullable: true },
  { name: "credential", type: "STRING" },
  { name: "crawler", type: "BOOLEAN" },
  { name: "properties", type: "STRING", nullable: true },
  { name: "kind", type: "STRING" },
  ...clientFields.map((name) => ({ name, type: "STRING", nullable: true }) as const),
  ...acquisitionFields.map((name) => ({ name, type: "STRING", nullable: true }) as const),
] as const satisfies readonly {
  name: keyof StoredEvent
  type: "INT64" | "STRING" | "TIMESTAMP" | "BOOLEAN"
  nullable?: true
}[]
