import type { Value } from "../columns/batch.ts"

// What a JSON value means to queries. The dashboard reads it too, for events that arrive while it is open.

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
