import { useApp } from "../state/app.ts"
import { type Filter, filterParam, filterText, hasFilter, toggled } from "../state/filters.ts"

interface ValueProps {
  /** As the API calls it: `property.plan`, `path` … */
  field: string
  /** null: the events have none. */
  value: string | null
  onChosen?: () => void
}

/** A value: pressed, only events with it are looked at, and pressed again, all of them. */
export function Value({ field, value, onChosen }: ValueProps) {
  const { place, view } = useApp()
  const { filters } = view.value
  const filter: Filter = value === null ? { field, op: "exists", value: false } : { field, op: "eq", value }
  const isOn = hasFilter(filters, filter)
  return (
    <button
      type="button"
      class="event-value"
      aria-pressed={isOn}
      title={`${isOn ? "Not only" : "Only"} where ${filterText(filter)}`}
      onClick={() => {
        place.set({ f: toggled(filters, filter).map(filterParam), page: undefined })
        onChosen?.()
      }}
    >
      <ValueText value={value} />
    </button>
  )
}

/** Words where there is nothing to read. */
function ValueText({ value }: { value: string | null }) {
  if (value === null) return <em>none</em>
  if (value.trim() === "") return <em>empty</em>
  return <>{value}</>
}
