import { useApp } from "../state/app.ts"
import { type Filter, filterParam, filterText, hasFilter, toggled } from "../state/filters.ts"

/** Characters of a value that an address has room for, with others beside it. */
const longest = 1_000

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
  if (value !== null && value.length > longest) return <span class="event-value">{value}</span>
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
