import { useRef } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { addFilter, type Filter, filterParam, filterText, invalidFilters } from "../../state/filters.ts"
import { FilterEditor } from "./filter-editor.tsx"
import { Icon } from "./icons.tsx"
import { Popover } from "./popover.tsx"

/** The page's filters as chips, with a button to add a filter. */
export function FilterBar() {
  const { router, view } = useApp()
  const { filters } = view.value
  const change = (next: readonly Filter[]) => router.setParams({ f: next.map(filterParam) })
  const invalid = invalidFilters(router.location.value.params)
  return (
    <div class="filter-bar">
      <Chips filters={filters} onChange={change} addKey="/" />
      {invalid.length > 0 && (
        <p class="form-error" role="alert">
          Ignored an invalid filter in the URL: {invalid.join(", ")}
        </p>
      )}
    </div>
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

/** Filters as chips that can be edited or removed. */
export function Chips({ filters, onChange, event, addKey }: ChipsProps) {
  const box = useRef<HTMLDivElement>(null)
  const remove = (index: number) => {
    // The next chip takes the place of the removed one and keeps the focus. If the last chip is removed, the add button
    // gets the focus.
    if (index === filters.length - 1) box.current?.querySelector<HTMLElement>(".chip-add")?.focus()
    onChange(filters.filter((_, at) => at !== index))
  }
  return (
    <div class="chips" ref={box}>
      {filters.map((filter, index) => (
        <span class="chip" key={index}>
          <Popover class="chip-text" name={`Edit filter ${filterText(filter)}`} label={filterText(filter)}>
            {(close) => (
              <FilterEditor
                title="Edit filter"
                filter={filter}
                event={event}
                onDone={(edited) => {
                  onChange(filters.with(index, edited))
                  close()
                }}
              />
            )}
          </Popover>
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
      <Popover
        class="button quiet small chip-add"
        label={
          <>
            <Icon name="filter" /> Filter
          </>
        }
        pageKey={addKey}
        title={addKey ? `Filter (${addKey})` : undefined}
      >
        {(close) => (
          <FilterEditor
            title="Add filter"
            event={event}
            onDone={(added) => {
              onChange(addFilter(filters, added))
              close()
            }}
          />
        )}
      </Popover>
    </div>
  )
}
