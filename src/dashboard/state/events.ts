import type { Value } from "../../columns/batch.ts"
import { denied, positive, testOf, textOf, walk } from "../../query/compare.ts"
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
function keysFit({ properties }: ShownEvent, { op, value }: Filter): boolean {
  const keys = Object.keys(properties).filter((key) => properties[key] !== null)
  if (op === "exists") return keys.length > 0 === (String(value) !== "false")
  const opposite = denied[op]
  const test = positive(opposite ?? op, value)
  return keys.some((key) => test(key, key)) === (opposite === undefined)
}

function fieldOf(event: ShownEvent, field: string): Value | undefined {
  if (field.startsWith("property.")) {
    const path = field.slice("property.".length)
    return walk(event.properties, [path]) ?? walk(event.properties, path.split("."))
  }
  return (event[field as keyof ShownEvent] as Value | null | undefined) ?? undefined
}
