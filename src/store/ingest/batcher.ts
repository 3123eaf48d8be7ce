import { RequestError } from "../../errors.ts"
import type { RejectionReason } from "../../rejection-reasons.ts"
import { StoreLockedError, type Write } from "./writer.ts"

export interface BatcherOptions {
  /** Maximum number of queued events. A request that would exceed it is rejected. */
  maxEvents: number
  /** Maximum number of queued bytes. */
  maxBytes: number
  /** How long a request waits while another process holds the lock before it is rejected, in ms. */
  maxWait: number
}

/** The functions of the store that the batcher calls. See `Writer.commit`. */
export interface Committer {
  commit(writes: readonly Write[]): (unknown | undefined)[]
  /** Returns why writes are currently rejected, or undefined if they are accepted. */
  unavailableReason(): RejectionReason | undefined
  /** Returns how many ms to wait after a commit of `rows` before the next rows are committed. */
  delayAfter?(rows: number): number
}

/** No further write is added to a commit with this many rows. Such a commit blocks the event loop for about 20 ms. */
const rowsPerCommit = 5_000
/**
 * No further write is added to a commit with this many bytes, for the same reason: writing 2 MiB takes 20 ms. The first
 * write is committed regardless of its size.
 */
const bytesPerCommit = 2_097_152
/** A write with more rows or bytes than these is large. Small writes do not share a commit with large ones. */
const maxSmallRows = 100
const maxSmallBytes = 65_536
/** Pause between attempts while another process holds the lock, in ms. */
const lockRetryInterval = 10
/** Retry-After in seconds for overload and lock contention, which are usually over by then. */
const retryAfter = 1
/** Retry-After in seconds if an operator has to free disk space or restore the file. */
const retryAfterUnavailable = 30

interface QueuedWrite {
  write: Write
  /** In ms on the `elapsed` clock. */
  queuedAt: number
  resolve: () => void
  reject: (error: unknown) => void
}

/**
 * Implements group commit: writes submitted in the same turn of the event loop are committed together at the end of the
 * turn. Under load, all requests in flight share a commit. A single request is not delayed. If both small and large
 * writes are waiting, their commits alternate, so that a small write waits for at most one commit of large writes. When
 * sealing falls behind, there are pauses between commits of rows.
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
  /** True if the last commit contained small writes while large writes were waiting. */
  #areLargeNext = false
  /** Set while a commit is scheduled for later than the current turn of the event loop. */
  #timer: Timer | undefined
  /** When to try the lock again, in ms on the `elapsed` clock. */
  #lockedUntil = 0
  /** When the next rows can be committed, in ms on the `elapsed` clock. Writes without rows do not wait. */
  #pausedUntil = 0
  #drainListeners: (() => void)[] = []

  constructor(
    private readonly store: Committer,
    private readonly options: BatcherOptions,
    private readonly elapsed: () => number,
    private readonly onFault: (error: unknown) => void,
  ) {}

  /**
   * Resolves once the commit that contains the write has been synced. Rejects with a RequestError if nothing was
   * stored.
   */
  submit(write: Write): Promise<void> {
    const reason = this.store.unavailableReason()
    if (reason) return Promise.reject(new RequestError(reason, { retryAfter: retryAfterUnavailable }))
    return this.#enqueue(write)
  }

  /**
   * Runs `work` in the transaction of the next commit and returns its result. If `work` throws, its changes are rolled
   * back and the promise rejects with the error. Runs even while events are rejected, because deleting data frees space
   * on a full disk. `size` is in bytes, as in `Write`. If it is 0, as it is for maintenance, `work` takes up no slot in
   * the queue.
   */
  async run<Result>(work: () => Result, size = 1): Promise<Result> {
    let result: Result | undefined
    await this.#enqueue({ rows: [], size, apply: () => (result = work()) })
    return result as Result
  }

  #enqueue(write: Write): Promise<void> {
    // Under overload, one turn of the event loop can take a second and submit more than fits in the queue. In that
    // case, commits without waiting for the end of the turn.
    if (this.#isFull(write) && this.elapsed() >= this.#lockedUntil) this.#flush()
    if (this.#isFull(write)) {
      return Promise.reject(new RequestError("queue_full", { retryAfter }))
    }
    this.#events += slotsOf(write)
    this.#bytes += write.size
    return new Promise((resolve, reject) => {
      this.#queue.push({ write, queuedAt: this.elapsed(), resolve, reject })
      this.#schedule(write.rows.length > 0 ? this.#pause : 0)
    })
  }

  /**
   * Returns true if the write does not fit in the queue. An empty queue accepts any write, because the sender of a
   * write that never fits would retry forever. --max-batch and the limits of the page script bound the size of a write.
   */
  #isFull(write: Write): boolean {
    const { maxEvents, maxBytes } = this.options
    if (this.#queue.length === 0) return false
    return this.#events + slotsOf(write) > maxEvents || this.#bytes + write.size > maxBytes
  }

  /** The current size of the queue. */
  get queued(): { events: number; bytes: number } {
    return { events: this.#events, bytes: this.#bytes }
  }

  /** Resolves when the queue is empty. */
  drain(): Promise<void> {
    if (this.#queue.length === 0) return Promise.resolve()
    this.#pausedUntil = 0
    this.#schedule()
    return new Promise((resolve) => this.#drainListeners.push(resolve))
  }

  /** How long to wait until rows can be committed, in ms. */
  get #pause(): number {
    return Math.max(0, this.#pausedUntil - this.elapsed())
  }

  /**
   * Schedules a commit after `delay` ms. Does nothing if a commit is already scheduled, unless `delay` is 0 and no
   * other process holds the lock.
   */
  #schedule(delay = 0): void {
    const isSooner = this.#timer !== undefined && delay === 0 && this.elapsed() >= this.#lockedUntil
    if (this.#isScheduled && !isSooner) return
    clearTimeout(this.#timer)
    this.#isScheduled = true
    const flush = () => {
      this.#isScheduled = false
      this.#timer = undefined
      this.#flush()
    }
    this.#timer = delay > 0 ? setTimeout(flush, delay) : undefined
    if (delay === 0) setImmediate(flush)
  }

  #flush(): void {
    if (this.#queue.length === 0) return
    const batch = this.#takeBatch()
    if (batch.length === 0) {
      this.#schedule(this.#pause)
      return
    }
    try {
      const errors = this.store.commit(batch.map((entry) => entry.write))
      batch.forEach((entry, index) => {
        this.#settle(entry, errors[index])
      })
      const rows = batch.reduce((sum, { write }) => sum + write.rows.length, 0)
      // On shutdown, do not wait for the sealer.
      if (rows > 0 && this.#drainListeners.length === 0)
        this.#pausedUntil = this.elapsed() + (this.store.delayAfter?.(rows) ?? 0)
    } catch (error) {
      if (error instanceof StoreLockedError) this.#requeue(batch)
      else this.#fail(batch, error)
    }
    if (this.#queue.length > 0) this.#schedule(this.#pause)
    else for (const resolve of this.#drainListeners.splice(0)) resolve()
  }

  /**
   * Removes the oldest writes from the queue, about `rowsPerCommit` rows or `bytesPerCommit` bytes, and returns them.
   * The writes are either all small or all large. During a pause, only removes writes without rows.
   */
  #takeBatch(): QueuedWrite[] {
    if (this.#pause > 0) {
      const batch = this.#queue.filter(({ write }) => write.rows.length === 0)
      if (batch.length > 0) this.#queue = this.#queue.filter(({ write }) => write.rows.length > 0)
      return batch
    }
    const large = this.#queue.filter(({ write }) => isLarge(write))
    const areMixed = large.length > 0 && large.length < this.#queue.length
    const areLarge = areMixed && this.#areLargeNext
    this.#areLargeNext = areMixed && !areLarge
    if (!areMixed) return this.#queue.splice(0, endOfBatch(this.#queue))
    const candidates = areLarge ? large : this.#queue.filter(({ write }) => !isLarge(write))
    const batch = candidates.slice(0, endOfBatch(candidates))
    const taken = new Set(batch)
    this.#queue = this.#queue.filter((entry) => !taken.has(entry))
    return batch
  }

  #settle(entry: QueuedWrite, error: unknown): void {
    this.#events -= slotsOf(entry.write)
    this.#bytes -= entry.write.size
    if (error === undefined) entry.resolve()
    else if (error instanceof RequestError) entry.reject(error)
    else {
      this.onFault(error)
      entry.reject(new RequestError("row_refused", { cause: error }))
    }
  }

  /** Puts a batch back after lock contention. Rejects writes that have waited for `maxWait`. */
  #requeue(batch: QueuedWrite[]): void {
    this.#lockedUntil = this.elapsed() + lockRetryInterval
    const latest = this.elapsed() - this.options.maxWait
    this.#queue = [...batch, ...this.#queue].filter((entry) => {
      if (entry.queuedAt > latest) return true
      this.#settle(entry, new RequestError("store_locked", { retryAfter }))
      return false
    })
    if (this.#queue.length > 0) this.#schedule(lockRetryInterval)
  }

  #fail(batch: QueuedWrite[], fault: unknown): void {
    this.onFault(fault)
    for (const entry of batch) {
      this.#settle(entry, new RequestError("store_failed", { retryAfter, cause: fault }))
    }
  }
}

function isLarge({ rows, size }: Write): boolean {
  return rows.length > maxSmallRows || size > maxSmallBytes
}

/** Returns the number of entries that fit in one commit. */
function endOfBatch(entries: readonly QueuedWrite[]): number {
  let [rows, bytes, end] = [0, 0, 0]
  while (end < entries.length && (end === 0 || (rows < rowsPerCommit && bytes < bytesPerCommit))) {
    const { write } = entries[end] as QueuedWrite
    rows += write.rows.length
    bytes += write.size
    end++
  }
  return end
}

/**
 * Returns the number of slots that a write takes up in the queue. A request without events also takes up a slot,
 * because many clients can send such requests.
 */
function slotsOf({ rows, size }: Write): number {
  return rows.length || (size > 0 ? 1 : 0)
}
