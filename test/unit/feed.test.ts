import { expect, test } from "bun:test"
import { Feed, keptEvents, type Wanted } from "../../src/dashboard/live/feed.ts"
import { ApiError } from "../../src/dashboard/state/api.ts"
import type { ShownEvent } from "../../src/dashboard/state/events.ts"
import { eventually } from "../harness.ts"

const now = Date.UTC(2026, 10, 24, 12)
const all: Wanted = { website: "shop", names: [], filters: [], crawlers: false }

function event(name: string, changes: Partial<ShownEvent> = {}): ShownEvent {
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

/** A server of streams. `lines`: those that are or were open. */
class FakeServer {
  readonly lines: {
    path: string
    after: string | undefined
    send: (text: string | Uint8Array) => void
    end: () => void
  }[] = []
  readonly asked: object[] = []
  recent: ShownEvent[] = []
  refusal: ApiError | undefined

  readonly api = {
    open: async (path: string, headers: Record<string, string>, signal: AbortSignal) => {
      if (this.refusal) throw this.refusal
      const body = new ReadableStream<Uint8Array>({
        start: (controller) => {
          signal.addEventListener("abort", () => controller.error(signal.reason))
          this.lines.push({
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
      this.asked.push(body as object)
      return { data: [{ data: this.recent }] } as Answer
    },
  }

  /** Sends events with the ids from `id` on. */
  send(id: number, ...events: readonly (string | ShownEvent)[]): void {
    const texts = events.map((one, index) => {
      const data = JSON.stringify(typeof one === "string" ? event(one) : one)
      return `id: ${id + index}\ndata: ${data}\n\n`
    })
    this.lines.at(-1)?.send(texts.join(""))
  }
}

function open(wanted: Partial<Wanted> = {}, recent: ShownEvent[] = []) {
  const server = new FakeServer()
  server.recent = recent
  const feed = new Feed(server.api, { ...all, ...wanted }, () => now)
  feed.start()
  return { server, feed, [Symbol.dispose]: () => feed.stop() }
}

const names = (feed: Feed) => feed.events.value?.map((one) => one.event.event_name)
const isLive = (feed: Feed) => eventually(() => feed.connection.value.kind === "live")
const shows = (feed: Feed, ...expected: string[]) => eventually(() => names(feed)?.join() === expected.join())

test("the newest events that there are come first, then those that arrive, the newest on top", async () => {
  using opened = open({}, [event("second"), event("first")])
  const { server, feed } = opened
  await isLive(feed)
  server.send(7, "third", "fourth")
  await shows(feed, "fourth", "third", "second", "first")
  expect(feed.events.value?.map(({ isNew }) => isNew)).toEqual([true, true, false, false])
  expect(feed.received.value).toBe(2)
  expect(feed.tally()).toEqual({ events: 2, name: "third", ofName: 1 })
  expect(feed.tally()).toEqual({ events: 0, name: "", ofName: 0 })
})

test("what is wanted is asked of both the answer and the stream", async () => {
  const filters = [{ field: "property.plan", op: "eq", value: "pro" } as const]
  using opened = open({ website: "a b", names: ["x&y", "z"], filters, crawlers: true })
  const { server, feed } = opened
  await isLive(feed)
  expect(server.lines[0]?.path).toBe("events/stream?website_id=a+b&name=x%26y&name=z&crawlers=true")
  expect(server.asked).toEqual([
    {
      parameters: [{ name: "custom_events_recent", limit: 50 }],
      startDate: "2000-01-01",
      endDate: "2026-11-25",
      filters: [...filters, { field: "event_name", op: "in", value: ["x&y", "z"] }],
      crawlers: true,
    },
  ])
  server.send(1, event("z", { properties: { plan: "free" } }), event("z", { properties: { plan: "pro" } }))
  await shows(feed, "z")
})

test("an event that is in the answer and in the stream is shown once, another one like it as well", async () => {
  using opened = open({}, [event("twice")])
  const { server, feed } = opened
  await isLive(feed)
  server.send(1, "twice", "twice", "once")
  await shows(feed, "once", "twice", "twice")
})

test("messages that arrive in pieces are put together", async () => {
  using opened = open()
  const { server, feed } = opened
  await isLive(feed)
  const text = `retry: 2000\n\n: still here\n\nid: 1\ndata: ${JSON.stringify(event("naïve ☕"))}\n\n`
  const bytes = new TextEncoder().encode(text)
  for (const byte of bytes) server.lines[0]?.send(Uint8Array.of(byte))
  await shows(feed, "naïve ☕")
})

test("while somebody reads, what comes waits", async () => {
  using opened = open({}, [event("old")])
  const { server, feed } = opened
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

test("a pause counts what comes, and shows it when it is over", async () => {
  using opened = open()
  const { server, feed } = opened
  await isLive(feed)
  feed.pause()
  expect(feed.pausedAt.value).toBe(now)
  server.send(1, "a", "b")
  await eventually(() => feed.waiting.value === 2)
  expect(names(feed)).toEqual([])
  feed.resume()
  expect(names(feed)).toEqual(["b", "a"])
  expect(server.lines.length).toBe(1)
  expect(feed.gap.value).toBeUndefined()
})

test("a long pause lets the connection go, and goes on after the last event that came", async () => {
  using opened = open()
  const { server, feed } = opened
  await isLive(feed)
  feed.pause()
  const many = Array.from({ length: keptEvents + 20 }, (_, index) => `n${index}`)
  server.send(1, ...many)
  await eventually(() => feed.connection.value.kind === "resting")
  feed.resume()
  await isLive(feed)
  expect(server.lines.map(({ after }) => after)).toEqual([undefined, String(many.length)])
  expect(feed.gap.value).toEqual({ what: "pause", ms: 0 })
  // What there is was asked for once alone.
  expect(server.asked.length).toBe(1)
  server.send(many.length + 1, "late")
  await eventually(() => names(feed)?.[0] === "late")
  expect(feed.events.value?.length).toBe(keptEvents)
})

test("after a break it goes on where it was, and says so", async () => {
  using opened = open()
  const { server, feed } = opened
  await isLive(feed)
  server.send(41, "before")
  await shows(feed, "before")
  server.lines[0]?.send(`event: end\ndata: {"reason":"the server stops"}\n\n`)
  server.lines[0]?.end()
  await eventually(() => feed.connection.value.kind === "broken")
  feed.again()
  await isLive(feed)
  expect(server.lines[1]?.after).toBe("41")
  expect(feed.gap.value).toEqual({ what: "break", ms: 0 })
  server.send(42, "after")
  await shows(feed, "after", "before")
})

test("what the server passes over is counted, and not asked for again", async () => {
  using opened = open()
  const { server, feed } = opened
  await isLive(feed)
  server.lines[0]?.send(`id: 900\nevent: skipped\ndata: {"ids":100001}\n\n`)
  await eventually(() => feed.skipped.value === 100_001)
  server.lines[0]?.end()
  await eventually(() => feed.connection.value.kind === "broken")
  feed.again()
  await isLive(feed)
  expect(server.lines[1]?.after).toBe("900")
})

test("a refusal is not tried again by itself, a full server is", async () => {
  using opened = open()
  const { server, feed } = opened
  await isLive(feed)
  server.refusal = new ApiError("Temporarily unavailable.", 503, "streams_full", [])
  server.lines[0]?.end()
  await eventually(() => feed.connection.value.kind === "broken")
  feed.again()
  await eventually(
    () =>
      feed.connection.value.kind === "broken" && feed.connection.value.message === "Temporarily unavailable.",
  )
  server.refusal = new ApiError("Website not found.", 404, "website_unknown", [])
  feed.again()
  await eventually(() => feed.connection.value.kind === "refused")
  server.refusal = undefined
  feed.again()
  await isLive(feed)
})
