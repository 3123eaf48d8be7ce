import { useState } from "preact/hooks"
import { EventRow } from "../components/charts/event-row.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { useApp } from "../state/app.ts"
import { isolate } from "../state/bidi.ts"
import type { ApiEvent } from "../state/event-filter.ts"
import { kindOf } from "../state/event-text.ts"
import type { Format } from "../state/format.ts"
import { useProfileNames } from "../state/profile-names.ts"

interface DaysProps {
  events: readonly ApiEvent[]
  order: "newest first" | "oldest first"
  /** Whether the earliest session might have started before the earliest listed event. */
  isTruncated: boolean
  isProfile: boolean
  /** The event to highlight. */
  selected?: ApiEvent | undefined
}

/** A person's events by day and session. */
export function Days({ events, order, isTruncated, isProfile, selected }: DaysProps) {
  const format = useFormat()
  const [open, setOpen] = useState<ApiEvent>()
  const { router } = useApp()
  const nameOf = useProfileNames(isProfile ? [] : events.map(({ profile_id: id }) => id))
  const isNewestFirst = order === "newest first"
  const earliest = isNewestFirst ? events.at(-1) : events[0]
  return (
    <>
      {daysOf(events, format).map(({ day, sessions }) => (
        <section key={day} class="person-day">
          <h3>{format.bucket(day, "daily")}</h3>
          {sessions.map((session) => {
            const isCut = isTruncated && session.events.some((event) => event === earliest)
            return (
              <div key={session.events[0]?.timestamp} class="person-session">
                <p class="muted">
                  {isNewestFirst ? sessionText(session, isCut, format) : startText(session, isCut, format)}
                </p>
                <ol>
                  {session.events.map((event, at) => (
                    <EventRow
                      key={at}
                      event={event}
                      class={`${kindOf(event)} ${event === selected ? "selected" : ""}`}
                      time={format.clock(event.timestamp)}
                      isOpen={open === event}
                      onToggle={() => setOpen(open === event ? undefined : event)}
                    >
                      {isProfile && event.anonymous_id !== null && (
                        <Link
                          href={router.pageHref("person", { visitor: event.anonymous_id })}
                          label={`Visitor ${isolate(event.anonymous_id)}`}
                        >
                          {event.anonymous_id}
                        </Link>
                      )}
                      {!isProfile && event.profile_id !== null && (
                        <Link
                          href={router.pageHref("person", { profile: event.profile_id })}
                          label={`Profile ${isolate(nameOf(event.profile_id) ?? event.profile_id)}`}
                        >
                          {nameOf(event.profile_id) ?? event.profile_id}
                        </Link>
                      )}
                    </EventRow>
                  ))}
                </ol>
              </div>
            )
          })}
        </section>
      ))}
    </>
  )
}

interface Session {
  id: string | null
  events: ApiEvent[]
}

/**
 * Groups events by day and session without reordering them. A session that overlaps another one can therefore appear
 * several times.
 */
function daysOf(events: readonly ApiEvent[], format: Format): { day: string; sessions: Session[] }[] {
  const days: { day: string; sessions: Session[] }[] = []
  for (const event of events) {
    const day = format.dayOf(event.timestamp)
    if (days.at(-1)?.day !== day) days.push({ day, sessions: [] })
    const sessions = days.at(-1)?.sessions ?? []
    if (sessions.length === 0 || sessions.at(-1)?.id !== event.session_id) {
      sessions.push({ id: event.session_id, events: [] })
    }
    sessions.at(-1)?.events.push(event)
  }
  return days
}

function labelOf({ id }: Session): string {
  return id === null ? "No session" : `Session ${id}`
}

/** Describes a session whose end is unknown. If `isTruncated` is true, its start is unknown, too. */
function startText(session: Session, isTruncated: boolean, format: Format): string {
  const [first] = session.events
  return isTruncated || !first
    ? labelOf(session)
    : `${labelOf(session)}, from ${format.clock(first.timestamp)}`
}

/** Describes a session whose events are listed newest first. If `isTruncated` is true, its start is unknown. */
function sessionText(session: Session, isTruncated: boolean, format: Format): string {
  const { events } = session
  const [last, first] = [events[0], events.at(-1)]
  if (!last || !first) return ""
  const label = labelOf(session)
  const until = format.clock(last.timestamp)
  if (isTruncated) return `${label}, until ${until}`
  if (last === first) return `${label}, at ${until}`
  const ms = Date.parse(last.timestamp) - Date.parse(first.timestamp)
  return `${label}, ${format.clock(first.timestamp)} to ${until}, ${format.duration(ms)}`
}
