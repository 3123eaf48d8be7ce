import { useRef, useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { type Filter, filterParam, filterText, unreadableFilters } from "../../state/filters.ts"
import { FilterEditor } from "./filter-editor.tsx"
import { Icon } from "./icons.tsx"

/** The filters of the page as chips, each to change or to remove, and a button for one more. */
export function FilterBar() {
  const { place, view } = useApp()
  const { filters } = view.value
  const set = (next: readonly Filter[]) => place.set({ f: next.map(filterParam) })
  const unreadable = unreadableFilters(place.spot.value.params)
  return (
    <>
      <Chips filters={filters} onChange={set} addKey="/" />
      {unreadable.length > 0 && (
        <p class="form-error" role="alert">
          A filter in the address cannot be read, and nothing is filtered by it: {unreadable.join(", ")}
        </p>
      )}
    </>
  )
}

interface ChipsProps {
  filters: readonly Filter[]
  onChange: (filters: readonly Filter[]) => void
  /** Suggestions come from this event alone. */
  event?: string | undefined
  /** The key that the page gives the button. */
  addKey?: string
}

/** Filters, wherever some are chosen. */
export function Chips({ filters, onChange, event, addKey }: ChipsProps) {
  /** The index of the one that is changed; -1: a new one. */
  const [edited, setEdited] = useState<number>()
  const add = useRef<HTMLButtonElement>(null)
  const remove = (index: number) => {
    // The next one moves up to where the focus is; behind the last one there is none.
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
            aria-label={`Change the filter ${filterText(filter)}`}
            onClick={() => setEdited(index)}
          >
            {filterText(filter)}
          </button>
          <button
            type="button"
            class="chip-close"
            aria-label={`Remove the filter ${filterText(filter)}`}
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
        onClick={() => setEdited(-1)}
      >
        <Icon name="filter" /> Filter
      </button>
      {edited !== undefined && (
        <FilterEditor
          title={edited < 0 ? "Add a filter" : "Change the filter"}
          filter={filters[edited]}
          event={event}
          onClose={() => setEdited(undefined)}
          onDone={(filter) => {
            onChange(
              edited < 0 ? [...filters, filter] : filters.map((one, at) => (at === edited ? filter : one)),
            )
            setEdited(undefined)
          }}
        />
      )}
    </div>
  )
}
