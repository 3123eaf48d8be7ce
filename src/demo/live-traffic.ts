import type { EventRow } from "../store/events.ts"
import type { Batcher } from "../store/ingest/batcher.ts"
import { type Dataset, rowBytes } from "./dataset.ts"
import { minuteMs } from "./timeline.ts"

/** Time between commits, in ms. */
const interval = 250
/**
 * Number of events per second, in the first minutes and after that. The later rate is lower, because a demo that runs
 * for hours at the first rate would show a spike that begins when the demo starts.
 */
const eventsPerSecond = { first: 3, later: 0.4 }
const firstMinutes = 10
/** How far ahead events are planned, in ms. */
const planned = 20_000

/** Stores the events of new visits as they happen. */
export class LiveTraffic {
  /** Events that will be stored when their time has come, in any order. */
  #pending: EventRow[] = []
  #timer: Timer | undefined
  readonly #startedAt: number

  constructor(
    private readonly dataset: Dataset,
    private readonly batcher: Batcher,
    private readonly options: { now: () => number; onFault: (error: unknown) => void },
  ) {
    this.#startedAt = options.now()
    // Some visits started earlier and are still in progress.
    for (let visits = 0; visits < 20; visits++) this.#visit(this.#startedAt - visits * 15_000)
    this.#pending = this.#pending.filter(({ ts }) => ts >= this.#startedAt)
  }

  start(): void {
    this.#timer = setInterval(() => void this.#store(), interval)
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #store(): Promise<void> {
    const now = this.options.now()
    this.#plan(now)
    const due = this.#pending.filter(({ ts }) => ts <= now)
    this.#pending = this.#pending.filter(({ ts }) => ts > now)
    if (due.length === 0) return
    const rows = due.map((row) => ({ ...row, receivedAt: now }))
    await this.batcher.submit({ rows, size: rows.length * rowBytes }).catch(this.options.onFault)
  }

  /** Starts visits until enough events are planned ahead. */
  #plan(now: number): void {
    const { first, later } = eventsPerSecond
    const rate = now - this.#startedAt < firstMinutes * minuteMs ? first : later
    const isAhead = () =>
      this.#pending.filter(({ ts }) => ts < now + planned).length >= (rate * planned) / 1_000
    for (let visits = 0; visits < 50 && !isAhead(); visits++) {
      this.#visit(now + Math.floor((visits / 50) * planned))
    }
  }

  #visit(at: number): void {
    this.#pending.push(...this.dataset.liveVisit(at))
  }
}
