import { useState } from "preact/hooks"
import { useEventNames } from "../components/controls/event-picker.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { Popover } from "../components/controls/popover.tsx"

/** Maximum number of names to list. The others can be found with the search field. */
const maxNames = 50

interface EventNamePickerProps {
  /** The selected names; empty for all events. */
  names: readonly string[]
  onChange: (names: readonly string[]) => void
}

/** Selects which events to show, by name. */
export function EventNamePicker({ names, onChange }: EventNamePickerProps) {
  const [first] = names
  const label = first === undefined ? "All events" : names.length === 1 ? first : `${names.length} events`
  return (
    <Popover
      name={`Events to show: ${label}`}
      align="end"
      label={
        <>
          <span class="live-names-label">{label}</span> <Icon name="down" />
        </>
      }
    >
      {() => <NameList names={names} onChange={onChange} />}
    </Popover>
  )
}

function NameList({ names, onChange }: EventNamePickerProps) {
  const { names: knownNames } = useEventNames()
  const [text, setText] = useState("")
  const search = text.trim().toLowerCase()
  const all = [...new Set([...names, ...knownNames])]
  const matches = all.filter((name) => name.toLowerCase().includes(search))
  const typed = text.trim() === "" || all.includes(text.trim()) ? [] : [text.trim()]
  const toggle = (name: string) =>
    onChange(names.includes(name) ? names.filter((selected) => selected !== name) : [...names, name])
  return (
    <div class="live-names">
      <label class="search">
        <Icon name="search" />
        <input
          type="text"
          data-autofocus
          aria-label="Search events"
          placeholder="Search events"
          value={text}
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <fieldset class="live-names-list">
        <legend class="hidden">Events to show</legend>
        {[...matches.slice(0, maxNames), ...typed].map((name) => (
          <label key={name} class="check">
            <input type="checkbox" checked={names.includes(name)} onChange={() => toggle(name)} />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
      {matches.length > maxNames && <p class="muted">{matches.length - maxNames} more. Type to search.</p>}
      {names.length > 0 && (
        <button type="button" class="button small" onClick={() => onChange([])}>
          Show all events
        </button>
      )}
    </div>
  )
}
