import type { Value } from "../../columns/batch.ts"
import type { EventKind } from "../../event-kinds.ts"
import { textOf, valueAt } from "../../query/json-values.ts"
import { operators, positivePredicateOf, predicateOf } from "../../query/operators.ts"
import type { KnownContext } from "../../store/contexts.ts"
import type { Filter } from "./filters.ts"

/** An event as returned by the API, with those context fields that are known. */
export interface ApiEvent extends KnownContext {
  event_name: string
  namespace: string | null
  source: string | null
  path: string | null
  properties: Record<string, unknown>
  anonymous_id: string | null
  session_id: string | null
  /** ISO 8601 in UTC */
  timestamp: string
  profile_id: string | null
  /** null if the event was sent without a website. */
  website_id: string | null
  crawler: boolean
  /** If absent, the event is a custom event. */
  kind?: EventKind
}

/** Whether an event matches all filters, using the same rules as the query engine. */
export function matchesAll(event: ApiEvent, filters: readonly Filter[]): boolean {
  return filters.every((filter) => matches(event, filter))
}

function matches(event: ApiEvent, filter: Filter): boolean {
  if (filter.field === "property_key") return matchesKeys(event, filter)
  const value = fieldOf(event, filter.field)
  return predicateOf(filter)(value === undefined ? undefined : textOf(value), value)
}

/** True if at least one property key matches or, for a negated operator, if no key matches its positive form. */
function matchesKeys({ properties }: ApiEvent, filter: Filter): boolean {
  const keys = Object.keys(properties).filter((key) => properties[key] !== null)
  const { lookup, isNegation } = operators[filter.op]
  const test = positivePredicateOf(filter)
  if (lookup === "presence") return test(keys[0], keys[0])
  return keys.some((key) => test(key, key)) !== isNegation
}

function fieldOf(event: ApiEvent, field: string): Value | undefined {
  if (field.startsWith("property.")) {
    return valueAt(event.properties, field.slice("property.".length))
  }
  if (field === "query_string") return valueAt(event.properties, field)
  if (field === "kind") return event.kind ?? "custom"
  // All other fields are columns with text values or null. For an unknown name, the result is undefined.
  return (event[field as keyof ApiEvent] as Value | null | undefined) ?? undefined
}
