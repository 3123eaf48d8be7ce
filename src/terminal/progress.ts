import type { Context } from "./context.ts"

/** ms between two pictures: more often nobody can read. */
const pause = 100

/** One line on standard error that is written over and over, where that is a terminal; elsewhere nothing. */
export class Progress {
  readonly #shown: boolean
  #last = Number.NEGATIVE_INFINITY
  #width = 0

  /** `wanted`: false where the line would run into what the command prints. */
  constructor(
    private readonly context: Context,
    wanted = true,
  ) {
    this.#shown = wanted && context.errIsTerminal
  }

  show(line: () => string): void {
    const now = this.context.world.elapsed()
    if (!this.#shown || now - this.#last < pause) return
    this.#last = now
    const text = line()
    this.context.err(`\r${text.padEnd(this.#width)}`)
    this.#width = text.length
  }

  /** Whatever is printed next begins on a line of its own. */
  end(): void {
    if (this.#width > 0) this.context.err("\n")
    this.#width = 0
  }
}
