import type { Value } from "../columns/batch.ts"

// What a JSON value means to queries. The dashboard reads it too, for events that arrive while it is open.

/** What a value is compared and shown as. */
export function textOf(value: Value): string {
  return typeof value === "string" ? value : JSON.stringify(value)
}

/** Decimal, as people write numbers. Leading zeros, signs and blanks are those of ids, ZIP codes and phone numbers. */
const decimal = /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/

/**
 * The number that a value is, undefined where it is none: a JSON number, or text in decimal form (`19.90`, `-3`). Text with a leading
 * zero (`01129`), an exponent (`1e5`) or another form (`+1`, ` 1 `, `.5`, `0x10`) is no number, nor is text with more digits than a
 * double tells apart (`9007199254740993`). The one rule for classification, measures, histograms and comparisons.
 */
export function numberOf(value: Value | undefined): number | undefined {
  if (typeof value === "number") return value
  if (typeof value !== "string" || !decimal.test(value)) return undefined
  const number = Number(value)
  return Math.abs(number) <= Number.MAX_SAFE_INTEGER ? number : undefined
}

/** A dotted path as a key and the path below it (undefined: there is none), in each way to read it, the longest key first. */
export function* splits(path: string): Generator<[key: string, below: string | undefined]> {
  yield [path, undefined]
  for (let dot = path.lastIndexOf("."); dot >= 0; dot = dot === 0 ? -1 : path.lastIndexOf(".", dot - 1))
    yield [path.slice(0, dot), path.slice(dot + 1)]
}

/**
 * The value at a dotted path: keys of objects, places in arrays (`items.0.sku`). A key that has dots itself goes before nested ones.
 * Undefined where it is missing or null.
 */
export function valueAt(from: Value, path: string): Value | undefined {
  if (typeof from !== "object") return undefined
  for (const [key, below] of splits(path)) {
    const value = memberOf(from, key)
    const found = value === undefined || below === undefined ? value : valueAt(value, below)
    if (found !== undefined) return found
  }
  return undefined
}

function memberOf(from: object, key: string): Value | undefined {
  // Of an array, `length` is an own property as well.
  if (Array.isArray(from) && !/^(?:0|[1-9]\d*)$/.test(key)) return undefined
  return Object.hasOwn(from, key) ? ((from as Record<string, Value | null>)[key] ?? undefined) : undefined
}
