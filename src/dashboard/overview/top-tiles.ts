import { compared, type PinnedTile } from "../state/boards.ts"

// The lists on the overview, as tiles for boards.

/** Maximum number of rows per list. */
export const topRows = 10

export const topEvents: PinnedTile = {
  kind: "table",
  title: "Top events",
  query: { parameters: [{ name: "custom_events", limit: topRows, ...compared }] },
  columns: [
    { column: "name", label: "Event", format: "text" },
    { column: "total_events", label: "Events", format: "count" },
    { column: "unique_users", label: "Visitors", format: "count" },
  ],
}

export const topProperties: PinnedTile = {
  kind: "table",
  title: "Top properties",
  query: { parameters: [{ name: "custom_event_properties", limit: topRows }] },
  columns: [
    { column: "property_key", label: "Property", format: "text" },
    { column: "property_value", label: "Value", format: "text" },
    { column: "name", label: "Event", format: "text" },
    { column: "count", label: "Events", format: "count" },
  ],
}
