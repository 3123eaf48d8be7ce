import { RequestError } from "../../errors.ts"

/** How many requests with queries run and wait, in requests unless said otherwise. */
export interface QueueLimits {
  /** Running together, those of one caller, and those with share links together: anybody can have one. */
  running: number
  runningOfCaller: number
  runningShared: number
  /** Waiting together, and those of one caller. */
  waiting: number
  waitingOfCaller: number
  /** Bytes of memory that waiting requests take together. */
  waitingBytes: number
  /** ms that a request waits before it is refused. */
  patience: number
}

/**
 * One thread answers all queries, so more requests at once are no faster: six keep it busy while one of them reads its answer. A page of the
 * dashboard sends up to ten at once, and an office with one share link behind one address some pages of them.
 */
export const standardQueueLimits: QueueLimits = {
  running: 6,
  runningOfCaller: 2,
  runningShared: 3,
  waiting: 256,
  waitingOfCaller: 64,
  waitingBytes: 33_554_432,
  patience: 60_000,
}

/** Whose request it is. */
export interface Client {
  /** Tells callers apart: a key, a login session, or a share link with an address. */
  name: string
  /** By a share link. */
  isShared: boolean
}

interface Waiting extends Client {
  bytes: number
  start: () => void
}

/** Seconds, the Retry-After of a refused request. */
const retryAfter = 2

/** Lets a few requests with queries run at a time; free places go to the callers by turns. */
export class QueryQueue {
  /** Waiting requests by caller; the caller whose turn it is comes first. */
  readonly #waiting = new Map<string, Waiting[]>()
  readonly #running = new Map<string, number>()
  #runningAll = 0
  #runningShared = 0
  #waitingAll = 0
  #waitingBytes = 0

  constructor(private readonly limits: QueueLimits) {}

  /**
   * Does `work` when it is its turn. `bytes`: of memory that the request takes while it waits. Throws `rate_limited` where this
   * caller has too many waiting, `queries_full` where all together have or it waited too long, and the signal's reason.
   */
  async run<Result>(
    client: Client,
    bytes: number,
    signal: AbortSignal,
    work: () => Promise<Result>,
  ): Promise<Result> {
    signal.throwIfAborted()
    if (this.#mayStart(client)) this.#start(client)
    else await this.#turn(client, bytes, signal)
    try {
      return await work()
    } finally {
      this.#end(client)
    }
  }

  /** Settles when it counts as running. */
  #turn({ name, isShared }: Client, bytes: number, signal: AbortSignal): Promise<void> {
    const { waiting, waitingOfCaller, waitingBytes, patience } = this.limits
    const own = this.#waiting.get(name) ?? []
    if (own.length >= waitingOfCaller) {
      const detail = `${waitingOfCaller} queries of yours are waiting already: send fewer at once, or put several parameters into one`
      throw new RequestError("rate_limited", { retryAfter, detail })
    }
    if (this.#waitingAll >= waiting || this.#waitingBytes + bytes > waitingBytes) {
      throw new RequestError("queries_full", { retryAfter })
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer)
        signal.removeEventListener("abort", abort)
        this.#waitingAll--
        this.#waitingBytes -= bytes
        own.splice(own.indexOf(entry), 1)
        if (own.length === 0) this.#waiting.delete(name)
      }
      const start = () => {
        leave()
        resolve()
      }
      const abort = () => {
        leave()
        reject(signal.reason)
      }
      const timer = setTimeout(() => {
        leave()
        reject(new RequestError("queries_full", { retryAfter }))
      }, patience)
      const entry: Waiting = { name, isShared, bytes, start }
      signal.addEventListener("abort", abort)
      own.push(entry)
      this.#waiting.set(name, own)
      this.#waitingAll++
      this.#waitingBytes += bytes
    })
  }

  #mayStart({ name, isShared }: Client): boolean {
    const { running, runningOfCaller, runningShared } = this.limits
    if (this.#runningAll >= running || (isShared && this.#runningShared >= runningShared)) return false
    return (this.#running.get(name) ?? 0) < runningOfCaller
  }

  #start({ name, isShared }: Client): void {
    this.#runningAll++
    if (isShared) this.#runningShared++
    this.#running.set(name, (this.#running.get(name) ?? 0) + 1)
  }

  #end({ name, isShared }: Client): void {
    this.#runningAll--
    if (isShared) this.#runningShared--
    const others = (this.#running.get(name) ?? 1) - 1
    if (others > 0) this.#running.set(name, others)
    else this.#running.delete(name)
    for (const [caller, [next]] of this.#waiting) {
      if (!next || !this.#mayStart(next)) continue
      this.#start(next)
      next.start()
      const rest = this.#waiting.get(caller)
      if (!rest) return
      // Behind the other callers.
      this.#waiting.delete(caller)
      this.#waiting.set(caller, rest)
      return
    }
  }
}
