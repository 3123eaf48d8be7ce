import type { Value } from "../columns/batch.ts"
import type { Filter, Operator } from "./question.ts"

// What filters mean of single values; the dashboard, which filters what comes in by itself, means the same.

/** What a value is compared and shown as. */
export function textOf(value: Value): string {
  return typeof value === "string" ? value : JSON.stringify(value)
}

/** The value further down in an object; null is as good as missing. */
export function walk(value: Value, path: readonly string[]): Value | undefined {
  let at: Value | null | undefined = value
  for (const key of path) {
    if (typeof at !== "object" || at === null || Array.isArray(at) || !Object.hasOwn(at, key))
      return undefined
    at = (at as Record<string, Value | null>)[key]
  }
  return at ?? undefined
}

/** Whether text fits; undefined: the value is missing. */
export type Test = (text: string | undefined, value: Value | undefined) => boolean

/** Operators that are true wherever another one is not. */
export const denied: Partial<Record<Operator, Operator>> = {
  ne: "eq",
  not_contains: "contains",
  not_in: "in",
}

/** Operators that say something of single text values. */
export function positive(op: Operator, value: Filter["value"]): Test {
  const list = (Array.isArray(value) ? value : [value]).map(String)
  const [text] = list as [string]
  const number = Number(text)
  const compare: Partial<Record<Operator, Test>> = {
    eq: (other) => other === text,
    in: (other) => other !== undefined && list.includes(other),
    contains: (other) => other?.includes(text) ?? false,
    starts_with: (other) => other?.startsWith(text) ?? false,
    gt: (_, other) => typeof other === "number" && other > number,
    gte: (_, other) => typeof other === "number" && other >= number,
    lt: (_, other) => typeof other === "number" && other < number,
    lte: (_, other) => typeof other === "number" && other <= number,
    exists: (other) => (other !== undefined) === (text !== "false"),
  }
  const test = compare[op]
  if (!test) throw new Error(`no such operator: ${op}`)
  return test
}

export function testOf({ op, value }: Pick<Filter, "op" | "value">): Test {
  const opposite = denied[op]
  if (!opposite) return positive(op, value)
  const test = positive(opposite, value)
  return (text, other) => !test(text, other)
}
