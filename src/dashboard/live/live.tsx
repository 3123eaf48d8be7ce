import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks"
import { eventKinds } from "../../event-kinds.ts"
import { EventRow } from "../components/charts/event-row.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Page } from "../components/layout/page.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { useProfileNames } from "../state/profile-names.ts"
import { Feed, type FeedEvent, type FeedQuery, maxEvents } from "./feed.ts"
import "./live.css"
import { EventNamePicker } from "./event-name-picker.tsx"
import { KindPicker } from "./kind-picker.tsx"

/** ms between summaries for screen readers. Announcements of every single event would be too frequent. */
const summaryInterval = 20_000

/** The live event feed. */
export function Live() {
  const { router, view } = useApp()
  const { website, filters } = view.value
  const { params } = router.location.value
  const names = params.getAll("name")
  const kinds = eventKinds.filter((kind) => params.getAll("kind").includes(kind))
  const crawlers = params.get("crawlers") === "true"
  const feed = useFeed({ website, names, kinds, filters, crawlers })
  const isPaused = feed.pausedAt.value !== undefined
  return (
    <Page
      title="Live"
      unranged
      actions={
        <>
          <label class="check">
            <input
              type="checkbox"
              checked={crawlers}
              onChange={() => router.setParams({ crawlers: crawlers ? undefined : "true" }, "replace")}
            />
            Include crawlers
          </label>
          <KindPicker kinds={kinds} onChange={(kind) => router.setParams({ kind }, "replace")} />
          <EventNamePicker names={names} onChange={(next) => router.setParams({ name: next }, "replace")} />
          <button
            type="button"
            class="button live-pause"
            onClick={() => (isPaused ? feed.resume() : feed.pause())}
          >
            <Icon name={isPaused ? "play" : "pause"} /> {isPaused ? "Resume" : "Pause"}
          </button>
        </>
      }
    >
      <Stream feed={feed} isFiltered={names.length > 0 || kinds.length > 0 || filters.length > 0} />
      <Summary feed={feed} />
    </Page>
  )
}

function useFeed(query: FeedQuery): Feed {
  const { api, now } = useApp()
  const key = JSON.stringify(query)
  const feed = useMemo(() => new Feed(api, query, now), [api, key, now])
  useEffect(() => {
    feed.start()
    return () => feed.stop()
  }, [feed])
  return feed
}

/** Shows the state of the connection and how many events the server skipped, with a button to reconnect. */
function Status({ feed }: { feed: Feed }) {
  const format = useFormat()
  const connection = feed.connection.value
  const pausedAt = feed.pausedAt.value
  const skipped = feed.skipped.value
  const clock = (ms: number) => format.clock(new Date(ms).toISOString())
  const waiting = feed.waiting.value
  return (
    <>
      {connection.kind === "lost" && (
        <button type="button" class="button small" onClick={() => feed.reconnect()}>
          Reconnect
        </button>
      )}
      {skipped > 0 && (
        <span class="badge" title="Including events from other websites and with other names">
          {format.count(skipped)} skipped: too many at once
        </span>
      )}
      <p class="live-status">
        <span class={`dot ${connection.kind === "live" && pausedAt === undefined ? "on" : ""}`} />
        <span role="status">
          {pausedAt !== undefined
            ? `Paused at ${clock(pausedAt)}`
            : connection.kind === "lost"
              ? `Disconnected at ${clock(connection.at)}, reconnecting… ${connection.message}`.trim()
              : connection.kind === "rejected"
                ? "Not connected"
                : connection.kind === "live"
                  ? `Live${gapText(feed, format)}`
                  : "Connecting…"}
        </span>
        {pausedAt !== undefined && (
          <span class="live-count">
            {waiting >= maxEvents
              ? `${format.count(maxEvents)} or more new events`
              : format.countOf(waiting, "new event")}
          </span>
        )}
      </p>
    </>
  )
}

function gapText(feed: Feed, format: ReturnType<typeof useFormat>): string {
  const gap = feed.gap.value
  if (!gap) return ""
  const cause = gap.cause === "pause" ? "a pause" : "an interruption"
  return `, caught up after ${cause} of ${format.duration(gap.ms)}`
}

function Stream({ feed, isFiltered }: { feed: Feed; isFiltered: boolean }) {
  const { now } = useApp()
  const format = useFormat()
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  const { list, handlers } = useHold(feed, open.size > 0)
  const toggle = useCallback((key: string) => setOpen((keys) => toggled(keys, key)), [])
  const connection = feed.connection.value
  const events = feed.events.value
  const nameOf = useProfileNames(events?.map(({ event }) => event.profile_id) ?? [])
  const showNew = () => {
    setOpen(new Set())
    feed.show()
    const panel = list.current?.closest("section")
    if (panel && panel.getBoundingClientRect().top < 0) panel.scrollIntoView()
  }
  // The time of an older event can be a longer text, for example with a date. The column is as wide as the longest
  // text, so that all rows are aligned.
  const timeLengths = [events?.[0], events?.at(-1)].map((entry) =>
    entry ? format.moment(entry.event.timestamp, now()).length : 0,
  )
  return (
    <Panel
      class="live"
      title="Incoming events"
      actions={
        <>
          <NewEvents feed={feed} onShow={showNew} />
          <Status feed={feed} />
        </>
      }
    >
      {connection.kind === "rejected" ? (
        <Failure error={connection.error} onRetry={() => feed.reconnect()} />
      ) : events === undefined ? (
        <Skeleton height={640} />
      ) : events.length === 0 ? (
        <NoEvents isFiltered={isFiltered} />
      ) : (
        <ol ref={list} style={{ "--time-width": `${Math.max(...timeLengths)}ch` }} {...handlers}>
          {events.map((entry) => (
            <Row
              key={entry.key}
              entry={entry}
              name={nameOf(entry.event.profile_id)}
              isOpen={open.has(entry.key)}
              onToggle={toggle}
            />
          ))}
        </ol>
      )}
    </Panel>
  )
}

function NewEvents({ feed, onShow }: { feed: Feed; onShow: () => void }) {
  const format = useFormat()
  const waiting = feed.waiting.value
  if (waiting === 0 || feed.pausedAt.value !== undefined) return null
  return (
    <button type="button" class="button small primary" onClick={onShow}>
      {format.countOf(waiting, "new event")}
    </button>
  )
}

function toggled(keys: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const next = new Set(keys)
  if (!next.delete(key)) next.add(key)
  return next
}

interface RowProps {
  entry: FeedEvent
  /** The profile's name, if it is known. */
  name: string | undefined
  isOpen: boolean
  onToggle: (key: string) => void
}

function Row({ entry, name, isOpen, onToggle }: RowProps) {
  const { now, router } = useApp()
  const format = useFormat()
  const { key, event, isNew } = entry
  const { anonymous_id: visitor, profile_id: profile, timestamp } = event
  const time = format.moment(timestamp, now())
  const person =
    profile !== null && name !== undefined
      ? { href: router.pageHref("person", { profile }), text: name, label: `Profile ${name}` }
      : visitor !== null
        ? { href: router.pageHref("person", { visitor }), text: visitor, label: `Visitor ${visitor}` }
        : undefined
  // There can be hundreds of rows, so unchanged rows must not render again.
  return useMemo(
    () => (
      <EventRow
        class={isNew ? "live-new" : ""}
        event={event}
        time={time}
        isOpen={isOpen}
        onToggle={() => onToggle(key)}
      >
        {person === undefined ? (
          <span class="event-aside muted">No visitor</span>
        ) : (
          <Link href={person.href} label={person.label}>
            {person.text}
          </Link>
        )}
      </EventRow>
    ),
    [entry, time, isOpen, onToggle, person?.href, person?.text],
  )
}

/**
 * Holds back new events while someone seems to be reading: while a row is open, the pointer or keyboard focus is in the
 * list, or the top of the list is scrolled out of view. Returns a ref and event handlers for the list.
 */
function useHold(feed: Feed, isOpen: boolean) {
  const list = useRef<HTMLOListElement>(null)
  const reasons = useRef({ isOpen, hasPointer: false, hasFocus: false, isScrolled: false })
  const update = (changes: Partial<typeof reasons.current>) => {
    Object.assign(reasons.current, changes)
    feed.hold(Object.values(reasons.current).some(Boolean))
  }
  useEffect(() => update({ isOpen }), [feed, isOpen])
  useEffect(() => {
    const onScroll = () => update({ isScrolled: (list.current?.getBoundingClientRect().top ?? 0) < 0 })
    addEventListener("scroll", onScroll, { passive: true })
    return () => removeEventListener("scroll", onScroll)
  }, [feed])
  const handlers = {
    onPointerEnter: ({ pointerType }: PointerEvent) => update({ hasPointer: pointerType === "mouse" }),
    onPointerLeave: () => update({ hasPointer: false }),
    onFocusIn: ({ target }: FocusEvent) =>
      update({ hasFocus: target instanceof Element && target.matches(":focus-visible") }),
    onFocusOut: () => update({ hasFocus: false }),
  }
  return { list, handlers }
}

/** Periodically announces a summary of new events to screen readers. */
function Summary({ feed }: { feed: Feed }) {
  const format = useFormat()
  const [text, setText] = useState("")
  useEffect(() => {
    const timer = setInterval(() => {
      const { events, topName, topCount } = feed.takeSummary()
      setText(
        events === 0
          ? ""
          : `${format.countOf(events, "new event")}, ${format.count(topCount)} of them ${topName}.`,
      )
    }, summaryInterval)
    return () => clearInterval(timer)
  }, [feed, format])
  return (
    <p class="hidden" role="status">
      {text}
    </p>
  )
}

function NoEvents({ isFiltered }: { isFiltered: boolean }) {
  const { router } = useApp()
  return isFiltered ? (
    <Empty title="No events match">
      <p>New events that match will appear here.</p>
      <Link class="button" href={router.hrefWith({ f: undefined, name: undefined, kind: undefined })}>
        Show all events
      </Link>
    </Empty>
  ) : (
    <Empty title="No events yet">
      New events appear here as they arrive. Send one to <code>POST /track</code>: see the{" "}
      <a href={router.hrefOf("/docs")}>API docs</a>.
    </Empty>
  )
}
