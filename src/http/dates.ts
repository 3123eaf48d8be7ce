/** 10000-01-01 in Unix ms. From this year on, ISO 8601 uses a different format. */
const latest = Date.UTC(10_000, 0, 1)
const isoDate = /^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?$/i
/**
 * Maximum number of UTF-16 code units in a date. The longest date that JavaScript formats has 70, including the name of
 * the time zone.
 */
const maxLength = 128

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

/**
 * Accepted date formats. A time can follow the date. Date.parse alone is too lenient: it reads "event 5" as 1 May 2001,
 * and turns a nonexistent day into a day of the next month.
 */
const formats: readonly { pattern: RegExp; order: readonly ("year" | "month" | "day")[] }[] = [
  // 2026-11-28, 2026/11/28, +002026-11-28
  { pattern: /^\+?(\d{4,6})[-/](\d{1,2})[-/](\d{1,2})(?!\d)/, order: ["year", "month", "day"] },
  // 2026, 2026-11
  { pattern: /^(\d{4})(?:-(\d\d))?$/, order: ["year", "month"] },
  // 11/28/2026
  { pattern: /^(\d{1,2})\/(\d{1,2})\/(\d{4})(?!\d)/, order: ["month", "day", "year"] },
  // Sat, 28 Nov 2026 10:00:00 GMT
  {
    pattern:
      /^(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?(\d{1,2})[ -]([a-z]{3,9})\.?,?[ -](\d{4})(?!\d)/i,
    order: ["day", "month", "year"],
  },
  // Nov 28, 2026; Sat Nov 28 2026 10:00:00 GMT+0100 (Central European Standard Time); Sat Nov 28 10:00:00 2026
  {
    pattern:
      /^(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?([a-z]{3,9})\.? +(\d{1,2}),?(?: +\d\d?:\d\d(?::\d\d)?)? +(\d{4})(?!\d)/i,
    order: ["month", "day", "year"],
  },
]

/**
 * Parses a date or time as JavaScript's Date does. Returns Unix ms, or NaN if the format is not in `formats` or the day
 * does not exist. A time without a zone is UTC, because the process runs in UTC (see main.ts).
 */
export function parseTime(text: string): number {
  if (text.length > maxLength) return Number.NaN
  const trimmed = text.trim()
  return formats.some((format) => isRealDay(trimmed, format)) ? Date.parse(trimmed) : Number.NaN
}

function isRealDay(text: string, { pattern, order }: (typeof formats)[number]): boolean {
  const match = pattern.exec(text)
  if (!match) return false
  const part = (name: (typeof order)[number]) => match[order.indexOf(name) + 1]
  const month = monthOf(part("month") ?? "1")
  const day = Number(part("day") ?? "1")
  // Day 0 of the next month is the last day of this month.
  return month > 0 && day >= 1 && day <= new Date(Date.UTC(Number(part("year")), month, 0)).getUTCDate()
}

/**
 * Returns 1 to 12 for the name of a month, and 0 for any other word. Digits are returned as a number, even above 12.
 */
function monthOf(text: string): number {
  return /^\d/.test(text) ? Number(text) : months.indexOf(text.slice(0, 3).toLowerCase()) + 1
}

/** Parses ISO 8601. Returns Unix ms, or NaN if the text is not a date. A time without a zone is UTC. */
export function parseIsoDate(text: string): number {
  return isoDate.test(text) ? parseTime(text) : Number.NaN
}

/** Parses an expiry date. Returns Unix ms, null for never, or undefined if the value is not a date in the future. */
export function parseExpiry(expiresAt: string | number | null, now: number): number | null | undefined {
  if (expiresAt === null) return null
  const ms = typeof expiresAt === "number" ? Math.floor(expiresAt) : parseIsoDate(expiresAt)
  return ms > now && ms < latest ? ms : undefined
}
