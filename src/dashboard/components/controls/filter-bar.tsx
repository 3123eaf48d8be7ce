import { useRef, useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { addFilter, type Filter, filterParam, filterText, invalidFilters } from "../../state/filters.ts"
import { FilterEditor } from "./filter-editor.tsx"
import { Icon } from "./icons.tsx"

/** The page's filters as chips, with a button to add one. */
export function FilterBar() {
  const { router, view } = useApp()
  const { filters } = view.value
  const change = (next: readonly Filter[]) => router.setParams({ f: next.map(filterParam) })
  const invalid = invalidFilters(router.location.value.params)
  return (
    <>
      <Chips filters={filters} onChange={change} addKey="/" />
      {invalid.length > 0 && (
        <p class="form-error" role="alert">
          Ignored an invalid filter in the URL: {invalid.join(", ")}
        </p>
      )}
    </>
  )
}

interface ChipsProps {
  filters: readonly Filter[]
  onChange: (filters: readonly Filter[]) => void
  /** Limits suggestions to this event. */
  event?: string | undefined
  /** Keyboard shortcut of the add button. */
  addKey?: string
}

/** Filters as chips: click to edit, or remove. */
export function Chips({ filters, onChange, event, addKey }: ChipsProps) {
  /** Index of the filter in the editor; -1 for a new one. */
  const [editedIndex, setEditedIndex] = useState<number>()
  const add = useRef<HTMLButtonElement>(null)
  const remove = (index: number) => {
    // The next chip takes the place and the focus of the removed one. If it was the last chip, the add button gets the focus.
    if (index === filters.length - 1) add.current?.focus()
    onChange(filters.filter((_, at) => at !== index))
  }
  return (
    <div class="chips">
      {filters.map((filter, index) => (
        <span class="chip" key={index}>
          <button
            type="button"
            class="chip-text"
            aria-label={`Edit filter ${filterText(filter)}`}
            onClick={() => setEditedIndex(index)}
          >
            {filterText(filter)}
          </button>
          <button
            type="button"
            class="chip-close"
            aria-label={`Remove filter ${filterText(filter)}`}
            onClick={() => remove(index)}
          >
            <Icon name="close" />
          </button>
        </span>
      ))}
      <button
        type="button"
        class="button quiet small"
        ref={add}
        data-key={addKey}
        title={addKey ? `Filter (${addKey})` : undefined}
        onClick={() => setEditedIndex(-1)}
      >
        <Icon name="filter" /> Filter
      </button>
      {editedIndex !== undefined && (
        <FilterEditor
          title={editedIndex < 0 ? "Add filter" : "Edit filter"}
          filter={filters[editedIndex]}
          event={event}
          onClose={() => setEditedIndex(undefined)}
          onDone={(filter) => {
            onChange(
              editedIndex < 0
                ? addFilter(filters, filter)
                : filters.map((current, at) => (at === editedIndex ? filter : current)),
            )
            setEditedIndex(undefined)
          }}
        />
      )}
    </div>
  )
}
