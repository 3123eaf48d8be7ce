import type { ComponentChildren } from "preact"
import { useLayoutEffect, useRef } from "preact/hooks"
import { messageOf } from "../state/api.ts"

/** Grey in the place of what comes, of its size. `height` in px. */
export function Skeleton({ height }: { height: number }) {
  return (
    <div class="skeleton" style={{ "--height": `${height}px` }} role="status">
      <span class="hidden">Loading</span>
    </div>
  )
}

/** Nothing to show, and what to do next. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <div class="empty-text">{children}</div>}
    </div>
  )
}

/** What went wrong, and a way on. */
export function Failure({ error, again }: { error: unknown; again?: () => void }) {
  const button = useRef<HTMLButtonElement>(null)
  useLayoutEffect(() => (button.current ? heldFocus(button.current) : undefined), [])
  return (
    <div class="empty" role="alert">
      <p class="empty-title">This could not be loaded</p>
      <div class="empty-text">{messageOf(error)}</div>
      {again && (
        <button type="button" class="button" ref={button} onClick={again}>
          Try again
        </button>
      )}
    </div>
  )
}

/**
 * The button goes while something is tried again, and the focus would fall out of the page with it: what is around it has it
 * meanwhile, and gives it back to the button where that fails too. Gives what to do when the button goes.
 */
function heldFocus(button: HTMLButtonElement): () => void {
  const around = button.closest<HTMLElement>("dialog, .panel")
  if (around !== null && around === document.activeElement) button.focus()
  return () => {
    if (document.activeElement !== button) return
    if (!around) return button.closest("main")?.querySelector("h1")?.focus()
    // Only as long as it has it: a click into a panel is no stop of the keyboard's.
    around.tabIndex = -1
    around.addEventListener("blur", () => around.removeAttribute("tabindex"), { once: true })
    around.focus({ preventScroll: true })
  }
}
