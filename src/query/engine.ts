import { dayMs } from "../columns/batch.ts"
import { store, type Work } from "../columns/seal.ts"
import type { Batcher } from "../store/batcher.ts"
import type { Db } from "../store/native.ts"
import { TooLarge } from "./distinct.ts"
import type { AnswerOf, Meta, Question } from "./question.ts"
import type { News, Order } from "./worker.ts"

/** Set by src/build.ts. */
declare const BUILD_COMMIT: string | undefined

/** In a binary all code is one file in the repository's root, and the Worker keeps the path that it was built from. */
const workerFile = typeof BUILD_COMMIT === "string" ? "./src/query/worker.ts" : "./worker.ts"

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

/** Whoever answers questions. */
export interface Asker {
  /** Rejects with TooLarge, with the signal's reason once it is aborted, or with a fault. */
  ask<Asked extends Question>(
    question: Asked,
    signal: AbortSignal,
  ): Promise<{ answer: AnswerOf<Asked>; meta: Meta }>
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
  resolve: (answered: { answer: unknown; meta: Meta }) => void
  reject: (error: unknown) => void
  since: number
}

/** Answers questions in a thread of its own, which also makes the column blocks; the main thread stores them between its commits. */
export class Engine implements Asker {
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
    this.#roundAt = options.elapsed()
    this.#collectAt = this.#roundAt + firstCollect
    this.#begin()
  }

  #begin(): void {
    const worker = new Worker(new URL(workerFile, import.meta.url))
    worker.onerror = ({ message }) => this.#beginAnew(new Error(message))
    worker.onmessage = ({ data }: MessageEvent<News>) => this.#hear(data)
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

  ask<Asked extends Question>(
    question: Asked,
    signal: AbortSignal,
  ): Promise<{ answer: AnswerOf<Asked>; meta: Meta }> {
    return new Promise((resolve, reject) => {
      if (signal.aborted || !this.#worker) {
        reject(
          signal.aborted ? signal.reason : new Error("the thread that answers questions is just begun anew"),
        )
        return
      }
      const id = this.#next++
      signal.addEventListener("abort", () => {
        if (!this.#waiting.delete(id)) return
        this.#tell({ what: "stop", id })
        reject(signal.reason)
      })
      this.#waiting.set(id, {
        resolve: resolve as Waiting["resolve"],
        reject,
        since: this.options.elapsed(),
      })
      this.#tell({ what: "ask", id, question })
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

  #tell(order: Order): void {
    this.#worker?.postMessage(order)
  }

  #hear(news: News): void {
    if (news.what === "closed") this.#closing?.()
    else if (news.what === "work") void this.#store(news)
    else {
      const waiting = this.#waiting.get(news.id)
      if (!waiting) return
      this.#waiting.delete(news.id)
      if (news.what === "answer") {
        const { answer, meta } = news.answered
        waiting.resolve({ answer, meta: { ...meta, ms: this.options.elapsed() - waiting.since } })
      } else waiting.reject(news.tooLarge ? new TooLarge(news.message) : new Error(news.message))
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

  async #store({ work, failure }: { work: Work | undefined; failure?: string }): Promise<void> {
    if (this.#closing) return
    if (failure !== undefined) this.options.onFault(new Error(failure))
    if (!work) {
      const at = this.options.elapsed()
      if (this.#inRound && at >= this.#collectAt) this.#collectAt = at + dayMs
      this.#inRound = false
    }
    if (!work) return this.#sealIn(failure === undefined ? sealPoll : sealRetry)
    try {
      await this.store.batcher.run(() => store(this.store.db, work), 0)
      this.#sealIn(sealPause)
    } catch (error) {
      this.options.onFault(error)
      this.#sealIn(sealRetry)
    }
  }
}
