import { contextFields } from "../../store/contexts.ts"
import { type ChartPeople, peopleOf } from "../components/people/selection.ts"
import type { Filter } from "../state/filters.ts"

/**
 * The people of page views. Filters by source, place or device select sessions by their first view, which a list of people cannot: it has
 * none then.
 */
export function peopleOfViews(filters: readonly Filter[]): ChartPeople | undefined {
  const ofSessions: readonly string[] = contextFields
  return filters.some(({ field }) => ofSessions.includes(field))
    ? undefined
    : { selection: peopleOf("page_view"), filters }
}
