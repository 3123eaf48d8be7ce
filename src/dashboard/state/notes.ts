import { useApp } from "./app.ts"
import { useResource } from "./resource.ts"

/** A note on a date, as the API shows it. */
export interface Note {
  id: string
  /** null: on the charts of all websites. */
  websiteId: string | null
  date: string
  text: string
}

/** The notes of the website that is looked at. */
export function useNotes(): Note[] {
  const { view, notes } = useApp()
  const path = `notes?website_id=${encodeURIComponent(view.value.website)}`
  const { data } = useResource<{ notes: Note[] }>(path, notes.round.value)
  return data?.notes ?? []
}

/** Where on a chart the notes stand: each at the last of the dates that begin on its day or before. */
export function marksOf(
  notes: readonly Note[],
  dates: readonly string[],
  to: string,
): { at: number; text: string }[] {
  const [first] = dates
  if (first === undefined) return []
  return notes
    .filter(({ date }) => date >= first.slice(0, 10) && date <= to)
    .map(({ date, text }) => ({ at: placeOf(date, dates), text }))
}

/** Of hours the first of the day. */
function placeOf(date: string, dates: readonly string[]): number {
  const same = dates.findIndex((one) => one.slice(0, 10) === date)
  return same >= 0 ? same : dates.findLastIndex((one) => one.slice(0, 10) <= date)
}
