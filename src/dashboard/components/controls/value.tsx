import type { ComponentChildren } from "preact"
import { useApp } from "../../state/app.ts"
import { filterParam, filterText, hasFilters, toggleFilters, valueFilter } from "../../state/filters.ts"

/** Characters; a longer value would not fit into the URL as a filter. */
const maxLength = 1_000

/** A field and a value that a click filters by. */
export interface FieldValue {
  /** The API's field name: `property.plan`, `path` … */
  field: string
  /** null: not set. */
  value: string | null
}

interface ValueProps extends FieldValue {
  /** A second field that the click also filters by, if one field does not identify the value. */
  and?: FieldValue | undefined
  onSelect?: () => void
  /** Shown instead of the value, such as the name of a country. */
  children?: ComponentChildren
}

/** A value that toggles the filters for it when clicked. */
export function Value({ field, value, and, onSelect, children }: ValueProps) {
  const { router, view } = useApp()
  const { filters } = view.value
  const valueFilters = [{ field, value }, ...(and ? [and] : [])].map((part) =>
    valueFilter(part.field, part.value),
  )
  if (value !== null && value.length > maxLength) return <span class="value">{children ?? value}</span>
  const isActive = hasFilters(filters, valueFilters)
  return (
    <button
      type="button"
      class="value"
      aria-pressed={isActive}
      title={`${isActive ? "Remove filter" : "Filter"}: ${valueFilters.map(filterText).join(", ")}`}
      onClick={() => {
        router.setParams({ f: toggleFilters(filters, valueFilters).map(filterParam), page: undefined })
        onSelect?.()
      }}
    >
      {children ?? <ValueText value={value} />}
    </button>
  )
}

/** Displays a value. Null and blank values are shown as a word. */
export function ValueText({ value }: { value: string | null }) {
  if (value === null) return <em>none</em>
  if (value.trim() === "") return <em>empty</em>
  return <bdi>{value}</bdi>
}
