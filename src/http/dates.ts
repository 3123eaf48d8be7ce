/** 10000-01-01, Unix ms: from then on ISO 8601 takes another form. */
const latest = Date.UTC(10_000, 0, 1)
const isoDate = /^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?$/i
/** UTF-16 units of a date: the longest that JavaScript writes has 70 with the name of its zone. */
const maxLength = 128

const months = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]

/**
 * The forms that a time may begin with. Date.parse takes more, such as "event 5", which is the first of May 2001 to it, and takes a day
 * that does not exist for one of the next month.
 */
const forms: readonly { pattern: RegExp; order: readonly ("year" | "month" | "day")[] }[] = [
  // 2026-11-28, 2026/11/28, +002026-11-28, and behind it a time
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
 * A time as JavaScript's Date parses it → Unix ms; NaN where it is none of a day that exists, or has no year. The process runs in UTC (see
 * main.ts), so one without a zone is UTC.
 */
export function timeOf(text: string): number {
  if (text.length > maxLength) return Number.NaN
  const trimmed = text.trim()
  return forms.some((form) => isRealDay(trimmed, form)) ? Date.parse(trimmed) : Number.NaN
}

function isRealDay(text: string, { pattern, order }: (typeof forms)[number]): boolean {
  const found = pattern.exec(text)
  if (!found) return false
  const part = (name: (typeof order)[number]) => found[order.indexOf(name) + 1]
  const month = monthOf(part("month") ?? "1")
  const day = Number(part("day") ?? "1")
  // The day before the first of the next month is the last of this one.
  return month > 0 && day >= 1 && day <= new Date(Date.UTC(Number(part("year")), month, 0)).getUTCDate()
}

/** From 1; 0: no month. */
function monthOf(text: string): number {
  return /^\d/.test(text) ? Number(text) : months.indexOf(text.slice(0, 3).toLowerCase()) + 1
}

/** ISO 8601 → Unix ms; NaN where it is no date. One without a zone is UTC. */
export function dateOf(text: string): number {
  return isoDate.test(text) ? timeOf(text) : Number.NaN
}

/** When something is to end: Unix ms, or null for never; undefined where it is no date, or over. */
export function readExpiry(expiresAt: string | number | null, now: number): number | null | undefined {
  if (expiresAt === null) return null
  const ms = typeof expiresAt === "number" ? Math.floor(expiresAt) : dateOf(expiresAt)
  return ms > now && ms < latest ? ms : undefined
}
