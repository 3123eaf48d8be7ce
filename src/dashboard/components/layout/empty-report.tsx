import type { ComponentChildren } from "preact"
import type { EventNames } from "../controls/event-picker.tsx"
import { NoMatch } from "./no-match.tsx"
import { Failure, Skeleton } from "./states.tsx"

interface StartProps {
  /** The question that the page answers. */
  title: string
  /** What it shows, in one sentence. */
  text: string
  events: EventNames
  /** Buttons to begin with. */
  children: ComponentChildren
}

/** A page on which nothing is chosen yet: what it answers, and a beginning from what exists. */
export function EmptyReport({ title, text, events, children }: StartProps) {
  return (
    <section class="panel start" aria-label={title}>
      {events.isLoading ? (
        <Skeleton height={200} />
      ) : events.error ? (
        <Failure error={events.error} again={events.again} />
      ) : events.names.length === 0 ? (
        <NoMatch />
      ) : (
        <div class="empty">
          <h2>{title}</h2>
          <p class="empty-text">{text}</p>
          <div class="start-buttons">{children}</div>
        </div>
      )}
    </section>
  )
}
