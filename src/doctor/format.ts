import { isoTime, shortTime } from "../terminal/print.ts"

export const dayMs = 86_400_000

/** Maximum number of files to name in a message. The rest are only counted. */
const maxNamedFiles = 3

export function listPaths(paths: readonly string[]): string {
  const more = paths.length - maxNamedFiles
  return `${paths.slice(0, maxNamedFiles).join(", ")}${more > 0 ? ` and ${more} more` : ""}`
}

export function formatTime(at: number): string {
  return shortTime(isoTime(at), "")
}

export function formatNumber(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: value < 10 ? 1 : 0 })
}

/** Formats an age in its largest whole unit, such as `3 days`. */
export function formatAge(ms: number): string {
  const units = [
    ["day", dayMs],
    ["hour", 3_600_000],
    ["minute", 60_000],
  ] as const
  for (const [name, length] of units) {
    const count = Math.floor(ms / length)
    if (count > 0) return `${count} ${name}${count === 1 ? "" : "s"}`
  }
  return "less than a minute"
}
