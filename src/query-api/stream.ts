import { RequestError } from "../errors.ts"
import { type EventFollower, type FollowedEvent, shownEvent } from "../store/event-follower.ts"

/** ms between two looks for new events. */
const poll = 250
/** ms between two looks while more is known to wait: at most a fifth of the time goes into it. */
const pollBehind = 25
/** Events of one look: some 5 ms. */
const windowSize = 1_000
/** Events that a stream may lag behind, or resume from, before it goes on with the newest and says so. */
const mostBehind = 100_000
/** ms: a connection without a byte is cut after 10 s by the server itself, and by proxies after 30 s or more. */
const heartbeat = 5_000
/** Streams that may be open together; each costs its share of every look. */
const mostStreams = 64
/** Those of one key or login: a person has some tabs. And those from one address, which an office shares: others must get some, too. */
const mostOfCaller = 16
const mostOfAddress = 32
/** Bytes that may wait for a client; one that takes them more slowly than they come is let go. */
const mostWaiting = 1_048_576
/** ms that an EventSource waits before it connects anew. */
const retry = 2_000

/** Whose stream it is. */
export interface StreamOwner {
  /** Names the key or login. */
  caller: string
  address: string
}

/** What one stream is to show. */
export interface Wanted {
  /** Rids; undefined: the caller may not read them any more. Asked again from time to time. */
  websites: () => readonly number[] | undefined
  /** Undefined: any. */
  names: ReadonlySet<string> | undefined
  crawlers: boolean
  /** The header Last-Event-ID. */
  after: string | null
}

export const streamHeaders = { "Content-Type": "text/event-stream", "X-Accel-Buffering": "no" }

/** New events as they are committed, as server-sent events. */
export class Streams {
  readonly #open = new Set<Stream>()
  #timer: Timer | undefined
  /** The last that was read: those who keep up all want the same. */
  #window: { after: number; last: number; events: FollowedEvent[] } | undefined

  /** `elapsed`: ms of a clock that is never set. */
  constructor(
    private readonly follower: EventFollower,
    private readonly elapsed: () => number,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /** Throws `streams_full`. `signal`: aborted when the client is gone. */
  open(wanted: Wanted, owner: StreamOwner, signal: AbortSignal, headers: Record<string, string>): Response {
    this.#requireRoom(owner)
    const newest = this.follower.newest()
    const sent = /^\d{1,15}$/.test(wanted.after ?? "") ? Number(wanted.after) : newest
    const stream = new Stream(wanted, owner, Math.min(sent, newest), this.elapsed)
    this.#open.add(stream)
    signal.addEventListener("abort", () => {
      stream.end()
      this.#open.delete(stream)
    })
    this.#timer ??= setTimeout(() => this.#look(), poll)
    return new Response(stream.body, {
      headers: { ...headers, ...streamHeaders },
    })
  }

  #requireRoom({ caller, address }: StreamOwner): void {
    const owners = [...this.#open].map((stream) => stream.owner)
    if (
      owners.length < mostStreams &&
      owners.filter((one) => one.caller === caller).length < mostOfCaller &&
      owners.filter((one) => one.address === address).length < mostOfAddress
    ) {
      return
    }
    throw new RequestError("streams_full", { retryAfter: 10 })
  }

  /** Ends all of them: the server stops. */
  close(): void {
    clearTimeout(this.#timer)
    for (const stream of this.#open) stream.end("the server stops")
    this.#open.clear()
  }

  #look(): void {
    let isBehind = false
    try {
      const newest = this.follower.newest()
      for (const stream of this.#open) {
        if (newest - stream.after > mostBehind) stream.skipTo(newest)
        const last = Math.min(newest, stream.after + windowSize)
        if (last > stream.after) stream.send(this.#between(stream.after, last), last)
        isBehind ||= last < newest
        stream.beat()
        if (stream.isOver) this.#open.delete(stream)
      }
    } catch (error) {
      this.onFault(error)
    }
    this.#window = undefined
    this.#timer =
      this.#open.size === 0 ? undefined : setTimeout(() => this.#look(), isBehind ? pollBehind : poll)
  }

  #between(after: number, last: number): FollowedEvent[] {
    if (this.#window?.after !== after || this.#window.last !== last) {
      this.#window = { after, last, events: this.follower.between(after, last) }
    }
    return this.#window.events
  }
}

class Stream {
  readonly body: ReadableStream<Uint8Array>
  /** The id up to which it has been sent what there is. */
  after: number
  isOver = false
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined
  #websites: ReadonlySet<number>
  #beatAt: number

  constructor(
    private readonly wanted: Wanted,
    readonly owner: StreamOwner,
    after: number,
    private readonly elapsed: () => number,
  ) {
    this.after = after
    this.#websites = new Set(wanted.websites())
    this.#beatAt = elapsed()
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
      { highWaterMark: mostWaiting, size: (bytes) => bytes?.byteLength ?? 0 },
    )
  }

  /** `events`: all up to the id `last`. */
  send(events: readonly FollowedEvent[], last: number): void {
    const { names, crawlers } = this.wanted
    const texts = events
      .filter((event) => this.#websites.has(event.website_rid))
      .filter((event) => (crawlers || event.crawler === 0) && (names?.has(event.event_name) ?? true))
      .map(messageOf)
    this.after = last
    if (texts.length > 0) this.#write(texts.join(""))
  }

  /** Leaves out what there is up to an id, and says so. */
  skipTo(id: number): void {
    this.#write(`id: ${id}\nevent: skipped\ndata: ${JSON.stringify({ ids: id - this.after })}\n\n`)
    this.after = id
  }

  /** Says from time to time that it is still there, and looks whether it may be. */
  beat(): void {
    if (this.elapsed() - this.#beatAt < heartbeat) return
    this.#beatAt = this.elapsed()
    const websites = this.wanted.websites()
    if (!websites) {
      this.end("this may not be read any more")
      return
    }
    this.#websites = new Set(websites)
    this.#write(": still here\n\n")
  }

  end(reason?: string): void {
    if (this.isOver) return
    this.isOver = true
    if (reason !== undefined) this.#controller?.enqueue(encoded(endOf(reason)))
    this.#controller?.close()
  }

  #write(text: string): void {
    if (this.isOver) return
    const bytes = encoded(text)
    if ((this.#controller?.desiredSize ?? 0) < bytes.byteLength) {
      this.end("events come faster than they are taken: connect again with Last-Event-ID")
      return
    }
    this.#controller?.enqueue(bytes)
  }
}

function messageOf(event: FollowedEvent): string {
  return `id: ${event.id}\ndata: ${JSON.stringify(shownEvent(event))}\n\n`
}

function endOf(reason: string): string {
  return `event: end\ndata: ${JSON.stringify({ reason })}\n\n`
}

function encoded(text: string): Uint8Array {
  return new TextEncoder().encode(text)
}
