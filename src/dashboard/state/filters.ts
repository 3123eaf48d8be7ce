/** A filter as the API takes it. */
export interface Filter {
  field: string
  op: Operator
  value: string | number | boolean | string[]
}

/** Conditions in the words of the page, and what they are asked with. */
export const conditions = [
  { op: "eq", words: "is", takes: "text" },
  { op: "ne", words: "is not", takes: "text" },
  { op: "in", words: "is one of", takes: "list" },
  { op: "not_in", words: "is none of", takes: "list" },
  { op: "contains", words: "contains", takes: "text" },
  { op: "not_contains", words: "does not contain", takes: "text" },
  { op: "starts_with", words: "begins with", takes: "text" },
  { op: "gt", words: "is above", takes: "number" },
  { op: "gte", words: "is at least", takes: "number" },
  { op: "lt", words: "is below", takes: "number" },
  { op: "lte", words: "is at most", takes: "number" },
  { op: "exists", words: "is there", takes: "nothing", value: true },
  { op: "exists", words: "is missing", takes: "nothing", value: false },
] as const

export type Condition = (typeof conditions)[number]
export type Operator = Condition["op"]

/** Fields in the words of the page; properties have their own names. */
export const fieldNames: Record<string, string> = {
  event_name: "Event",
  path: "Path",
  namespace: "Namespace",
  source: "Source",
  profile_id: "Profile",
  anonymous_id: "Visitor",
  session_id: "Session",
}

/** Those that tell people apart: whoever comes by a share link may not name them. */
export const peopleFields: readonly string[] = ["profile_id", "anonymous_id", "session_id"]

export function fieldName(field: string): string {
  return fieldNames[field] ?? field.replace(/^property\./, "")
}

export function conditionOf({ op, value }: Filter): Condition {
  const [first, other] = conditions.filter((one) => one.op === op)
  return (first?.takes === "nothing" && first.value !== value ? other : first) ?? conditions[0]
}

export function filterText(filter: Filter): string {
  const { field, value } = filter
  const { words, takes } = conditionOf(filter)
  const about = `${fieldName(field)} ${words}`
  return takes === "nothing" ? about : `${about} ${[value].flat().join(", ")}`
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
  const operator = conditions.find(({ op }) => op === name)
  if (!operator || escaped === undefined) return undefined
  const field = escaped.replaceAll("%3A", ":").replaceAll("%25", "%")
  const { op, takes } = operator
  switch (takes) {
    case "nothing":
      return { field, op, value: text !== "false" }
    case "number":
      return text === "" || Number.isNaN(Number(text)) ? undefined : { field, op, value: Number(text) }
    case "list":
      return listOf(text, field, op)
    case "text":
      return { field, op, value: text }
  }
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
