import { dayMs } from "../../columns/batch.ts"
import { maintenanceInterval, sealInterval } from "../../columns/seal-policy.ts"
import { applySealedBatch } from "../../columns/sealed-batch.ts"
import { RequestError } from "../../errors.ts"
import type { Db } from "../../store/db/driver.ts"
import type { Batcher } from "../../store/ingest/batcher.ts"
import type { SealingLag } from "../../store/ingest/sealing-lag.ts"
import type { Query, QueryStatistics, ResultOf } from "../query.ts"
import { OutOfMemoryBudgetError } from "../structures/memory-budget.ts"
import { CallerQueue, type Client, defaultQueueLimits } from "./caller-queue.ts"
import type { QueryFailure, RenderedRows, ResponseLimits, WorkerMessage, WorkerRequest } from "./messages.ts"

/** Set by src/build.ts. */
declare const BUILD_COMMIT: string | undefined

/**
 * The binary bundles all code into one file that resolves paths as if it were at the repository's root. A worker is
 * therefore found by the path of its source file.
 */
const workerFile =
  typeof BUILD_COMMIT === "string" ? "./src/query-api/worker.ts" : "../../query-api/worker.ts"

/** Time from startup to the first search for unused dictionary IDs, in ms. Later searches run once a day. */
const firstCollection = 3_600_000
/** Pause between sealed batches while more rows are waiting, in ms. Lets queries and commits run. */
const sealPause = 20
/** Delay before sealing is retried after a failure such as a full disk, in ms. */
const sealRetry = 30_000
/** Delay before a failed query thread is restarted, in ms. */
const restartDelay = 1_000
/** How long a running query can delay the shutdown, in ms. */
const closeTimeout = 2_000

/**
 * Executes queries. The promise of a call rejects with the signal's reason if the signal is aborted, and with an error
 * if the query thread fails. `caller` is the name of a `Client`.
 */
export interface QueryEngine<Spec> {
  /**
   * Runs `task`, which executes and renders queries one after another, as soon as the queue allows it (see
   * `CallerQueue`).
   */
  admit<Result>(
    client: Client,
    bytes: number,
    signal: AbortSignal,
    task: () => Promise<Result>,
  ): Promise<Result>
  /** Executes a query. Also rejects with OutOfMemoryBudgetError. */
  run<Q extends Query>(
    query: Q,
    caller: string,
    signal: AbortSignal,
  ): Promise<{ result: ResultOf<Q>; statistics: QueryStatistics }>
  /**
   * Executes the queries that `spec` needs, and renders the rows as JSON. Also rejects with OutOfMemoryBudgetError, and
   * with a RequestError `invalid_shape` or `events_removed`.
   */
  render(
    spec: Spec,
    limits: ResponseLimits,
    timeshare: Timeshare,
    signal: AbortSignal,
  ): Promise<RenderedResponse>
  /** Maximum size of the JSON in the response to one request, in bytes. */
  readonly responseBytes: number
}

/** How the queries of a client compete with those of others for time in the query thread. See `Job`. */
export interface Timeshare {
  caller: string
  weight: number
}

export interface RenderedResponse extends RenderedRows {
  /** Time between sending the request to the query thread and receiving its answer, in ms. */
  ms: number
  /**
   * Must be called with the number of bytes whenever a part of the response has been sent or dropped. Until then, these
   * bytes count as used memory.
   */
  release: (bytes: number) => void
}

export interface EngineOptions {
  path: string
  /** Memory for queries in bytes. One query gets at most half. Caches use what queries leave. */
  memory: number
  /** Starts the thread with the first query instead of immediately. */
  startsOnDemand?: boolean | undefined
  /** Returns the current time in Unix ms. */
  now: () => number
  /** Returns the time of a monotonic clock in ms. */
  elapsed: () => number
  onFault: (error: unknown) => void
}

interface PendingRequest {
  resolve: (message: Extract<WorkerMessage, { type: "result" | "rendered" }>) => void
  reject: (error: unknown) => void
}

/**
 * The maximum size of a response is this share of the memory, but at most `maxResponse`, and at least
 * `minResponse.bytes` (or `minResponse.share` of the memory if that is less). Responses stay in memory until they are
 * sent. Slightly more than six can be in memory at a time.
 */
const responseShare = 1 / 16
const minResponse = { bytes: 16_777_216, share: 1 / 4 }
const maxResponse = 33_554_432

/**
 * Executes queries in a separate thread. The same thread builds sealed blocks, which the main thread stores between its
 * commits.
 */
export class WorkerQueryEngine<Spec> implements QueryEngine<Spec> {
  readonly responseBytes: number
  /**
   * Resolves when the thread has opened the database or has failed once. Do not accept connections before that, because
   * the runtime ends the process if a starting thread cannot get a file descriptor.
   */
  readonly opened: Promise<void>
  readonly #setOpened: () => void
  readonly #queue = new CallerQueue(defaultQueueLimits)
  #worker: Worker | undefined
  #isStarted: boolean
  readonly #pending = new Map<number, PendingRequest>()
  #nextId = 1
  #timer: Timer | undefined
  #closing: (() => void) | undefined
  /** Start of the last maintenance run, in ms on the monotonic clock. */
  #maintainedAt: number
  #isMaintaining = false
  /** Time of the next search for unused dictionary IDs, in ms on the monotonic clock. */
  #collectAt: number
  #isSealing = false
  /** True while sealing can start before the timer ends if enough rows are waiting. */
  #isWaitingForRows = false

  constructor(
    private readonly options: EngineOptions,
    private readonly store: {
      db: Db
      batcher: Batcher
      sealingLag: SealingLag
      unavailableReason: () => unknown
    },
  ) {
    const { memory } = options
    const min = Math.min(minResponse.bytes, memory * minResponse.share)
    this.responseBytes = Math.floor(Math.min(maxResponse, Math.max(memory * responseShare, min)))
    this.#maintainedAt = options.elapsed()
    this.#collectAt = this.#maintainedAt + firstCollection
    const { promise, resolve } = Promise.withResolvers<void>()
    this.opened = promise
    this.#setOpened = resolve
    this.#isStarted = options.startsOnDemand !== true
    if (this.#isStarted) this.#startWorker()
  }

  #startWorker(): void {
    this.#isStarted = true
    const worker = new Worker(new URL(workerFile, import.meta.url))
    worker.onerror = ({ message }) => this.#restartWorker(new Error(message))
    worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => this.#receive(data)
    this.#worker = worker
    this.#post({ type: "open", path: this.options.path, memory: this.options.memory })
  }

  /** Restarts the thread, and rejects all pending requests, because a failed thread does not respond to them. */
  #restartWorker(error: Error): void {
    if (this.#closing) return
    clearTimeout(this.#timer)
    this.#worker?.terminate()
    this.#worker = undefined
    this.#rejectAll(error)
    this.#setOpened()
    this.options.onFault(error)
    this.#timer = setTimeout(() => {
      this.#startWorker()
      if (this.#isSealing) this.#scheduleSeal(sealRetry)
    }, restartDelay)
  }

  admit<Result>(
    client: Client,
    bytes: number,
    signal: AbortSignal,
    task: () => Promise<Result>,
  ): Promise<Result> {
    return this.#queue.run(client, bytes, signal, task)
  }

  async run<Q extends Query>(
    query: Q,
    caller: string,
    signal: AbortSignal,
  ): Promise<{ result: ResultOf<Q>; statistics: QueryStatistics }> {
    const startedAt = this.options.elapsed()
    const message = await this.#send((id) => ({ type: "execute", id, caller, query }), signal)
    if (message.type !== "result") throw new Error("the query thread sent a message of the wrong type")
    const { result, statistics } = message.outcome
    const ms = this.options.elapsed() - startedAt
    // The type assertion is safe because the message has the ID of this query.
    return { result: result as ResultOf<Q>, statistics: { ...statistics, ms } }
  }

  async render(
    spec: Spec,
    limits: ResponseLimits,
    { caller, weight }: Timeshare,
    signal: AbortSignal,
  ): Promise<RenderedResponse> {
    const startedAt = this.options.elapsed()
    const worker = this.#worker
    const message = await this.#send((id) => ({ type: "render", id, caller, weight, spec, limits }), signal)
    if (message.type !== "rendered") throw new Error("the query thread sent a message of the wrong type")
    const release = (bytes: number) => {
      // If the thread has failed in the meantime, its memory is already free.
      if (worker === this.#worker) this.#post({ type: "release", bytes })
    }
    return { ...message.rendered, ms: this.options.elapsed() - startedAt, release }
  }

  /**
   * Sends a request to the query thread. Removes the abort listener once the request is answered. Otherwise, listeners
   * would accumulate, because one signal serves all queries of an HTTP request or stream.
   */
  #send(
    requestOf: (id: number) => Extract<WorkerRequest<Spec>, { type: "execute" | "render" }>,
    signal: AbortSignal,
  ): Promise<Extract<WorkerMessage, { type: "result" | "rendered" }>> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      if (!this.#isStarted) this.#startWorker()
      if (!this.#worker)
        throw new Error("the query thread failed and will restart within a few seconds: run the query again")
      const id = this.#nextId++
      const abort = () => {
        this.#pending.delete(id)
        this.#post({ type: "cancel", id })
        reject(signal.reason)
      }
      const stopListening = () => signal.removeEventListener("abort", abort)
      signal.addEventListener("abort", abort, { once: true })
      this.#pending.set(id, {
        resolve: (message) => {
          stopListening()
          resolve(message)
        },
        reject: (error) => {
          stopListening()
          reject(error)
        },
      })
      this.#post(requestOf(id))
    })
  }

  /** Starts sealing rows in the background. */
  start(): void {
    if (!this.#isStarted) this.#startWorker()
    this.#isSealing = true
    this.store.sealingLag.onFull = () => {
      if (!this.#isWaitingForRows || this.#closing) return
      clearTimeout(this.#timer)
      this.#requestSeal()
    }
    // Starts without delay, so that a backlog is sealed before the first queries have to read it.
    this.#scheduleSeal(0)
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    if (!this.#isStarted) return
    const closed = new Promise<void>((resolve) => {
      this.#closing = resolve
      setTimeout(resolve, closeTimeout)
    })
    this.#post({ type: "close" })
    await closed
    this.#worker?.terminate()
    this.#rejectAll(new Error("the server is shutting down"))
  }

  #post(request: WorkerRequest<Spec>): void {
    this.#worker?.postMessage(request)
  }

  #receive(message: WorkerMessage): void {
    if (message.type === "closed") this.#closing?.()
    else if (message.type === "opened") this.#setOpened()
    else if (message.type === "sealed") void this.#storeSealed(message)
    else {
      const pending = this.#pending.get(message.id)
      this.#pending.delete(message.id)
      if (message.type === "failure") pending?.reject(errorOf(message))
      else if (pending) pending.resolve(message)
      // The request was canceled while the response was on its way.
      else if (message.type === "rendered") this.#post({ type: "release", bytes: message.rendered.bytes })
    }
  }

  #rejectAll(error: unknown): void {
    for (const { reject } of this.#pending.values()) reject(error)
    this.#pending.clear()
  }

  #scheduleSeal(delay: number): void {
    if (this.#closing || !this.#worker) return
    // After a failure, sealing waits, however many rows there are.
    this.#isWaitingForRows = delay <= sealInterval
    this.#timer = setTimeout(
      () => this.#requestSeal(),
      this.#isWaitingForRows && this.store.sealingLag.isFull ? 0 : delay,
    )
  }

  #requestSeal(): void {
    this.#isWaitingForRows = false
    // Blocks need disk space. If the disk is full, deletions must free space first.
    if (this.store.unavailableReason()) {
      this.#scheduleSeal(sealRetry)
      return
    }
    const { now, elapsed } = this.options
    const isDue = elapsed() - this.#maintainedAt >= maintenanceInterval
    if (isDue) [this.#isMaintaining, this.#maintainedAt] = [true, elapsed()]
    this.#post({
      type: "seal",
      includeFew: isDue,
      today: Math.floor(now() / dayMs),
      collect: this.#isMaintaining && elapsed() >= this.#collectAt,
    })
  }

  async #storeSealed({
    batch,
    unsealed,
    failure,
  }: Extract<WorkerMessage, { type: "sealed" }>): Promise<void> {
    if (this.#closing) return
    const { sealingLag } = this.store
    // After the first report, `sealingLag` counts rows itself. Its count is more recent than the number in the message,
    // which was read when the pass started.
    if (!sealingLag.isKnown || !batch) sealingLag.report(unsealed)
    if (failure !== undefined) this.options.onFault(new Error(failure))
    if (!batch) {
      const at = this.options.elapsed()
      if (this.#isMaintaining && at >= this.#collectAt) this.#collectAt = at + dayMs
      this.#isMaintaining = false
      return this.#scheduleSeal(failure === undefined ? sealInterval : sealRetry)
    }
    try {
      const isStored = await this.store.batcher.run(() => applySealedBatch(this.store.db, batch), 0)
      if (isStored && batch.seal) sealingLag.sealed(batch.seal.to - batch.seal.from)
      this.#scheduleSeal(sealPause)
    } catch (error) {
      this.options.onFault(error)
      this.#scheduleSeal(sealRetry)
    }
  }
}

function errorOf({ kind, message, stack }: QueryFailure): Error {
  if (kind === "rejected") return new RequestError("invalid_shape", { detail: message })
  if (kind === "eventsRemoved") return new RequestError("events_removed", { detail: message })
  if (kind === "outOfMemory") return new OutOfMemoryBudgetError(message)
  const error = new Error(message)
  if (stack !== undefined) error.stack = stack
  return error
}
