import { describe, expect, test } from "bun:test"
import type { RequestError } from "../../src/errors.ts"
import { LargeBodies, parseInSteps } from "../../src/http/large-body.ts"
import { readEventsInSteps } from "../../src/ingest/event.ts"
import { runToEnd } from "../../src/steps.ts"
import { mulberry32, type Pick, picker } from "../support/random.ts"

const many = (count: number, make: (index: number) => string) =>
  Array.from({ length: count }, (_, n) => make(n)).join(",")

/** The value of a text, or the reason why it is rejected. */
function parsed(text: string): unknown {
  try {
    return { value: runToEnd(parseInSteps(text)) }
  } catch (error) {
    return (error as RequestError).reason
  }
}

function byParser(text: string): unknown {
  try {
    return { value: JSON.parse(text) as unknown }
  } catch {
    return "invalid_json"
  }
}

describe("parsing in steps", () => {
  const long = `"${"x".repeat(140_000)}"`
  const cases: [string, string][] = [
    ["an empty text", ""],
    ["white space", " \n"],
    ["a number", " 1 "],
    ["an object", '{"a":[1,2],"a":3}'],
    ["an empty array", " [ ] "],
    ["an array", '[1,"a,]",{"b":[2,3]},[]]\n'],
    ["a comma at the end", "[1,]"],
    ["a comma at the start", "[,1]"],
    ["only a comma", "[,]"],
    ["text after the array", "[1] 2"],
    ["another array after the first", "[1],[2]"],
    ["an array that is not closed", "[1,2"],
    ["a bracket that does not match", "[1}"],
    ["brackets that match only in number", '[{"a":[1}]]'],
    ["a string that is not closed", '["a'],
    ["an escaped quote", '["\\"],[", "\\\\"]'],
    ["items in several steps", `[${long},1,${long},2]`],
    ["a comma at the start of several steps", `[,${long},2]`],
    ["an empty item after a step", `[${long},,2]`],
    ["a comma at the end of several steps", `[${long},${long},]`],
    ["text after several steps", `[${long},${long}]]`],
  ]
  test.each(cases)("of %s has the same result as JSON.parse", (_, text) => {
    expect(parsed(text)).toEqual(byParser(text))
  })

  test("of any JSON, with or without an error, has the same result as JSON.parse", () => {
    const random = picker(mulberry32(5))
    for (let round = 0; round < 3_000; round++) {
      const text = JSON.stringify(Array.from({ length: random.whole(0, 4) }, () => anything(random, 4)))
      expect(parsed(text)).toEqual(byParser(text))
      const at = random.whole(0, text.length)
      const wrong =
        text.slice(0, at) + random.of(["", ",", "]", "[", '"', "}", "{", "\\", " "]) + text.slice(at + 1)
      expect([wrong, parsed(wrong)]).toEqual([wrong, byParser(wrong)])
    }
  })

  const levels = (count: number) => "[".repeat(count) + "]".repeat(count)
  const limits: [string, string, string | undefined][] = [
    ["128 levels", levels(128), undefined],
    ["129 levels", levels(129), "nesting_too_deep"],
    ["129 levels in an object", `{"a":${levels(129)}}`, "nesting_too_deep"],
    ["32,768 values in an object", `{"a":[${many(32_767, () => "0")}]}`, undefined],
    ["32,769 values in an object", `{"a":[${many(32_768, () => "0")}]}`, "too_many_values"],
    ["170,000 keys", `{${many(170_000, (key) => `"k${key}":0`)}}`, "too_many_values"],
    ["170,000 items of an array", `[${many(170_000, () => "{}")}]`, undefined],
    ["one item of 170,000 objects", `[{"a":[${many(170_000, () => "{}")}]}]`, "too_many_values"],
  ]
  test.each(limits)("limits levels and values, but not items: %s", (_, text, reason) => {
    const result = parsed(text)
    expect(typeof result === "string" ? result : undefined).toBe(reason)
  })

  // Valid bodies of about the maximum size.
  const bodies: [string, string][] = [
    [
      "60 events of 2,000 keys",
      `[${many(60, (event) => `{"name":"n","properties":{${many(2_000, (key) => `"${event}_${key}":0`)}}}`)}]`,
    ],
    [
      "1,000 events of 2 KB",
      `[${many(1_000, () => `{"name":"n","properties":{"a":"${"x".repeat(2_000)}"}}`)}]`,
    ],
    [
      "60 events of nested values",
      `[${many(60, () => `{"name":"n","properties":{"a":[${many(4_000, () => '{"x":0}')}]}}`)}]`,
    ],
  ]
  test.each(bodies)("and validating %s pauses after each 2,048 values or 131,072 characters", (_, text) => {
    const parsing = parseInSteps(text)
    let steps = 0
    let value: unknown
    for (let step = parsing.next(); ; step = parsing.next(), steps++) {
      if (!step.done) continue
      value = step.value
      break
    }
    expect(steps).toBeGreaterThan(text.length / 140_000)
    const rules = { maxEvents: 1_000, now: 0, isRegistered: () => true }
    const items = (value as unknown[]).length
    const validating = readEventsInSteps(
      (value as object[]).map((event) => ({ ...event, timestamp: "2000-01-02" })),
      { ...rules, now: Date.UTC(2001, 0) },
    )
    let pauses = 0
    while (!validating.next().done) pauses++
    expect(pauses).toBe(items - 1)
  })
})

describe("large bodies", () => {
  test("run one after another, and pause for other requests every 4 ms", async () => {
    let ms = 0
    const bodies = new LargeBodies(() => ms)
    const seen: string[] = []
    function* work(name: string): Generator<void, string> {
      for (let step = 0; step < 6; step++) {
        ms += 2
        seen.push(name)
        yield
      }
      return name
    }
    let isDone = false
    const others = (async () => {
      while (!isDone) {
        seen.push("other")
        await new Promise((resolve) => setImmediate(resolve))
      }
    })()
    const results = await Promise.all([bodies.run(work("a")), bodies.run(work("b"))])
    isDone = true
    await others
    expect(results).toEqual(["a", "b"])
    expect(seen.filter((name) => name !== "other").join("")).toBe("aaaaaabbbbbb")
    const text = seen.join(" ")
    expect(text).not.toMatch(/a a a|b b b/)
  })

  test("that have started continue before others start, and a failure does not affect those that wait", async () => {
    let ms = 0
    const bodies = new LargeBodies(() => (ms += 10))
    const seen: string[] = []
    function* work(name: string): Generator<void, void> {
      yield
      seen.push(name)
      if (name === "fails") throw new Error(name)
    }
    const first = bodies.run(work("fails")).catch(() => seen.push("failed"))
    const waiting = [bodies.run(work("new")), bodies.run(work("validation"), true)]
    await Promise.all([first, ...waiting])
    expect(seen.filter((name) => name !== "failed")).toEqual(["fails", "validation", "new"])
  })
})

function anything(random: Pick, levels: number): unknown {
  const text = () =>
    Array.from({ length: random.whole(0, 4) }, () => random.of(['"', "\\", "[", "}", ",", "a", "\n"])).join(
      "",
    )
  if (levels === 0 || random.chance(0.3)) return random.of([text(), 1.5, null, true])
  const inner = Array.from({ length: random.whole(0, 3) }, () => anything(random, levels - 1))
  return random.chance(0.5) ? inner : Object.fromEntries(inner.map((one, index) => [text() + index, one]))
}
