import { dayMs } from "../../columns/batch.ts"
import { applySealedBatch, type SealedBatch } from "../../columns/sealer.ts"
import { RequestError } from "../../errors.ts"
import type { Db } from "../../store/db/driver.ts"
import type { Batcher } from "../../store/ingest/batcher.ts"
import type { Query, QueryStatistics, ResultOf } from "../query.ts"
import { OutOfMemoryBudgetError } from "../structures/id-set.ts"
import type { Failure, Rendered, Room, WorkerMessage, WorkerRequest } from "./messages.ts"
import { type Client, QueryQueue, standardQueueLimits } from "./queue.ts"

/** Set by src/build.ts. */
declare const BUILD_COMMIT: string | undefined

/** In a binary all code is one file in the repository's root, and the Worker keeps the path that it was built from. */
const workerFile =
  typeof BUILD_COMMIT === "string" ? "./src/query-api/worker.ts" : "../../query-api/worker.ts"

/** ms between two looks for rows to seal. */
const sealPoll = 1_000
/** ms after which even a few rows are sealed, and closed days looked after. */
const roundEvery = 60_000
/** ms from the start to the first look for unused numbers; from then on one a day. */
const firstCollect = 3_600_000
/** ms to leave to others after a stretch was sealed while more waits. */
const sealPause = 20
/** ms until it is tried again after a fault such as a full disk. */
const sealRetry = 30_000
/** ms until a thread that failed is begun anew. */
const restartAfter = 1_000
/** ms that a question under way may hold up the closing. */
const closeTimeout = 2_000

/** Answers queries. All reject with the signal's reason once it is aborted, or with a fault. `caller`: as in `Client`. */
export interface QueryEngine<Spec> {
  /** Does `work`, which asks and renders one thing after another, when it is its turn: see `QueryQueue`. */
  admit<Result>(
    client: Client,
    bytes: number,
    signal: AbortSignal,
    work: () => Promise<Result>,
  ): Promise<Result>
  /** Rejects with TooLarge, too. */
  run<Asked extends Query>(
    question: Asked,
    caller: string,
    signal: AbortSignal,
  ): Promise<{ answer: ResultOf<Asked>; meta: QueryStatistics }>
  /** Rejects with TooLarge and with a Refusal `invalid_shape`, too. */
  render(spec: Spec, room: Room, caller: string, signal: AbortSignal): Promise<RenderedOnce>
  /** Bytes of JSON that one request may be answered with. */
  readonly responseBytes: number
}

/** What was rendered, after `ms` in the queue and at work. */
export interface RenderedOnce extends Rendered {
  ms: number
  /** To be called with the bytes that are sent, or are not wanted any more: until then they count as used memory. */
  release: (bytes: number) => void
}

export interface EngineOptions {
  path: string
  /** Bytes, half of them for an answer at most; what it leaves is for columns and counts that are kept. */
  memory: number
  /** Unix ms */
  now: () => number
  /** ms of a clock that is never set. */
  elapsed: () => number
  onFault: (error: unknown) => void
}

interface Waiting {
  answer: (news: Extract<WorkerMessage, { what: "answer" | "rendered" }>) => void
  reject: (error: unknown) => void
}

/** An answer is held until it is sent, six at a time and some more: none is larger than this share of the memory, nor than the most; of a small memory not less than the least. */
const responseShare = 1 / 16
const leastResponse = { bytes: 16_777_216, share: 1 / 4 }
const mostResponse = 33_554_432

/** Answers questions in a thread of its own, which also makes the column blocks; the main thread stores them between its commits. */
export class WorkerQueryEngine<Spec> implements QueryEngine<Spec> {
  readonly responseBytes: number
  readonly #queue = new QueryQueue(standardQueueLimits)
  #worker: Worker | undefined
  readonly #waiting = new Map<number, Waiting>()
  #next = 1
  #timer: Timer | undefined
  #closing: (() => void) | undefined
  /** When the last round began that seals even a few rows and looks after closed days; ms of the clock that is never set. */
  #roundAt: number
  #inRound = false
  /** When it is time to look for numbers of ids that are not used any more. */
  #collectAt: number
  #sealing = false

  constructor(
    private readonly options: EngineOptions,
    private readonly store: { db: Db; batcher: Batcher; obstacle: () => unknown },
  ) {
    const { memory } = options
    const least = Math.min(leastResponse.bytes, memory * leastResponse.share)
    this.responseBytes = Math.floor(Math.min(mostResponse, Math.max(memory * responseShare, least)))
    this.#roundAt = options.elapsed()
    this.#collectAt = this.#roundAt + firstCollect
    this.#begin()
  }

  #begin(): void {
    const worker = new Worker(new URL(workerFile, import.meta.url))
    worker.onerror = ({ message }) => this.#beginAnew(new Error(message))
    worker.onmessage = ({ data }: MessageEvent<WorkerMessage>) => this.#hear(data)
    this.#worker = worker
    this.#tell({ what: "open", path: this.options.path, memory: this.options.memory })
  }

  /** A thread that failed answers nobody any more. */
  #beginAnew(error: Error): void {
    if (this.#closing) return
    clearTimeout(this.#timer)
    this.#worker?.terminate()
    this.#worker = undefined
    this.#fail(error)
    this.options.onFault(error)
    this.#timer = setTimeout(() => {
      this.#begin()
      if (this.#sealing) this.#sealIn(sealRetry)
    }, restartAfter)
  }

  admit<Result>(
    client: Client,
    bytes: number,
    signal: AbortSignal,
    work: () => Promise<Result>,
  ): Promise<Result> {
    return this.#queue.run(client, bytes, signal, work)
  }

  async run<Asked extends Query>(
    question: Asked,
    caller: string,
    signal: AbortSignal,
  ): Promise<{ answer: ResultOf<Asked>; meta: QueryStatistics }> {
    const since = this.options.elapsed()
    const news = await this.#send((id) => ({ what: "ask", id, caller, question }), signal)
    if (news.what !== "answer") throw new Error("the query thread mistook one message for another")
    const { answer, meta } = news.answered
    return { answer: answer as ResultOf<Asked>, meta: { ...meta, ms: this.options.elapsed() - since } }
  }

  async render(spec: Spec, room: Room, caller: string, signal: AbortSignal): Promise<RenderedOnce> {
    const since = this.options.elapsed()
    const worker = this.#worker
    const news = await this.#send((id) => ({ what: "render", id, caller, spec, room }), signal)
    if (news.what !== "rendered") throw new Error("the query thread mistook one message for another")
    const release = (bytes: number) => {
      // Of a thread that failed nothing is left to count.
      if (worker === this.#worker) this.#tell({ what: "sent", bytes })
    }
    return { ...news.rendered, ms: this.options.elapsed() - since, release }
  }

  #send(
    order: (id: number) => Extract<WorkerRequest<Spec>, { what: "ask" | "render" }>,
    signal: AbortSignal,
  ): Promise<Extract<WorkerMessage, { what: "answer" | "rendered" }>> {
    return new Promise((resolve, reject) => {
      signal.throwIfAborted()
      if (!this.#worker) throw new Error("the thread that answers queries is just begun anew")
      const id = this.#next++
      const abort = () => {
        this.#waiting.delete(id)
        this.#tell({ what: "stop", id })
        reject(signal.reason)
      }
      const settled = () => signal.removeEventListener("abort", abort)
      signal.addEventListener("abort", abort)
      this.#waiting.set(id, {
        answer: (news) => {
          settled()
          resolve(news)
        },
        reject: (error) => {
          settled()
          reject(error)
        },
      })
      this.#tell(order(id))
    })
  }

  /** Begins to seal behind the commits. */
  start(): void {
    this.#sealing = true
    this.#sealIn(sealPoll)
  }

  async close(): Promise<void> {
    clearTimeout(this.#timer)
    const closed = new Promise<void>((resolve) => {
      this.#closing = resolve
      setTimeout(resolve, closeTimeout)
    })
    this.#tell({ what: "close" })
    await closed
    this.#worker?.terminate()
    this.#fail(new Error("the server stops"))
  }

  #tell(order: WorkerRequest<Spec>): void {
    this.#worker?.postMessage(order)
  }

  #hear(news: WorkerMessage): void {
    if (news.what === "closed") this.#closing?.()
    else if (news.what === "work") void this.#store(news)
    else {
      const waiting = this.#waiting.get(news.id)
      this.#waiting.delete(news.id)
      if (news.what === "failure") waiting?.reject(errorOf(news))
      else if (waiting) waiting.answer(news)
      // It was on its way when nobody wanted it any more.
      else if (news.what === "rendered") this.#tell({ what: "sent", bytes: news.rendered.bytes })
    }
  }

  #fail(error: unknown): void {
    for (const { reject } of this.#waiting.values()) reject(error)
    this.#waiting.clear()
  }

  #sealIn(ms: number): void {
    if (this.#closing || !this.#worker) return
    this.#timer = setTimeout(() => {
      // Blocks need room; without it deleting comes first.
      if (this.store.obstacle()) return this.#sealIn(sealRetry)
      const { now, elapsed } = this.options
      const few = elapsed() - this.#roundAt >= roundEvery
      if (few) [this.#inRound, this.#roundAt] = [true, elapsed()]
      const collect = this.#inRound && elapsed() >= this.#collectAt
      this.#tell({
        what: "seal",
        few,
        today: this.#inRound ? Math.floor(now() / dayMs) : undefined,
        collect,
      })
    }, ms)
  }

  async #store({ work, failure }: { work: SealedBatch | undefined; failure?: string }): Promise<void> {
    if (this.#closing) return
    if (failure !== undefined) this.options.onFault(new Error(failure))
    if (!work) {
      const at = this.options.elapsed()
      if (this.#inRound && at >= this.#collectAt) this.#collectAt = at + dayMs
      this.#inRound = false
    }
    if (!work) return this.#sealIn(failure === undefined ? sealPoll : sealRetry)
    try {
      await this.store.batcher.run(() => applySealedBatch(this.store.db, work), 0)
      this.#sealIn(sealPause)
    } catch (error) {
      this.options.onFault(error)
      this.#sealIn(sealRetry)
    }
  }
}

function errorOf({ kind, message, stack }: Failure): Error {
  if (kind === "refused") return new RequestError("invalid_shape", { detail: message })
  if (kind === "tooLarge") return new OutOfMemoryBudgetError(message)
  const fault = new Error(message)
  if (stack !== undefined) fault.stack = stack
  return fault
}
