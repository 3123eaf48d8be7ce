/** Whether the server is stopping, and how many requests wait for that alone. */
export class Draining {
  #active = false
  #held = 0

  /** True from the signal to stop on, also while requests are still accepted. */
  get active(): boolean {
    return this.#active
  }

  /** Requests that end only with their connection. A stop does not wait for them. */
  get held(): number {
    return this.#held
  }

  start(): void {
    this.#active = true
  }

  /** Never settles: the request ends when its client goes or the server closes the connection. */
  hold(signal: AbortSignal): Promise<never> {
    this.#held++
    signal.addEventListener("abort", () => this.#held--, { once: true })
    return new Promise(() => {})
  }
}
