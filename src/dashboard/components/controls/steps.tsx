import { useLayoutEffect, useRef, useState } from "preact/hooks"
import { EventPicker, type Step } from "./event-picker.tsx"
import { Icon } from "./icons.tsx"

interface StepsProps {
  steps: readonly Step[]
  /** Event names to offer. */
  names: readonly string[]
  onChange: (steps: Step[]) => void
  min: number
  max: number
  /** Whether the order matters. If it does, the user can change the order. */
  isOrdered?: boolean
  /** Returns the label of a step. `number` starts at 1. */
  label: (number: number) => string
  /** Label of the add button, which is hidden once there are `max` steps. */
  addLabel?: string
  /** Whether a step can match any event. */
  isAnyAllowed?: boolean
}

const empty: Step = { name: "", filters: [] }

/** An editable list of events that can be selected, added, removed and reordered. */
export function Steps({
  steps,
  names,
  onChange,
  min,
  max,
  isOrdered = false,
  isAnyAllowed = false,
  label,
  addLabel,
}: StepsProps) {
  const list = useRef<HTMLOListElement>(null)
  /**
   * Selectors of the element to focus after the next change, because the change moves or removes the focused element.
   * The first match wins.
   */
  const next = useRef<string[]>([])
  const [announcement, setAnnouncement] = useState("")
  const shown = [...steps, ...Array.from({ length: Math.max(0, min - steps.length) }, () => empty)]
  // This is a layout effect, so that the focus moves before the next key press reaches the element that is now at the
  // old position.
  useLayoutEffect(() => {
    const [first] = next.current.flatMap(
      (selector) => list.current?.querySelector<HTMLElement>(selector) ?? [],
    )
    next.current = []
    first?.focus()
  })
  const change = (to: Step[], ...focus: string[]) => {
    next.current = focus
    onChange(to)
  }
  const move = (from: number, by: 1 | -1) => {
    const to = [...shown]
    const [moved] = to.splice(from, 1)
    if (!moved) return
    to.splice(from + by, 0, moved)
    setAnnouncement(`${moved.name || "Any event"} moved to ${label(from + by + 1)}.`)
    // If the step is now at either end of the list, the pressed button is disabled, so the row's other button gets the
    // focus.
    const row = `li:nth-child(${from + by + 1})`
    change(to, `${row} [data-move="${by}"]:enabled`, `${row} [data-move]:enabled`)
  }
  return (
    <div class="steps">
      <ol ref={list}>
        {shown.map((step, index) => (
          <li key={index}>
            <EventPicker
              label={label(index + 1)}
              step={step}
              names={names}
              isAnyAllowed={isAnyAllowed}
              onChange={(to) => change(shown.map((current, at) => (at === index ? to : current)))}
              onRemove={
                shown.length > min
                  ? () => {
                      setAnnouncement(`${step.name || label(index + 1)} removed.`)
                      change(
                        shown.filter((_, at) => at !== index),
                        `li:nth-child(${Math.min(index + 1, shown.length - 1)}) input`,
                      )
                    }
                  : undefined
              }
            >
              {isOrdered && (
                <>
                  <button
                    type="button"
                    class="button quiet small icon-only"
                    data-move="-1"
                    aria-label={`Move ${label(index + 1)} up`}
                    disabled={index === 0}
                    onClick={() => move(index, -1)}
                  >
                    <Icon name="up" />
                  </button>
                  <button
                    type="button"
                    class="button quiet small icon-only"
                    data-move="1"
                    aria-label={`Move ${label(index + 1)} down`}
                    disabled={index === shown.length - 1}
                    onClick={() => move(index, 1)}
                  >
                    <Icon name="down" />
                  </button>
                </>
              )}
            </EventPicker>
          </li>
        ))}
      </ol>
      {shown.length < max && (
        <button
          type="button"
          class="button small"
          onClick={() => change([...shown, empty], `li:nth-child(${shown.length + 1}) input`)}
        >
          <Icon name="plus" /> {addLabel}
        </button>
      )}
      <p class="hidden" role="status">
        {announcement}
      </p>
    </div>
  )
}
