import { cell } from "../../export/csv.ts"

/**
 * Writes a table as CSV (RFC 4180, CRLF). Like the server's exports, it escapes cells that a spreadsheet would run as
 * formulas.
 */
export function csvText(columns: readonly string[], rows: readonly (readonly unknown[])[]): string {
  return [columns, ...rows]
    .map((row) => `${row.map((value) => cell(plainValue(value))).join(",")}\r\n`)
    .join("")
}

function plainValue(value: unknown): string | number | boolean | null {
  if (value === undefined || value === null) return null
  if (typeof value === "object") return JSON.stringify(value)
  // The type assertion is safe because the value is from JSON, and its other types are handled above.
  return value as string | number | boolean
}
