import type { StoredEvent } from "../store/event-reader.ts"
import { eventFields } from "./fields.ts"

/** Matches an apostrophe, or the start of a spreadsheet formula, even after spaces or with full-width characters. */
const formula = /^(?:'|[\t\r\n]|\s*[=+\-@＝＋－＠])/
/** Matches strings that need quotes, including those that need them only in spreadsheets with other separators. */
const needsQuotes = /[",;|\t\r\n]|^\s|\s$/

/** Columns of the `events` view, plus `time`: the timestamp in ISO 8601. */
const columns = eventFields.flatMap(({ name }) => (name === "timestamp" ? ([name, "time"] as const) : [name]))

export const csvHeader = columns.join(",")

/**
 * Formats an event as a line. A string that starts like a formula or with an apostrophe is prefixed with an apostrophe.
 * To restore the original, remove one leading apostrophe. Null becomes an empty cell.
 */
export function csvRow(event: StoredEvent): string {
  const row = { ...event, time: new Date(event.timestamp).toISOString() }
  return columns.map((name) => cell(row[name])).join(",")
}

/** Formats a cell with the escapes described at `csvRow`. */
export function cell(value: string | number | boolean | null): string {
  if (value === null) return ""
  if (typeof value !== "string") return String(value)
  const safe = formula.test(value) ? `'${value}` : value
  return needsQuotes.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
