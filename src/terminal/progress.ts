import type { Context } from "./context.ts"

/** Time between updates in ms. Faster updates would be unreadable. */
const redrawInterval = 100

/**
 * A progress line on standard error, which is overwritten in place. Prints nothing if standard error is not a terminal.
 */
export class Progress {
  readonly #enabled: boolean
  #lastUpdate = Number.NEGATIVE_INFINITY
  #width = 0

  /** `enabled` must be false if the line would be mixed with the command's output. */
  constructor(
    private readonly context: Context,
    enabled = true,
  ) {
    this.#enabled = enabled && context.errIsTerminal
  }

  show(line: () => string): void {
    const now = this.context.environment.elapsed()
    if (!this.#enabled || now - this.#lastUpdate < redrawInterval) return
    this.#lastUpdate = now
    const text = line()
    this.context.err(`\r${text.padEnd(this.#width)}`)
    this.#width = text.length
  }

  /** Ends the line, so that the next output starts on a new line. */
  end(): void {
    if (this.#width > 0) this.context.err("\n")
    this.#width = 0
  }
}
