import type { ComponentChildren } from "preact"
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
  return (
    <div class="empty" role="alert">
      <p class="empty-title">This could not be loaded</p>
      <div class="empty-text">{messageOf(error)}</div>
      {again && (
        <button type="button" class="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  )
}
