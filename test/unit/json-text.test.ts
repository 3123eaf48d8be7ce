import { expect, test } from "bun:test"
import { endOfString, quoted } from "../../src/json-text.ts"

const cases: [string, text: string, start: number, end: number][] = [
  ["ends at the next quote", '"a","b"', 0, 2],
  ["can be empty", '[""]', 1, 2],
  ["contains an escaped quote", '"a\\"b"', 0, 5],
  ["ends after an escaped backslash", '"a\\\\","b"', 0, 4],
  ["contains an escaped backslash and an escaped quote", '"\\\\\\"" ', 0, 5],
  ["without an end ends with the text", '"ab', 0, 3],
  ["whose last quote is escaped ends with the text", '"a\\"', 0, 4],
]
test.each(cases)("a string %s", (_, text, start, end) => {
  expect(endOfString(text, start)).toBe(end)
})

test("a string is quoted in the same way as by JSON.stringify", () => {
  const strings = ["", "plain", "ü €", "😀", "\ud83d", "\ude00", "\u2028", "\u007f", "\ue000", "\uffff"]
  for (let code = 0; code < 0x80; code++) strings.push(`a${String.fromCharCode(code)}b`)
  for (const string of strings) expect(quoted(string)).toBe(JSON.stringify(string))
})
