import { RequestError } from "../errors.ts"
import { Semaphore } from "../http/semaphore.ts"

/** KiB of memory, and rounds: the least that OWASP recommends for Argon2id, some 30 ms of one core. */
const cost = { algorithm: "argon2id", memoryCost: 19_456, timeCost: 2 } as const
/** Hashes at a time, which run beside the ingestion, on threads of their own; and a quarter of a second of them that may wait. */
const hashes = {
  running: 2,
  waiting: 16,
  full: "too many people are logging in at this moment: try again",
}
/** Of those that may wait, how many may be of people who have not logged in from their address before. */
const waitingStrangers = 12
/** Hashes of one address that run or wait: it must not take all places. */
const hashesOfAddress = 6

/** Who has a password compared. */
export interface PasswordSender {
  address: string
  /** Has logged in from there before. */
  isKnown: boolean
}

/** Hashes passwords, a few at a time: attempts take the processor and memory. */
export class Passwords {
  readonly #turns = new Semaphore(hashes)
  readonly #byAddress = new Map<string, number>()

  /** Argon2id with its parameters and a salt of its own. Throws `rate_limited` where too many wait. */
  hash(password: string): Promise<string> {
    return this.#turns.take(() => Bun.password.hash(password, cost))
  }

  /** Takes as long where there is no hash to compare with. Throws `rate_limited` where too many wait. */
  async verify(
    password: string,
    hash: string | null,
    { address, isKnown }: PasswordSender,
  ): Promise<boolean> {
    const same = this.#byAddress.get(address) ?? 0
    if (same >= hashesOfAddress)
      throw new RequestError("rate_limited", { retryAfter: 1, detail: hashes.full })
    this.#byAddress.set(address, same + 1)
    try {
      return await this.#turns.take(
        () => (hash === null ? this.#compareWithNothing(password) : Bun.password.verify(password, hash)),
        isKnown ? hashes.waiting : waitingStrangers,
      )
    } finally {
      const left = (this.#byAddress.get(address) ?? 1) - 1
      if (left > 0) this.#byAddress.set(address, left)
      else this.#byAddress.delete(address)
    }
  }

  async #compareWithNothing(password: string): Promise<boolean> {
    await Bun.password.hash(password, cost)
    return false
  }
}
