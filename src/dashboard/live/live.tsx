import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks"
import { EventRow } from "../components/charts/event-row.tsx"
import { Icon } from "../components/controls/icons.tsx"
import { Link } from "../components/controls/link.tsx"
import { useFormat } from "../components/controls/use-format.ts"
import { Page } from "../components/layout/page.tsx"
import { Panel } from "../components/layout/panel.tsx"
import { Empty, Failure, Skeleton } from "../components/layout/states.tsx"
import { useApp } from "../state/app.ts"
import { Feed, type FeedEvent, keptEvents, type Wanted } from "./feed.ts"
import "./live.css"
import { NamePicker } from "./names.tsx"

/** ms between two sums for those who listen: each event read out would be a noise. */
const sumEvery = 20_000

export function Live() {
  const { place, view } = useApp()
  const { website, filters } = view.value
  const { params } = place.spot.value
  const names = params.getAll("name")
  const crawlers = params.get("crawlers") === "true"
  const feed = useFeed({ website, names, filters, crawlers })
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
              onChange={() => place.set({ crawlers: crawlers ? undefined : "true" }, "replace")}
            />
            Crawlers too
          </label>
          <NamePicker names={names} onChange={(next) => place.set({ name: next }, "replace")} />
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
      <Stream feed={feed} isNarrowed={names.length > 0 || filters.length > 0} />
      <Sum feed={feed} />
    </Page>
  )
}

function useFeed(wanted: Wanted): Feed {
  const { api, now } = useApp()
  const key = JSON.stringify(wanted)
  const feed = useMemo(() => new Feed(api, wanted, now), [api, key, now])
  useEffect(() => {
    feed.start()
    return () => feed.stop()
  }, [feed])
  return feed
}

/** Whether events come, and why not. */
function Status({ feed }: { feed: Feed }) {
  const format = useFormat()
  const connection = feed.connection.value
  const pausedAt = feed.pausedAt.value
  const skipped = feed.skipped.value
  const clock = (ms: number) => format.clock(new Date(ms).toISOString())
  const waiting = feed.waiting.value
  return (
    <>
      {connection.kind === "broken" && (
        <button type="button" class="button small" onClick={() => feed.again()}>
          Connect now
        </button>
      )}
      {skipped > 0 && (
        <span class="badge" title="Counted with those of other websites and names">
          {format.count(skipped)} passed over: too many at once
        </span>
      )}
      <p class="live-status">
        <span class={`dot ${connection.kind === "live" && pausedAt === undefined ? "on" : ""}`} />
        <span role="status">
          {pausedAt !== undefined
            ? `Paused at ${clock(pausedAt)}`
            : connection.kind === "broken"
              ? `Connection lost at ${clock(connection.at)}, trying again. ${connection.message}`.trim()
              : connection.kind === "refused"
                ? "Not connected"
                : connection.kind === "live"
                  ? `Live${gapText(feed, format)}`
                  : "Connecting"}
        </span>
        {pausedAt !== undefined && (
          <span class="live-count">
            {waiting >= keptEvents
              ? `${format.count(keptEvents)} or more wait`
              : `${format.count(waiting)} wait`}
          </span>
        )}
      </p>
    </>
  )
}

function gapText(feed: Feed, format: ReturnType<typeof useFormat>): string {
  const gap = feed.gap.value
  if (!gap) return ""
  return `, with what came during ${gap.what === "pause" ? "the pause" : "a break"} of ${format.duration(gap.ms)}`
}

function Stream({ feed, isNarrowed }: { feed: Feed; isNarrowed: boolean }) {
  const [open, setOpen] = useState<ReadonlySet<string>>(new Set())
  const { list, heard } = useHold(feed, open.size > 0)
  const toggle = useCallback((key: string) => setOpen((keys) => toggled(keys, key)), [])
  const connection = feed.connection.value
  const events = feed.events.value
  const showNew = () => {
    setOpen(new Set())
    feed.show()
    const panel = list.current?.closest("section")
    if (panel && panel.getBoundingClientRect().top < 0) panel.scrollIntoView()
  }
  return (
    <Panel
      class="live"
      title="Events as they arrive"
      actions={
        <>
          <NewEvents feed={feed} onShow={showNew} />
          <Status feed={feed} />
        </>
      }
    >
      {connection.kind === "refused" ? (
        <Failure error={connection.error} again={() => feed.again()} />
      ) : events === undefined ? (
        <Skeleton height={640} />
      ) : events.length === 0 ? (
        <Nothing isNarrowed={isNarrowed} />
      ) : (
        <ol ref={list} {...heard}>
          {events.map((shown) => (
            <Row key={shown.key} shown={shown} isOpen={open.has(shown.key)} onToggle={toggle} />
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
      {format.count(waiting)} new {waiting === 1 ? "event" : "events"}
    </button>
  )
}

function toggled(keys: ReadonlySet<string>, key: string): ReadonlySet<string> {
  const next = new Set(keys)
  if (!next.delete(key)) next.add(key)
  return next
}

interface RowProps {
  shown: FeedEvent
  isOpen: boolean
  onToggle: (key: string) => void
}

function Row({ shown, isOpen, onToggle }: RowProps) {
  const { now, place } = useApp()
  const format = useFormat()
  const { key, event, isNew } = shown
  const { anonymous_id: visitor, timestamp } = event
  const time = format.moment(timestamp, now())
  const person = visitor === null ? undefined : place.to("person", { visitor })
  // With hundreds of rows, those that stay as they are must cost nothing.
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
          <Link href={person} label={`Visitor ${visitor}`}>
            {visitor}
          </Link>
        )}
      </EventRow>
    ),
    [shown, time, isOpen, onToggle, person],
  )
}

/**
 * While somebody reads, new events wait: a row is open, the pointer or the keyboard is in the list, or its beginning is out of
 * sight. `heard`: what the list has to tell.
 */
function useHold(feed: Feed, isOpen: boolean) {
  const list = useRef<HTMLOListElement>(null)
  const signs = useRef({ isOpen, hasPointer: false, hasFocus: false, isScrolled: false })
  const update = (changes: Partial<typeof signs.current>) => {
    Object.assign(signs.current, changes)
    feed.hold(Object.values(signs.current).some(Boolean))
  }
  useEffect(() => update({ isOpen }), [feed, isOpen])
  useEffect(() => {
    const onScroll = () => update({ isScrolled: (list.current?.getBoundingClientRect().top ?? 0) < 0 })
    addEventListener("scroll", onScroll, { passive: true })
    return () => removeEventListener("scroll", onScroll)
  }, [feed])
  const heard = {
    onPointerEnter: ({ pointerType }: PointerEvent) => update({ hasPointer: pointerType === "mouse" }),
    onPointerLeave: () => update({ hasPointer: false }),
    onFocusIn: ({ target }: FocusEvent) =>
      update({ hasFocus: (target as Element).matches(":focus-visible") }),
    onFocusOut: () => update({ hasFocus: false }),
  }
  return { list, heard }
}

/** What came, in a sentence from time to time. */
function Sum({ feed }: { feed: Feed }) {
  const format = useFormat()
  const [text, setText] = useState("")
  useEffect(() => {
    const timer = setInterval(() => {
      const { events, name, ofName } = feed.tally()
      setText(
        events === 0
          ? ""
          : `${format.count(events)} new ${events === 1 ? "event" : "events"}, ${format.count(ofName)} of them ${name}.`,
      )
    }, sumEvery)
    return () => clearInterval(timer)
  }, [feed, format])
  return (
    <p class="hidden" role="status">
      {text}
    </p>
  )
}

function Nothing({ isNarrowed }: { isNarrowed: boolean }) {
  const { place } = useApp()
  return isNarrowed ? (
    <Empty title="No event fits what is chosen here">
      <p>As soon as one arrives that does, it is shown.</p>
      <Link class="button" href={place.with({ f: undefined, name: undefined })}>
        Show all events
      </Link>
    </Empty>
  ) : (
    <Empty title="No events yet">
      As soon as one arrives, it is shown. Send it to <code>POST /track</code>;{" "}
      <a href="/docs">the API's page</a> says how, and can send one.
    </Empty>
  )
}
