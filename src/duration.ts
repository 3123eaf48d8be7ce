/** Units in ms, longest first. */
const units: readonly (readonly [string, number])[] = [
  ["w", 604_800_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
]

/** Parses a duration such as `90d`. Returns ms, or undefined if it is malformed. */
export function parseDuration(text: string): number | undefined {
  const [, count, letter] = /^(\d{1,9})([smhdw])$/.exec(text) ?? []
  const unit = units.find(([name]) => name === letter)
  return unit && Number(count) * unit[1]
}

/** Formats a multiple of 1,000 ms in the longest unit that divides it, such as `90d`. Does not use weeks. */
export function formatDuration(ms: number): string {
  const [name, unit] = units.find(([letter, length]) => letter !== "w" && ms % length === 0) ?? ["s", 1_000]
  return `${ms / unit}${name}`
}

/**
 * Minimum retention period in ms. A shorter time is probably a mistake, such as 12m for twelve months, and would delete
 * nearly everything.
 */
const minRetention = 86_400_000
/** Maximum retention period in ms, which is a hundred years. Use `forever` for longer. */
const maxRetention = 36_525 * 86_400_000
export const retentionFormat =
  '"forever", or a time from 1d to 36525d, such as 90d or 52w (units: s, m, h, d, w)'

/**
 * Parses a retention period such as `90d` and returns ms, or 0 for `forever`. Returns undefined if the text is invalid
 * or out of range.
 */
export function parseRetention(text: string): number | undefined {
  if (text === "forever") return 0
  const ms = parseDuration(text)
  return ms !== undefined && ms >= minRetention && ms <= maxRetention ? ms : undefined
}
