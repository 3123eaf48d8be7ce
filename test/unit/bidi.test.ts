import { expect, test } from "bun:test"
import { isolate } from "../../src/dashboard/state/bidi.ts"

const cases = [
  { name: "left-to-right text is unchanged", text: "Müller & Söhne", isolated: "Müller & Söhne" },
  { name: "Hebrew is isolated", text: "שלום", isolated: "\u2068שלום\u2069" },
  { name: "an override is isolated", text: "a\u202eb", isolated: "\u2068a\u202eb\u2069" },
  {
    name: "the end of an isolate in the text does not end the isolation",
    text: "\u2069\u202eb",
    isolated: "\u2068\u202eb\u2069",
  },
]
test.each(cases)("$name", ({ text, isolated }) => {
  expect(isolate(text)).toBe(isolated)
})
