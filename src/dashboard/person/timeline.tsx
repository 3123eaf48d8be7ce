import { useEffect, useState } from "preact/hooks"
import { DownloadCsv } from "../components/charts/data-table.tsx"
import { EventRow } from "../components/charts/event-row.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton, useHeldFocus } from "../components/layout/states.tsx"
import { ApiError, messageOf, sentence } from "../state/api.ts"
import { useApp } from "../state/app.ts"
import type { ShownEvent } from "../state/events.ts"
import type { Format } from "../state/format.ts"
import type { Entry } from "../state/query-cache.ts"
import { plusDays, rangeBody, rangeParams } from "../state/range.ts"
import { type PersonId, whose, withCrawlers } from "./person-id.ts"

/** Events that come at a time. */
const step = 100
/** Days of the range that leads to the last event of somebody who was not there for long. */
const daysBefore = 30

/** What they did, the newest first, by day and session. */
export function Timeline({ who, lastSeen }: { who: PersonId; lastSeen: string | undefined }) {
  const { events, cursor, error, isStale, isLoading, more } = useTimeline(who)
  return (
    <Panel
      title="Timeline"
      hint={
        who.kind === "profile"
          ? "Events that name the profile, and those of its visitors that name none, also from before they were known."
          : undefined
      }
      actions={events && <Download events={events} />}
    >
      {events !== undefined && events.length > 0 ? (
        <div class={isStale ? "stale" : undefined} aria-busy={isStale}>
          <Days events={events} isCut={cursor !== null} isProfile={who.kind === "profile"} />
        </div>
      ) : error !== undefined ? (
        <Failure error={error} again={more} />
      ) : events === undefined || isStale ? (
        <Skeleton height={480} />
      ) : (
        <Nothing who={who} lastSeen={lastSeen} />
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
  const button = useHeldFocus()
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
        {error === undefined ? "Show older events" : "Try again"}
      </button>
    </div>
  )
}

interface TimelineState {
  /** What was asked. */
  key: string
  /** Undefined: not known. */
  events: ShownEvent[] | undefined
  /** Leads on; null: that is all. */
  cursor: string | null
  error: unknown
}

const nothing: TimelineState = { key: "", events: undefined, cursor: null, error: undefined }

/** The events of the range that fit the filters, some at a time. `isStale`: they are those of the question before. */
function useTimeline(
  who: PersonId,
): TimelineState & { isStale: boolean; isLoading: boolean; more: () => void } {
  const { api, view } = useApp()
  const { website, range, zone, filters } = view.value
  const [state, setState] = useState(nothing)
  const [isLoading, setLoading] = useState(false)
  const [round, setRound] = useState(0)
  const person = whose(who)
  const path = `query?website_id=${encodeURIComponent(website)}`
  const body = { ...rangeBody(range), timeZone: zone, filters, ...withCrawlers }
  const key = JSON.stringify([path, person, body])
  useEffect(() => {
    const stop = new AbortController()
    const { events = [], cursor } = state.key === key ? state : nothing
    const parameter = { name: "person", ...person, limit: step, ...(cursor === null ? {} : { cursor }) }
    setLoading(true)
    api
      .send<{ data: Entry[] }>("POST", path, { ...body, parameters: [parameter] }, stop.signal)
      .then(({ data: [answer] }) => {
        if (answer?.error !== undefined) throw new ApiError(sentence(answer.error), 400, "", [])
        // The rows of this type are such events.
        const found = (answer?.data ?? []) as unknown as ShownEvent[]
        const next = answer?.meta?.nextCursor ?? null
        setState({ key, events: [...events, ...found], cursor: next, error: undefined })
        setLoading(false)
      })
      .catch((error) => {
        if (stop.signal.aborted) return
        setState((before) => (before.key === key ? { ...before, error } : { ...nothing, key, error }))
        setLoading(false)
      })
    return () => stop.abort()
  }, [api, key, round])
  return { ...state, isStale: state.key !== key, isLoading, more: () => setRound((count) => count + 1) }
}

function Days({
  events,
  isCut,
  isProfile,
}: {
  events: readonly ShownEvent[]
  isCut: boolean
  isProfile: boolean
}) {
  const format = useFormat()
  const [open, setOpen] = useState<ShownEvent>()
  const { place } = useApp()
  return (
    <>
      {daysOf(events, format).map(({ day, sessions }, dayIndex, days) => (
        <section key={day} class="person-day">
          <h3>{format.bucket(day, "daily")}</h3>
          {sessions.map((session, index) => {
            const isLast = isCut && dayIndex === days.length - 1 && index === sessions.length - 1
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
                          href={place.to("person", { visitor: event.anonymous_id })}
                          label={`Visitor ${event.anonymous_id}`}
                        >
                          {event.anonymous_id}
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
  /** The newest first. */
  events: ShownEvent[]
}

/** In the order of the events: sessions that overlap take turns. */
function daysOf(events: readonly ShownEvent[], format: Format): { day: string; sessions: Session[] }[] {
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

/** `isCut`: it may have begun earlier. */
function sessionText({ id, events }: Session, isCut: boolean, format: Format): string {
  const [last, first] = [events[0], events.at(-1)]
  if (!last || !first) return ""
  const what = id === null ? "Without a session" : `Session ${id}`
  const until = format.clock(last.timestamp)
  if (isCut) return `${what}, until ${until}`
  if (last === first) return `${what}, at ${until}`
  const ms = Date.parse(last.timestamp) - Date.parse(first.timestamp)
  return `${what}, ${format.clock(first.timestamp)} to ${until}, ${format.duration(ms)}`
}

/** Nothing in this range, and the way to what there is. */
function Nothing({ who, lastSeen }: { who: PersonId; lastSeen: string | undefined }) {
  const { view, place } = useApp()
  const format = useFormat()
  if (lastSeen === undefined) {
    return (
      <Empty title={`No event names this ${who.kind}`}>
        It may have been forgotten, or be older than events are kept. Ids are written in small and capital
        letters.
      </Empty>
    )
  }
  if (view.value.filters.length > 0) return <NoMatch />
  const last = format.dayOf(lastSeen)
  return (
    <Empty title="No events in this range">
      <Link class="button" href={place.with(rangeParams({ from: plusDays(last, 1 - daysBefore), to: last }))}>
        Look at the {daysBefore} days until {format.day(last)}
      </Link>
    </Empty>
  )
}

function Download({ events }: { events: readonly ShownEvent[] }) {
  return (
    <DownloadCsv
      file="timeline"
      columns={[
        "time",
        "event",
        "path",
        "properties",
        "visitor",
        "session",
        "profile",
        "namespace",
        "source",
      ]}
      rows={events.map((one) => [
        one.timestamp,
        one.event_name,
        one.path,
        one.properties,
        one.anonymous_id,
        one.session_id,
        one.profile_id,
        one.namespace,
        one.source,
      ])}
    />
  )
}
