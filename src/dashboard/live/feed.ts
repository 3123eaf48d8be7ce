import { signal } from "@preact/signals"
import { type Api, ApiError, sentence } from "../state/api.ts"
import { fitsAll, type ShownEvent } from "../state/events.ts"
import type { Filter } from "../state/filters.ts"
import { everything, rangeBody, todayIn } from "../state/range.ts"
import { type Message, messagesOf } from "../state/stream.ts"

/** Events that are kept; beyond, the oldest goes. */
export const keptEvents = 500
/** Events to begin with. */
const firstEvents = 50
/** ms between two changes of the list: faster, nobody could read; and where many come, which take some 100 ms to draw. */
const showEvery = 250
const showManyEvery = 1_000
const many = 20
/** ms without a byte after which the connection counts as lost: the server says every 5 s that it is still there. */
const silentFor = 15_000
/** ms before the first try to connect again, doubled with each, and the longest. */
const firstWait = 2_000
const longestWait = 30_000
/** ms for which an event that was in the first answer may come by the stream as well. */
const overlap = 2_000
/** ms that is told what a break or a pause was. */
const toldFor = 15_000

/** Which events are followed. */
export interface Wanted {
  /** An id, `none` or `all`. */
  website: string
  /** Of events; none: all. */
  names: readonly string[]
  filters: readonly Filter[]
  /** Those of marked crawlers too. */
  crawlers: boolean
}

export interface FeedEvent {
  key: string
  /** It came while one was looking. */
  isNew: boolean
  event: ShownEvent
}

export type Connection =
  | { kind: "connecting" }
  | { kind: "live" }
  /** Tried again from time to time. `at`: Unix ms. `message`: what the server said, or ''. */
  | { kind: "broken"; at: number; message: string }
  /** It was let go during a pause: enough waits. */
  | { kind: "resting" }
  /** Not tried again: the server says no. */
  | { kind: "refused"; error: unknown }

/** Events as they arrive: the newest that there are, then the stream, which goes on where it was after a break. */
export class Feed {
  /** The newest first; undefined: not known yet. */
  readonly events = signal<readonly FeedEvent[] | undefined>(undefined)
  /** How many have come that are not shown. */
  readonly waiting = signal(0)
  readonly connection = signal<Connection>({ kind: "connecting" })
  /** Unix ms; undefined: it is not paused. */
  readonly pausedAt = signal<number | undefined>(undefined)
  /** What was gone on after just now, and how many ms it took. */
  readonly gap = signal<{ what: "pause" | "break"; ms: number } | undefined>(undefined)
  /** How many came by the stream. */
  readonly received = signal(0)
  /** Events, also those of other websites, that the server passed over: there were too many. */
  readonly skipped = signal(0)

  #incoming: FeedEvent[] = []
  #count = 0
  #isHeld = false
  #lastId = ""
  #lostAt: number | undefined
  #lostBy: "pause" | "break" = "break"
  /** What was in the first answer, by its content, until the stream brings it too. */
  #known = new Map<string, number>()
  #names = new Map<string, number>()
  readonly #over = new AbortController()
  #wake = () => {}
  #timer: ReturnType<typeof setTimeout> | undefined
  #untold: ReturnType<typeof setTimeout> | undefined

  /** `now`: Unix ms. */
  constructor(
    private readonly api: Pick<Api, "open" | "send">,
    private readonly wanted: Wanted,
    private readonly now: () => number,
  ) {}

  start(): void {
    void this.#follow()
  }

  /** For good. */
  stop(): void {
    this.#over.abort()
    this.#wake()
    clearTimeout(this.#timer)
    clearTimeout(this.#untold)
  }

  pause(): void {
    this.pausedAt.value = this.now()
  }

  resume(): void {
    const at = this.pausedAt.value
    this.pausedAt.value = undefined
    this.show()
    if (this.connection.value.kind !== "resting") return
    this.connection.value = { kind: "connecting" }
    this.#lostAt = at
    this.#lostBy = "pause"
    void this.#follow()
  }

  /** Somebody reads: what comes waits, so that nothing moves below their eyes. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld
    if (!isHeld && this.#count > 0) this.#showSoon(showEvery)
  }

  /** Shows what waits. */
  show(): void {
    if (this.#count === 0) return
    this.events.value = [...this.#incoming, ...(this.events.value ?? [])].slice(0, keptEvents)
    this.#incoming = []
    this.#count = 0
    this.waiting.value = 0
  }

  /** Tries at once to connect again, or anew where the server had said no. */
  again(): void {
    if (this.connection.value.kind === "refused") {
      this.connection.value = { kind: "connecting" }
      void this.#follow()
    } else this.#wake()
  }

  /** How many came since this was asked last, and the name that most of them have. */
  tally(): { events: number; name: string; ofName: number } {
    const counts = [...this.#names]
    this.#names = new Map()
    const [name, ofName] = counts.reduce((most, one) => (one[1] > most[1] ? one : most), ["", 0])
    return { events: counts.reduce((sum, [, count]) => sum + count, 0), name, ofName }
  }

  async #follow(): Promise<void> {
    for (let wait = firstWait; ; wait = Math.min(2 * wait, longestWait)) {
      try {
        const isResting = await this.#connect(() => {
          wait = firstWait / 2
        })
        if (isResting) return
      } catch (error) {
        if (this.#over.signal.aborted) return
        if (isFinal(error)) {
          this.connection.value = { kind: "refused", error }
          return
        }
        this.#lostAt ??= this.now()
        const message = error instanceof ApiError && error.status > 0 ? error.message : ""
        this.connection.value = { kind: "broken", at: this.#lostAt, message }
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, wait)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      if (this.#over.signal.aborted) return
    }
  }

  /** True: it was let go during a pause. Rejects when the connection ends in another way. */
  async #connect(onOpen: () => void): Promise<boolean> {
    const line = new AbortController()
    const signal = AbortSignal.any([this.#over.signal, line.signal])
    let watch = setTimeout(() => line.abort(), silentFor)
    try {
      const headers: Record<string, string> = this.#lastId === "" ? {} : { "last-event-id": this.#lastId }
      const { body } = await this.api.open(this.#path(), headers, signal)
      // Nothing is lost in between: the stream is open before it is asked what there is.
      if (this.#lastId === "") await this.#begin(signal)
      onOpen()
      this.#tellGap()
      this.connection.value = { kind: "live" }
      for await (const messages of messagesOf(body as ReadableStream<Uint8Array>)) {
        clearTimeout(watch)
        watch = setTimeout(() => line.abort(), silentFor)
        this.#take(messages)
        if (this.pausedAt.value !== undefined && this.#count >= keptEvents) {
          this.connection.value = { kind: "resting" }
          return true
        }
      }
      throw new Error("the stream ended")
    } finally {
      clearTimeout(watch)
      line.abort()
    }
  }

  #path(): string {
    const { website, names, crawlers } = this.wanted
    const query = new URLSearchParams({ website_id: website })
    for (const name of names) query.append("name", name)
    if (crawlers) query.set("crawlers", "true")
    return `events/stream?${query}`
  }

  /** The newest events that there are. */
  async #begin(signal: AbortSignal): Promise<void> {
    const { website, names, filters, crawlers } = this.wanted
    const named = names.length === 0 ? [] : [{ field: "event_name", op: "in", value: names }]
    const body = {
      parameters: [{ name: "custom_events_recent", limit: firstEvents }],
      ...rangeBody(everything(todayIn("UTC", this.now()))),
      filters: [...filters, ...named],
      crawlers,
    }
    const path = `query?website_id=${encodeURIComponent(website)}`
    const { data } = await this.api.send<{ data: { data: ShownEvent[]; error?: string }[] }>(
      "POST",
      path,
      body,
      signal,
    )
    const [answer] = data
    if (answer?.error !== undefined) throw new ApiError(sentence(answer.error), 400, "", [])
    const rows = answer?.data ?? []
    this.#known = new Map()
    for (const row of rows) this.#known.set(contentOf(row), (this.#known.get(contentOf(row)) ?? 0) + 1)
    setTimeout(() => this.#known.clear(), overlap)
    this.events.value = rows.map((event, index) => ({ key: `first ${index}`, isNew: false, event }))
  }

  #take(messages: readonly Message[]): void {
    const taken: FeedEvent[] = []
    for (const { id, event: kind, data } of messages) {
      if (id !== "") this.#lastId = id
      if (kind === "skipped") this.skipped.value += (JSON.parse(data) as { ids: number }).ids
      if (kind !== "message") continue
      const event = JSON.parse(data) as ShownEvent
      if (!fitsAll(event, this.wanted.filters) || this.#wasFirst(event)) continue
      this.#names.set(event.event_name, (this.#names.get(event.event_name) ?? 0) + 1)
      taken.push({ key: id, isNew: true, event })
    }
    if (taken.length === 0) return
    this.#incoming = [...taken.reverse(), ...this.#incoming].slice(0, keptEvents)
    this.#count += taken.length
    this.received.value += taken.length
    this.#showSoon(taken.length > many ? showManyEvery : showEvery)
  }

  #wasFirst(event: ShownEvent): boolean {
    if (this.#known.size === 0) return false
    const content = contentOf(event)
    const times = this.#known.get(content) ?? 0
    this.#known.set(content, times - 1)
    return times > 0
  }

  #showSoon(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      if (this.#isHeld || this.pausedAt.value !== undefined) this.waiting.value = this.#count
      else this.show()
    }, ms)
  }

  #tellGap(): void {
    if (this.#lostAt === undefined) return
    this.gap.value = { what: this.#lostBy, ms: this.now() - this.#lostAt }
    this.#lostAt = undefined
    this.#lostBy = "break"
    clearTimeout(this.#untold)
    this.#untold = setTimeout(() => {
      this.gap.value = undefined
    }, toldFor)
  }
}

/** 429: too many requests, which passes. */
function isFinal(error: unknown): boolean {
  return error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429
}

/** What both the list and the stream say of an event. */
function contentOf(event: ShownEvent): string {
  return JSON.stringify(Object.entries(event).sort(([one], [other]) => (one < other ? -1 : 1)))
}
