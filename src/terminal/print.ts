import type { Context } from "./context.ts"

/** What could move the cursor, colour the rest, turn the writing direction or break the line. */
const unsafe = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/gu

/** `text` with whatever a terminal would act upon written as `\u{1b}`. */
export function shown(text: string): string {
  return text.replace(unsafe, (character) => `\\u{${character.charCodeAt(0).toString(16)}}`)
}

/** JSON leaves some of that as it is, and may be looked at too: escaped it means the same. */
export function printJson(value: unknown, context: Context): void {
  const escaped = JSON.stringify(value).replace(
    unsafe,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  )
  context.out(`${escaped}\n`)
}

/** Rows under their headings, in columns as wide as their longest cell. */
export function printTable(headings: string[], rows: string[][], context: Context): void {
  const lines = [headings, ...rows.map((row) => row.map(shown))]
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => width(line[column]))))
  for (const line of lines) {
    const cells = line.map((cell, column) => cell + " ".repeat((widths[column] ?? 0) - width(cell)))
    context.out(`${cells.join("  ").trimEnd()}\n`)
  }
}

/** One thing, a field a line. */
export function printFields(fields: Record<string, string>, context: Context): void {
  const widest = Math.max(...Object.keys(fields).map(width))
  for (const [name, value] of Object.entries(fields)) {
    context.out(`${name.padEnd(widest)}  ${shown(value)}`.trimEnd().concat("\n"))
  }
}

/** Columns that a terminal takes for it: two for a Chinese character or an emoji. */
function width(text = ""): number {
  return Bun.stringWidth(text)
}

/** `2026-08-01 12:30 UTC`; `otherwise` where there is no time. */
export function shortTime(iso: string | null, otherwise: string): string {
  return iso === null ? otherwise : `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC`
}

/** `412.3 MB`; `12 bytes` below a KB. */
export function size(bytes: number): string {
  const units = ["bytes", "KB", "MB", "GB", "TB"]
  let unit = 0
  let rest = bytes
  while (rest >= 1_000 && unit < units.length - 1) {
    rest /= 1_000
    unit++
  }
  return `${unit === 0 ? rest : rest.toFixed(1)} ${units[unit]}`
}

/** Rows under their headings, numbers at the right edge of their column. */
export function printNumbers(
  headings: readonly { text: string; right: boolean }[],
  rows: readonly string[][],
  context: Context,
): void {
  const lines = [headings.map(({ text }) => text.toUpperCase()), ...rows].map((row) => row.map(shown))
  const widths = headings.map((_, column) => Math.max(...lines.map((line) => width(line[column]))))
  for (const line of lines) {
    const cells = line.map((cell, column) => {
      const space = " ".repeat((widths[column] ?? 0) - width(cell))
      return headings[column]?.right ? space + cell : cell + space
    })
    context.out(`${cells.join("  ").trimEnd()}\n`)
  }
}

/** Characters of the longest bar. */
const longest = 24
const eighths = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"]

/** A bar as long as the value's share of the most; what is more than nothing is seen. */
export function bar(value: number, most: number): string {
  if (value <= 0 || most <= 0) return ""
  const parts = Math.max(1, Math.round((value / most) * longest * 8))
  return "█".repeat(Math.floor(parts / 8)) + eighths[parts % 8]
}

const heights = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"]

/** One character a value, as high as its share of the most. */
export function sparkline(values: readonly number[]): string {
  const most = Math.max(...values)
  return values
    .map((value) => heights[most <= 0 ? 0 : Math.min(7, Math.floor((value / most) * 7.999))])
    .join("")
}
