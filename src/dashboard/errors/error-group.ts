import { type Filter, valueFilter } from "../state/filters.ts"

/** Errors with the same message that were thrown at the same line of the same script. */
export interface ErrorGroup {
  message: string | null
  filename: string | null
  lineno: string | null
}

/** The error fields that define a group. */
export const groupFields = ["property.message", "property.filename", "property.lineno"] as const

type GroupRow = Record<(typeof groupFields)[number], string | null>

export function groupOf(row: GroupRow): ErrorGroup {
  return {
    message: row["property.message"],
    filename: row["property.filename"],
    lineno: row["property.lineno"],
  }
}

/** Filters that match the errors of a group. */
export function groupFilters({ message, filename, lineno }: ErrorGroup): Filter[] {
  return [message, filename, lineno].map((value, index) => valueFilter(groupFields[index] ?? "", value))
}

/** Encodes a group for the URL as a JSON array of its values. */
export function groupParam({ message, filename, lineno }: ErrorGroup): string {
  return JSON.stringify([message, filename, lineno])
}

/**
 * Decodes a group from the URL. Returns undefined if the text is not an encoded group, for example because the URL was
 * truncated or edited by hand.
 */
export function parseGroup(param: string | null): ErrorGroup | undefined {
  if (param === null) return undefined
  try {
    const values: unknown = JSON.parse(param)
    if (!Array.isArray(values) || values.length !== groupFields.length) return undefined
    const [message = null, filename = null, lineno = null] = values.map((value) =>
      value === null ? null : String(value),
    )
    return { message, filename, lineno }
  } catch {
    return undefined
  }
}

/** Returns the location of an error, such as shop.example/app.js:12, or '' if the script is unknown. */
export function locationText({ filename, lineno }: ErrorGroup): string {
  if (filename === null) return ""
  const file = filename.replace(/^https?:\/\//, "")
  return lineno === null ? file : `${file}:${lineno}`
}
