import { type Field, idFields } from "../../query/fields.ts"
import { type Operator, operatorNames, operators } from "../../query/operators.ts"
import { isolate } from "./bidi.ts"

/** A filter, as the API accepts it. */
export interface Filter {
  field: string
  op: Operator
  value: string | number | boolean | string[]
}

/** An entry in the condition menu: an operator and, if the operator takes a boolean, its value. */
export type Condition = { op: Operator; words: string } & (
  | { takes: "text" | "number" | "list" }
  | { takes: "boolean"; value: boolean }
)

export const conditions: readonly Condition[] = operatorNames.flatMap((op): Condition[] => {
  const { label, falseLabel = label, operandType } = operators[op]
  if (operandType !== "boolean") return [{ op, words: label, takes: operandType }]
  return [
    { op, words: label, takes: operandType, value: true },
    { op, words: falseLabel, takes: operandType, value: false },
  ]
})

/** The condition of a new filter. */
export const defaultCondition: Condition = { op: "eq", words: operators.eq.label, takes: "text" }

/** Display names of fields. A property is displayed as its key. */
export const fieldNames: Readonly<Record<string, string>> = {
  event_name: "Event",
  path: "Path",
  query_string: "Query string",
  namespace: "Namespace",
  source: "Source",
  profile_id: "Profile",
  anonymous_id: "Visitor",
  session_id: "Session",
  kind: "Kind of event",
  country: "Country",
  region: "Region",
  city: "City",
  language: "Language",
  timezone: "Time zone",
  device_type: "Device",
  browser_name: "Browser",
  browser_version: "Browser version",
  os_name: "Operating system",
  screen_resolution: "Screen",
  referrer: "Referrer",
  referrer_domain: "Referrer domain",
  referrer_type: "Referrer type",
  utm_source: "UTM source",
  utm_medium: "UTM medium",
  utm_campaign: "UTM campaign",
  utm_term: "UTM term",
  utm_content: "UTM content",
} satisfies Record<Exclude<Field, "website_id">, string>

/** Fields that identify people. Share links cannot use them. */
export const peopleFields: readonly string[] = idFields

export function fieldName(field: string): string {
  return fieldNames[field] ?? field.replace(/^property\./, "")
}

/**
 * Finds the condition with this operator and, if the operator takes a boolean, this value. Returns undefined if none
 * matches.
 */
function findCondition(op: string, value: unknown): Condition | undefined {
  return conditions.find(
    (condition) => condition.op === op && (condition.takes !== "boolean" || condition.value === value),
  )
}

export function conditionOf({ op, value }: Filter): Condition {
  return findCondition(op, value) ?? defaultCondition
}

export function filterText(filter: Filter): string {
  const { field, value } = filter
  const { words, takes } = conditionOf(filter)
  const about = `${isolate(fieldName(field))} ${words}`
  if (takes === "boolean") return about
  return `${about} ${[value]
    .flat()
    .map((single) => isolate(String(single)))
    .join(", ")}`
}

/** Whether all `searched` filters are set, alone or as part of an "is one of" filter. */
export function hasFilters(filters: readonly Filter[], searched: readonly Filter[]): boolean {
  const params = new Set(filters.flatMap(singleFilters).map(filterParam))
  return searched.every((filter) => params.has(filterParam(filter)))
}

/** Splits an "is one of" filter into one filter per value. Returns other filters unchanged. */
function singleFilters(filter: Filter): Filter[] {
  const { field, op, value } = filter
  return op === "in" && Array.isArray(value)
    ? value.map((single): Filter => ({ field, op: "eq", value: single }))
    : [filter]
}

/** Maps each operator for a single value to its counterpart for several values. */
const severalOperators = { eq: "in", ne: "not_in" } as const satisfies Partial<Record<Operator, Operator>>
export type ValueOperator = keyof typeof severalOperators

/**
 * Returns the operator for a single value that corresponds to `op`; undefined if `op` does not compare whole values.
 */
export function valueOperatorOf(op: Operator): ValueOperator | undefined {
  return op === "eq" || op === "in" ? "eq" : op === "ne" || op === "not_in" ? "ne" : undefined
}

/** Returns an "is" filter for one value, or an "is one of" filter for several, or the negation of either. */
export function valuesFilter(field: string, op: ValueOperator, values: readonly string[]): Filter {
  const [first = ""] = values
  return values.length === 1
    ? { field, op, value: first }
    : { field, op: severalOperators[op], value: [...values] }
}

function isEquality({ op }: Filter): boolean {
  return op === "eq" || op === "in"
}

/**
 * Adds a filter. A second "is" filter on the same field becomes an alternative to the first one ("is one of"), because
 * no event has both values.
 */
export function addFilter(filters: readonly Filter[], added: Filter): Filter[] {
  const at = filters.findIndex((filter) => filter.field === added.field && isEquality(filter))
  const other = filters[at]
  if (!other || !isEquality(added)) return [...filters, added]
  const values = [other.value, added.value].flat().map(String)
  return filters.with(at, valuesFilter(added.field, "eq", [...new Set(values)]))
}

function removeFilter(filters: readonly Filter[], removed: Filter): Filter[] {
  const param = filterParam(removed)
  return filters.flatMap((filter) => {
    const singles = singleFilters(filter)
    const others = singles.filter((single) => filterParam(single) !== param)
    if (others.length === singles.length) return [filter]
    return others.length === 0
      ? []
      : [
          valuesFilter(
            filter.field,
            "eq",
            others.map(({ value }) => String(value)),
          ),
        ]
  })
}

/** Filters that select the events with this name. Returns no filters if the name is '' or undefined. */
export function eventFilters(event: string | undefined): Filter[] {
  return event ? [{ field: "event_name", op: "eq", value: event }] : []
}

/** A filter that selects the events with this value or, if it is null, the events without a value. */
export function valueFilter(field: string, value: string | null): Filter {
  return value === null ? { field, op: "exists", value: false } : { field, op: "eq", value }
}

/** Adds the `toggled` filters, or removes them if all of them are already set. */
export function toggleFilters(filters: readonly Filter[], toggled: readonly Filter[]): Filter[] {
  const change = hasFilters(filters, toggled) ? removeFilter : addFilter
  return toggled.reduce<Filter[]>(change, [...filters])
}

/**
 * A filter as written in the URL, for example `eq:property.plan:pro`. Percent signs and colons in the field are
 * escaped, and a list of values is written as JSON.
 */
export function filterParam({ field, op, value }: Filter): string {
  const text = Array.isArray(value) ? JSON.stringify(value) : String(value)
  return `${op}:${field.replaceAll("%", "%25").replaceAll(":", "%3A")}:${text}`
}

/**
 * Parses a filter in the URL. Returns undefined if the text is not a filter, which happens if the URL was truncated or
 * edited by hand.
 */
export function parseFilter(param: string): Filter | undefined {
  const [, name, escaped, text = ""] = /^([a-z_]+):([^:]+):(.*)$/s.exec(param) ?? []
  const operator = findCondition(name ?? "", text !== "false")
  if (!operator || escaped === undefined) return undefined
  const field = escaped.replaceAll("%3A", ":").replaceAll("%25", "%")
  const { op } = operator
  switch (operator.takes) {
    case "boolean":
      return { field, op, value: operator.value }
    case "number": {
      const value = parseNumber(text)
      return value === undefined ? undefined : { field, op, value }
    }
    case "list":
      return parseList(text, field, op)
    case "text":
      return { field, op, value: text }
  }
}

/** Parses a number. Returns undefined if the text is not a finite number. */
export function parseNumber(text: string): number | undefined {
  return text.trim() !== "" && Number.isFinite(Number(text)) ? Number(text) : undefined
}

function parseList(text: string, field: string, op: Operator): Filter | undefined {
  try {
    const value: unknown = JSON.parse(text)
    if (!Array.isArray(value) || value.length === 0) return undefined
    return { field, op, value: value.map(String) }
  } catch {
    return undefined
  }
}

export function parseFilters(params: URLSearchParams, name = "f"): Filter[] {
  return params.getAll(name).flatMap((param) => parseFilter(param) ?? [])
}

/** The raw values that `parseFilters` could not parse. */
export function invalidFilters(params: URLSearchParams, name = "f"): string[] {
  return params.getAll(name).filter((param) => parseFilter(param) === undefined)
}
