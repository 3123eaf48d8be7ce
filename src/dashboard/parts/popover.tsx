import type { ComponentChildren } from "preact"
import { useEffect, useId, useRef, useState } from "preact/hooks"

interface PopoverProps {
  /** What stands in the button. */
  label: ComponentChildren
  /** The button in words, where `label` is no text. */
  name?: string
  class?: string
  align?: "start" | "end"
  children: (close: () => void) => ComponentChildren
}

/** A button, and what opens below it: closed by Escape, by a click elsewhere, or by leaving it with Tab. */
export function Popover({ label, name, class: look = "button", align = "start", children }: PopoverProps) {
  const [isOpen, setOpen] = useState(false)
  const box = useRef<HTMLDivElement>(null)
  const button = useRef<HTMLButtonElement>(null)
  const id = useId()
  useEffect(() => {
    if (!isOpen) return
    box.current
      ?.querySelector<HTMLElement>("[data-autofocus], [aria-current], input, button:not([aria-expanded])")
      ?.focus()
    const onPointer = (event: Event) => {
      if (!box.current?.contains(event.target as Node)) setOpen(false)
    }
    document.addEventListener("pointerdown", onPointer)
    return () => document.removeEventListener("pointerdown", onPointer)
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
        <div id={id} class={`popover-panel ${align}`}>
          {children(close)}
        </div>
      )}
    </div>
  )
}
