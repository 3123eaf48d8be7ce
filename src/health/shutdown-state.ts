/** Records whether the server is stopping, and counts requests that stay open until it has stopped. */
export class ShutdownState {
  #active = false
  #held = 0

  /** True after the stop signal, even while requests are still accepted. */
  get active(): boolean {
    return this.#active
  }

  /** Number of requests that are held open until their connection closes. The shutdown does not wait for them. */
  get held(): number {
    return this.#held
  }

  start(): void {
    this.#active = true
  }

  /** Holds a request open. The promise never settles. The request ends when its connection closes. */
  hold(signal: AbortSignal): Promise<never> {
    this.#held++
    signal.addEventListener("abort", () => this.#held--, { once: true })
    return new Promise(() => {})
  }
}
