import type { ComponentChildren } from "preact"
import { useLayoutEffect, useRef } from "preact/hooks"
import { messageOf } from "../../state/api.ts"

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
  const button = useHeldFocus()
  useLayoutEffect(() => {
    // It was pressed just now, and that failed too.
    if (button.current && aroundOf(button.current) === document.activeElement) button.current.focus()
  }, [])
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

/** Of a button that goes when it was pressed, and would take the focus out of the page: what is around it has it then. */
export function useHeldFocus() {
  const button = useRef<HTMLButtonElement>(null)
  useLayoutEffect(() => () => button.current && holdFocus(button.current), [])
  return button
}

function holdFocus(button: HTMLButtonElement): void {
  if (document.activeElement !== button) return
  const around = aroundOf(button)
  if (!around) {
    button.closest("main")?.querySelector("h1")?.focus()
    return
  }
  // Only as long as it has it: a click into a panel is no stop of the keyboard's.
  around.tabIndex = -1
  const leave = () => {
    // It is the window that was left.
    if (document.activeElement === around) return
    around.removeAttribute("tabindex")
    around.removeEventListener("blur", leave)
  }
  around.addEventListener("blur", leave)
  around.focus({ preventScroll: true })
}

function aroundOf(button: HTMLElement): HTMLElement | null {
  return button.closest("dialog, .panel")
}
