import { useEffect, useState } from "preact/hooks"
import { useApp } from "../../state/app.ts"
import { isolate } from "../../state/bidi.ts"
import { eventFilters } from "../../state/filters.ts"
import { useQuery } from "../../state/use-query.ts"
import { moveFocus } from "./arrow-keys.ts"
import { Icon } from "./icons.tsx"
import { useFormat } from "./use-format.ts"
import { ValueText } from "./value.tsx"

/** Number of values to list at once. If there are more, the typed text is also searched for on the server. */
const maxValues = 100
/** ms without a keystroke before the server searches. */
const debounceMs = 250

interface FilterValuesProps {
  /** The API's field name. */
  field: string
  /** Accessible name of the list. */
  name: string
  /** Counts only events with this name. */
  event: string | undefined
  selected: readonly string[]
  onChange: (selected: string[]) => void
  /** The typed text. When the filter is applied, the text is added as a value. */
  text: string
  onText: (text: string) => void
}

/** Selects values of a field. Lists the values in the range, each with its number of events. */
export function FilterValues({ field, name, event, selected, onChange, text, onText }: FilterValuesProps) {
  const format = useFormat()
  const [search, setSearch] = useState("")
  // Values that are already selected when the list opens stay on top. Selecting another value does not move it.
  const [top] = useState(selected)
  const { readableKinds } = useApp().session
  // Event names are listed only for custom events, because the names of other kinds of events are fixed. The values of
  // other fields, such as pages and browsers, are listed for all kinds.
  const kinds = field === "event_name" ? readableKinds.filter((kind) => kind === "custom") : readableKinds
  const parameter = {
    name: "events",
    id: "values",
    by: [field],
    measures: ["events"],
    kinds,
    limit: maxValues,
    ...(search === "" ? {} : { filters: [{ field, op: "contains_any_case", value: search }] }),
  }
  const canList = kinds.length > 0
  const query = useQuery(canList ? [parameter] : undefined, { filters: eventFilters(event) })
  const isPartial = (query.meta("values")?.total ?? 0) > maxValues || search !== ""
  useEffect(() => {
    if (!isPartial || text === search) return
    const timer = setTimeout(() => setSearch(text), debounceMs)
    return () => clearTimeout(timer)
  }, [text, isPartial])
  const counts = new Map(
    query
      .rows<Record<string, unknown>>("values")
      .flatMap((row): [string, number][] =>
        typeof row[field] === "string" ? [[row[field], Number(row.events)]] : [],
      ),
  )
  const added = selected.filter((value) => !top.includes(value) && !counts.has(value))
  const values = [...new Set([...added, ...top, ...counts.keys()])].filter((value) =>
    value.toLowerCase().includes(text.toLowerCase()),
  )
  const toggle = (value: string) =>
    onChange(selected.includes(value) ? selected.filter((other) => other !== value) : [...selected, value])
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: handles key events that bubble up from the list
    <div class="filter-list" onKeyDown={moveFocus}>
      <label class="search">
        <span class="hidden">Value</span>
        <Icon name="search" />
        <input
          type="search"
          data-item
          data-autofocus
          placeholder="Search or enter a value"
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(input) => onText(input.currentTarget.value)}
        />
      </label>
      <fieldset class="filter-values" aria-busy={query.isStale}>
        <legend class="hidden">Values of {name}</legend>
        {values.map((value, index) => (
          <label key={value} class="filter-value">
            <input
              type="checkbox"
              data-item
              // Only the first value is a tab stop, because the arrow keys move between values.
              tabIndex={index === 0 ? 0 : -1}
              aria-label={`${isolate(value.trim()) || "empty"}, ${format.countOf(counts.get(value) ?? 0, "event")}`}
              checked={selected.includes(value)}
              onChange={() => toggle(value)}
            />
            <span class="value" title={value}>
              <ValueText value={value} />
            </span>
            <span class="muted">{format.count(counts.get(value) ?? 0)}</span>
          </label>
        ))}
      </fieldset>
      {query.error != null && <p class="muted filter-note">Could not load values. Type one instead.</p>}
      {text !== "" && !values.includes(text) && (
        <p class="muted filter-note">
          <kbd>Enter</kbd> applies “{text}”.
        </p>
      )}
      {query.isLoading && <p class="muted filter-note">Loading…</p>}
    </div>
  )
}
