import { useId, useState } from "preact/hooks"
import { fieldNames } from "../../state/filters.ts"
import { moveFocus } from "./arrow-keys.ts"
import { Icon } from "./icons.tsx"
import { useFormat } from "./use-format.ts"

/** Number of fields to list at once. Typing narrows the list. */
const maxFields = 50

interface FilterFieldsProps {
  /** Names of the fields that can be used in filters. */
  ownFields: readonly string[]
  /** Property keys of the events in the range. */
  properties: readonly string[]
  /** Whether the property keys are still loading. Until they have loaded, any typed key is accepted. */
  isLoading: boolean
  /** The selected field. */
  field: string
  onSelect: (field: string) => void
}

interface Entry {
  field: string
  label: string
  isProperty: boolean
}

/** Selects the field or property of a filter in a searchable list. */
export function FilterFields({ ownFields, properties, isLoading, field, onSelect }: FilterFieldsProps) {
  const format = useFormat()
  const [text, setText] = useState("")
  const [error, setError] = useState("")
  const errorId = useId()
  const part = text.toLowerCase()
  const [first = [], others = []] = [ownFields.slice(0, 2), ownFields.slice(2)]
  const entryOf = (name: string): Entry => ({
    field: name,
    label: fieldNames[name] ?? name,
    isProperty: false,
  })
  const entries: Entry[] = [
    ...first.map(entryOf),
    ...properties.map((key) => ({ field: `property.${key}`, label: key, isProperty: true })),
    ...others.map(entryOf),
  ]
  const matches = entries.filter(
    (entry) => entry.label.toLowerCase().includes(part) || entry.field.toLowerCase().includes(part),
  )
  const choose = () => {
    const exact = entries.find((entry) => entry.field === text || (entry.isProperty && entry.label === text))
    if (exact) onSelect(exact.field)
    else if (/^property\../.test(text)) onSelect(text)
    else if (text !== "" && isLoading && !Object.hasOwn(fieldNames, text)) onSelect(`property.${text}`)
    else if (text !== "" && matches[0]) onSelect(matches[0].field)
    else setError("Unknown field. Select one from the list, or enter a property as property.KEY.")
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: handles key events that bubble up from the list
    <div class="filter-list" onKeyDown={moveFocus}>
      <label class="search">
        <span class="hidden">Field or property</span>
        <Icon name="search" />
        <input
          type="search"
          data-item
          data-autofocus
          placeholder="Field or property"
          maxLength={256}
          autocomplete="off"
          spellcheck={false}
          value={text}
          aria-describedby={error ? errorId : undefined}
          onInput={(event) => setText(event.currentTarget.value)}
          onKeyDown={(event) => {
            if (event.key !== "Enter") return
            event.preventDefault()
            choose()
          }}
        />
      </label>
      {error && (
        <p class="form-error" id={errorId} role="alert">
          {error}
        </p>
      )}
      <ul class="menu">
        {matches.slice(0, maxFields).map((entry) => (
          <li key={entry.field}>
            <button
              type="button"
              data-item
              aria-current={entry.field === field ? "true" : undefined}
              onClick={() => onSelect(entry.field)}
            >
              <span class="combobox-name">{entry.label}</span>
              {entry.isProperty && <span class="muted">property</span>}
            </button>
          </li>
        ))}
      </ul>
      {matches.length === 0 && <p class="muted filter-note">No matches</p>}
      {matches.length > maxFields && (
        <p class="muted filter-note">
          {format.count(matches.length - maxFields)} more. Type to narrow the list.
        </p>
      )}
    </div>
  )
}
