import type { FieldError } from "../errors.ts"
import { createThrottle, type Log, type Throttle } from "../log.ts"
import { type RejectionReason, rejections } from "../rejection-reasons.ts"

/**
 * A rejected request to an ingestion route. The details should be enough to find the mistake, but they contain no sent
 * values.
 */
export interface RejectedRequest {
  /** Unix ms */
  at: number
  path: string
  /** The website id that was sent. Null if the request had none or several. */
  websiteId: string | null
  reason: RejectionReason
  /** Number of events. Null if the body could not be read or the route does not accept events. */
  events: number | null
  names: string[]
  /** Keys of properties or traits. */
  keys: string[]
  /** The first invalid fields. Empty for reasons other than `invalid_shape`. */
  fields: FieldError[]
  /**
   * Set for `origin_not_allowed`. The host (or an app's whole origin) that the website would have to allow, or null if
   * the request had no origin.
   */
  origin?: string | null
}

/**
 * Maximum number of requests to store. They take 6 MB if all entries are at the limits of
 * src/ingest/describe-rejected.ts.
 */
export const maxRejectedRequests = 1_000

/** The most recent rejected requests, in memory, and the number of rejected requests by reason. */
export class RejectedRequests {
  readonly #ring: RejectedRequest[] = []
  #oldest = 0
  readonly #counts = new Map<RejectionReason, number>()
  readonly #throttle: Throttle

  /** `elapsed`: monotonic clock, in ms. */
  constructor(
    private readonly log: Log,
    elapsed: () => number,
  ) {
    this.#throttle = createThrottle(elapsed)
  }

  /**
   * Stores the request, and logs it at most once a second for each reason. `logFields`: additional fields of the log
   * line.
   */
  add(
    rejected: RejectedRequest,
    logFields: { request_id: string | undefined; website: string | undefined },
  ): void {
    const { reason, path } = rejected
    if (this.#ring.length < maxRejectedRequests) this.#ring.push(rejected)
    else {
      this.#ring[this.#oldest] = rejected
      this.#oldest = (this.#oldest + 1) % maxRejectedRequests
    }
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1)
    // The error itself is logged elsewhere.
    if (reason === "internal") return
    const { status } = rejections[reason]
    this.#throttle(reason, (more) =>
      this.log(status >= 500 ? "warn" : "info", "refused", { reason, status, path, ...logFields, more }),
    )
  }

  /** Lists the requests, newest first. */
  list(): RejectedRequest[] {
    return [...this.#ring.slice(this.#oldest), ...this.#ring.slice(0, this.#oldest)].reverse()
  }

  /** Returns the number of rejected requests since the start, by reason. */
  counts(): ReadonlyMap<RejectionReason, number> {
    return this.#counts
  }
}
