import { useLayoutEffect, useRef, useState } from "preact/hooks"
import { EventPicker, type Step } from "./event-picker.tsx"
import { Icon } from "./icons.tsx"

interface StepsProps {
  steps: readonly Step[]
  /** Names of events to choose from. */
  names: readonly string[]
  onChange: (steps: Step[]) => void
  least: number
  most: number
  /** Their order means something, and can be changed. */
  isOrdered?: boolean
  /** What each is called, with its number from 1. */
  label: (number: number) => string
  /** What the button for one more says; left out where there are as many as there can be. */
  more?: string
  /** Any event will do. */
  isAnyAllowed?: boolean
}

const empty: Step = { name: "", filters: [] }

/** A list of events to choose, add, remove and put in order. */
export function Steps({
  steps,
  names,
  onChange,
  least,
  most,
  isOrdered = false,
  isAnyAllowed = false,
  label,
  more,
}: StepsProps) {
  const list = useRef<HTMLOListElement>(null)
  /** What gets the focus after the next change, the first of them that can: what was worked with is somewhere else then. */
  const next = useRef<string[]>([])
  const [said, setSaid] = useState("")
  const shown = [...steps, ...Array.from({ length: Math.max(0, least - steps.length) }, () => empty)]
  // Before the next key is read: it would press what came into the old place.
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
    setSaid(`${moved.name || "It"} is ${label(from + by + 1)} now.`)
    // At an end of the list the button is of no use any more; the other one of the same row is.
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
              onChange={(to) => change(shown.map((one, at) => (at === index ? to : one)))}
              onRemove={
                shown.length > least
                  ? () => {
                      setSaid(`${step.name || label(index + 1)} is removed.`)
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
      {shown.length < most && (
        <button
          type="button"
          class="button small"
          onClick={() => change([...shown, empty], `li:nth-child(${shown.length + 1}) input`)}
        >
          <Icon name="plus" /> {more}
        </button>
      )}
      <p class="hidden" role="status">
        {said}
      </p>
    </div>
  )
}
