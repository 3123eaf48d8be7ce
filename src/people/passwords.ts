import { Refusal } from "../errors.ts"

/** KiB of memory, and rounds: the least that OWASP recommends for Argon2id, some 30 ms of one core. */
const cost = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const
/** Hashes at a time: they run beside the ingestion, on threads of their own. */
const maxRunning = 2
/** Hashes that may wait for their turn: a quarter of a second of them. */
const maxWaiting = 16
/** Seconds, the Retry-After of one more. */
const retryAfter = 1

/** Hashes passwords, a few at a time, so that nobody can use up the processor or the memory with attempts. */
export class Passwords {
  #running = 0
  readonly #waiting: (() => void)[] = []

  /** Argon2id with its parameters and a salt of its own. Throws `rate_limited` where too many wait. */
  hash(password: string): Promise<string> {
    return this.#inTurn(() => Bun.password.hash(password, cost))
  }

  /** Takes as long where there is no hash to compare with. Throws `rate_limited` where too many wait. */
  async verify(password: string, hash: string | null): Promise<boolean> {
    if (hash !== null) return this.#inTurn(() => Bun.password.verify(password, hash))
    await this.hash(password)
    return false
  }

  async #inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#running >= maxRunning) await this.#turn()
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
  #turn(): Promise<void> {
    if (this.#waiting.length >= maxWaiting) {
      const detail = "too many people are logging in at this moment: try again"
      throw new Refusal("rate_limited", { retryAfter, detail })
    }
    return new Promise((resolve) => this.#waiting.push(resolve))
  }
}
