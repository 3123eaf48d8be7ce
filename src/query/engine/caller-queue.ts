import { RequestError } from "../../errors.ts"

/** Limits of the queue, in requests unless noted otherwise. */
export interface QueueLimits {
  /** Maximum number of running requests. */
  running: number
  runningPerCaller: number
  /** Maximum number of running requests from all share links together, because anyone may have a link. */
  runningShared: number
  /** Maximum number of waiting requests. */
  waiting: number
  waitingPerCaller: number
  /** Maximum memory for all waiting requests, in bytes. */
  waitingBytes: number
  /** How long a request waits before it is rejected, in ms. */
  maxWait: number
}

/**
 * A single thread executes all queries, so more parallel requests would not be faster. Six requests keep the thread
 * busy while clients read their responses. A dashboard page sends up to ten requests at once. People in one office can
 * share an IP address and a share link, and have several dashboard pages open.
 */
export const defaultQueueLimits: QueueLimits = {
  running: 6,
  runningPerCaller: 2,
  runningShared: 3,
  waiting: 256,
  waitingPerCaller: 64,
  waitingBytes: 33_554_432,
  maxWait: 60_000,
}

/** The sender of a request. */
export interface Client {
  /** Identifies the caller by key, login session, or share link and address. */
  name: string
  /** True if the request uses a share link. */
  isShared: boolean
}

interface WaitingRequest extends Client {
  bytes: number
  start: () => void
}

/** The Retry-After of a rejected request, in seconds. */
const retryAfter = 2

/** Limits how many requests with queries run at once, and serves callers round-robin. */
export class CallerQueue {
  /** Waiting requests by caller. The first entry is the next caller. */
  readonly #waiting = new Map<string, WaitingRequest[]>()
  /** Running requests by caller. */
  readonly #running = new Map<string, number>()
  #runningTotal = 0
  #runningShared = 0
  #waitingTotal = 0
  #waitingBytes = 0

  constructor(private readonly limits: QueueLimits) {}

  /**
   * Runs `task` as soon as a slot is free. `bytes` is the memory that the request takes up while it waits. Throws
   * `rate_limited` if this caller has too many waiting requests, `queries_full` if the queue is full or the wait is too
   * long, or the signal's reason if the signal is aborted.
   */
  async run<Result>(
    client: Client,
    bytes: number,
    signal: AbortSignal,
    task: () => Promise<Result>,
  ): Promise<Result> {
    signal.throwIfAborted()
    if (this.#canStart(client)) this.#start(client)
    else await this.#waitForSlot(client, bytes, signal)
    try {
      return await task()
    } finally {
      this.#end(client)
    }
  }

  /** Resolves once the request counts as running. */
  #waitForSlot({ name, isShared }: Client, bytes: number, signal: AbortSignal): Promise<void> {
    const { waiting, waitingPerCaller, waitingBytes, maxWait } = this.limits
    const waitingOfCaller = this.#waiting.get(name) ?? []
    if (waitingOfCaller.length >= waitingPerCaller) {
      const detail = `${waitingPerCaller} of your queries are already waiting: send fewer at a time, or combine several parameters in one request`
      throw new RequestError("rate_limited", { retryAfter, detail })
    }
    if (this.#waitingTotal >= waiting || this.#waitingBytes + bytes > waitingBytes) {
      throw new RequestError("queries_full", { retryAfter })
    }
    return new Promise((resolve, reject) => {
      const leave = () => {
        clearTimeout(timer)
        signal.removeEventListener("abort", abort)
        this.#waitingTotal--
        this.#waitingBytes -= bytes
        waitingOfCaller.splice(waitingOfCaller.indexOf(request), 1)
        if (waitingOfCaller.length === 0) this.#waiting.delete(name)
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
      }, maxWait)
      const request: WaitingRequest = { name, isShared, bytes, start }
      signal.addEventListener("abort", abort)
      waitingOfCaller.push(request)
      this.#waiting.set(name, waitingOfCaller)
      this.#waitingTotal++
      this.#waitingBytes += bytes
    })
  }

  #canStart({ name, isShared }: Client): boolean {
    const { running, runningPerCaller, runningShared } = this.limits
    if (this.#runningTotal >= running || (isShared && this.#runningShared >= runningShared)) return false
    return (this.#running.get(name) ?? 0) < runningPerCaller
  }

  #start({ name, isShared }: Client): void {
    this.#runningTotal++
    if (isShared) this.#runningShared++
    this.#running.set(name, (this.#running.get(name) ?? 0) + 1)
  }

  #end({ name, isShared }: Client): void {
    this.#runningTotal--
    if (isShared) this.#runningShared--
    const left = (this.#running.get(name) ?? 1) - 1
    if (left > 0) this.#running.set(name, left)
    else this.#running.delete(name)
    for (const [caller, [next]] of this.#waiting) {
      if (!next || !this.#canStart(next)) continue
      this.#start(next)
      next.start()
      const rest = this.#waiting.get(caller)
      if (!rest) return
      // Moves the caller to the back of the queue.
      this.#waiting.delete(caller)
      this.#waiting.set(caller, rest)
      return
    }
  }
}
