import { parseDuration } from "./duration.ts"

/**
 * Minimum retention period in ms. A shorter period is probably a mistake, such as 12m for twelve months, and would
 * delete nearly everything.
 */
const minRetention = 86_400_000
/** Maximum retention period in ms, which is a hundred years. Use `forever` for longer. */
const maxRetention = 36_525 * 86_400_000
export const retentionFormat =
  '"forever", or a duration from 1d to 36525d, such as 90d or 52w (units: s, m, h, d, w)'

/**
 * Parses a retention period such as `90d` and returns ms, or 0 for `forever`. Returns undefined if the text is invalid
 * or out of range.
 */
export function parseRetention(text: string): number | undefined {
  if (text === "forever") return 0
  const ms = parseDuration(text)
  return ms !== undefined && ms >= minRetention && ms <= maxRetention ? ms : undefined
}
