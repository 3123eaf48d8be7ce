import { closeBrace, closeBracket, comma, endOfString, openBrace, openBracket, quote } from "../json-text.ts"

// JSON text of properties, read without parsing it: the thread that commits 120,000 keys would parse them for 60 ms. The texts were
// written by JSON.stringify, so that they are valid and have no white space.

/** Returns the object with these keys, a JSON array of strings, and values, JSON without brackets. */
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

/** Iterates the strings of a JSON array. */
export function* stringsOf(array: string): Generator<string> {
  for (const [start, end] of itemsOf(array, 1)) {
    const text = array.slice(start, end)
    yield text.includes("\\") ? (JSON.parse(text) as string) : text.slice(1, -1)
  }
}

/** Iterates the start and end of the items of a list, from `at` to the bracket that closes it. */
function* itemsOf(text: string, at: number): Generator<[start: number, end: number]> {
  while (at < text.length - 1) {
    const end = endOfItem(text, at)
    yield [at, end]
    at = end + 1
  }
}

/** Index after the value that starts at `at`: that of a comma, of a bracket that closes the list, or of the end. */
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
