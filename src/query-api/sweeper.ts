/**
 * Share of the query memory that has to be garbage before new objects are collected, if the process uses more than
 * `baseBytes` in addition to that memory.
 */
const pressedShare = 1 / 32
/** Bytes that the process needs without queries. */
const baseBytes = 100_663_296
/**
 * Share of the query memory that has to be garbage before the whole heap is collected, regardless of how much the
 * process uses. Growth of the process counts as garbage: a query creates more than it reserves.
 */
const sweepShare = 1 / 4
/**
 * Maximum share of the time for collections while garbage takes less than `maxDelayedShare` of the query memory. The
 * garbage is an estimate, which includes what running queries reserve: without a limit, most of the time would go into
 * collections that free nothing.
 */
const maxCollectionShare = 1 / 5
const maxDelayedShare = 1 / 2

/**
 * Collects garbage in the query thread: the JavaScript engine underestimates the size of columns and waits until the
 * heap has doubled, so the process would hold twice the memory that it uses.
 */
export class Sweeper {
  /** Earliest time of the next collection below `maxDelayedShare`; ms of `now`. */
  #notBefore = 0
  /** `total` at the last collection, and at the last one of the whole heap. */
  #collected = 0
  #collectedAll = 0
  /**
   * Smallest number of bytes of the process since the last collection of the whole heap: the system gets its memory
   * back with a delay.
   */
  #lowest = Number.POSITIVE_INFINITY
  /** Bytes of the process when they were last read. */
  #rss = 0

  constructor(
    /** Bytes of the query memory. */
    private readonly memory: number,
    private readonly runtime: {
      /** ms of a monotonic clock. */
      now: () => number
      /** Bytes of the process. Can throw. */
      rss: () => number
      /**
       * Collects garbage in the whole heap: a few ms per 10 MB, and several times that if other threads use the
       * processors.
       */
      collectAll: () => void
      /** Collects garbage created since the last collection. */
      collectNew: () => void
    },
  ) {}

  /** Called after each time slice. `total`: bytes ever read, reserved or sealed, as an estimate of the garbage. */
  sweep(total: number): void {
    const { memory, runtime } = this
    const rss = this.#readRss()
    this.#lowest = Math.min(this.#lowest, rss)
    if (total - this.#collected < memory * pressedShare) return
    const startedAt = runtime.now()
    const garbage = Math.max(total - this.#collectedAll, rss - this.#lowest)
    if (startedAt < this.#notBefore && garbage < memory * maxDelayedShare) return
    if (garbage >= memory * sweepShare) {
      runtime.collectAll()
      this.#collectedAll = total
      this.#lowest = Number.POSITIVE_INFINITY
    } else {
      if (rss < memory + baseBytes) return
      runtime.collectNew()
    }
    this.#collected = total
    const endedAt = runtime.now()
    this.#notBefore = endedAt + (endedAt - startedAt) * (1 / maxCollectionShare - 1)
  }

  /** Reading it opens a file of the system, which fails while the process has no file descriptor left. */
  #readRss(): number {
    try {
      this.#rss = this.runtime.rss()
    } catch {
      // The last value is close enough.
    }
    return this.#rss
  }
}
