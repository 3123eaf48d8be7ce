import type { ComponentChildren } from "preact"
import { useApp } from "../../state/app.ts"
import { filterParam, filterText, hasFilter, toggleFilter, valueFilter } from "../../state/filters.ts"

/** Characters; a longer value would not fit into the URL as a filter. */
const maxLength = 1_000

interface ValueProps {
  /** The API's field name: `property.plan`, `path` … */
  field: string
  /** null: not set. */
  value: string | null
  onSelect?: () => void
  /** Shown instead of the value, such as the name of a country. */
  children?: ComponentChildren
}

/** A value that toggles a filter for it when clicked. */
export function Value({ field, value, onSelect, children }: ValueProps) {
  const { router, view } = useApp()
  const { filters } = view.value
  const filter = valueFilter(field, value)
  if (value !== null && value.length > maxLength) return <span class="value">{children ?? value}</span>
  const isActive = hasFilter(filters, filter)
  return (
    <button
      type="button"
      class="value"
      aria-pressed={isActive}
      title={`${isActive ? "Remove filter" : "Filter"}: ${filterText(filter)}`}
      onClick={() => {
        router.setParams({ f: toggleFilter(filters, filter).map(filterParam), page: undefined })
        onSelect?.()
      }}
    >
      {children ?? <ValueText value={value} />}
    </button>
  )
}

/** Replaces null and blank values by a word. */
function ValueText({ value }: { value: string | null }) {
  if (value === null) return <em>none</em>
  if (value.trim() === "") return <em>empty</em>
  return <>{value}</>
}
