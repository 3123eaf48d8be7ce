import type { ComponentChildren } from "preact"
import { useLayoutEffect, useRef } from "preact/hooks"
import { messageOf } from "../../../errors.ts"

/** A placeholder that is shown while content loads. `height` is in px. */
export function Skeleton({ height }: { height: number }) {
  return (
    <div class="skeleton" style={{ "--height": `${height}px` }} role="status">
      <span class="hidden">Loading</span>
    </div>
  )
}

/** An empty state: what is missing and what to do next. */
export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <p class="empty-title">{title}</p>
      {children && <div class="empty-text">{children}</div>}
    </div>
  )
}

/** An error message with a retry button. */
export function Failure({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const button = useKeepFocus()
  useLayoutEffect(() => {
    // If the retry also failed, the focus returns to the button.
    if (button.current && containerOf(button.current) === document.activeElement) button.current.focus()
  }, [])
  return (
    <div class="empty" role="alert">
      <p class="empty-title">Could not load</p>
      <div class="empty-text">{messageOf(error)}</div>
      {onRetry && (
        <button type="button" class="button" ref={button} onClick={onRetry}>
          Retry
        </button>
      )}
    </div>
  )
}

/**
 * Returns a ref for a button that disappears when pressed. The focus then moves to the button's container instead of
 * being lost.
 */
export function useKeepFocus() {
  const button = useRef<HTMLButtonElement>(null)
  useLayoutEffect(() => () => button.current && focusContainer(button.current), [])
  return button
}

function focusContainer(button: HTMLButtonElement): void {
  if (document.activeElement !== button) return
  const container = containerOf(button)
  if (!container) {
    button.closest("main")?.querySelector("h1")?.focus()
    return
  }
  // The container is focusable only while it has the focus. Otherwise, a click inside a panel would focus the panel.
  container.tabIndex = -1
  const onBlur = () => {
    // If only the window lost the focus, the container will get it back, so it must stay focusable.
    if (document.activeElement === container) return
    container.removeAttribute("tabindex")
    container.removeEventListener("blur", onBlur)
  }
  container.addEventListener("blur", onBlur)
  container.focus({ preventScroll: true })
}

function containerOf(button: HTMLElement): HTMLElement | null {
  return button.closest("dialog, .panel")
}
