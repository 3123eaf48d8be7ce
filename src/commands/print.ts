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
