import { type RejectionReason, RequestError } from "../../errors.ts"
import { StoreLockedError, type Write } from "./writer.ts"

export interface BatcherOptions {
  /** Events that may wait; a request beyond it is refused. */
  maxEvents: number
  /** Bytes that may wait. */
  maxBytes: number
  /** ms that a request waits for another process's lock before it is refused. */
  maxWait: number
}

/** What the batcher needs of the store. See `Writer.commit`. */
export interface Committer {
  commit(writes: readonly Write[]): (unknown | undefined)[]
  /** Why no request's write is taken at present; undefined: it is. */
  unavailableReason(): RejectionReason | undefined
}

/** Rows in one commit: the event loop stands still for as long as it takes, some 20 ms. */
const rowsPerCommit = 5_000
/** ms between two looks at a lock that another process holds. */
const lockRetryInterval = 10
/** Seconds, the Retry-After of a refusal: an overload or a lock is usually over by then. */
const retryAfter = 1
/** Seconds, where somebody has to make room or to look after the file first. */
const retryAfterUnavailable = 30

interface QueuedWrite {
  write: Write
  /** ms of the batcher's clock */
  since: number
  resolve: () => void
  reject: (error: unknown) => void
}

/**
 * Group commit. What arrives in one turn of the event loop is committed together at its end: under load that is every
 * request in flight, and a lone request waits for nobody.
 */
export class Batcher {
  #queue: QueuedWrite[] = []
  #events = 0
  #bytes = 0
  #isScheduled = false
  /** ms of the batcher's clock: before it another try to get the lock is no use. */
  #lockedUntil = 0
  #drainListeners: (() => void)[] = []

  constructor(
    private readonly store: Committer,
    private readonly options: BatcherOptions,
    private readonly elapsed: () => number,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /** Settles after the commit that holds the write has been synced. Rejects with a Refusal; then nothing of it is stored. */
  submit(write: Write): Promise<void> {
    const obstacle = this.store.unavailableReason()
    if (obstacle) return Promise.reject(new RequestError(obstacle, { retryAfter: retryAfterUnavailable }))
    return this.#enqueue(write)
  }

  /**
   * Runs `work` in a transaction of the next commit and gives its result, or its error with nothing of it done. An
   * obstacle does not hold it up: where the disk is full, deleting is what helps. `size`: as of a write; 0 for the store's
   * own work, which takes no place in the queue.
   */
  async run<Result>(work: () => Result, size = 1): Promise<Result> {
    let result: Result | undefined
    await this.#enqueue({ rows: [], size, apply: () => (result = work()) })
    return result as Result
  }

  #enqueue(write: Write): Promise<void> {
    // Under overload one turn brings more than the queue holds, and its end may be a second away: what waits is committed now.
    if (this.#isFull(write) && this.elapsed() >= this.#lockedUntil) this.#flush()
    if (this.#isFull(write)) {
      return Promise.reject(new RequestError("queue_full", { retryAfter }))
    }
    this.#events += slotsOf(write)
    this.#bytes += write.size
    return new Promise((resolve, reject) => {
      this.#queue.push({ write, since: this.elapsed(), resolve, reject })
      this.#schedule()
    })
  }

  #isFull(write: Write): boolean {
    const { maxEvents, maxBytes } = this.options
    return this.#events + slotsOf(write) > maxEvents || this.#bytes + write.size > maxBytes
  }

  /** What waits for the disk. */
  get queued(): { events: number; bytes: number } {
    return { events: this.#events, bytes: this.#bytes }
  }

  /** Settles when nothing waits any more. */
  drain(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#drainListeners.push(resolve))
  }

  #schedule(delay = 0): void {
    if (this.#isScheduled) return
    this.#isScheduled = true
    const flush = () => {
      this.#isScheduled = false
      this.#flush()
    }
    if (delay > 0) setTimeout(flush, delay)
    else setImmediate(flush)
  }

  #flush(): void {
    if (this.#queue.length === 0) return
    const batch = this.#takeBatch()
    try {
      const errors = this.store.commit(batch.map((waiting) => waiting.write))
      batch.forEach((waiting, index) => {
        this.#settle(waiting, errors[index])
      })
    } catch (error) {
      if (error instanceof StoreLockedError) this.#requeue(batch)
      else this.#fail(batch, error)
    }
    if (this.#queue.length > 0) this.#schedule()
    else for (const done of this.#drainListeners.splice(0)) done()
  }

  /** From the front, whole requests, up to `rowsPerCommit`. */
  #takeBatch(): QueuedWrite[] {
    let rows = 0
    let end = 0
    while (end < this.#queue.length && (end === 0 || rows < rowsPerCommit)) {
      rows += (this.#queue[end] as QueuedWrite).write.rows.length
      end++
    }
    return this.#queue.splice(0, end)
  }

  #settle(waiting: QueuedWrite, error: unknown): void {
    this.#events -= slotsOf(waiting.write)
    this.#bytes -= waiting.write.size
    if (error === undefined) waiting.resolve()
    else if (error instanceof RequestError) waiting.reject(error)
    else {
      this.onFault(error)
      waiting.reject(new RequestError("row_refused", { cause: error }))
    }
  }

  /** Locked: back to the front, all but those that have waited long enough. */
  #requeue(batch: QueuedWrite[]): void {
    this.#lockedUntil = this.elapsed() + lockRetryInterval
    const latest = this.elapsed() - this.options.maxWait
    this.#queue = [...batch, ...this.#queue].filter((waiting) => {
      if (waiting.since > latest) return true
      this.#settle(waiting, new RequestError("store_locked", { retryAfter }))
      return false
    })
    if (this.#queue.length > 0) this.#schedule(lockRetryInterval)
  }

  #fail(batch: QueuedWrite[], fault: unknown): void {
    this.onFault(fault)
    for (const waiting of batch) {
      this.#settle(waiting, new RequestError("store_failed", { retryAfter, cause: fault }))
    }
  }
}

/** What a client asked for takes a place in the queue, be it no event: clients can be many. */
function slotsOf({ rows, size }: Write): number {
  return rows.length || (size > 0 ? 1 : 0)
}
