import { Turns } from "../http/turns.ts"

/** KiB of memory, and rounds: the least that OWASP recommends for Argon2id, some 30 ms of one core. */
const cost = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const
/** Hashes at a time, which run beside the ingestion, on threads of their own; and a quarter of a second of them that may wait. */
const hashes = {
  running: 2,
  waiting: 16,
  full: "too many people are logging in at this moment: try again",
}

/** Hashes passwords, a few at a time: attempts take the processor and memory. */
export class Passwords {
  readonly #turns = new Turns(hashes)

  /** Argon2id with its parameters and a salt of its own. Throws `rate_limited` where too many wait. */
  hash(password: string): Promise<string> {
    return this.#turns.take(() => Bun.password.hash(password, cost))
  }

  /** Takes as long where there is no hash to compare with. Throws `rate_limited` where too many wait. */
  async verify(password: string, hash: string | null): Promise<boolean> {
    if (hash !== null) return this.#turns.take(() => Bun.password.verify(password, hash))
    await this.hash(password)
    return false
  }
}
