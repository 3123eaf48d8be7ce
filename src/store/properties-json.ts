import { closeBrace, closeBracket, comma, endOfString, openBrace, openBracket, quote } from "../json-text.ts"

// Processes the JSON text of properties without parsing it, because parsing 120,000 keys would block commits for 60 ms.
// JSON.stringify wrote these strings, so they are valid and contain no whitespace between tokens.

/**
 * Returns the JSON text of an object. `keys` is a JSON array of strings. `values` contains the items of a JSON array,
 * without the enclosing brackets.
 */
export function objectOf(keys: string, values: string): string {
  const parts: string[] = []
  let valueAt = 0
  for (const [start, end] of itemsOf(keys, 1)) {
    const valueEnd = endOfItem(values, valueAt)
    parts.push(`${keys.slice(start, end)}:${values.slice(valueAt, valueEnd)}`)
    valueAt = valueEnd + 1
  }
  return `{${parts.join(",")}}`
}

/** Yields the strings in a JSON array. */
export function* stringsOf(array: string): Generator<string> {
  for (const [start, end] of itemsOf(array, 1)) {
    const text = array.slice(start, end)
    yield text.includes("\\") ? (JSON.parse(text) as string) : text.slice(1, -1)
  }
}

/** Yields the start and end of each item of a JSON array, from `at` to the closing bracket. */
function* itemsOf(text: string, at: number): Generator<[start: number, end: number]> {
  while (at < text.length - 1) {
    const end = endOfItem(text, at)
    yield [at, end]
    at = end + 1
  }
}

/**
 * Returns the index after the value that starts at `at`: the index of a comma or closing bracket, or the end of the
 * text.
 */
function endOfItem(text: string, at: number): number {
  let depth = 0
  for (let index = at; index < text.length; index++) {
    switch (text.charCodeAt(index)) {
      case quote:
        index = endOfString(text, index)
        break
      case openBracket:
      case openBrace:
        depth++
        break
      case closeBracket:
      case closeBrace:
        if (depth-- === 0) return index
        break
      case comma:
        if (depth === 0) return index
    }
  }
  return text.length
}
