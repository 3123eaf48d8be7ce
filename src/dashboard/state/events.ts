import type { Value } from "../../columns/batch.ts"
import { textOf, valueAt } from "../../query/json.ts"
import { operators, positiveTestOf, testOf } from "../../query/operators.ts"
import type { Filter } from "./filters.ts"

/** An event as the API shows it. */
export interface ShownEvent {
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
  /** Null for the owner's own events. */
  website_id: string | null
  crawler: boolean
}

/** Whether the API would count the event among those that fit the filters. */
export function fitsAll(event: ShownEvent, filters: readonly Filter[]): boolean {
  return filters.every((filter) => fits(event, filter))
}

function fits(event: ShownEvent, filter: Filter): boolean {
  if (filter.field === "property_key") return keysFit(event, filter)
  const value = fieldOf(event, filter.field)
  return testOf(filter)(value === undefined ? undefined : textOf(value), value)
}

/** One of the keys has to fit; where the filter denies, none of them may do what it denies. */
function keysFit({ properties }: ShownEvent, filter: Filter): boolean {
  const keys = Object.keys(properties).filter((key) => properties[key] !== null)
  const { lookup, isNegation } = operators[filter.op]
  const test = positiveTestOf(filter)
  if (lookup === "presence") return test(keys[0], keys[0])
  return keys.some((key) => test(key, key)) !== isNegation
}

function fieldOf(event: ShownEvent, field: string): Value | undefined {
  if (field.startsWith("property.")) {
    return valueAt(event.properties, field.slice("property.".length))
  }
  return (event[field as keyof ShownEvent] as Value | null | undefined) ?? undefined
}
