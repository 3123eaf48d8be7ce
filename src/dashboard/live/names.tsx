import { useState } from "preact/hooks"
import { useEventNames } from "../components/controls/event-picker.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { Popover } from "../components/controls/popover.tsx"

/** Names that are listed at a time: what is further down is found by typing. */
const listed = 50

interface NamesProps {
  /** Those chosen; none: all events are shown. */
  names: readonly string[]
  onChange: (names: readonly string[]) => void
}

/** Chooses the events that are shown, by their names. */
export function NamePicker({ names, onChange }: NamesProps) {
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

function NameList({ names, onChange }: NamesProps) {
  const { names: there } = useEventNames()
  const [text, setText] = useState("")
  const sought = text.trim().toLowerCase()
  const all = [...new Set([...names, ...there])]
  const found = all.filter((name) => name.toLowerCase().includes(sought))
  const typed = text.trim() === "" || all.includes(text.trim()) ? [] : [text.trim()]
  const toggle = (name: string) =>
    onChange(names.includes(name) ? names.filter((one) => one !== name) : [...names, name])
  return (
    <div class="live-names">
      <label class="search">
        <Icon name="search" />
        <input
          type="text"
          data-autofocus
          aria-label="Look for an event"
          placeholder="Look for an event"
          value={text}
          autocomplete="off"
          spellcheck={false}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </label>
      <fieldset class="live-names-list">
        <legend class="hidden">Events to show</legend>
        {[...found.slice(0, listed), ...typed].map((name) => (
          <label key={name} class="check">
            <input type="checkbox" checked={names.includes(name)} onChange={() => toggle(name)} />
            <span>{name}</span>
          </label>
        ))}
      </fieldset>
      {found.length > listed && <p class="muted">{found.length - listed} more: type a part of the name.</p>}
      {names.length > 0 && (
        <button type="button" class="button small" onClick={() => onChange([])}>
          Show all events
        </button>
      )}
    </div>
  )
}
