/**
 * How much garbage triggers a collection of new objects, as a share of the query memory, if the process uses more than
 * `baseBytes` in addition to the query memory.
 */
const pressedShare = 1 / 32
/** Bytes that the process needs when no query runs. */
const baseBytes = 100_663_296
/**
 * How much garbage triggers a collection of new objects, as a share of the query memory, however much memory the
 * process uses. Growth of the process counts as garbage, because a query creates more garbage than the memory it
 * reserves.
 */
const sweepShare = 1 / 4
/**
 * How much the heap can grow in spite of these collections before the whole heap is collected, as a share of the query
 * memory. A collection of new objects takes about 1 ms. A collection of the whole heap takes 35 ms of CPU time if there
 * are 450,000 live objects, as there may be in cached results.
 */
const maxGrowthShare = 1 / 4
/** How much the process can grow before the whole heap is collected, as a share of the query memory. */
const maxRssGrowthShare = 1 / 2
/**
 * Maximum fraction of the time to spend on collections while garbage takes up less than `maxDelayedShare` of the query
 * memory. The amount of garbage is an estimate that includes what running queries reserve. Without a limit, most of the
 * time could go into collections that free nothing.
 */
const maxCollectionShare = 1 / 5
const maxDelayedShare = 1 / 2

/**
 * Collects garbage in the query thread. The JavaScript engine underestimates the size of columns and waits until the
 * heap has doubled, so the process would occupy twice the memory it needs.
 */
export class Sweeper {
  /** Earliest time of the next collection while garbage is below `maxDelayedShare`, in ms on the clock `now`. */
  #notBefore = 0
  /** Value of `total` (see `sweep`) at the last collection. */
  #collected = 0
  /**
   * Smallest size of the process since the last collection, and since the last collection of the whole heap, in bytes.
   * The smallest size is used because memory returns to the system with a delay.
   */
  #lowest = Number.POSITIVE_INFINITY
  #lowestSinceAll = Number.POSITIVE_INFINITY
  /** Size of the heap after the last collection of the whole heap, or the smallest size since then, in bytes. */
  #heapSize = Number.POSITIVE_INFINITY
  /** Size of the process when last read, in bytes. */
  #rss = 0

  constructor(
    /** Size of the query memory, in bytes. */
    private readonly memory: number,
    private readonly runtime: {
      /** Returns the time of a monotonic clock in ms. */
      now: () => number
      /** Returns the size of the process in bytes. Can throw. */
      rss: () => number
      /** Returns the heap size of this thread in bytes. */
      heapSize: () => number
      /**
       * Collects garbage in the whole heap. Takes a few ms per 10 MB, and several times as long if other threads occupy
       * the processors.
       */
      collectAll: () => void
      /** Collects only garbage created since the last collection. */
      collectNew: () => void
    },
  ) {}

  /**
   * Collects garbage if there is enough of it. Called after each time slice. `total` is the number of bytes read,
   * reserved or sealed since the start, from which the amount of garbage is estimated.
   */
  sweep(total: number): void {
    const { memory, runtime } = this
    const rss = this.#readRss()
    this.#lowest = Math.min(this.#lowest, rss)
    this.#lowestSinceAll = Math.min(this.#lowestSinceAll, rss)
    if (total - this.#collected < memory * pressedShare) return
    const startedAt = runtime.now()
    const garbage = Math.max(total - this.#collected, rss - this.#lowest)
    if (garbage < memory * sweepShare && rss < memory + baseBytes) return
    if (startedAt < this.#notBefore && garbage < memory * maxDelayedShare) return
    runtime.collectNew()
    const heapSize = runtime.heapSize()
    this.#heapSize = Math.min(this.#heapSize, heapSize)
    if (
      heapSize - this.#heapSize >= memory * maxGrowthShare ||
      rss - this.#lowestSinceAll >= memory * maxRssGrowthShare
    ) {
      runtime.collectAll()
      this.#heapSize = runtime.heapSize()
      this.#lowestSinceAll = Number.POSITIVE_INFINITY
    }
    this.#lowest = Number.POSITIVE_INFINITY
    this.#collected = total
    const endedAt = runtime.now()
    this.#notBefore = endedAt + (endedAt - startedAt) * (1 / maxCollectionShare - 1)
  }

  /**
   * Returns the size of the process, or the last known size if it cannot be read. Reading it opens a system file, which
   * fails if the process is out of file descriptors.
   */
  #readRss(): number {
    try {
      this.#rss = this.runtime.rss()
    } catch {
      // The last value is close enough.
    }
    return this.#rss
  }
}
