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
