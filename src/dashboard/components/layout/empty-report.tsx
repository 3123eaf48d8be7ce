import type { ComponentChildren } from "preact"
import type { EventNames } from "../controls/event-picker.tsx"
import { NoMatch } from "./no-match.tsx"
import { Failure, Skeleton } from "./states.tsx"

interface EmptyReportProps {
  /** The title, as a question. */
  title: string
  /** What the report shows, in a single sentence. */
  text: string
  events: EventNames
  /** Buttons that start a report. */
  children: ComponentChildren
}

/** Shown by a report if no events are selected. Says what the report shows, and suggests events to start with. */
export function EmptyReport({ title, text, events, children }: EmptyReportProps) {
  return (
    <section class="panel" aria-label={title}>
      {events.isLoading ? (
        <Skeleton height={200} />
      ) : events.error ? (
        <Failure error={events.error} onRetry={events.refetch} />
      ) : events.names.length === 0 ? (
        <NoMatch />
      ) : (
        <div class="empty">
          <h2>{title}</h2>
          <p class="empty-text">{text}</p>
          <div class="empty-buttons">{children}</div>
        </div>
      )}
    </section>
  )
}
