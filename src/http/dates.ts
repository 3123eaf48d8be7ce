/** 10000-01-01, Unix ms: from then on ISO 8601 takes another form. */
const latest = Date.UTC(10_000, 0, 1)
const isoDate = /^\d{4}-\d\d-\d\d(?:T[\d:.]+(?:Z|[+-]\d\d:?\d\d)?)?$/i

/** ISO 8601 → Unix ms; NaN where it is no date. The process runs in UTC (see main.ts), so a date without a zone is UTC. */
export function dateOf(text: string): number {
  return isoDate.test(text) ? Date.parse(text) : Number.NaN
}

/** When something is to end: Unix ms, or null for never; undefined where it is no date, or over. */
export function readExpiry(expiresAt: string | number | null, now: number): number | null | undefined {
  if (expiresAt === null) return null
  const ms = typeof expiresAt === "number" ? Math.floor(expiresAt) : dateOf(expiresAt)
  return ms > now && ms < latest ? ms : undefined
}
