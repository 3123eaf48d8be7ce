import { RequestError, rejections } from "../errors.ts"
import type { TrustedNetworks } from "./address.ts"
import { rateLimitHeaders } from "./rate-limits.ts"
import { addressOf, type RequestContext } from "./request-context.ts"

/**
 * Bodies of the largest size that an address may have refused in a minute. To refuse one takes up to 100 ms, nearly all of it in the
 * JSON parser (170,000 different keys), so that is less than a hundredth of the main thread.
 */
const bodiesPerAddress = 4
/** The same of a key or login: its owner is known, and a mistake in one program must not stop the others that share the key. */
const bodiesPerAccount = 32
const minute = 60_000
/** ms for which a sender waits at least: else one that sends small bodies would be refused every other one. */
const leastWait = 5_000
/** Senders that are remembered, at some 150 bytes each. The longest unseen goes first. */
const maxSenders = 20_000

interface Level {
  bytes: number
  /** ms */
  at: number
}

interface Sender {
  name: string
  /** Of the largest size, a minute. */
  bodies: number
}

/** What the budget of rejected bytes works with. */
export interface RejectedBytesCheck {
  rejectedBytes: RejectedBytes
  settings: { trustedProxies: TrustedNetworks }
}

/**
 * How many bytes of each sender were read and refused lately. Whoever had too many is refused before anything is read: a body costs
 * the most when nothing of it is any good, and no limit by credential knows of it. A sender is an address, or a valid key or login.
 */
export class RejectedBytes {
  readonly #levels = new Map<string, Level>()
  /** Sender → when it may send again, ms. Empty nearly always, which makes the check free. */
  readonly #blocked = new Map<string, number>()

  /** `maxBodyBytes`: of the largest body. `elapsed`: ms of a clock that is never set. */
  constructor(
    private readonly maxBodyBytes: number,
    private readonly elapsed: () => number,
  ) {}

  /** False where nobody is to be refused. */
  get isBlocking(): boolean {
    return this.#blocked.size > 0
  }

  add({ name, bodies }: Sender, bytes: number): void {
    const now = this.elapsed()
    const limit = bodies * this.maxBodyBytes
    const known = this.#levels.get(name)
    // The level sinks by the limit in a minute.
    const before = known ? Math.max(0, known.bytes - ((now - known.at) * limit) / minute) : 0
    const level = before + bytes
    this.#levels.delete(name)
    if (this.#levels.size >= maxSenders) {
      const oldest = this.#levels.keys().next().value as string
      this.#levels.delete(oldest)
      this.#blocked.delete(oldest)
    }
    this.#levels.set(name, { bytes: level, at: now })
    if (level >= limit) this.#blocked.set(name, now + ((level - limit) * minute) / limit + leastWait)
  }

  /** Throws `too_many_rejected_bytes`. */
  check({ name, bodies }: Sender): void {
    const until = this.#blocked.get(name)
    if (until === undefined) return
    const now = this.elapsed()
    if (until <= now) {
      this.#blocked.delete(name)
      return
    }
    const reset = Math.ceil((until - now) / 1_000)
    const limit = bodies * this.maxBodyBytes
    throw new RequestError("too_many_rejected_bytes", {
      retryAfter: reset,
      headers: rateLimitHeaders({ allowed: false, limit, remaining: 0, reset }),
    })
  }
}

/** Throws `too_many_rejected_bytes`. A valid key or login is not refused for what others of its address sent. */
export function refuseRejected(
  { rejectedBytes, settings }: RejectedBytesCheck,
  arrival: RequestContext,
): void {
  if (rejectedBytes.isBlocking) rejectedBytes.check(senderOf(arrival, settings.trustedProxies))
}

/** Counts the body of a request that failed with `error`, unless that is no fault of the sender. */
export function countRejected(
  { rejectedBytes, settings }: RejectedBytesCheck,
  arrival: RequestContext,
  error: unknown,
): void {
  if (arrival.bytes === 0 || !(error instanceof RequestError) || rejections[error.reason].status >= 500)
    return
  rejectedBytes.add(senderOf(arrival, settings.trustedProxies), arrival.bytes)
}

function senderOf(arrival: RequestContext, trustedProxies: TrustedNetworks): Sender {
  return arrival.account === undefined
    ? { name: addressOf(arrival, trustedProxies), bodies: bodiesPerAddress }
    : { name: arrival.account, bodies: bodiesPerAccount }
}
