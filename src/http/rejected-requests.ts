import { type FieldError, type Reason, rejections } from "../errors.ts"
import { type Log, makeThrottle, type Throttle } from "../log.ts"

/** A request to /track or /identify that was not carried out: enough to find the mistake, and no value of what was sent. */
export interface RejectedRequest {
  /** Unix ms */
  at: number
  path: string
  /** The one website that it was for, as it was sent; null: none was named, or several. */
  websiteId: string | null
  reason: Reason
  /** How many it held; null where the body could not be read, or holds none. */
  events: number | null
  /** Of the events. */
  names: string[]
  /** Of their properties, or the traits. */
  keys: string[]
  /** The first bad fields, where it was those. */
  fields: FieldError[]
  /** What the website would have to allow, where the origin was refused: a host, or an app's whole origin; null: it said none. */
  origin?: string | null
}

/** Entries that are kept; the oldest goes first. At the limits of src/ingest/describe-rejected.ts some 6 MB. */
export const keptRefusals = 1_000

/** The last refused requests, in memory, and how many there were for each reason. */
export class RejectedRequests {
  readonly #ring: RejectedRequest[] = []
  #oldest = 0
  readonly #counts = new Map<Reason, number>()
  readonly #throttle: Throttle

  /** `elapsed`: ms of a clock that is never set. */
  constructor(
    private readonly log: Log,
    elapsed: () => number,
  ) {
    this.#throttle = makeThrottle(elapsed)
  }

  /** Keeps it, and logs it: each reason once a second at most. `where`: what the line says besides. */
  add(
    refused: RejectedRequest,
    where: { request_id: string | undefined; website: string | undefined },
  ): void {
    const { reason, path } = refused
    if (this.#ring.length < keptRefusals) this.#ring.push(refused)
    else {
      this.#ring[this.#oldest] = refused
      this.#oldest = (this.#oldest + 1) % keptRefusals
    }
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1)
    // The fault behind it has its own line.
    if (reason === "internal") return
    const { status } = rejections[reason]
    this.#throttle(reason, (more) =>
      this.log(status >= 500 ? "warn" : "info", "refused", { reason, status, path, ...where, more }),
    )
  }

  /** The newest first. */
  list(): RejectedRequest[] {
    return [...this.#ring.slice(this.#oldest), ...this.#ring.slice(0, this.#oldest)].reverse()
  }

  /** How many there were since the start, by reason. */
  counts(): ReadonlyMap<Reason, number> {
    return this.#counts
  }
}
