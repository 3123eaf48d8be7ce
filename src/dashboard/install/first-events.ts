import { useEffect, useState } from "preact/hooks"
import type { Api } from "../state/api.ts"
import { useApp } from "../state/app.ts"

/** ms between two looks: what arrives is heard at once, but for where the stream broke off. */
const lookEvery = 5_000
/** Before all events, which are of 2000 or later. */
const beforeAll = "2000-01-01"
/** ms that a sender's clock may be ahead. */
const ahead = 7_200_000

/** An event that is there. */
export interface FirstEvent {
  name: string
  /** ISO 8601 */
  time: string
  /** It is kept, and left out of the numbers. */
  isCrawler: boolean
}

interface Arrivals {
  /** It was looked whether there are some. */
  isKnown: boolean
  /** The newest one; undefined while there is none. */
  newest: FirstEvent | undefined
  /** An event came without any website. */
  hasStray: boolean
}

/** What arrives of a website, as it arrives. `website`: an id. */
export function useFirstEvents(website: string): Arrivals {
  const { api, session, now } = useApp()
  const { seesAll } = session
  const [isKnown, setKnown] = useState(false)
  const [newest, setNewest] = useState<FirstEvent>()
  const [hasStray, setStray] = useState(false)
  useEffect(() => {
    const stop = new AbortController()
    const look = async () => {
      try {
        const found = await newestOf(api, website, now(), stop.signal)
        setKnown(true)
        if (found) setNewest((known) => (known && known.time >= found.time ? known : found))
        else if (seesAll) setStray((await newestOf(api, "none", now(), stop.signal)) !== undefined)
      } catch {
        // The next look may do, and the stream may be there.
      }
    }
    const stream = new EventSource(
      `/v1/events/stream?website_id=${encodeURIComponent(website)}&crawlers=true`,
    )
    stream.onmessage = ({ data }) => {
      const { event_name, timestamp, crawler } = JSON.parse(data) as StreamedEvent
      setNewest({ name: event_name, time: timestamp, isCrawler: crawler })
    }
    void look()
    const timer = setInterval(() => {
      if (!document.hidden) void look()
    }, lookEvery)
    return () => {
      stop.abort()
      stream.close()
      clearInterval(timer)
    }
  }, [api, website, seesAll, now])
  return { isKnown, newest, hasStray }
}

interface StreamedEvent {
  event_name: string
  timestamp: string
  crawler: boolean
}

/** The newest event of a website that there ever was. */
export async function newestOf(
  api: Api,
  website: string,
  now: number,
  signal: AbortSignal,
): Promise<FirstEvent | undefined> {
  const recent = { name: "custom_events_recent", limit: 1 }
  const body = {
    parameters: [recent],
    startDate: beforeAll,
    endDate: new Date(now + ahead).toISOString(),
    crawlers: true,
  }
  const path = `query?website_id=${encodeURIComponent(website)}`
  const { data } = await api.send<{ data: { data: StreamedEvent[] }[] }>("POST", path, body, signal)
  const [event] = data[0]?.data ?? []
  return event && { name: event.event_name, time: event.timestamp, isCrawler: false }
}
