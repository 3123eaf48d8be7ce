import { useEffect, useState } from "preact/hooks"
import { messageOf } from "../../errors.ts"
import { CardMenu } from "../components/charts/card-menu.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { NoMatch } from "../components/layout/no-match.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton, useKeepFocus } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import type { ApiEvent } from "../state/event-filter.ts"
import { kindOf } from "../state/event-text.ts"
import { runParameter } from "../state/query-cache.ts"
import { addDays, rangeBody, rangeParams } from "../state/range.ts"
import { BeforeError, ErrorSwitch, usePersonErrors } from "./errors.tsx"
import { Days } from "./event-days.tsx"
import { type PersonId, personParam, withCrawlers } from "./person-id.ts"

/** Number of events per request. */
const pageSize = 100
/** Length in days of the suggested range, which ends at the person's last event. */
const daysBefore = 30

/** The person's events by day and session, newest first, or one of their errors with the events before it. */
export function Timeline({ person, lastSeen }: { person: PersonId; lastSeen: string | undefined }) {
  const { events, cursor, error, isStale, isLoading, more } = useTimeline(person)
  const errors = usePersonErrors(person)
  const { selected } = errors
  return (
    <Panel
      title="Timeline"
      hint={
        person.kind === "profile"
          ? "Also includes events without a profile from this profile's visitors, such as events from before they were identified."
          : undefined
      }
      actions={
        <>
          <ErrorSwitch errors={errors} />
          {events && selected === undefined && <Download events={events} />}
        </>
      }
    >
      {selected !== undefined ? (
        <BeforeError person={person} errors={errors} selected={selected} />
      ) : events !== undefined && events.length > 0 ? (
        <div class={isStale ? "stale" : undefined} aria-busy={isStale}>
          <Days
            events={events}
            order="newest first"
            isTruncated={cursor !== null}
            isProfile={person.kind === "profile"}
          />
        </div>
      ) : error !== undefined ? (
        <Failure error={error} onRetry={more} />
      ) : events === undefined || isStale ? (
        <Skeleton height={480} />
      ) : (
        <NoEvents person={person} lastSeen={lastSeen} />
      )}
      {events !== undefined && selected === undefined && cursor !== null && (
        <More error={error} isLoading={isLoading} onMore={more} />
      )}
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
  /** Identifies the query that the state belongs to. */
  key: string
  /** Undefined until the first page of events has loaded. */
  events: ApiEvent[] | undefined
  /** The cursor of the next page; null if there are no more events. */
  cursor: string | null
  error: unknown
}

const initialState: TimelineState = { key: "", events: undefined, cursor: null, error: undefined }

/**
 * Loads the person's matching events in the range, page by page. `isStale`: whether the events still belong to the
 * previous query.
 */
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

/** Shown if there are no matching events in the range. Offers to clear the filters, or to show the last events. */
function NoEvents({ person, lastSeen }: { person: PersonId; lastSeen: string | undefined }) {
  const { view, router } = useApp()
  const format = useFormat()
  if (lastSeen === undefined) {
    return (
      <Empty title={`No events from this ${person.kind}`}>
        The data might have been deleted, either manually or because the retention period ended. IDs are
        case-sensitive.
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
        View the {daysBefore} days up to {format.day(last)}
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
