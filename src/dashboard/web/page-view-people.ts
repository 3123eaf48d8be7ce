import { contextFields } from "../../store/contexts.ts"
import { type ChartPeople, peopleOf } from "../components/people/selection.ts"
import type { Filter } from "../state/filters.ts"

/**
 * Links a chart of page views to the people who made them. Undefined if a filter by source, place or device is set:
 * such a filter selects sessions by their first view, which the list of people does not support.
 */
export function pageViewPeople(filters: readonly Filter[]): ChartPeople | undefined {
  const sessionFields: readonly string[] = contextFields
  return filters.some(({ field }) => sessionFields.includes(field))
    ? undefined
    : { selection: peopleOf("page_view"), filters }
}
