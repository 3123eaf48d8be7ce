import type { StoredEvent } from "../store/event-reader.ts"
import { eventFields } from "./fields.ts"

/** What a spreadsheet takes for the beginning of a formula, also behind blanks, and in the wide forms of East Asia. */
const formula = /^(?:'|[\t\r\n]|\s*[=+\-@＝＋－＠])/
/** What would end the cell or the line, in a spreadsheet that separates by something else than commas too. */
const quoted = /[",;|\t\r\n]|^\s|\s$/

/** Those of the `events` view: people want the time in words as well. */
const columns = eventFields.flatMap(({ name }) => (name === "timestamp" ? ([name, "time"] as const) : [name]))

export const csvHeader = columns.join(",")

/**
 * One event as a line. A text that begins as a formula would, or with an apostrophe, gets an apostrophe in front: take one
 * away from every text that begins with one, and all is as it was. Nothing at all between two commas is null.
 */
export function csvRow(event: StoredEvent): string {
  const all = { ...event, time: new Date(event.timestamp).toISOString() }
  return columns.map((name) => cell(all[name])).join(",")
}

/** A value between two commas, safe as `csvRow` says. */
export function cell(value: string | number | boolean | null): string {
  if (value === null) return ""
  if (typeof value !== "string") return String(value)
  const safe = formula.test(value) ? `'${value}` : value
  return quoted.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
