import { type EventKind, eventKinds } from "../../event-kinds.ts"
import { Icon } from "../components/controls/icons.tsx"
import { Popover } from "../components/controls/popover.tsx"
import { kindNames } from "../state/event-text.ts"

interface KindPickerProps {
  /** The selected kinds; empty for all kinds. */
  kinds: readonly EventKind[]
  onChange: (kinds: readonly EventKind[]) => void
}

/** Selects which kinds of events to show. */
export function KindPicker({ kinds, onChange }: KindPickerProps) {
  const [first] = kinds
  const label =
    first === undefined ? "All kinds" : kinds.length === 1 ? kindNames[first] : `${kinds.length} kinds`
  const toggle = (kind: EventKind) =>
    onChange(eventKinds.filter((other) => (other === kind ? !kinds.includes(kind) : kinds.includes(other))))
  return (
    <Popover
      name={`Kinds to show: ${label}`}
      align="end"
      label={
        <>
          <span class="live-names-label">{label}</span> <Icon name="down" />
        </>
      }
    >
      {() => (
        <div class="live-names">
          <fieldset class="live-names-list">
            <legend class="hidden">Kinds to show</legend>
            {eventKinds.map((kind) => (
              <label key={kind} class="check">
                <input type="checkbox" checked={kinds.includes(kind)} onChange={() => toggle(kind)} />
                <span>{kindNames[kind]}</span>
              </label>
            ))}
          </fieldset>
          {kinds.length > 0 && (
            <button type="button" class="button small" onClick={() => onChange([])}>
              Show all kinds
            </button>
          )}
        </div>
      )}
    </Popover>
  )
}
