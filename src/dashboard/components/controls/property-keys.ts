import { useApp } from "../../state/app.ts"
import { eventFilters } from "../../state/filters.ts"
import { useQuery } from "../../state/use-query.ts"

/** Maximum number of property keys to offer. */
const maxKeys = 1_000

/**
 * Returns the property keys of the events in the range, or only the keys of `event` if it is set. Runs no query if
 * `isNeeded` is false or the user cannot see custom events.
 */
export function usePropertyKeys(
  event: string | undefined,
  isNeeded = true,
): { keys: string[]; isLoading: boolean } {
  const parameter = { name: "custom_events_property_cardinality", id: "keys", limit: maxKeys }
  const { session } = useApp()
  const isQueried = isNeeded && session.canSeeCustomEvents
  const query = useQuery(isQueried ? [parameter] : undefined, {
    filters: eventFilters(event),
  })
  const rows = query.rows<{ property_key: string }>("keys")
  // There is one row per event name and key, so a key can occur several times.
  return { keys: [...new Set(rows.map((row) => row.property_key))], isLoading: query.isLoading }
}
