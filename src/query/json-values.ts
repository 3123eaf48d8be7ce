import type { Value } from "../columns/batch.ts"

// Defines how queries read JSON values. The dashboard applies the same rules to events that arrive while it is open.

/** Returns a value as text, as used in comparisons and results: a string unchanged, anything else as JSON. */
export function textOf(value: Value): string {
  return typeof value === "string" ? value : JSON.stringify(value)
}

/** Compares strings by UTF-16 code unit. Null (a missing value) sorts first. */
export function compareTexts(left: string | null, right: string | null): number {
  if (left === right) return 0
  if (left === null || right === null) return left === null ? -1 : 1
  return left < right ? -1 : 1
}

/**
 * Matches decimal numbers as people write them. Does not match strings with leading zeros, plus signs or spaces, which
 * are assumed to be IDs, ZIP codes or phone numbers.
 */
const decimal = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/

/**
 * Returns the number that a value represents: a JSON number, or a string in decimal form (`19.90`, `-3`). Returns
 * undefined for a string with a leading zero (`01129`), an exponent (`1e5`) or any other form (`+1`, ` 1 `, `.5`,
 * `0x10`), and for a string whose absolute value exceeds `Number.MAX_SAFE_INTEGER` (`9007199254740993`).
 * Classification, measures, histograms and comparisons all follow this rule.
 */
export function numberOf(value: Value | undefined): number | undefined {
  if (typeof value === "number") return value
  if (typeof value !== "string" || !decimal.test(value)) return undefined
  const number = Number(value)
  return Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : undefined
}

/**
 * Yields every way to split a dotted path into a key and the path below it, longest key first. `below` is undefined if
 * the key is the whole path.
 */
export function* pathSplits(path: string): Generator<[key: string, below: string | undefined]> {
  yield [path, undefined]
  for (let dot = path.lastIndexOf("."); dot >= 0; dot = dot === 0 ? -1 : path.lastIndexOf(".", dot - 1))
    yield [path.slice(0, dot), path.slice(dot + 1)]
}

/**
 * Returns the value at a dotted path of object keys and array indexes (`items.0.sku`). A key that contains dots takes
 * precedence over nested keys. Returns undefined if the value is missing or null.
 */
export function valueAt(from: Value, path: string): Value | undefined {
  if (typeof from !== "object") return undefined
  for (const [key, below] of pathSplits(path)) {
    const value = memberOf(from, key)
    const inner = value === undefined || below === undefined ? value : valueAt(value, below)
    if (inner !== undefined) return inner
  }
  return undefined
}

function memberOf(from: object, key: string): Value | undefined {
  // Only indexes are allowed, because the `length` of an array is an own property too.
  if (Array.isArray(from) && !/^(?:0|[1-9]\d*)$/.test(key)) return undefined
  return Object.hasOwn(from, key) ? ((from as Record<string, Value | null>)[key] ?? undefined) : undefined
}
