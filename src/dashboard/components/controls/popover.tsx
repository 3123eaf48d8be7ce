import type { ComponentChildren } from "preact"
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks"

interface PopoverProps {
  /** Content of the button. */
  label: ComponentChildren
  /** Accessible name of the button, if `label` is not plain text. */
  name?: string
  /** Tooltip of the button. Default: `name`. */
  title?: string | undefined
  /** Keyboard shortcut that presses the button. */
  pageKey?: string | undefined
  class?: string
  align?: "start" | "end"
  children: (close: () => void) => ComponentChildren
}

/** Selectors for the element that is focused when the panel opens; the first match wins. */
const focusTargets = ["[data-autofocus]", "[aria-current]", "input, button, a"]

/** A button that opens a panel. Escape, a click elsewhere, or tabbing out of the panel closes it. */
export function Popover({
  label,
  name,
  title = name,
  pageKey,
  class: className = "button",
  align = "start",
  children,
}: PopoverProps) {
  const [isOpen, setOpen] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const panel = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const id = useId()
  useEffect(() => {
    if (!isOpen) return
    const [first] = focusTargets.flatMap(
      (selector) => panel.current?.querySelector<HTMLElement>(selector) ?? [],
    )
    first?.focus()
    const onPointer = ({ target }: Event) => {
      if (target instanceof Node && !box.current?.contains(target)) setOpen(false)
    }
    document.addEventListener("pointerdown", onPointer)
    return () => document.removeEventListener("pointerdown", onPointer)
  }, [isOpen])
  useLayoutEffect(() => {
    // A scrollable table would clip the panel, so a panel inside a table is positioned relative to the viewport.
    if (!isOpen || !panel.current || !button.current?.closest(".table-box")) return
    const reposition = () => {
      if (panel.current && button.current) placeFixed(panel.current, button.current)
    }
    reposition()
    document.addEventListener("scroll", reposition, { capture: true, passive: true })
    return () => document.removeEventListener("scroll", reposition, { capture: true })
  }, [isOpen])
  useLayoutEffect(() => {
    if (!isOpen || !panel.current) return
    // The panel can become wider when its content loads.
    const observer = new ResizeObserver(() => panel.current && keepInViewport(panel.current))
    observer.observe(panel.current)
    return () => observer.disconnect()
  }, [isOpen])
  const close = () => {
    setOpen(false)
    button.current?.focus()
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: handles events that bubble up from its button and panel
    <div
      class="popover"
      ref={box}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !isOpen) return
        event.stopPropagation()
        close()
      }}
      onFocusOut={({ relatedTarget: next }) => {
        if (next instanceof Node && !box.current?.contains(next)) setOpen(false)
      }}
    >
      <button
        type="button"
        class={className}
        ref={button}
        aria-label={name}
        title={title}
        data-key={pageKey}
        aria-expanded={isOpen}
        aria-controls={isOpen ? id : undefined}
        onClick={() => setOpen(!isOpen)}
      >
        {label}
      </button>
      {isOpen && (
        <div ref={panel} id={id} class={`popover-panel ${align}`}>
          {children(close)}
        </div>
      )}
    </div>
  )
}

/** px between the button and the panel. */
const gap = 6

/** px between the panel and the edges of the viewport. */
const margin = 12

/** Shifts the panel sideways to keep it inside the viewport. */
function keepInViewport(panel: HTMLElement): void {
  panel.style.translate = ""
  const { left, right } = panel.getBoundingClientRect()
  const over = Math.max(0, right - (document.documentElement.clientWidth - margin))
  const by = left - over < margin ? margin - left : -over
  if (by !== 0) panel.style.translate = `${by}px`
}

/**
 * Positions the panel relative to the viewport, below the button. If there is no room below the button, and the button
 * is in the lower half of the viewport, places the panel above it.
 */
function placeFixed(panel: HTMLElement, button: HTMLElement): void {
  const { top, bottom, right } = button.getBoundingClientRect()
  const { clientWidth, clientHeight } = document.documentElement
  const isBelow = bottom + gap + panel.offsetHeight <= clientHeight || top < clientHeight / 2
  const { style } = panel
  style.position = "fixed"
  style.minWidth = "0"
  style.left = "auto"
  style.right = `${clientWidth - right}px`
  style.top = isBelow ? `${bottom + gap}px` : "auto"
  style.bottom = isBelow ? "auto" : `${clientHeight - top + gap}px`
}
