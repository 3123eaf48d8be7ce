/** ms, the longest first */
const units: readonly (readonly [string, number])[] = [
  ["w", 604_800_000],
  ["d", 86_400_000],
  ["h", 3_600_000],
  ["m", 60_000],
  ["s", 1_000],
]

/** `90d` → ms; undefined where it is no time. */
export function durationOf(text: string): number | undefined {
  const [, count, letter] = /^(\d{1,9})([smhdw])$/.exec(text) ?? []
  const unit = units.find(([name]) => name === letter)
  return unit && Number(count) * unit[1]
}

/** ms, a whole number of seconds → `90d`: in the longest unit that it is a multiple of, but no weeks, which nobody counts in. */
export function durationText(ms: number): string {
  const [name, unit] = units.find(([letter, length]) => letter !== "w" && ms % length === 0) ?? ["s", 1_000]
  return `${ms / unit}${name}`
}
