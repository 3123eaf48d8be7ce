import { RequestError } from "../errors.ts"

/** Seconds, the Retry-After of one more than may wait. */
const retryAfter = 1

/** Work of which a few run at a time and a few more wait, so that nobody can use up with requests what it takes. */
export class Semaphore {
  #running = 0
  readonly #waiting: (() => void)[] = []

  /** `full`: what one more than may wait is told. */
  constructor(private readonly options: { running: number; waiting: number; full: string }) {}

  /** Does `work` when it is its turn. Throws `rate_limited` where `waiting` others wait already. */
  async take<Result>(work: () => Promise<Result>, waiting = this.options.waiting): Promise<Result> {
    if (this.#running >= this.options.running) await this.#turn(waiting)
    else this.#running++
    try {
      return await work()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }

  /** Settles when one that ran is done, in whose place this one is then. */
  #turn(waiting: number): Promise<void> {
    const { full } = this.options
    if (this.#waiting.length >= waiting) throw new RequestError("rate_limited", { retryAfter, detail: full })
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
