/**
 * Maximum time that the query thread waits for the next query of a request, in ms. The query arrives within about 1 ms
 * unless the main thread is busy.
 */
const maxWait = 5

/**
 * Makes the query thread wait for the next query of a request when the previous one has ended. Without this wait, each
 * query of a dashboard page would wait for a time slice of another caller's query, or for a step of sealing.
 */
export class NextQuery {
  #isExpected = false
  #onArrival: (() => void) | undefined

  /** Called when a query has ended and its request has more queries. */
  expect(): void {
    this.#isExpected = true
  }

  /** Called when a query arrives. */
  arrive(): void {
    this.#isExpected = false
    this.#onArrival?.()
  }

  /**
   * If a query is expected, resolves when one arrives or `maxWait` has passed. Otherwise, resolves once pending
   * messages have been handled.
   */
  wait(): Promise<void> {
    return new Promise((resolve) => {
      if (!this.#isExpected) {
        setImmediate(resolve)
        return
      }
      this.#isExpected = false
      const stop = () => {
        clearTimeout(timer)
        this.#onArrival = undefined
        resolve()
      }
      const timer = setTimeout(stop, maxWait)
      this.#onArrival = stop
    })
  }
}
