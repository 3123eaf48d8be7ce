import { isDeepStrictEqual } from "node:util"
import type { Query, QueryResults } from "../../src/query/query.ts"

/** Of the larger of two sums or averages that should be equal, and of what was added up. */
const tolerance = 1e-9

/** Where two answers to a question differ; undefined where they do not. Groups and properties come in no order. */
export function difference(question: Query, got: unknown, wanted: unknown): string | undefined {
  if (question.kind === "groups") {
    const inexact = question.measures.map(
      (measure) => typeof measure === "object" && (measure.what === "sum" || measure.what === "avg"),
    )
    const [one, other] = [got, wanted] as [QueryResults["groups"], QueryResults["groups"]]
    if (!question.page) return differs(ordered(one), ordered(other), inexact)
    // Groups are in the order that was asked for, and what is added up of them may be a little off.
    const [sum, right] = [one.all?.sum, other.all?.sum]
    if (sum !== right && !close(sum, right)) return `all.sum is ${sum} and not ${right}`
    return differs({ ...one, all: one.all?.groups }, { ...other, all: other.all?.groups }, inexact)
  }
  if (question.kind === "values") {
    return differs(byKey(got as QueryResults["values"]), byKey(wanted as QueryResults["values"]))
  }
  return differs(got, wanted)
}

function ordered({ buckets, groups }: QueryResults["groups"]): object {
  const keyed = groups.map((group) => ({ key: JSON.stringify([group.bucket, group.by]), ...group }))
  return { buckets, groups: keyed.sort((one, other) => (one.key < other.key ? -1 : 1)) }
}

function byKey({ properties }: QueryResults["values"]): object {
  const keyed = properties.map((one) => ({ id: JSON.stringify([one.name, one.key]), ...one }))
  return keyed.sort((one, other) => (one.id < other.id ? -1 : 1))
}

function differs(got: unknown, wanted: unknown, inexact: boolean[] = [], path = ""): string | undefined {
  if (Object.is(got, wanted) || got === wanted) return undefined
  if (isObject(got) && isObject(wanted) && Array.isArray(got) === Array.isArray(wanted)) {
    const fields = new Set([...Object.keys(wanted), ...Object.keys(got)])
    for (const field of fields) {
      if (inexact[Number(field)] && path.endsWith("values") && close(got[field], wanted[field])) continue
      const found = differs(got[field], wanted[field], inexact, `${path}.${field}`)
      if (found) return found
    }
    return undefined
  }
  if (isDeepStrictEqual(got, wanted)) return undefined
  return `${path || "the answer"} is ${JSON.stringify(got)} and not ${JSON.stringify(wanted)}`
}

function close(got: unknown, wanted: unknown): boolean {
  if (typeof got !== "number" || typeof wanted !== "number") return false
  return Math.abs(got - wanted) <= tolerance * Math.max(Math.abs(got), Math.abs(wanted))
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null
}
