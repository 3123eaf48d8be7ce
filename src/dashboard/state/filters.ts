import { type Operator, operatorNames, operators } from "../../query/operators.ts"
import { type Field, personFields } from "../../query/query.ts"

/** A filter as the API takes it. */
export interface Filter {
  field: string
  op: Operator
  value: string | number | boolean | string[]
}

/** A condition in the words of the page: an operator, and where it takes true or false, which of them. */
export type Condition = { op: Operator; words: string } & (
  | { takes: "text" | "number" | "list" }
  | { takes: "boolean"; value: boolean }
)

export const conditions: readonly Condition[] = operatorNames.flatMap((op): Condition[] => {
  const { label, labelOfFalse = label, takes } = operators[op]
  if (takes !== "boolean") return [{ op, words: label, takes }]
  return [
    { op, words: label, takes, value: true },
    { op, words: labelOfFalse, takes, value: false },
  ]
})

/** What a new filter begins with. */
export const firstCondition = conditions[0] as Condition

/** Fields in the words of the page; properties have their own names. */
const namesOfFields: Record<Exclude<Field, "website_id">, string> = {
  event_name: "Event",
  path: "Path",
  namespace: "Namespace",
  source: "Source",
  profile_id: "Profile",
  anonymous_id: "Visitor",
  session_id: "Session",
}

export const fieldNames: Readonly<Record<string, string>> = namesOfFields

/** Whoever comes by a share link may not name them. */
export const peopleFields: readonly string[] = personFields

export function fieldName(field: string): string {
  return fieldNames[field] ?? field.replace(/^property\./, "")
}

/** Undefined for an operator that there is not. */
function findCondition(op: string, value: unknown): Condition | undefined {
  return conditions.find((one) => one.op === op && (one.takes !== "boolean" || one.value === value))
}

export function conditionOf({ op, value }: Filter): Condition {
  return findCondition(op, value) ?? firstCondition
}

export function filterText(filter: Filter): string {
  const { field, value } = filter
  const { words, takes } = conditionOf(filter)
  const about = `${fieldName(field)} ${words}`
  return takes === "boolean" ? about : `${about} ${[value].flat().join(", ")}`
}

export function hasFilter(filters: readonly Filter[], filter: Filter): boolean {
  const param = filterParam(filter)
  return filters.some((one) => filterParam(one) === param)
}

/** With the filter where it was not there, and without it where it was. */
export function toggled(filters: readonly Filter[], filter: Filter): Filter[] {
  const param = filterParam(filter)
  const others = filters.filter((one) => filterParam(one) !== param)
  return others.length < filters.length ? others : [...filters, filter]
}

/** As it stands in the address: `eq:property.plan:pro`. Colons of the field are escaped; a list is JSON. */
export function filterParam({ field, op, value }: Filter): string {
  const text = Array.isArray(value) ? JSON.stringify(value) : String(value)
  return `${op}:${field.replaceAll("%", "%25").replaceAll(":", "%3A")}:${text}`
}

/** Undefined where the text is no filter: an address may have been cut off or typed. */
export function readFilter(param: string): Filter | undefined {
  const [, name, escaped, text = ""] = /^([a-z_]+):([^:]+):(.*)$/s.exec(param) ?? []
  const operator = findCondition(name ?? "", text !== "false")
  if (!operator || escaped === undefined) return undefined
  const field = escaped.replaceAll("%3A", ":").replaceAll("%25", "%")
  const { op } = operator
  switch (operator.takes) {
    case "boolean":
      return { field, op, value: operator.value }
    case "number": {
      const value = readNumber(text)
      return value === undefined ? undefined : { field, op, value }
    }
    case "list":
      return listOf(text, field, op)
    case "text":
      return { field, op, value: text }
  }
}

/** Undefined where it is none that JSON has. */
export function readNumber(text: string): number | undefined {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined
}

function listOf(text: string, field: string, op: Operator): Filter | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (!Array.isArray(value) || value.length === 0) return undefined
    return { field, op, value: value.map(String) }
  } catch {
    return undefined
  }
}

export function readFilters(params: URLSearchParams, name = "f"): Filter[] {
  return params.getAll(name).flatMap((param) => readFilter(param) ?? [])
}

/** What `readFilters` leaves out, as it stands in the address. */
export function unreadableFilters(params: URLSearchParams, name = "f"): string[] {
  return params.getAll(name).filter((param) => readFilter(param) === undefined)
}
