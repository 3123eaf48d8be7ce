import { RequestError } from "../errors.ts"
import { type EventFollower, type FollowedEvent, followedEventText } from "../store/event-follower.ts"

/** Time between polls for new events, in ms. */
const pollInterval = 250
/** Time between polls while a stream is behind, in ms. Polling takes at most a fifth of the time. */
const catchUpInterval = 25
/** Maximum number of events that a stream reads per poll. Reading and serializing them takes about 3 ms. */
const batchSize = 500
/** A stream stops reading in a poll once the properties read have this many characters. This takes about 2 ms. */
const batchCharacters = 131_072
/** A poll that has taken this many ms leaves the remaining streams to the next one, so that requests need not wait. */
const maxPollMs = 5
/**
 * Maximum number of events that a stream can be behind. A stream further behind skips to the newest event and tells the
 * client.
 */
const maxLag = 100_000
/**
 * Time between heartbeats, in ms. The server closes idle connections after 10 s, and proxies close them after 30 s or
 * more.
 */
const heartbeatInterval = 5_000
/** Maximum number of open streams. Each stream takes time in every poll. */
const maxStreams = 64
/**
 * Maximum number of streams per key or login session (a user can open several tabs), and per IP address (people in one
 * office can share an address).
 */
const maxPerCaller = 16
const maxPerAddress = 32
/** Maximum number of unread bytes per client. A client that exceeds it is disconnected. */
const maxBuffered = 1_048_576
/** How long an EventSource waits before it reconnects, in ms. */
const retry = 2_000

/** Who opened a stream. The number of streams is limited per caller and per address. */
export interface StreamOwner {
  /** The key or login session. */
  caller: string
  address: string
}

/** What a client subscribes to. */
export interface Subscription {
  /** Returns the row IDs of the websites, or undefined once access has ended. Called at every heartbeat. */
  websites: () => readonly number[] | undefined
  /** Event names, or undefined for all names. */
  names: ReadonlySet<string> | undefined
  crawlers: boolean
  /** Value of the Last-Event-ID header. */
  after: string | null
}

export const streamHeaders = { "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" }

/** Streams committed events as server-sent events. */
export class Streams {
  /** The open streams. The one that was served least recently comes first. */
  readonly #open = new Set<Stream>()
  #timer: Timer | undefined
  /** The last batch read, shared by all streams that keep up. Undefined if no stream is behind. */
  #batch: { after: number; last: number; events: StreamedEvent[] } | undefined

  /** `elapsed` returns the time of a monotonic clock in ms. */
  constructor(
    private readonly follower: Pick<EventFollower, "newest" | "read">,
    private readonly elapsed: () => number,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /** Opens a stream, which stays open until `signal` is aborted. Throws `streams_full`. */
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

  /** Ends all streams. Called when the server stops. */
  close(): void {
    clearTimeout(this.#timer)
    for (const stream of this.#open) stream.end("the server is stopping")
    this.#open.clear()
  }

  #poll(): void {
    const startedAt = this.elapsed()
    let isBehind = false
    try {
      const newest = this.follower.newest()
      for (const stream of [...this.#open]) {
        if (this.elapsed() - startedAt >= maxPollMs) {
          isBehind = true
          break
        }
        this.#open.delete(stream)
        this.#open.add(stream)
        if (newest - stream.after > maxLag) stream.skipTo(newest)
        if (newest > stream.after) {
          const { events, last } = this.#read(stream.after, newest)
          stream.send(events, last)
        }
        isBehind ||= stream.after < newest
        stream.heartbeat()
        if (stream.isOver) this.#open.delete(stream)
      }
    } catch (error) {
      this.onFault(error)
    }
    if (!isBehind) this.#batch = undefined
    this.#timer =
      this.#open.size === 0
        ? undefined
        : setTimeout(() => this.#poll(), isBehind ? catchUpInterval : pollInterval)
  }

  /** Reads events with IDs above `after`. */
  #read(after: number, newest: number): { events: StreamedEvent[]; last: number } {
    if (this.#batch?.after !== after) {
      const { events, last } = this.follower.read(after, Math.min(newest, after + batchSize), batchCharacters)
      this.#batch = { after, last, events: events.map((event) => new StreamedEvent(event)) }
    }
    return this.#batch
  }
}

class Stream {
  readonly body: ReadableStream<Uint8Array>
  /** ID of the last event that was sent or filtered out. */
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

  /** Sends the matching events. `events` contains all events up to the ID `last`. */
  send(events: readonly StreamedEvent[], last: number): void {
    const { names, crawlers } = this.subscription
    const texts = events
      .filter(({ event }) => this.#websites.has(event.website_rid))
      .filter(({ event }) => (crawlers || event.crawler === 0) && (names?.has(event.event_name) ?? true))
      .map(({ message }) => message)
    this.after = last
    if (texts.length > 0) this.#write(texts.join(""))
  }

  /** Skips all events up to the ID `id`, and tells the client how many IDs were skipped. */
  skipTo(id: number): void {
    this.#write(`id: ${id}\nevent: skipped\ndata: ${JSON.stringify({ ids: id - this.after })}\n\n`)
    this.after = id
  }

  /** Sends a heartbeat if one is due, and checks access again. */
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
    // UTF-8 needs at least one byte per UTF-16 code unit, so a string with more code units than free bytes is rejected
    // without being encoded.
    const bytes = text.length <= free ? encoded(text) : undefined
    if (!bytes || bytes.byteLength > free) {
      this.end("the client reads too slowly; reconnect with Last-Event-ID")
      return
    }
    this.#controller?.enqueue(bytes)
  }
}

/** An event and its message, which is serialized only once for all streams. */
class StreamedEvent {
  #message: string | undefined

  constructor(readonly event: FollowedEvent) {}

  get message(): string {
    this.#message ??= `id: ${this.event.id}\ndata: ${followedEventText(this.event)}\n\n`
    return this.#message
  }
}

function endMessage(reason: string): string {
  return `event: end\ndata: ${JSON.stringify({ reason })}\n\n`
}

function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
