import type { ComponentChildren } from "preact"
import { useApp } from "../../state/app.ts"
import { filterParam, filterText, hasFilters, toggleFilters, valueFilter } from "../../state/filters.ts"

/** Maximum length of a value to filter by, in UTF-16 code units. Longer values would not fit in the URL. */
const maxLength = 1_000

/** A field and value to filter by when clicked. */
export interface FieldValue {
  /** The API's field name, for example `path` or `property.plan`. */
  field: string
  /** null if the field is not set. */
  value: string | null
}

interface ValueProps extends FieldValue {
  /** A second field to filter by, if the first does not identify the value on its own. */
  and?: FieldValue | undefined
  onSelect?: () => void
  /** Shown instead of the value, such as a country name. */
  children?: ComponentChildren
}

/** A value that adds or removes its filters when clicked. */
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

/** Displays a value. A word stands in for null and blank values. */
export function ValueText({ value }: { value: string | null }) {
  if (value === null) return <em>none</em>
  if (value.trim() === "") return <em>empty</em>
  return <bdi>{value}</bdi>
}
