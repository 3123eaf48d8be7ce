/** Formats Unix ms as ISO 8601, the format of JSON responses. */
export function iso(ms: number): string {
  return new Date(ms).toISOString()
}

/** Like `iso`, but returns null for null. */
export function isoOrNull(ms: number | null): string | null {
  return ms === null ? null : iso(ms)
}
