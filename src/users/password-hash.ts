import { RequestError } from "../errors.ts"
import { Semaphore } from "../http/semaphore.ts"

/** `memoryCost` is in KiB. `timeCost` is the number of iterations. */
interface HashCost {
  memoryCost: number
  timeCost: number
}

/** The OWASP minimum for Argon2id. A hash takes about 30 ms on one core. */
const minimumCost: HashCost = { memoryCost: 19_456, timeCost: 2 }
/**
 * Maximum number of hashes that are computed at the same time (each in its own thread), and maximum number that wait. A
 * full queue takes 0.25 s to process.
 */
const hashes = {
  running: 2,
  waiting: 16,
  full: "too many logins are in progress; retry after the time in Retry-After",
}
/**
 * Maximum number of waiting hashes for a login from an unknown address. The remaining places are reserved for known
 * addresses.
 */
const maxWaitingUnknown = 12
/** Maximum number of running and waiting hashes per address, so that a single address cannot use up all slots. */
const maxPerAddress = 6

/** The sender of a login attempt. */
export interface PasswordSender {
  address: string
  /** True if the user has logged in from this address before. */
  isKnown: boolean
}

/** Hashes and verifies passwords with limited concurrency, because hashing uses CPU time and memory. */
export class PasswordHasher {
  readonly #semaphore = new Semaphore(hashes)
  readonly #byAddress = new Map<string, number>()
  readonly #algorithm: Bun.Password.Argon2Algorithm

  constructor(cost = minimumCost) {
    this.#algorithm = { algorithm: "argon2id", ...cost }
  }

  /**
   * Returns an Argon2id hash, including its parameters and a random salt. Throws `rate_limited` if too many hashes are
   * waiting.
   */
  hash(password: string): Promise<string> {
    return this.#semaphore.run(() => Bun.password.hash(password, this.#algorithm))
  }

  /**
   * Compares a password with a hash. If `hash` is null, takes the same time and returns false, so that the duration
   * does not reveal whether a user exists. Throws `rate_limited` if too many hashes are waiting.
   */
  async verify(
    password: string,
    hash: string | null,
    { address, isKnown }: PasswordSender,
  ): Promise<boolean> {
    const count = this.#byAddress.get(address) ?? 0
    if (count >= maxPerAddress) throw new RequestError("rate_limited", { retryAfter: 1, detail: hashes.full })
    this.#byAddress.set(address, count + 1)
    try {
      return await this.#semaphore.run(
        () => (hash === null ? this.#simulateVerify(password) : Bun.password.verify(password, hash)),
        isKnown ? hashes.waiting : maxWaitingUnknown,
      )
    } finally {
      const remaining = (this.#byAddress.get(address) ?? 1) - 1
      if (remaining > 0) this.#byAddress.set(address, remaining)
      else this.#byAddress.delete(address)
    }
  }

  async #simulateVerify(password: string): Promise<boolean> {
    await Bun.password.hash(password, this.#algorithm)
    return false
  }
}
