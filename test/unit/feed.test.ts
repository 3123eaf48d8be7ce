import { expect, test } from "bun:test"
import { Feed, type FeedQuery, maxEvents } from "../../src/dashboard/live/feed.ts"
import { ApiError } from "../../src/dashboard/state/api.ts"
import type { ApiEvent } from "../../src/dashboard/state/event-filter.ts"
import { eventually } from "../harness.ts"

const now = Date.UTC(2026, 10, 24, 12)
const all: FeedQuery = { website: "shop", names: [], kinds: [], filters: [], crawlers: false }

function event(name: string, changes: Partial<ApiEvent> = {}): ApiEvent {
  return {
    event_name: name,
    namespace: null,
    source: null,
    path: null,
    properties: {},
    anonymous_id: null,
    session_id: null,
    profile_id: null,
    website_id: "shop",
    crawler: false,
    timestamp: "2026-11-24T11:59:59.000Z",
    ...changes,
  }
}

/** A fake server. `streams` contains all streams opened so far. */
class FakeServer {
  readonly streams: {
    path: string
    after: string | undefined
    send: (text: string | Uint8Array) => void
    end: () => void
  }[] = []
  readonly queries: object[] = []
  recent: ApiEvent[] = []
  error: ApiError | undefined

  readonly api = {
    open: async (path: string, headers: Record<string, string>, signal: AbortSignal) => {
      if (this.error) throw this.error
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          signal.addEventListener("abort", () => controller.error(signal.reason))
          this.streams.push({
            path,
            after: headers["last-event-id"],
            send: (text) =>
              controller.enqueue(typeof text === "string" ? new TextEncoder().encode(text) : text),
            end: () => controller.close(),
          })
        },
      })
      return new Response(body)
    },
    send: async <Answer>(_: string, __: string, body?: unknown) => {
      this.queries.push(body as object)
      return { data: [{ data: this.recent }] } as Answer
    },
  }

  /** Sends events with consecutive IDs, starting at `id`. */
  send(id: number, ...events: readonly (string | ApiEvent)[]): void {
    const texts = events.map((item, index) => {
      const data = JSON.stringify(typeof item === "string" ? event(item) : item)
      return `id: ${id + index}\ndata: ${data}\n\n`
    })
    this.streams.at(-1)?.send(texts.join(""))
  }
}

function open(query: Partial<FeedQuery> = {}, recent: ApiEvent[] = []) {
  const server = new FakeServer()
  server.recent = recent
  const feed = new Feed(server.api, { ...all, ...query }, () => now)
  feed.start()
  return { server, feed, [Symbol.dispose]: () => feed.stop() }
}

const names = (feed: Feed) => feed.events.value?.map(({ event }) => event.event_name)
const isLive = (feed: Feed) => eventually(() => feed.connection.value.kind === "live")
const shows = (feed: Feed, ...expected: string[]) => eventually(() => names(feed)?.join() === expected.join())

test("recent events are loaded first, then new ones are added on top", async () => {
  using context = open({}, [event("second"), event("first")])
  const { server, feed } = context
  await isLive(feed)
  server.send(7, "third", "fourth")
  await shows(feed, "fourth", "third", "second", "first")
  expect(feed.events.value?.map(({ isNew }) => isNew)).toEqual([true, true, false, false])
  expect(feed.received.value).toBe(2)
  expect(feed.takeSummary()).toEqual({ events: 2, topName: "third", topCount: 1 })
  expect(feed.takeSummary()).toEqual({ events: 0, topName: "", topCount: 0 })
})

test("the query and the stream use the same website, names, filters and crawlers", async () => {
  const filters = [{ field: "property.plan", op: "eq", value: "pro" } as const]
  using context = open({ website: "a b", names: ["x&y", "z"], kinds: ["custom"], filters, crawlers: true })
  const { server, feed } = context
  await isLive(feed)
  expect(server.streams[0]?.path).toBe("events/stream?website_id=a+b&name=x%26y&name=z&crawlers=true")
  expect(server.queries).toEqual([
    {
      parameters: [{ name: "custom_events_recent", kinds: ["custom"], limit: 50 }],
      startDate: "2000-01-01",
      endDate: "2026-11-25",
      filters: [...filters, { field: "event_name", op: "in", value: ["x&y", "z"] }],
      crawlers: true,
    },
  ])
  server.send(
    1,
    event("z", { properties: { plan: "free" } }),
    event("screen_view", { kind: "page_view", properties: { plan: "pro" } }),
    event("z", { properties: { plan: "pro" } }),
  )
  await shows(feed, "z")
})

test("an event in both the query result and the stream is shown once, but a later identical event is shown too", async () => {
  using context = open({}, [event("twice")])
  const { server, feed } = context
  await isLive(feed)
  server.send(1, "twice", "twice", "once")
  await shows(feed, "once", "twice", "twice")
})

test("messages split across chunks are reassembled", async () => {
  using context = open()
  const { server, feed } = context
  await isLive(feed)
  const text = `retry: 2000\n\n: heartbeat\n\nid: 1\ndata: ${JSON.stringify(event("naïve ☕"))}\n\n`
  const bytes = new TextEncoder().encode(text)
  for (const byte of bytes) server.streams[0]?.send(Uint8Array.of(byte))
  await shows(feed, "naïve ☕")
})

test("new events are not shown while the list is held", async () => {
  using context = open({}, [event("old")])
  const { server, feed } = context
  await isLive(feed)
  feed.hold(true)
  server.send(1, "a", "b")
  await eventually(() => feed.waiting.value === 2)
  expect(names(feed)).toEqual(["old"])
  feed.show()
  expect(names(feed)).toEqual(["b", "a", "old"])
  expect(feed.waiting.value).toBe(0)
  server.send(3, "c")
  await eventually(() => feed.waiting.value === 1)
  feed.hold(false)
  await shows(feed, "c", "b", "a", "old")
})

test("new events are counted during a pause and shown when it ends", async () => {
  using context = open()
  const { server, feed } = context
  await isLive(feed)
  feed.pause()
  expect(feed.pausedAt.value).toBe(now)
  server.send(1, "a", "b")
  await eventually(() => feed.waiting.value === 2)
  expect(names(feed)).toEqual([])
  feed.resume()
  expect(names(feed)).toEqual(["b", "a"])
  expect(server.streams.length).toBe(1)
  expect(feed.gap.value).toBeUndefined()
})

test("a long pause closes the connection, and the feed then continues after the last event received", async () => {
  using context = open()
  const { server, feed } = context
  await isLive(feed)
  feed.pause()
  const many = Array.from({ length: maxEvents + 20 }, (_, index) => `n${index}`)
  server.send(1, ...many)
  await eventually(() => feed.connection.value.kind === "suspended")
  feed.resume()
  await isLive(feed)
  expect(server.streams.map(({ after }) => after)).toEqual([undefined, String(many.length)])
  expect(feed.gap.value).toEqual({ cause: "pause", ms: 0 })
  // Recent events are queried only once.
  expect(server.queries.length).toBe(1)
  server.send(many.length + 1, "late")
  await eventually(() => names(feed)?.[0] === "late")
  expect(feed.events.value?.length).toBe(maxEvents)
})

test("after an interruption, the stream resumes where it stopped, and the feed reports the gap", async () => {
  using context = open()
  const { server, feed } = context
  await isLive(feed)
  server.send(41, "before")
  await shows(feed, "before")
  server.streams[0]?.send(`event: end\ndata: {"reason":"the server stops"}\n\n`)
  server.streams[0]?.end()
  await eventually(() => feed.connection.value.kind === "lost")
  feed.reconnect()
  await isLive(feed)
  expect(server.streams[1]?.after).toBe("41")
  expect(feed.gap.value).toEqual({ cause: "interruption", ms: 0 })
  server.send(42, "after")
  await shows(feed, "after", "before")
})

test("skipped events are counted and not requested again", async () => {
  using context = open()
  const { server, feed } = context
  await isLive(feed)
  server.streams[0]?.send(`id: 900\nevent: skipped\ndata: {"ids":100001}\n\n`)
  await eventually(() => feed.skipped.value === 100_001)
  server.streams[0]?.end()
  await eventually(() => feed.connection.value.kind === "lost")
  feed.reconnect()
  await isLive(feed)
  expect(server.streams[1]?.after).toBe("900")
})

test("a request is retried if the server is full, but not if it was rejected", async () => {
  using context = open()
  const { server, feed } = context
  await isLive(feed)
  server.error = new ApiError("Temporarily unavailable.", 503, "streams_full", [])
  server.streams[0]?.end()
  await eventually(() => feed.connection.value.kind === "lost")
  feed.reconnect()
  await eventually(
    () =>
      feed.connection.value.kind === "lost" && feed.connection.value.message === "Temporarily unavailable.",
  )
  server.error = new ApiError("Website not found.", 404, "website_unknown", [])
  feed.reconnect()
  await eventually(() => feed.connection.value.kind === "rejected")
  server.error = undefined
  feed.reconnect()
  await isLive(feed)
})
