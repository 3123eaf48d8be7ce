import { cell } from "../../export/csv.ts"

/** A table as CSV, with Windows line ends as RFC 4180 says; safe in a spreadsheet, as the server's exports are. */
export function csvText(columns: readonly string[], rows: readonly (readonly unknown[])[]): string {
  return [columns, ...rows].map((row) => `${row.map((value) => cell(plain(value))).join(",")}\r\n`).join("")
}

function plain(value: unknown): string | number | boolean | null {
  if (value === undefined || value === null) return null
  if (typeof value === "object") return JSON.stringify(value)
  return value as string | number | boolean
}
