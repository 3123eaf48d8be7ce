import { isDeepStrictEqual } from "node:util"
import type { Query, QueryResults } from "../../src/query/query.ts"

/** Allowed difference between two sums or averages, relative to the larger one. */
const tolerance = 1e-9

/**
 * Returns the first difference between two results of a query, or undefined if they are equal. Ignores the order of
 * properties, and of groups if the query has no page.
 */
export function difference(query: Query, actual: unknown, expected: unknown): string | undefined {
  if (query.kind === "groups") {
    const inexact = query.measures.map(
      (measure) => typeof measure === "object" && (measure.what === "sum" || measure.what === "avg"),
    )
    const [one, other] = [actual, expected] as [QueryResults["groups"], QueryResults["groups"]]
    if (!query.page) return differenceAt(withSortedGroups(one), withSortedGroups(other), inexact)
    // The groups of a page are sorted. Sums can differ by rounding.
    const [sum, right] = [one.totals?.sum, other.totals?.sum]
    if (sum !== right && !isClose(sum, right)) return `totals.sum is ${sum} and not ${right}`
    return differenceAt(
      { ...one, totals: one.totals?.groups },
      { ...other, totals: other.totals?.groups },
      inexact,
    )
  }
  if (query.kind === "values") {
    return differenceAt(
      sortedByKey(actual as QueryResults["values"]),
      sortedByKey(expected as QueryResults["values"]),
    )
  }
  if (query.kind === "traffic") {
    return differenceAt(
      withSortedGroups(actual as QueryResults["traffic"]),
      withSortedGroups(expected as QueryResults["traffic"]),
    )
  }
  return differenceAt(actual, expected)
}

function withSortedGroups({ buckets, groups }: QueryResults["groups" | "traffic"]): object {
  const keyed = groups.map((group) => ({ key: JSON.stringify([group.bucket, group.by]), ...group }))
  return { buckets, groups: keyed.sort((one, other) => (one.key < other.key ? -1 : 1)) }
}

function sortedByKey({ properties }: QueryResults["values"]): object {
  const keyed = properties.map((one) => ({ id: JSON.stringify([one.name, one.key]), ...one }))
  return keyed.sort((one, other) => (one.id < other.id ? -1 : 1))
}

function differenceAt(
  actual: unknown,
  expected: unknown,
  inexact: boolean[] = [],
  path = "",
): string | undefined {
  if (Object.is(actual, expected) || actual === expected) return undefined
  if (isObject(actual) && isObject(expected) && Array.isArray(actual) === Array.isArray(expected)) {
    const fields = new Set([...Object.keys(expected), ...Object.keys(actual)])
    for (const field of fields) {
      if (
        inexact[Number(field)] &&
        /values$|previous\.\d+$/.test(path) &&
        isClose(actual[field], expected[field])
      )
        continue
      const found = differenceAt(actual[field], expected[field], inexact, `${path}.${field}`)
      if (found) return found
    }
    return undefined
  }
  if (isDeepStrictEqual(actual, expected)) return undefined
  return `${path || "the answer"} is ${JSON.stringify(actual)} and not ${JSON.stringify(expected)}`
}

function isClose(actual: unknown, expected: unknown): boolean {
  if (typeof actual !== "number" || typeof expected !== "number") return false
  return Math.abs(actual - expected) <= tolerance * Math.max(Math.abs(actual), Math.abs(expected))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null
}
