import { useApp } from "./app.ts"
import { rangeParams, rangeSince } from "./range.ts"
import { useResource } from "./resource.ts"

/** Text attached to a date. The API calls it a note. */
export interface Annotation {
  id: string
  /** null if the annotation is shown on the charts of all websites. */
  websiteId: string | null
  date: string
  text: string
}

/** Loads the annotations for the current website. Returns [] until they have loaded. */
export function useAnnotations(): Annotation[] {
  const { view, annotations } = useApp()
  const path = `notes?website_id=${encodeURIComponent(view.value.website)}`
  const { data } = useResource<{ notes: Annotation[] }>(path, annotations.version.value)
  return data?.notes ?? []
}

/**
 * Returns the positions of annotations on a chart. Leaves out annotations outside the chart's dates. `to` is the last
 * day of the chart.
 */
export function marksOf(
  notes: readonly Annotation[],
  dates: readonly string[],
  to: string,
): { at: number; date: string; text: string }[] {
  const [first] = dates
  if (first === undefined) return []
  return notes
    .filter(({ date }) => date >= first.slice(0, 10) && date <= to)
    .map(({ date, text }) => ({ at: indexOfDate(date, dates), date, text }))
}

/** Label of the action that compares the days since an annotation with the days before it. */
export const comparisonLabel = "Compare before and after"

/**
 * Returns the URL parameters for comparing the days since a date with the days before it. Returns undefined if the date
 * is in the future.
 */
export function comparisonParams(date: string, today: string) {
  const range = rangeSince(date, today)
  return range && { ...rangeParams(range), compare: undefined, by: undefined }
}

/** Returns the index of the bucket that contains a date. If buckets are hours, this is the first hour of that day. */
function indexOfDate(date: string, dates: readonly string[]): number {
  const exact = dates.findIndex((bucket) => bucket.slice(0, 10) === date)
  return exact >= 0 ? exact : dates.findLastIndex((bucket) => bucket.slice(0, 10) <= date)
}
