import { useEffect, useState } from "preact/hooks"
import { eventKinds } from "../../event-kinds.ts"
import type { Api } from "../state/api.ts"
import { useApp } from "../state/app.ts"
import type { ApiEvent } from "../state/event-filter.ts"
import { eventTitle, kindOf } from "../state/event-text.ts"
import { usePolling } from "../state/polling.ts"
import { runParameter } from "../state/query-cache.ts"
import { allTimeBody } from "../state/range.ts"

/** ms between polls. Polling finds events that the stream misses while it is interrupted. */
const pollInterval = 5_000

/** A website's most recent event of any kind. */
export interface LatestEvent {
  title: string
  /** The page that shows the event: Web if the page script sent it, otherwise the overview of custom events. */
  page: "web" | "overview"
  /** ISO 8601 */
  time: string
  /** Whether a crawler sent the event, which is then stored but excluded from reports. */
  isCrawler: boolean
}

interface Arrivals {
  /** Whether the first lookup has finished. */
  isKnown: boolean
  /** Undefined if there is no event yet. */
  latest: LatestEvent | undefined
  /** Whether there are events without a website. Checked only while `latest` is undefined. */
  hasStray: boolean
}

/** Follows a website's latest event. `website`: an ID. */
export function useLatestEvent(website: string): Arrivals {
  const { api, router, session, now } = useApp()
  const { canSeeAll } = session
  const [isKnown, setKnown] = useState(false)
  const [latest, setLatest] = useState<LatestEvent>()
  const [hasStray, setStray] = useState(false)
  const poll = async (signal: AbortSignal) => {
    try {
      const found = await fetchLatestEvent(api, website, now(), signal)
      setKnown(true)
      if (found) setLatest((known) => (known && known.time >= found.time ? known : found))
      else if (canSeeAll) setStray((await fetchLatestEvent(api, "none", now(), signal)) !== undefined)
    } catch {
      // The next poll might succeed, or the stream might deliver the event.
    }
  }
  usePolling(poll, pollInterval, [api, website, canSeeAll, now])
  useEffect(() => {
    const stream = new EventSource(
      router.hrefOf(`/v1/events/stream?website_id=${encodeURIComponent(website)}&crawlers=true`),
    )
    stream.onmessage = ({ data }) => {
      const event: ApiEvent = JSON.parse(data)
      setLatest(latestFrom(event))
    }
    return () => stream.close()
  }, [router, website])
  return { isKnown, latest, hasStray }
}

function latestFrom(event: ApiEvent): LatestEvent {
  return {
    title: eventTitle(event),
    page: kindOf(event) === "custom" ? "overview" : "web",
    time: event.timestamp,
    isCrawler: event.crawler,
  }
}

/** Fetches the latest event that a website has ever received. Returns undefined if there is none. */
export async function fetchLatestEvent(
  api: Api,
  website: string,
  now: number,
  signal: AbortSignal,
): Promise<LatestEvent | undefined> {
  const parameter = { name: "custom_events_recent", kinds: eventKinds, limit: 1 }
  const body = { ...allTimeBody(now), crawlers: true }
  const { rows } = await runParameter<ApiEvent>(api, { website, parameter, body }, signal)
  const [event] = rows
  return event && latestFrom(event)
}
