import { describe, expect, test } from "bun:test"
import type { RequestError } from "../../src/errors.ts"
import { parseInSteps } from "../../src/http/large-body.ts"
import { parseWideEvent, readEvents, SerializedProperties, toRow } from "../../src/ingest/event.ts"
import { JsonScanner, UnscannableError } from "../../src/json-scanner.ts"
import { runToEnd } from "../../src/steps.ts"
import { mulberry32, type Pick, picker } from "../support/random.ts"

const many = (count: number, make: (index: number) => string) =>
  Array.from({ length: count }, (_, n) => make(n)).join(",")
const rules = { maxEvents: 1_000, now: Date.UTC(2026, 0), isRegistered: () => false }

/** The rows of the events in a value, or the reason and the fields of its rejection. */
function outcomeOf(read: () => unknown): unknown {
  try {
    const receipt = { viaKey: true, crawler: false, receivedAt: rules.now }
    return readEvents(read(), rules).map((event) => toRow(event, undefined, receipt))
  } catch (error) {
    const { reason, fields } = error as RequestError
    return { reason, fields }
  }
}

/** JSON text with white space, escapes, numbers in several notations and repeated keys, as clients may send it. */
function jsonText(random: Pick, levels: number): string {
  const space = () => random.of(["", "", "", " ", "\n\t "])
  const key = () =>
    random.of([
      '"a"',
      '"b\\n"',
      '"\\u0061"',
      '"10"',
      '"9"',
      '"01"',
      '"4294967295"',
      '"__proto__"',
      '"😀"',
      '"\\ud83d"',
      '""',
      '"constructor"',
    ])
  if (levels === 0 || random.whole(0, 2) === 0)
    return random.of([
      ...["0", "-0", "1.50", "1e3", "1E-7", "123456789012345678901", "true", "false", "null", '"x"', '""'],
      ...['"\\u0041\\/"', '"a\\"b\\\\"', '"\\u0000"', '"\\ud800"', '"é\u2028"', "-1.0", "0.1e1"],
    ])
  const members = Array.from({ length: random.whole(0, 5) }, () => {
    const value = `${space()}${jsonText(random, levels - 1)}${space()}`
    return { value, member: `${space()}${key()}${space()}:${value}` }
  })
  return random.of(["object", "array"]) === "object"
    ? `{${members.map(({ member }) => member).join(",") || space()}}`
    : `[${members.map(({ value }) => value).join(",") || space()}]`
}

describe("the scanner", () => {
  test("returns what the parser and JSON.stringify return, and rejects what the parser rejects", () => {
    const random = picker(mulberry32(11))
    for (let round = 0; round < 5_000; round++) {
      const text = `{"value":${jsonText(random, 4)}}`
      const at = random.whole(0, text.length - 1)
      const wrong =
        text.slice(0, at) +
        random.of(["", ",", "]", "[", '"', "}", "{", "\\", " ", "\n", "0", "."]) +
        text.slice(at + 1)
      for (const candidate of [text, wrong]) {
        let expected: string | undefined
        try {
          expected = JSON.stringify(JSON.parse(candidate))
        } catch {}
        let found: string | undefined
        try {
          const scanner = new JsonScanner(candidate)
          const members = new Map<string, string>()
          for (const key of scanner.members()) members.set(key, scanner.value(128))
          found = `{${[...members].map(([key, value]) => `${JSON.stringify(key)}:${value}`).join(",")}}`
        } catch (error) {
          expect(error).toBeInstanceOf(UnscannableError)
        }
        expect([candidate, found]).toEqual([candidate, expected])
      }
    }
  })

  test.each([
    ["1e400"],
    ["-1e400"],
    ["[[[[]]]]"],
    ["01"],
    ["+1"],
    [".5"],
    ["1."],
    ["tru"],
    ["'a'"],
    ['"\t"'],
  ])("leaves %s to the parser", (value) => {
    const scanner = new JsonScanner(`{"a":${value}}`)
    expect(() => [...scanner.members()].map(() => 0)).toThrow(UnscannableError)
    const again = new JsonScanner(`{"a":${value}}`)
    expect(() => {
      for (const _ of again.members()) again.value(3)
    }).toThrow(UnscannableError)
  })
})

describe("an event with many keys is stored or rejected as if it were parsed", () => {
  const keys = many(300, (key) => `"k${key}":${key}`)
  const cases: [string, string][] = [
    ["with 300 keys", `{"name":"n","properties":{${keys}}}`],
    ["with white space", `\n{ "name" : "n" , "properties" : { ${keys} } } `],
    [
      "with keys that are numbers",
      `{"name":"n","properties":{"b":1,${many(300, (key) => `"${300 - key}":0`)}}}`,
    ],
    ["with repeated keys", `{"name":"n","properties":{${keys},"k3":"last"}}`],
    ["with NUL in a key", `{"name":"n","properties":{${keys},"\\u0000":1}}`],
    ["with half a surrogate pair in a key", `{"name":"n","properties":{${keys},"\\ud800":1}}`],
    ["with properties twice", `{"name":"n","properties":{"a":1},"properties":{${keys}}}`],
    [
      "with properties twice, the second time escaped",
      `{"name":"n","properties":{${keys}},"propert\\u0069es":{"a":1}}`,
    ],
    ["with nested keys", `{"name":"n","properties":{"a":[{${keys}}]}}`],
    ["with values in an unknown field", `{"name":"n","other":{${keys}}}`],
    ["with an own field __proto__", `{"name":"n","__proto__":{"namespace":7},"properties":{${keys}}}`],
    [
      "with all fields",
      `{"name":"n","namespace":"s","timestamp":"2025-01-01","anonymousId":"a","sessionId":"s","source":"x","eventId":"e","profileId":"p","path":"/","anonymizeVisitorIds":"auto","properties":{${keys}}}`,
    ],
    ["without a name", `{"properties":{${keys}}}`],
    ["with properties that are a list", `{"name":"n","properties":[${many(300, () => "0")}]}`],
    ["with a name that is an object", `{"name":{${keys}}}`],
    ["with a key of 129 characters", `{"name":"n","properties":{${keys},"${"k".repeat(129)}":0}}`],
    ["with a number beyond a double", `{"name":"n","properties":{${keys},"a":1e400}}`],
    ["with 65 levels", `{"name":"n","properties":{${keys},"a":${"[".repeat(64)}${"]".repeat(64)}}}`],
    ["with 64 levels", `{"name":"n","properties":{${keys},"a":${"[".repeat(63)}${"]".repeat(63)}}}`],
    ["of 32,768 bytes", `{"name":"n","properties":{${keys},"a":"${"x".repeat(32_768 - keys.length - 9)}"}}`],
    ["of 32,769 bytes", `{"name":"n","properties":{${keys},"a":"${"x".repeat(32_768 - keys.length - 8)}"}}`],
    ["of more than 32 KiB in UTF-8 only", `{"name":"n","properties":{${keys},"a":"${"é".repeat(15_500)}"}}`],
    ["of 40,000 bytes", `{"name":"n","properties":{${keys},"a":"${"x".repeat(40_000)}"}}`],
    ["with a comma at the end", `{"name":"n","properties":{${keys},}}`],
    ["that is not closed", `{"name":"n","properties":{${keys}}`],
    ["followed by another value", `{"name":"n","properties":{${keys}}} {}`],
    ["that is a list", `[${keys.replaceAll(/"k\d+":/g, "")}]`],
  ]
  test.each(cases)("%s", (_, text) => {
    const plain = '{"name":"m"}'
    for (const body of [text, `[${plain},${text},${plain}]`, `[${text},${text}]`]) {
      const scanned = outcomeOf(() => runToEnd(parseInSteps(body, parseWideEvent)))
      expect(scanned).toEqual(outcomeOf(() => runToEnd(parseInSteps(body))))
    }
  })

  test("without calling the parser for its keys", () => {
    const text = `{"name":"n","properties":{${keys}}}`
    const [event] = readEvents(parseWideEvent(text), rules)
    expect(event?.input.properties).toBeInstanceOf(SerializedProperties)
    expect(event?.keys).toBe(JSON.stringify(Object.keys(JSON.parse(text).properties)))
  })
})
