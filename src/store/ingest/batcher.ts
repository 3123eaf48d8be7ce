import { type Reason, RequestError } from "../../errors.ts"
import { StoreLocked, type Write } from "./writer.ts"

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
  obstacle(): Reason | undefined
}

/** Rows in one commit: the event loop stands still for as long as it takes, some 20 ms. */
const rowsPerCommit = 5_000
/** ms between two looks at a lock that another process holds. */
const lockRetry = 10
/** Seconds, the Retry-After of a refusal: an overload or a lock is usually over by then. */
const retryAfter = 1
/** Seconds, where somebody has to make room or to look after the file first. */
const retryAfterObstacle = 30

interface Waiting {
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
  #queue: Waiting[] = []
  #events = 0
  #bytes = 0
  #scheduled = false
  /** ms of the batcher's clock: before it another try to get the lock is no use. */
  #lockedUntil = 0
  #drained: (() => void)[] = []

  constructor(
    private readonly store: Committer,
    private readonly options: BatcherOptions,
    private readonly elapsed: () => number,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /** Settles after the commit that holds the write has been synced. Rejects with a Refusal; then nothing of it is stored. */
  submit(write: Write): Promise<void> {
    const obstacle = this.store.obstacle()
    if (obstacle) return Promise.reject(new RequestError(obstacle, { retryAfter: retryAfterObstacle }))
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
    this.#events += countOf(write)
    this.#bytes += write.size
    return new Promise((resolve, reject) => {
      this.#queue.push({ write, since: this.elapsed(), resolve, reject })
      this.#schedule()
    })
  }

  #isFull(write: Write): boolean {
    const { maxEvents, maxBytes } = this.options
    return this.#events + countOf(write) > maxEvents || this.#bytes + write.size > maxBytes
  }

  /** What waits for the disk. */
  get queued(): { events: number; bytes: number } {
    return { events: this.#events, bytes: this.#bytes }
  }

  /** Settles when nothing waits any more. */
  drain(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve()
    return new Promise((resolve) => this.#drained.push(resolve))
  }

  #schedule(delay = 0): void {
    if (this.#scheduled) return
    this.#scheduled = true
    const flush = () => {
      this.#scheduled = false
      this.#flush()
    }
    if (delay > 0) setTimeout(flush, delay)
    else setImmediate(flush)
  }

  #flush(): void {
    if (this.#queue.length === 0) return
    const batch = this.#take()
    try {
      const errors = this.store.commit(batch.map((waiting) => waiting.write))
      batch.forEach((waiting, index) => {
        this.#settle(waiting, errors[index])
      })
    } catch (error) {
      if (error instanceof StoreLocked) this.#keep(batch)
      else this.#fail(batch, error)
    }
    if (this.#queue.length > 0) this.#schedule()
    else for (const done of this.#drained.splice(0)) done()
  }

  /** From the front, whole requests, up to `rowsPerCommit`. */
  #take(): Waiting[] {
    let rows = 0
    let end = 0
    while (end < this.#queue.length && (end === 0 || rows < rowsPerCommit)) {
      rows += (this.#queue[end] as Waiting).write.rows.length
      end++
    }
    return this.#queue.splice(0, end)
  }

  #settle(waiting: Waiting, error: unknown): void {
    this.#events -= countOf(waiting.write)
    this.#bytes -= waiting.write.size
    if (error === undefined) waiting.resolve()
    else if (error instanceof RequestError) waiting.reject(error)
    else {
      this.onFault(error)
      waiting.reject(new RequestError("row_refused", { cause: error }))
    }
  }

  /** Locked: back to the front, all but those that have waited long enough. */
  #keep(batch: Waiting[]): void {
    this.#lockedUntil = this.elapsed() + lockRetry
    const latest = this.elapsed() - this.options.maxWait
    this.#queue = [...batch, ...this.#queue].filter((waiting) => {
      if (waiting.since > latest) return true
      this.#settle(waiting, new RequestError("store_locked", { retryAfter }))
      return false
    })
    if (this.#queue.length > 0) this.#schedule(lockRetry)
  }

  #fail(batch: Waiting[], fault: unknown): void {
    this.onFault(fault)
    for (const waiting of batch) {
      this.#settle(waiting, new RequestError("store_failed", { retryAfter, cause: fault }))
    }
  }
}

/** What a client asked for takes a place in the queue, be it no event: clients can be many. */
function countOf({ rows, size }: Write): number {
  return rows.length || (size > 0 ? 1 : 0)
}
