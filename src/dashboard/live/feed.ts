import { signal } from "@preact/signals"
import { type EventKind, eventKinds } from "../../event-kinds.ts"
import { type Api, ApiError } from "../state/api.ts"
import { type ApiEvent, matchesAll } from "../state/event-filter.ts"
import { kindOf } from "../state/event-text.ts"
import type { Filter } from "../state/filters.ts"
import { runParameter } from "../state/query-cache.ts"
import { allTimeBody } from "../state/range.ts"
import { readMessages, type ServerSentEvent } from "../state/server-sent-events.ts"

/** Maximum number of events in memory. The oldest are dropped first. */
export const maxEvents = 500
/** Number of recent events to load initially. All further events come from the stream. */
const initialEvents = 50
/**
 * ms between updates of the list, because more frequent updates would be unreadable. Batches of more than `busyBatch`
 * events are shown less often, because they take about 100 ms to render.
 */
const updateInterval = 250
const busyUpdateInterval = 1_000
const busyBatch = 20
/** ms of silence after which the connection counts as lost. The server sends a keep-alive every 5 s. */
const silenceTimeout = 15_000
/** ms before the first reconnect. The wait doubles with each attempt, up to `maxBackoff`. */
const minBackoff = 2_000
const maxBackoff = 30_000
/** How long the stream may repeat events that the initial query returned, in ms after that query. */
const overlapMs = 2_000
/** How long the feed shows the length of an interruption or pause after it has ended, in ms. */
const gapShownMs = 15_000

/** Selects the events of a feed. */
export interface FeedQuery {
  /** A website ID, `none` or `all`. */
  website: string
  /** Event names; empty for all names. */
  names: readonly string[]
  /** Kinds of events; empty for all kinds. */
  kinds: readonly EventKind[]
  filters: readonly Filter[]
  /** Whether to include events from crawlers. */
  crawlers: boolean
}

export interface FeedEvent {
  key: string
  /** Whether the event arrived through the stream. */
  isNew: boolean
  event: ApiEvent
}

export type Connection =
  | { kind: "connecting" }
  | { kind: "live" }
  /** Lost, and reconnecting with backoff. `at`: when it was lost, in Unix ms. `message`: the server's error, or ''. */
  | { kind: "lost"; at: number; message: string }
  /** Closed because the buffer of new events filled up during a pause. */
  | { kind: "suspended" }
  /** Rejected by the server; not retried. */
  | { kind: "rejected"; error: unknown }

/**
 * A live list of events: first the most recent ones, then new ones as they arrive through a stream. After an
 * interruption, the stream continues where it left off.
 */
export class Feed {
  /** Newest first; undefined until loaded. */
  readonly events = signal<readonly FeedEvent[] | undefined>(undefined)
  /** Number of events received but not shown yet. */
  readonly waiting = signal(0)
  readonly connection = signal<Connection>({ kind: "connecting" })
  /** When the feed was paused, in Unix ms; undefined if it is not paused. */
  readonly pausedAt = signal<number | undefined>(undefined)
  /** The interruption or pause that has just ended, and its length. */
  readonly gap = signal<{ cause: "pause" | "interruption"; ms: number } | undefined>(undefined)
  /** Number of events received through the stream. */
  readonly received = signal(0)
  /** Number of events, from any website, that the server skipped because the stream fell behind. */
  readonly skipped = signal(0)

  #incoming: FeedEvent[] = []
  #waitingCount = 0
  #isHeld = false
  #lastId = ""
  #lostAt: number | undefined
  #gapCause: "pause" | "interruption" = "interruption"
  /** Number of times each event is in the initial query, by content. Used to ignore events that the stream repeats. */
  #initial = new Map<string, number>()
  #nameCounts = new Map<string, number>()
  readonly #stopped = new AbortController()
  #wake = () => {}
  #timer: ReturnType<typeof setTimeout> | undefined
  #gapTimer: ReturnType<typeof setTimeout> | undefined

  /** `now` returns Unix ms. */
  constructor(
    private readonly api: Pick<Api, "open" | "send">,
    private readonly query: FeedQuery,
    private readonly now: () => number,
  ) {}

  start(): void {
    void this.#run()
  }

  /** Closes the connection. The feed cannot be restarted. */
  stop(): void {
    this.#stopped.abort()
    this.#wake()
    clearTimeout(this.#timer)
    clearTimeout(this.#gapTimer)
  }

  pause(): void {
    this.pausedAt.value = this.now()
  }

  resume(): void {
    const at = this.pausedAt.value
    this.pausedAt.value = undefined
    this.show()
    if (this.connection.value.kind !== "suspended") return
    this.connection.value = { kind: "connecting" }
    this.#lostAt = at
    this.#gapCause = "pause"
    void this.#run()
  }

  /** Holds back new events while `isHeld` is true, because the list must not move while someone is reading it. */
  hold(isHeld: boolean): void {
    this.#isHeld = isHeld
    if (!isHeld && this.#waitingCount > 0) this.#showSoon(updateInterval)
  }

  /** Shows the events held back so far. */
  show(): void {
    if (this.#waitingCount === 0) return
    this.events.value = [...this.#incoming, ...(this.events.value ?? [])].slice(0, maxEvents)
    this.#incoming = []
    this.#waitingCount = 0
    this.waiting.value = 0
  }

  /** Reconnects immediately, even if the server rejected the last request. */
  reconnect(): void {
    if (this.connection.value.kind === "rejected") {
      this.connection.value = { kind: "connecting" }
      void this.#run()
    } else this.#wake()
  }

  /** Returns the number of events received since the last call, and their most frequent name with its count. */
  takeSummary(): { events: number; topName: string; topCount: number } {
    const counts = [...this.#nameCounts]
    this.#nameCounts = new Map()
    const [topName, topCount] = counts.reduce((top, entry) => (entry[1] > top[1] ? entry : top), ["", 0])
    return { events: counts.reduce((sum, [, count]) => sum + count, 0), topName, topCount }
  }

  async #run(): Promise<void> {
    for (let wait = minBackoff; ; wait = Math.min(2 * wait, maxBackoff)) {
      try {
        const isSuspended = await this.#connect(() => {
          wait = minBackoff / 2
        })
        if (isSuspended) return
      } catch (error) {
        if (this.#stopped.signal.aborted) return
        if (isPermanent(error)) {
          this.connection.value = { kind: "rejected", error }
          return
        }
        this.#lostAt ??= this.now()
        const message = error instanceof ApiError && error.status > 0 ? error.message : ""
        this.connection.value = { kind: "lost", at: this.#lostAt, message }
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, wait)
        this.#wake = () => {
          clearTimeout(timer)
          resolve()
        }
      })
      if (this.#stopped.signal.aborted) return
    }
  }

  /** Resolves to true if the feed was suspended during a pause. Rejects if the connection ends for any other reason. */
  async #connect(onOpen: () => void): Promise<boolean> {
    const connection = new AbortController()
    const signal = AbortSignal.any([this.#stopped.signal, connection.signal])
    let watchdog = setTimeout(() => connection.abort(), silenceTimeout)
    try {
      const headers: Record<string, string> = this.#lastId === "" ? {} : { "last-event-id": this.#lastId }
      const { body } = await this.api.open(this.#path(), headers, signal)
      if (!body) throw new Error("the stream has no body")
      // The stream opens before the query runs, so that no event is missed in between.
      if (this.#lastId === "") await this.#loadRecent(signal)
      onOpen()
      this.#reportGap()
      this.connection.value = { kind: "live" }
      for await (const messages of readMessages(body)) {
        clearTimeout(watchdog)
        watchdog = setTimeout(() => connection.abort(), silenceTimeout)
        this.#receive(messages)
        if (this.pausedAt.value !== undefined && this.#waitingCount >= maxEvents) {
          this.connection.value = { kind: "suspended" }
          return true
        }
      }
      throw new Error("the stream ended")
    } finally {
      clearTimeout(watchdog)
      connection.abort()
    }
  }

  #path(): string {
    const { website, names, crawlers } = this.query
    const query = new URLSearchParams({ website_id: website })
    for (const name of names) query.append("name", name)
    if (crawlers) query.set("crawlers", "true")
    return `events/stream?${query}`
  }

  /** Loads the most recent events. */
  async #loadRecent(signal: AbortSignal): Promise<void> {
    const { website, names, filters, crawlers } = this.query
    const kinds = this.query.kinds.length === 0 ? eventKinds : this.query.kinds
    const named = names.length === 0 ? [] : [{ field: "event_name", op: "in", value: names }]
    const parameter = { name: "custom_events_recent", kinds, limit: initialEvents }
    const body = { ...allTimeBody(this.now()), filters: [...filters, ...named], crawlers }
    const { rows } = await runParameter<ApiEvent>(this.api, { website, parameter, body }, signal)
    this.#initial = new Map()
    for (const row of rows) this.#initial.set(contentOf(row), (this.#initial.get(contentOf(row)) ?? 0) + 1)
    setTimeout(() => this.#initial.clear(), overlapMs)
    this.events.value = rows.map((event, index) => ({ key: `first ${index}`, isNew: false, event }))
  }

  #receive(messages: readonly ServerSentEvent[]): void {
    const received: FeedEvent[] = []
    for (const { id, event: kind, data } of messages) {
      if (id !== "") this.#lastId = id
      if (kind === "skipped") {
        const { ids }: { ids: number } = JSON.parse(data)
        this.skipped.value += ids
      }
      if (kind !== "message") continue
      const event: ApiEvent = JSON.parse(data)
      if (!this.#matches(event) || this.#isDuplicate(event)) continue
      this.#nameCounts.set(event.event_name, (this.#nameCounts.get(event.event_name) ?? 0) + 1)
      received.push({ key: id, isNew: true, event })
    }
    if (received.length === 0) return
    this.#incoming = [...received.reverse(), ...this.#incoming].slice(0, maxEvents)
    this.#waitingCount += received.length
    this.received.value += received.length
    this.#showSoon(received.length > busyBatch ? busyUpdateInterval : updateInterval)
  }

  #matches(event: ApiEvent): boolean {
    const { kinds, filters } = this.query
    return (kinds.length === 0 || kinds.includes(kindOf(event))) && matchesAll(event, filters)
  }

  #isDuplicate(event: ApiEvent): boolean {
    if (this.#initial.size === 0) return false
    const content = contentOf(event)
    const repeats = this.#initial.get(content) ?? 0
    this.#initial.set(content, repeats - 1)
    return repeats > 0
  }

  #showSoon(ms: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined
      if (this.#isHeld || this.pausedAt.value !== undefined) this.waiting.value = this.#waitingCount
      else this.show()
    }, ms)
  }

  #reportGap(): void {
    if (this.#lostAt === undefined) return
    this.gap.value = { cause: this.#gapCause, ms: this.now() - this.#lostAt }
    this.#lostAt = undefined
    this.#gapCause = "interruption"
    clearTimeout(this.#gapTimer)
    this.#gapTimer = setTimeout(() => {
      this.gap.value = undefined
    }, gapShownMs)
  }
}

/**
 * Returns true if a request failed with a client error, so that retrying it is useless. 429 (too many requests) is an
 * exception, because it is temporary.
 */
function isPermanent(error: unknown): boolean {
  return error instanceof ApiError && error.status >= 400 && error.status < 500 && error.status !== 429
}

/** Returns a key that is the same whether an event comes from the query or from the stream. */
function contentOf(event: ApiEvent): string {
  return JSON.stringify(Object.entries(event).sort(([a], [b]) => (a < b ? -1 : 1)))
}
