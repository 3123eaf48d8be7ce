import { type RejectionReason, RequestError } from "../../errors.ts"
import { StoreLockedError, type Write } from "./writer.ts"

export interface BatcherOptions {
  /** Events that can be queued. A request beyond it is rejected. */
  maxEvents: number
  /** Bytes that can be queued. */
  maxBytes: number
  /** ms that a request waits for another process's lock before it is rejected. */
  maxWait: number
}

/** The part of the store that the batcher uses. See `Writer.commit`. */
export interface Committer {
  commit(writes: readonly Write[]): (unknown | undefined)[]
  /** Why writes are rejected at present; undefined if they are accepted. */
  unavailableReason(): RejectionReason | undefined
}

/** Rows per commit. The commit blocks the event loop, about 20 ms. */
const rowsPerCommit = 5_000
/** ms between two attempts while another process holds the lock. */
const lockRetryInterval = 10
/** Retry-After in seconds: overload and lock contention are usually over by then. */
const retryAfter = 1
/** Retry-After in seconds if an operator has to free disk space or restore the file. */
const retryAfterUnavailable = 30

interface QueuedWrite {
  write: Write
  /** ms of `elapsed` */
  since: number
  resolve: () => void
  reject: (error: unknown) => void
}

/**
 * Group commit. Writes that are submitted in one turn of the event loop are committed together at its end: under load
 * that is every request in flight, and a single request is not delayed.
 *
 *     const batcher = new Batcher(store, { maxEvents: 50_000, maxBytes: 67_108_864, maxWait: 5_000 }, elapsed, onFault)
 *     await batcher.submit({ rows, size }) // resolves when the rows are on disk
 *     const id = await batcher.run(() => createWebsite(db, settings)) // in the same commit as other requests
 */
export class Batcher {
  #queue: QueuedWrite[] = []
  #events = 0
  #bytes = 0
  #isScheduled = false
  /** No attempt to get the lock before this time, ms of `elapsed`. */
  #lockedUntil = 0
  #drainListeners: (() => void)[] = []

  constructor(
    private readonly store: Committer,
    private readonly options: BatcherOptions,
    private readonly elapsed: () => number,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /** Resolves when the commit with the write is synced. Rejects with a RequestError if nothing of it is stored. */
  submit(write: Write): Promise<void> {
    const reason = this.store.unavailableReason()
    if (reason) return Promise.reject(new RequestError(reason, { retryAfter: retryAfterUnavailable }))
    return this.#enqueue(write)
  }

  /**
   * Runs `work` in the transaction of the next commit and returns its result. Rejects with its error; its changes are
   * rolled back then. Runs even if events are rejected: on a full disk, deletion is what helps. `size`: bytes, as in a
   * write; 0 for maintenance, which takes no slot in the queue.
   */
  async run<Result>(work: () => Result, size = 1): Promise<Result> {
    let result: Result | undefined
    await this.#enqueue({ rows: [], size, apply: () => (result = work()) })
    return result as Result
  }

  #enqueue(write: Write): Promise<void> {
    // Under overload one turn can bring more than the queue holds, and take a second: commit the queue now.
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

  /** The size of the queue. */
  get queued(): { events: number; bytes: number } {
    return { events: this.#events, bytes: this.#bytes }
  }

  /** Resolves when the queue is empty. */
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
    else for (const resolve of this.#drainListeners.splice(0)) resolve()
  }

  /** Removes whole requests from the front of the queue, about `rowsPerCommit` rows. */
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

  /** Puts a batch back after lock contention. Rejects writes that have waited for `maxWait`. */
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

/** Slots that a write takes in the queue. Requests without events take one too: there can be many clients. */
function slotsOf({ rows, size }: Write): number {
  return rows.length || (size > 0 ? 1 : 0)
}
