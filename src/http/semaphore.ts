import { RequestError } from "../errors.ts"

/** Seconds in Retry-After when the queue is full. */
const retryAfter = 1

/** Limits concurrent tasks: up to `running` tasks run, up to `waiting` tasks wait, and all others are rejected. */
export class Semaphore {
  #running = 0
  readonly #waiting: (() => void)[] = []

  /**
   * `running` and `waiting`: maximum numbers of running and waiting tasks. `full`: error message for a task that can
   * neither run nor wait.
   */
  constructor(private readonly options: { running: number; waiting: number; full: string }) {}

  /** Runs `work` as soon as a slot is free. Throws `rate_limited` if `waiting` tasks are already waiting. */
  async run<Result>(work: () => Promise<Result>, waiting = this.options.waiting): Promise<Result> {
    if (this.#running >= this.options.running) await this.#wait(waiting)
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  /** Resolves when a running task passes on its slot. */
  #wait(waiting: number): Promise<void> {
    const { full } = this.options
    if (this.#waiting.length >= waiting) throw new RequestError("rate_limited", { retryAfter, detail: full })
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
