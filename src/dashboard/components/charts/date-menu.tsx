import type { ComponentChildren } from "preact"
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks"
import { Link } from "../controls/link.tsx"

/** An action for a date on a chart. */
export type DateAction = { label: string } & ({ href: string } | { run: () => void })

interface DateMenuProps {
  /** Accessible name of the chart. */
  name: string
  /** Number of dates in the chart. */
  count: number
  /** Describes a date and its values, for screen readers. */
  textOf: (index: number) => string
  /** The title of a date's menu. */
  titleOf: (index: number) => string
  /** Returns the actions for a date. If there are none, the date has no menu. */
  actionsOf: (index: number) => readonly DateAction[]
  /** Draws the chart. `selected`: the date selected by keyboard. `onSelect`: called when a date is clicked. */
  children: (selected: number | undefined, onSelect: (index: number) => void) => ComponentChildren
}

/**
 * A chart with a menu for each date. A click on the date opens the menu, as does selecting the date with the arrow keys
 * and pressing Enter.
 */
export function DateMenu({ name, count, textOf, titleOf, actionsOf, children }: DateMenuProps) {
  /** The date selected with the arrow keys; initially the last one. */
  const [at, setAt] = useState<number>()
  const [open, setOpen] = useState<number>()
  const [isFocused, setFocused] = useState(false)
  const slider = useRef<HTMLDivElement>(null)
  const current = Math.min(at ?? count - 1, count - 1)
  const show = (index: number) => {
    setAt(index)
    if (actionsOf(index).length > 0) setOpen(index)
  }
  const close = () => {
    setOpen(undefined)
    slider.current?.focus()
  }
  const moves: Readonly<Record<string, number>> = {
    ArrowLeft: current - 1,
    ArrowRight: current + 1,
    ArrowDown: current - 1,
    ArrowUp: current + 1,
    Home: 0,
    End: count - 1,
  }
  if (count === 0) return <>{children(undefined, show)}</>
  return (
    <div class="chart-dates">
      <div
        ref={slider}
        class="chart-slider"
        role="slider"
        tabIndex={0}
        aria-label={`${name}: dates. Press Enter to open the actions for a date`}
        aria-valuemin={1}
        aria-valuemax={count}
        aria-valuenow={current + 1}
        aria-valuetext={textOf(current)}
        onFocus={({ currentTarget }) => setFocused(currentTarget.matches(":focus-visible"))}
        onBlur={() => setFocused(false)}
        onKeyDown={(event) => {
          const to = moves[event.key]
          if (to !== undefined) setAt(Math.max(0, Math.min(count - 1, to)))
          else if (event.key === "Enter" || event.key === " ") show(current)
          else return
          event.preventDefault()
        }}
      >
        {children(isFocused ? current : undefined, show)}
      </div>
      {open !== undefined && open < count && (
        <Menu
          title={titleOf(open)}
          actions={actionsOf(open)}
          center={centerOf(slider.current, open, count)}
          onClose={close}
          onLeave={() => setOpen(undefined)}
        />
      )}
    </div>
  )
}

/** Returns the distance from the left edge of the chart to the middle of a date, in px. */
function centerOf(chart: HTMLElement | null, index: number, count: number): number {
  const plot = chart?.querySelector<HTMLElement>(".u-over")
  return plot ? plot.offsetLeft + ((index + 0.5) / count) * plot.clientWidth : 0
}

interface MenuProps {
  title: string
  actions: readonly DateAction[]
  /** px */
  center: number
  onClose: () => void
  /** Called when the focus has moved elsewhere, or after a click elsewhere. */
  onLeave: () => void
}

function Menu({ title, actions, center, onClose, onLeave }: MenuProps) {
  const box = useRef<HTMLDivElement>(null)
  useLayoutEffect(() => {
    const element = box.current
    const { clientWidth = 0 } = element?.parentElement ?? {}
    if (element) {
      const left = Math.min(center - element.offsetWidth / 2, clientWidth - element.offsetWidth)
      element.style.left = `${Math.max(0, left)}px`
    }
  }, [center])
  useEffect(() => {
    box.current?.querySelector<HTMLElement>("a, button")?.focus()
    const onPointer = ({ target }: Event) => {
      if (target instanceof Node && !box.current?.contains(target)) onLeave()
    }
    document.addEventListener("pointerdown", onPointer)
    return () => document.removeEventListener("pointerdown", onPointer)
  }, [])
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: handles events that bubble up from its links and buttons
    <div
      ref={box}
      class="popover-panel chart-menu"
      onKeyDown={(event) => {
        if (event.key !== "Escape") return
        event.stopPropagation()
        onClose()
      }}
      onFocusOut={({ relatedTarget: next }) => {
        if (next instanceof Node && !box.current?.contains(next)) onLeave()
      }}
    >
      <p class="chart-menu-title">{title}</p>
      <ul class="menu" aria-label={`Actions for ${title}`}>
        {actions.map((action) => (
          <li key={action.label}>
            {"href" in action ? (
              <Link href={action.href} onClick={onLeave}>
                {action.label}
              </Link>
            ) : (
              <button
                type="button"
                onClick={() => {
                  onClose()
                  action.run()
                }}
              >
                {action.label}
              </button>
            )}
          </li>
        ))}
      </ul>
    </div>
  )
}
