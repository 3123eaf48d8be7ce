import { RequestError } from "../errors.ts"
import { type RejectionReason, rejections } from "../rejection-reasons.ts"
import type { TrustedNetworks } from "./address.ts"
import { rateLimitHeaders } from "./rate-limits.ts"
import { addressOf, type RequestContext } from "./request-context.ts"

/**
 * Maximum number of rejected bodies of maximum size, per minute and address. Rejecting one takes up to 100 ms, nearly
 * all of it in the JSON parser (with 170,000 distinct keys), so an address uses less than 1% of the main thread.
 */
const bodiesPerAddress = 4
/**
 * The same limit for a key or login. It is higher because the owner is known, and a bug in one program must not block
 * others that share the key.
 */
const bodiesPerAccount = 32
const minute = 60_000
/**
 * Minimum duration of a block, in ms. A shorter block would stop only every other request from a sender of small
 * bodies.
 */
const minWait = 5_000
/** Maximum number of senders in memory. Each takes 150 bytes. The least recently seen sender is evicted first. */
const maxSenders = 20_000

interface Level {
  bytes: number
  /** Time of the last update, in ms. */
  updatedAt: number
}

interface Sender {
  name: string
  /** Maximum number of rejected bodies of the maximum size per minute. */
  bodies: number
}

export interface RejectedBytesDeps {
  rejectedBytes: RejectedBytes
  settings: { trustedProxies: TrustedNetworks }
}

/**
 * Leaky buckets that count rejected body bytes by sender: a valid key or login, or otherwise the address. If a sender
 * exceeds its limit, its requests are rejected before their bodies are read, because invalid bodies are the most
 * expensive, and rate limits by credential do not apply to them.
 */
export class RejectedBytes {
  readonly #levels = new Map<string, Level>()
  /**
   * For each blocked sender, the time when the block ends, in ms. The map is nearly always empty, so the check costs
   * almost nothing.
   */
  readonly #blocked = new Map<string, number>()

  /** `maxBodyBytes`: maximum size of a body. `elapsed`: monotonic clock, in ms. */
  constructor(
    private readonly maxBodyBytes: number,
    private readonly elapsed: () => number,
  ) {}

  /** True if any sender is blocked. */
  get isBlocking(): boolean {
    return this.#blocked.size > 0
  }

  /** Counts the rejected bytes of a sender and blocks the sender if it exceeds its limit. */
  add({ name, bodies }: Sender, bytes: number): void {
    const now = this.elapsed()
    const limit = bodies * this.maxBodyBytes
    const last = this.#levels.get(name)
    // The bucket leaks `limit` bytes per minute.
    const remaining = last ? Math.max(0, last.bytes - ((now - last.updatedAt) * limit) / minute) : 0
    const level = remaining + bytes
    this.#levels.delete(name)
    if (this.#levels.size >= maxSenders) {
      const oldest = this.#levels.keys().next().value as string
      this.#levels.delete(oldest)
      this.#blocked.delete(oldest)
    }
    this.#levels.set(name, { bytes: level, updatedAt: now })
    if (level >= limit) this.#blocked.set(name, now + ((level - limit) * minute) / limit + minWait)
  }

  /** Throws `too_many_rejected_bytes` if the sender is blocked. */
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

/**
 * Throws `too_many_rejected_bytes` if the sender is blocked. Other senders at the same address do not affect a valid
 * key or login.
 */
export function enforceRejectedBytes(
  { rejectedBytes, settings }: RejectedBytesDeps,
  context: RequestContext,
): void {
  if (rejectedBytes.isBlocking) rejectedBytes.check(senderOf(context, settings.trustedProxies))
}

/**
 * Reasons that do not count, because the body was valid and other limits apply to it. Such rejections must not block
 * other senders at the same address.
 */
const notCounted: ReadonlySet<RejectionReason> = new Set(["rate_limited", "too_many_new_names"])

/** Counts the body of a rejected request, unless the server failed or the body was valid. */
export function countRejectedBytes(
  { rejectedBytes, settings }: RejectedBytesDeps,
  context: RequestContext,
  error: unknown,
): void {
  if (context.bytes === 0 || !(error instanceof RequestError)) return
  if (rejections[error.reason].status >= 500 || notCounted.has(error.reason)) return
  rejectedBytes.add(senderOf(context, settings.trustedProxies), context.bytes)
}

function senderOf(context: RequestContext, trustedProxies: TrustedNetworks): Sender {
  return context.account === undefined
    ? { name: addressOf(context, trustedProxies), bodies: bodiesPerAddress }
    : { name: context.account, bodies: bodiesPerAccount }
}
