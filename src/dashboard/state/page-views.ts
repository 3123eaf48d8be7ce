import { useApp } from "./app.ts"
import { allTime } from "./range.ts"
import { useQuery } from "./use-query.ts"

const parameters = [{ name: "events", id: "views", measures: ["events"], kinds: ["page_view"] }] as const

/** Whether the website has ever received a page view. Undefined until this is known, and while `isEnabled` is false. */
export function useHasPageViews(isEnabled = true): boolean | undefined {
  const { view } = useApp()
  const query = useQuery(isEnabled ? parameters : undefined, {
    filters: [],
    range: allTime(view.value.today),
  })
  if (!isEnabled || query.isLoading || query.isStale) return undefined
  return (query.rows<{ events: number }>("views")[0]?.events ?? 0) > 0
}
