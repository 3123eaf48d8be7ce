import { expect, test } from "bun:test"
import { objectOf, stringsOf } from "../../src/store/properties-json.ts"
import { mulberry32, type Pick, picker } from "../support/random.ts"

const serialize = (properties: object) =>
  [JSON.stringify(Object.keys(properties)), JSON.stringify(Object.values(properties)).slice(1, -1)] as const

const cases: [string, object][] = [
  ["no keys", {}],
  ["one key", { a: 1 }],
  ["an empty key", { "": "" }],
  ["keys like numbers", { 10: "a", 2: "b", x: "c" }],
  ["brackets, commas and quotes in keys", { "],[": 1, '"': 2, '\\"': 3, "\\": 4, "a,b": 5 }],
  ["brackets, commas and quotes in values", { a: "],[", b: '"', c: '\\",\\', d: "\\" }],
  ["nested values", { a: [1, [2, { b: "]" }]], c: { d: [{}, []] }, e: null, f: true }],
  ["text that JSON escapes", { "a\u0001": "b\u2028\n", "\ud800": "\udc00" }],
]
test.each(cases)("properties are serialized as by JSON.stringify: %s", (_, properties) => {
  const [keys, values] = serialize(properties)
  expect(objectOf(keys, values)).toBe(JSON.stringify(properties))
  expect([...stringsOf(keys)]).toEqual(Object.keys(properties))
})

test("random properties are serialized as by JSON.stringify", () => {
  const random = picker(mulberry32(11))
  for (let round = 0; round < 2_000; round++) {
    const properties = Object(anyValue(random, 4)) as object
    const [keys, values] = serialize(properties)
    expect(objectOf(keys, values)).toBe(JSON.stringify({ ...properties }))
    expect([...stringsOf(keys)]).toEqual(Object.keys(properties))
  }
})

function anyValue(random: Pick, levels: number): unknown {
  const text = () =>
    Array.from({ length: random.whole(0, 5) }, () => random.of(['"', "\\", "[", "}", ",", ":", "é"])).join("")
  if (levels === 0 || (levels < 4 && random.chance(0.3))) return random.of([text(), 1.5, null, false])
  const inner = Array.from({ length: random.whole(0, 4) }, () => anyValue(random, levels - 1))
  return levels < 4 && random.chance(0.5)
    ? inner
    : Object.fromEntries(inner.map((one, index) => [text() + index, one]))
}
