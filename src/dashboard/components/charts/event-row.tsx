import type { ComponentChildren } from "preact"
import { useMemo } from "preact/hooks"
import type { ApiEvent } from "../../state/event-filter.ts"
import { eventDetails, eventTitle, kindNames, kindOf } from "../../state/event-text.ts"
import { CodeBlock } from "../controls/copy.tsx"
import { Icon } from "../controls/icons.tsx"

/** Maximum number of details per row, and of characters per key or value. The JSON in the expanded row is complete. */
const maxDetails = 9
const maxCharacters = 80

interface EventRowProps {
  event: ApiEvent
  /** The event's time, formatted as briefly as the list allows. */
  time: string
  isOpen: boolean
  onToggle: () => void
  /** Shown at the end of the row. */
  children?: ComponentChildren
  class?: string
}

/** An event in a list: one line, which expands to the event's JSON. */
export function EventRow({ event, time, isOpen, onToggle, children, class: className = "" }: EventRowProps) {
  const summary = useMemo(() => <Summary event={event} />, [event])
  return (
    <li class={`event-row ${className} ${isOpen ? "open" : ""}`}>
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
      {isOpen && <CodeBlock code={JSON.stringify(event, undefined, 2)} name="Copy event as JSON" />}
    </li>
  )
}

function Summary({ event }: { event: ApiEvent }) {
  const kind = kindOf(event)
  return (
    <>
      <strong class="event-name">{eventTitle(event)}</strong>
      <span class="event-brief">
        {kind !== "custom" && <span class={`badge ${kind === "error" ? "bad" : ""}`}>{kindNames[kind]}</span>}
        {eventDetails(event)
          .slice(0, maxDetails)
          .map(([key, value]) => (
            <span key={key}>
              {key !== "" && <span class="muted">{truncate(key)}</span>} {truncate(textOf(value))}
            </span>
          ))}
      </span>
    </>
  )
}

function textOf(value: unknown): string {
  return typeof value === "string" ? value : JSON.stringify(value)
}

function truncate(text: string): string {
  return text.length > maxCharacters ? `${text.slice(0, maxCharacters)}…` : text
}
