import { RequestError } from "../../errors.ts"
import type { Log } from "../../log.ts"
import type { Client } from "../../query/engine/caller-queue.ts"
import type {
  QueryEngine,
  RenderedResponse,
  Timeshare,
  WorkerQueryEngine,
} from "../../query/engine/engine.ts"
import type { ResponseLimits } from "../../query/engine/messages.ts"
import type { Query, QueryStatistics, ResultOf } from "../../query/query.ts"
import { OutOfMemoryBudgetError } from "../../query/structures/memory-budget.ts"
import type { QuerySpec } from "../../query-api/query-spec.ts"
import { clusterName } from "../address.ts"
import type { ClusterLogin } from "../shipping-thread.ts"
import type { ClusterQueryLimits } from "./cluster-query.ts"
import type { ClusterMessage, ClusterRequest } from "./messages.ts"

/** Set by src/build.ts. */
declare const BUILD_COMMIT: string | undefined

/**
 * The binary bundles all code into one file that resolves paths as if it were at the repository's root. A worker is
 * therefore found by the path of its source file.
 */
const workerFile =
  typeof BUILD_COMMIT === "string" ? "./src/clickhouse/query/query-worker.ts" : "./query-worker.ts"

/** After the cluster fails, no query is sent to it for this many ms. */
const outageTime = 10_000
/** Retry-After in seconds, equal to `outageTime`. */
const retryAfter = 10
/** Running queries can delay the shutdown by at most this many ms. */
const closeTimeout = 2_000

/** The response from the thread, or the reason why there is none. The reason can be shown to the caller. */
type Answer = Omit<RenderedResponse, "ms" | "release"> | { reason: string }

const outageReason = "the cluster does not respond; see the server's log"

interface PendingRequest {
  resolve: (answer: Answer) => void
  reject: (error: Error) => void
}

/**
 * Answers API queries from the cluster. Events that are not shipped yet are sent to the cluster with the query. The
 * local engine answers the queries that the cluster cannot answer, and all queries while the cluster is down. It cannot
 * answer queries that need events from other nodes, or events that were removed from SQLite.
 */
export class ClusterQueryEngine implements QueryEngine<QuerySpec> {
  readonly #name: string
  #worker: Worker | undefined
  readonly #pending = new Map<number, PendingRequest>()
  #nextId = 1
  #closing: (() => void) | undefined
  /** Why the cluster did not answer the last query. Undefined if the cluster answered it. */
  #outage: string | undefined
  /** No query is sent to the cluster until this time, in ms on the `elapsed` clock. */
  #retryAt = Number.NEGATIVE_INFINITY

  constructor(
    private readonly local: WorkerQueryEngine<QuerySpec>,
    private readonly options: {
      path: string
      login: ClusterLogin
      limits: ClusterQueryLimits
      /** True if other nodes can ship to the same database. SQLite then lacks their events. */
      isShared: boolean
      /** Monotonic clock, in ms. */
      elapsed: () => number
    },
    private readonly log: Log,
  ) {
    this.#name = clusterName(options.login.address)
  }

  get responseBytes(): number {
    return this.local.responseBytes
  }

  admit<Result>(
    client: Client,
    bytes: number,
    signal: AbortSignal,
    task: () => Promise<Result>,
  ): Promise<Result> {
    return this.local.admit(client, bytes, signal, task)
  }

  run<Q extends Query>(
    query: Q,
    caller: string,
    signal: AbortSignal,
  ): Promise<{ result: ResultOf<Q>; statistics: QueryStatistics }> {
    return this.local.run(query, caller, signal)
  }

  async render(
    spec: QuerySpec,
    limits: ResponseLimits,
    timeshare: Timeshare,
    signal: AbortSignal,
  ): Promise<RenderedResponse> {
    const { elapsed } = this.options
    const startedAt = elapsed()
    const answer =
      startedAt < this.#retryAt ? { reason: outageReason } : await this.#renderInCluster(spec, limits, signal)
    // There is nothing to release, because the response is already in the memory of the main thread. The queue limits
    // the number of such responses.
    if ("chunks" in answer) return { ...answer, ms: elapsed() - startedAt, release: () => {} }
    if (this.options.isShared)
      throw unavailable("events from other nodes are only in the ClickHouse cluster", answer)
    try {
      return await this.local.render(spec, limits, timeshare, signal)
    } catch (error) {
      if (!(error instanceof RequestError) || error.reason !== "events_removed") throw error
      throw unavailable(error.message, answer)
    }
  }

  #renderInCluster(spec: QuerySpec, limits: ResponseLimits, signal: AbortSignal): Promise<Answer> {
    signal.throwIfAborted()
    if (this.#closing) return Promise.resolve({ reason: outageReason })
    const worker = this.#startedWorker()
    const id = this.#nextId++
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const abort = () => {
      this.#pending.delete(id)
      this.#post(worker, { type: "cancel", id })
      reject(signal.reason)
    }
    signal.addEventListener("abort", abort, { once: true })
    this.#pending.set(id, { resolve, reject })
    this.#post(worker, { type: "render", id, spec, limits })
    return promise.finally(() => signal.removeEventListener("abort", abort))
  }

  #startedWorker(): Worker {
    if (this.#worker) return this.#worker
    const worker = new Worker(new URL(workerFile, import.meta.url))
    worker.onerror = ({ message }) => this.#restart(message)
    worker.onmessage = ({ data }: MessageEvent<ClusterMessage>) => this.#receive(data)
    const { path, login, limits, isShared } = this.options
    this.#post(worker, { type: "open", path, limits, isShared, ...login })
    this.#worker = worker
    return worker
  }

  /** Ends the failed thread. The local engine answers the pending queries, and the next query starts a new thread. */
  #restart(message: string): void {
    if (this.#closing) return
    this.#worker?.terminate()
    this.#worker = undefined
    this.#recordOutage(message, undefined)
    for (const { resolve } of this.#pending.values()) resolve({ reason: outageReason })
    this.#pending.clear()
  }

  #post(worker: Worker, request: ClusterRequest): void {
    worker.postMessage(request)
  }

  #receive(message: ClusterMessage): void {
    if (message.type === "closed") {
      this.#closing?.()
      return
    }
    const pending = this.#pending.get(message.id)
    this.#pending.delete(message.id)
    if (message.type === "outage") {
      this.#recordOutage(message.message, message.hint)
      pending?.resolve({ reason: outageReason })
      return
    }
    if (message.type === "notSupported") {
      pending?.resolve({ reason: message.reason })
      return
    }
    if (message.type === "failure") pending?.reject(errorOf(message))
    else pending?.resolve(message.rendered)
    if (this.#outage === undefined) return
    this.#outage = undefined
    this.log("info", "queries are answered from the cluster again", { cluster: this.#name })
  }

  #recordOutage(error: string, hint: string | undefined): void {
    this.#retryAt = this.options.elapsed() + outageTime
    // A long outage is logged only once.
    if (error === this.#outage) return
    this.#outage = error
    const state = this.options.isShared
      ? "queries are not answered, because only the cluster has the events from all nodes"
      : "queries are answered from SQLite, not from the cluster"
    this.log("warn", state, {
      cluster: this.#name,
      error,
      hint,
    })
  }

  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => {
      this.#closing = resolve
      setTimeout(resolve, closeTimeout)
    })
    for (const { reject } of this.#pending.values()) reject(new Error("the server is shutting down"))
    this.#pending.clear()
    if (!this.#worker) return
    this.#post(this.#worker, { type: "close" })
    await closed
    this.#worker.terminate()
  }
}

function unavailable(events: string, { reason }: { reason: string }): RequestError {
  return new RequestError("events_removed", {
    detail: `${events}, which did not answer the query: ${reason}`,
    retryAfter,
  })
}

function errorOf({ kind, message }: Extract<ClusterMessage, { type: "failure" }>): Error {
  return kind === "outOfMemory"
    ? new OutOfMemoryBudgetError(message)
    : new RequestError("invalid_shape", { detail: message })
}
