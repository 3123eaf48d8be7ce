import { contextFields } from "../../store/contexts.ts"
import { type ChartPeople, peopleOf } from "../components/people/selection.ts"
import type { Filter } from "../state/filters.ts"

/**
 * Returns the people that a chart of page views links to; undefined if a filter by source, place or device is set. Such
 * a filter selects sessions by their first page view, which the list of people does not support.
 */
export function pageViewPeople(filters: readonly Filter[]): ChartPeople | undefined {
  const sessionFields: readonly string[] = contextFields
  return filters.some(({ field }) => sessionFields.includes(field))
    ? undefined
    : { selection: peopleOf("page_view"), filters }
}
