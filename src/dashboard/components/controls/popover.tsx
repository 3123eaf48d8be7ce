import type { ComponentChildren } from "preact"
import { useEffect, useId, useLayoutEffect, useRef, useState } from "preact/hooks"

interface PopoverProps {
  /** What stands in the button. */
  label: ComponentChildren
  /** The button in words, where `label` is no text. */
  name?: string
  class?: string
  align?: "start" | "end"
  children: (close: () => void) => ComponentChildren
}

/** Where the keys begin in what opens, the first of these that is there. */
const beginnings = ["[data-autofocus]", "[aria-current]", "input, button, a"]

/** A button, and what opens below it: closed by Escape, by a click elsewhere, or by leaving it with Tab. */
export function Popover({ label, name, class: look = "button", align = "start", children }: PopoverProps) {
  const [isOpen, setOpen] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const panel = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const id = useId()
  useEffect(() => {
    if (!isOpen) return
    const [first] = beginnings.flatMap((one) => panel.current?.querySelector<HTMLElement>(one) ?? [])
    first?.focus()
    const onPointer = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false)
    }
    document.addEventListener("pointerdown", onPointer)
    return () => document.removeEventListener("pointerdown", onPointer)
  }, [isOpen])
  useLayoutEffect(() => {
    // A box that scrolls would cut it off: there it hangs in the window, where the button is.
    if (!isOpen || !panel.current || !button.current?.closest(".table-box")) return
    const anew = () => {
      if (panel.current && button.current) hang(panel.current, button.current)
    }
    anew()
    document.addEventListener("scroll", anew, { capture: true, passive: true })
    return () => document.removeEventListener("scroll", anew, { capture: true })
  }, [isOpen])
  useLayoutEffect(() => {
    if (!isOpen || !panel.current) return
    // What it holds may come later, and make it wider.
    const resized = new ResizeObserver(() => panel.current && keepInside(panel.current))
    resized.observe(panel.current)
    return () => resized.disconnect()
  }, [isOpen])
  const close = () => {
    setOpen(false)
    button.current?.focus()
  }
  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: it only hears what its button and panel are told
    <div
      class="popover"
      ref={box}
      onKeyDown={(event) => {
        if (event.key !== "Escape" || !isOpen) return
        event.stopPropagation()
        close()
      }}
      onFocusOut={(event) => {
        const next = event.relatedTarget as Node | null
        if (next && !box.current?.contains(next)) setOpen(false)
      }}
    >
      <button
        type="button"
        class={look}
        ref={button}
        aria-label={name}
        title={name}
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

/** px between a button and what opens at it. */
const gap = 6

/** px between what opens and the sides of the window. */
const margin = 12

/** Moves it sideways where it would begin or end out of sight. */
function keepInside(panel: HTMLElement): void {
  panel.style.translate = ""
  const { left, right } = panel.getBoundingClientRect()
  const over = Math.max(0, right - (document.documentElement.clientWidth - margin))
  const by = left - over < margin ? margin - left : -over
  if (by !== 0) panel.style.translate = `${by}px`
}

/** Below the button, or above it where there is no room below. */
function hang(panel: HTMLElement, button: HTMLElement): void {
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
