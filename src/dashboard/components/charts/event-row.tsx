import type { ComponentChildren } from "preact"
import { useMemo } from "preact/hooks"
import type { ShownEvent } from "../../state/events.ts"
import { CodeBlock } from "../controls/copy.tsx"
import { Icon } from "../controls/icons.tsx"

/** Properties that a row has room for, and characters of a value: all of it is in the JSON below. */
const shownProperties = 8
const shownCharacters = 80

interface EventRowProps {
  event: ShownEvent
  /** When it was, as short as the rows around it allow. */
  time: string
  isOpen: boolean
  onToggle: () => void
  /** Beside it. */
  children?: ComponentChildren
  class?: string
}

/** One event in a list: what it is in a line, and all of it once opened. */
export function EventRow({ event, time, isOpen, onToggle, children, class: look = "" }: EventRowProps) {
  const summary = useMemo(() => <Summary event={event} />, [event])
  return (
    <li class={`event-row ${look} ${isOpen ? "open" : ""}`}>
      <div class="event-line">
        <button type="button" class="event-head" aria-expanded={isOpen} onClick={onToggle}>
          <Icon name={isOpen ? "down" : "right"} />
          <time class="event-time" dateTime={event.timestamp}>
            {time}
          </time>
          {summary}
        </button>
        {children}
      </div>
      {isOpen && <CodeBlock code={JSON.stringify(event, undefined, 2)} name="Copy the event as JSON" />}
    </li>
  )
}

function Summary({ event }: { event: ShownEvent }) {
  const properties = Object.entries(event.properties).slice(0, shownProperties)
  return (
    <>
      <strong class="event-name">{event.event_name}</strong>
      <span class="event-brief">
        {event.path !== null && <span>{shortened(event.path)}</span>}
        {properties.map(([key, value]) => (
          <span key={key}>
            <span class="muted">{shortened(key)}</span> {shortened(textOf(value))}
          </span>
        ))}
      </span>
    </>
  )
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value)
}

function shortened(text: string): string {
  return text.length > shownCharacters ? `${text.slice(0, shownCharacters)}…` : text
}
