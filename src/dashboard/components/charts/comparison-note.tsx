import { useApp } from "../../state/app.ts"
import type { QueryState } from "../../state/use-query.ts"
import { useFormat } from "../controls/use-format.ts"

interface ComparisonNoteProps {
  query: QueryState
  /** ID of the compared parameter. */
  id: string
  /** Whether the previous period has no events to compare with. */
  isEmpty?: boolean
}

/** Names the comparison period. Reserves space for the line until the period is known. */
export function ComparisonNote({ query, id, isEmpty = false }: ComparisonNoteProps) {
  const { view } = useApp()
  const format = useFormat()
  if (!view.value.compare) return null
  const previous = query.meta(id)?.previous
  return (
    <p class="comparison-note">
      {previous ? `${isEmpty ? "No events to compare with in" : "vs."} ${format.period(previous)}` : "\u00a0"}
    </p>
  )
}
