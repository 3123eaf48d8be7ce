import { RequestError } from "../errors.ts"
import { type EventFollower, type FollowedEvent, followedEventJson } from "../store/event-follower.ts"

/** ms between two polls for new events. */
const pollInterval = 250
/** ms between two polls while a stream is behind; polling takes at most a fifth of the time. */
const catchUpInterval = 25
/** Events per poll, about 5 ms. */
const batchSize = 1_000
/**
 * Maximum number of events that a stream can be behind. Beyond that, it skips to the newest event and tells the client.
 */
const maxLag = 100_000
/** ms between heartbeats. The server closes an idle connection after 10 s, proxies after 30 s or more. */
const heartbeatInterval = 5_000
/** Maximum open streams; each one takes time in every poll. */
const maxStreams = 64
/**
 * Maximum streams of one key or login session, which can have several tabs, and of one address, which an office can
 * share.
 */
const maxPerCaller = 16
const maxPerAddress = 32
/** Maximum unread bytes of a client; a slower client is disconnected. */
const maxBuffered = 1_048_576
/** ms that an EventSource waits before it reconnects. */
const retry = 2_000

/** Owner of a stream, for the limits. */
export interface StreamOwner {
  /** The key or login session. */
  caller: string
  address: string
}

/** Filter of a stream. */
export interface Subscription {
  /** Row ids; undefined once access has ended. Called at every heartbeat. */
  websites: () => readonly number[] | undefined
  /** Event names; undefined: all. */
  names: ReadonlySet<string> | undefined
  crawlers: boolean
  /** The header Last-Event-ID. */
  after: string | null
}

export const streamHeaders = { "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" }

/** Streams committed events as server-sent events. */
export class Streams {
  readonly #open = new Set<Stream>()
  #timer: Timer | undefined
  /** The last events read. Streams that keep up share them. */
  #batch: { after: number; last: number; events: StreamedEvent[] } | undefined

  /** `elapsed`: ms of a monotonic clock. */
  constructor(
    private readonly follower: EventFollower,
    private readonly elapsed: () => number,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /** Opens a stream until `signal` is aborted. Throws `streams_full`. */
  open(
    subscription: Subscription,
    owner: StreamOwner,
    signal: AbortSignal,
    headers: Record<string, string>,
  ): Response {
    this.#enforceLimits(owner)
    const newest = this.follower.newest()
    const resumeAt = /^\d{1,15}$/.test(subscription.after ?? "") ? Number(subscription.after) : newest
    const stream = new Stream(subscription, owner, Math.min(resumeAt, newest), this.elapsed)
    this.#open.add(stream)
    signal.addEventListener("abort", () => {
      stream.end()
      this.#open.delete(stream)
    })
    this.#timer ??= setTimeout(() => this.#poll(), pollInterval)
    return new Response(stream.body, {
      headers: { ...headers, ...streamHeaders },
    })
  }

  #enforceLimits({ caller, address }: StreamOwner): void {
    const owners = [...this.#open].map((stream) => stream.owner)
    if (
      owners.length < maxStreams &&
      owners.filter((other) => other.caller === caller).length < maxPerCaller &&
      owners.filter((other) => other.address === address).length < maxPerAddress
    ) {
      return
    }
    throw new RequestError("streams_full", { retryAfter: 10 })
  }

  /** Ends all streams when the server stops. */
  close(): void {
    clearTimeout(this.#timer)
    for (const stream of this.#open) stream.end("the server is stopping")
    this.#open.clear()
  }

  #poll(): void {
    let isBehind = false
    try {
      const newest = this.follower.newest()
      for (const stream of this.#open) {
        if (newest - stream.after > maxLag) stream.skipTo(newest)
        const last = Math.min(newest, stream.after + batchSize)
        if (last > stream.after) stream.send(this.#between(stream.after, last), last)
        isBehind ||= last < newest
        stream.heartbeat()
        if (stream.isOver) this.#open.delete(stream)
      }
    } catch (error) {
      this.onFault(error)
    }
    this.#batch = undefined
    this.#timer =
      this.#open.size === 0
        ? undefined
        : setTimeout(() => this.#poll(), isBehind ? catchUpInterval : pollInterval)
  }

  #between(after: number, last: number): StreamedEvent[] {
    if (this.#batch?.after !== after || this.#batch.last !== last) {
      const events = this.follower.between(after, last).map((event) => new StreamedEvent(event))
      this.#batch = { after, last, events }
    }
    return this.#batch.events
  }
}

class Stream {
  readonly body: ReadableStream<Uint8Array>
  /** Id of the last event that was sent or filtered out. */
  after: number
  isOver = false
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #websites: ReadonlySet<number>
  #heartbeatAt: number

  constructor(
    private readonly subscription: Subscription,
    readonly owner: StreamOwner,
    after: number,
    private readonly elapsed: () => number,
  ) {
    this.after = after
    this.#websites = new Set(subscription.websites())
    this.#heartbeatAt = elapsed()
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller
          this.#write(`retry: ${retry}\n\n`)
        },
        cancel: () => {
          this.isOver = true
        },
      },
      { highWaterMark: maxBuffered, size: (bytes) => bytes?.byteLength ?? 0 },
    )
  }

  /** Sends the matching events. `events` are all events up to the id `last`. */
  send(events: readonly StreamedEvent[], last: number): void {
    const { names, crawlers } = this.subscription
    const texts = events
      .filter(({ event }) => this.#websites.has(event.website_rid))
      .filter(({ event }) => (crawlers || event.crawler === 0) && (names?.has(event.event_name) ?? true))
      .map(({ message }) => message)
    this.after = last
    if (texts.length > 0) this.#write(texts.join(""))
  }

  /** Skips the events up to `id` and reports it to the client. */
  skipTo(id: number): void {
    this.#write(`id: ${id}\nevent: skipped\ndata: ${JSON.stringify({ ids: id - this.after })}\n\n`)
    this.after = id
  }

  /** Sends a heartbeat when it is due, and checks access again. */
  heartbeat(): void {
    if (this.elapsed() - this.#heartbeatAt < heartbeatInterval) return
    this.#heartbeatAt = this.elapsed()
    const websites = this.subscription.websites()
    if (!websites) {
      this.end("access has ended")
      return
    }
    this.#websites = new Set(websites)
    this.#write(": heartbeat\n\n")
  }

  end(reason?: string): void {
    if (this.isOver) return
    this.isOver = true
    if (reason !== undefined) this.#controller?.enqueue(encoded(endMessage(reason)))
    this.#controller?.close()
  }

  #write(text: string): void {
    if (this.isOver) return
    const free = this.#controller?.desiredSize ?? 0
    // UTF-8 has at least a byte per character, so a text with too many characters is rejected without
    // encoding it.
    const bytes = text.length <= free ? encoded(text) : undefined
    if (!bytes || bytes.byteLength > free) {
      this.end("the client reads too slowly; reconnect with Last-Event-ID")
      return
    }
    this.#controller?.enqueue(bytes)
  }
}

/**
 * An event and its message, which is serialized once for all streams: parsing 60 events with 2,000 keys each for 16
 * streams took a second.
 */
class StreamedEvent {
  #message: string | undefined

  constructor(readonly event: FollowedEvent) {}

  get message(): string {
    this.#message ??= `id: ${this.event.id}\ndata: ${JSON.stringify(followedEventJson(this.event))}\n\n`
    return this.#message
  }
}

function endMessage(reason: string): string {
  return `event: end\ndata: ${JSON.stringify({ reason })}\n\n`
}

function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
