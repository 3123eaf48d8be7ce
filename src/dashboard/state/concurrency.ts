/** Runs at most `max` tasks at a time. Other tasks wait, and start in order of arrival. */
export class ConcurrencyLimit {
  #running = 0
  readonly #waiting: (() => void)[] = []

  constructor(private readonly max: number) {}

  /** Rejects without running the task if the signal is aborted before the task starts. */
  async run<Result>(task: () => Promise<Result>, signal: AbortSignal): Promise<Result> {
    if (this.#running < this.max) this.#running++
    // Waits for a finished task to pass on its slot, so `#running` stays the same.
    else await new Promise<void>((resolve) => this.#waiting.push(resolve))
    try {
      signal.throwIfAborted()
      return await task()
    } finally {
      const next = this.#waiting.shift()
      if (next) next()
      else this.#running--
    }
  }
}
