import { useEffect, useState } from "preact/hooks"
import { messageOf } from "../../errors.ts"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { EventRow } from "../components/charts/event-row.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton, useKeepFocus } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { isolate } from "../state/bidi.ts"
import type { ApiEvent } from "../state/event-filter.ts"
import { kindOf } from "../state/event-text.ts"
import type { Format } from "../state/format.ts"
import { useProfileNames } from "../state/profile-names.ts"
import { runParameter } from "../state/query-cache.ts"
import { addDays, rangeBody, rangeParams } from "../state/range.ts"
import { type PersonId, personParam, withCrawlers } from "./person-id.ts"

/** Events per request. */
const pageSize = 100
/** Days of the suggested range that ends at the person's last event. */
const daysBefore = 30

/** The person's events, newest first, by day and session. */
export function Timeline({ person, lastSeen }: { person: PersonId; lastSeen: string | undefined }) {
  const { events, cursor, error, isStale, isLoading, more } = useTimeline(person)
  return (
    <Panel
      title="Timeline"
      hint={
        person.kind === "profile"
          ? "Includes its visitors' events without a profile, even from before they were identified."
          : undefined
      }
      actions={events && <Download events={events} />}
    >
      {events !== undefined && events.length > 0 ? (
        <div class={isStale ? "stale" : undefined} aria-busy={isStale}>
          <Days events={events} isTruncated={cursor !== null} isProfile={person.kind === "profile"} />
        </div>
      ) : error !== undefined ? (
        <Failure error={error} onRetry={more} />
      ) : events === undefined || isStale ? (
        <Skeleton height={480} />
      ) : (
        <NoEvents person={person} lastSeen={lastSeen} />
      )}
      {events !== undefined && cursor !== null && <More error={error} isLoading={isLoading} onMore={more} />}
    </Panel>
  )
}

interface MoreProps {
  error: unknown
  isLoading: boolean
  onMore: () => void
}

function More({ error, isLoading, onMore }: MoreProps) {
  const button = useKeepFocus()
  return (
    <div class="person-more">
      {error !== undefined && (
        <p class="form-error" role="alert">
          {messageOf(error)}
        </p>
      )}
      <button
        type="button"
        class="button"
        ref={button}
        aria-disabled={isLoading}
        onClick={() => !isLoading && onMore()}
      >
        {error === undefined ? "Show older events" : "Retry"}
      </button>
    </div>
  )
}

interface TimelineState {
  /** Identifies the query. */
  key: string
  /** Undefined: not loaded. */
  events: ApiEvent[] | undefined
  /** The cursor of the next page; null: no more events. */
  cursor: string | null
  error: unknown
}

const initialState: TimelineState = { key: "", events: undefined, cursor: null, error: undefined }

/** Loads the person's matching events in the range, page by page. `isStale`: they are of the previous query. */
function useTimeline(
  person: PersonId,
): TimelineState & { isStale: boolean; isLoading: boolean; more: () => void } {
  const { api, view } = useApp()
  const { website, range, zone, filters } = view.value
  const [state, setState] = useState(initialState)
  const [isLoading, setLoading] = useState(false)
  const [round, setRound] = useState(0)
  const personFields = personParam(person)
  const body = { ...rangeBody(range), timeZone: zone, filters, ...withCrawlers }
  const key = JSON.stringify([website, personFields, body])
  useEffect(() => {
    const abort = new AbortController()
    const { events = [], cursor } = state.key === key ? state : initialState
    const page = { limit: pageSize, ...(cursor === null ? {} : { cursor }) }
    const parameter = { name: "person", ...personFields, ...page }
    setLoading(true)
    runParameter<ApiEvent>(api, { website, parameter, body }, abort.signal)
      .then(({ rows, meta }) => {
        setState({ key, events: [...events, ...rows], cursor: meta?.nextCursor ?? null, error: undefined })
        setLoading(false)
      })
      .catch((error) => {
        if (abort.signal.aborted) return
        setState((before) => (before.key === key ? { ...before, error } : { ...initialState, key, error }))
        setLoading(false)
      })
    return () => abort.abort()
  }, [api, key, round])
  return { ...state, isStale: state.key !== key, isLoading, more: () => setRound((count) => count + 1) }
}

function Days({
  events,
  isTruncated,
  isProfile,
}: {
  events: readonly ApiEvent[]
  isTruncated: boolean
  isProfile: boolean
}) {
  const format = useFormat()
  const [open, setOpen] = useState<ApiEvent>()
  const { router } = useApp()
  const nameOf = useProfileNames(isProfile ? [] : events.map(({ profile_id: id }) => id))
  return (
    <>
      {daysOf(events, format).map(({ day, sessions }, dayIndex, days) => (
        <section key={day} class="person-day">
          <h3>{format.bucket(day, "daily")}</h3>
          {sessions.map((session, index) => {
            const isLast = isTruncated && dayIndex === days.length - 1 && index === sessions.length - 1
            return (
              <div key={session.events[0]?.timestamp} class="person-session">
                <p class="muted">{sessionText(session, isLast, format)}</p>
                <ol>
                  {session.events.map((event, at) => (
                    <EventRow
                      key={at}
                      event={event}
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
  /** Newest first. */
  events: ApiEvent[]
}

/** Groups events by day and session, in order; overlapping sessions alternate. */
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

/** `isTruncated`: the session might have started earlier. */
function sessionText({ id, events }: Session, isTruncated: boolean, format: Format): string {
  const [last, first] = [events[0], events.at(-1)]
  if (!last || !first) return ""
  const label = id === null ? "No session" : `Session ${id}`
  const until = format.clock(last.timestamp)
  if (isTruncated) return `${label}, until ${until}`
  if (last === first) return `${label}, at ${until}`
  const ms = Date.parse(last.timestamp) - Date.parse(first.timestamp)
  return `${label}, ${format.clock(first.timestamp)} to ${until}, ${format.duration(ms)}`
}

/** Shown without events in the range; links to the last ones. */
function NoEvents({ person, lastSeen }: { person: PersonId; lastSeen: string | undefined }) {
  const { view, router } = useApp()
  const format = useFormat()
  if (lastSeen === undefined) {
    return (
      <Empty title={`No events from this ${person.kind}`}>
        The data might have been deleted, or it was older than the retention period. IDs are case-sensitive.
      </Empty>
    )
  }
  if (view.value.filters.length > 0) return <NoMatch />
  const last = format.dayOf(lastSeen)
  return (
    <Empty title="No events in this range">
      <Link
        class="button"
        href={router.hrefWith(rangeParams({ from: addDays(last, 1 - daysBefore), to: last }))}
      >
        View the {daysBefore} days to {format.day(last)}
      </Link>
    </Empty>
  )
}

function Download({ events }: { events: readonly ApiEvent[] }) {
  return (
    <CardMenu
      file="timeline"
      columns={[
        "time",
        "event",
        "kind",
        "path",
        "properties",
        "visitor",
        "session",
        "profile",
        "namespace",
        "source",
      ]}
      rows={events.map((event) => [
        event.timestamp,
        event.event_name,
        kindOf(event),
        event.path,
        event.properties,
        event.anonymous_id,
        event.session_id,
        event.profile_id,
        event.namespace,
        event.source,
      ])}
    />
  )
}
