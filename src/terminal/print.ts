import { UserError } from "../errors.ts"
import type { Context } from "./context.ts"

/** Matches characters that move the cursor, change colors, reverse the writing direction or break the line. */
const unsafe = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** Escapes characters that a terminal would interpret, for example as `\u{1b}`. */
export function shown(text: string): string {
  return text.replace(unsafe, (character) => `\\u{${character.charCodeAt(0).toString(16)}}`)
}

/** Throws a UserError if nobody could see the output. `secret` names a secret in the output that is shown only once. */
export function requireVisibleOutput(secret: string, { outIsDiscarded }: Context): void {
  if (!outIsDiscarded) return
  throw new UserError(
    `standard output is discarded, and the ${secret} is shown only once; nothing was changed`,
    "run the command where you can see its output, or redirect it to a file",
  )
}

/** Prints one line of JSON. Escapes control characters that JSON allows, which does not change the value. */
export function printJson(value: unknown, context: Context): void {
  const escaped = JSON.stringify(value).replace(
    unsafe,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )
  context.out(`${escaped}\n`)
}

/**
 * Prints a table whose columns are as wide as their longest cell. Columns whose indexes are in `right` are
 * right-aligned.
 */
export function printTable(
  headings: readonly string[],
  rows: readonly string[][],
  context: Context,
  right: ReadonlySet<number> = new Set(),
): void {
  const lines = [headings, ...rows].map((row) => row.map(shown))
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => width(line[column]))))
  for (const line of lines) {
    const cells = line.map((cell, column) => {
      const space = " ".repeat((widths[column] ?? 0) - width(cell))
      return right.has(column) ? space + cell : cell + space
    })
    context.out(`${cells.join("  ").trimEnd()}\n`)
  }
}

/** Prints each field on its own line. */
export function printFields(fields: Record<string, string>, context: Context): void {
  const widest = Math.max(...Object.keys(fields).map(width))
  for (const [name, value] of Object.entries(fields)) {
    context.out(`${name.padEnd(widest)}  ${shown(value)}`.trimEnd().concat("\n"))
  }
}

/** Returns how many terminal columns a text takes up. Chinese characters and emoji take up two. */
function width(text = ""): number {
  return Bun.stringWidth(text)
}

/** Formats Unix ms as ISO 8601. Returns null if there is no time. */
export function isoTime(ms: number | null | undefined): string | null {
  return typeof ms === "number" ? new Date(ms).toISOString() : null
}

/** Formats a time as `2026-08-01 12:30 UTC`. Returns `fallback` if there is no time. */
export function shortTime(iso: string | null, fallback: string): string {
  return iso === null ? fallback : `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`
}

/** Formats a count as `1 event` or `2 events`. */
export function countText(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`
}

/** Formats a size as `412.3 MB`, or below 1 KB as `12 bytes`. */
export function size(bytes: number): string {
  const units = ["bytes", "KB", "MB", "GB", "TB"]
  let unit = 0
  let value = bytes
  while (value >= 1_000 && unit < units.length - 1) {
    value /= 1_000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** Width of the longest bar, in characters. */
const barWidth = 24
const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]

/** Returns a bar whose length is proportional to `value / max`. Every positive value is visible. */
export function bar(value: number, max: number): string {
  if (value <= 0 || max <= 0) return ""
  const parts = Math.max(1, Math.round((value / max) * barWidth * 8))
  return "█".repeat(Math.floor(parts / 8)) + eighths[parts % 8]
}

const heights = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

/** Returns one character per value. Its height is proportional to the value. */
export function sparkline(values: readonly number[]): string {
  const max = Math.max(...values)
  return values
    .map((value) => heights[max <= 0 ? 0 : Math.min(7, Math.floor((value / max) * 7.999))])
    .join("")
}
