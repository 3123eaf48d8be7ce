import { cell } from "../../export/csv.ts"

/** A table as CSV (RFC 4180, CRLF). Cells are escaped against spreadsheet formulas, as in the server's exports. */
export function csvText(columns: readonly string[], rows: readonly (readonly unknown[])[]): string {
  return [columns, ...rows]
    .map((row) => `${row.map((value) => cell(plainValue(value))).join(",")}\r\n`)
    .join("")
}

function plainValue(value: unknown): string | number | boolean | null {
  if (value === undefined || value === null) return null
  if (typeof value === "object") return JSON.stringify(value)
  // All other types of JSON.
  return value as string | number | boolean
}
