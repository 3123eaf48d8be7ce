import { minPartsPastDay, minPartsWhenBusy } from "./merge-plan.ts"

/** ms between two checks for rows to seal. */
export const sealInterval = 1_000
/** ms between two maintenance rounds, which also seal a few rows and merge the blocks of past days. */
export const maintenanceInterval = 60_000
/**
 * Minimum unsealed rows to seal. It is higher during fast ingestion, because every seal costs a commit. It is lower
 * when no more rows arrive, so that rows are sealed before the first query after an import.
 */
const minRowsToSeal = 8_192
const minRowsWhenBusy = 65_536
const minRowsAfterLoad = 1_024
/** Rows per second that count as fast ingestion, and the period in ms over which they are counted. */
const busyRate = 4_096
const rateInterval = 1_000
/**
 * Queries wait for the sealer if there are more unsealed rows than this, because otherwise each query would read all of
 * them. The limit is higher while events arrive, because there are always unsealed rows then and queries would keep
 * waiting.
 */
export const backlogRows = 16_384
const backlogRowsWhileReceiving = 131_072
/** Events count as arriving above this many rows per second. */
const receivingRate = 64
/** Maximum ms that queries wait for a backlog. The sealer reads rows about as fast as a query, but only once. */
const maxBacklogWait = 30_000

/** Decides when rows are sealed and whether queries wait for the sealer. `now`: monotonic clock, in ms. */
export class SealPolicy {
  /** Arriving rows per second, the time of that measurement, and the last row id at that time. */
  #arrivals: { rate: number; at: number; last: number }
  /** When the number of unsealed rows rose above the limit. Undefined if it is not above the limit. */
  #backlogSince: number | undefined

  /** `last`: the last row id. */
  constructor(last: number, now: number) {
    this.#arrivals = { rate: 0, at: now, last }
  }

  /** Called before each pass, with the number of unsealed rows and the last row id. */
  update(unsealed: number, last: number, now: number): void {
    const arrivals = this.#arrivals
    if (now - arrivals.at >= rateInterval)
      this.#arrivals = { rate: ((last - arrivals.last) / (now - arrivals.at)) * 1_000, at: now, last }
    const isReceiving = this.#arrivals.rate > receivingRate
    if (unsealed <= (isReceiving ? backlogRowsWhileReceiving : backlogRows)) this.#backlogSince = undefined
    else this.#backlogSince ??= now
  }

  /** Returns the minimum unsealed rows to seal. `includeFew`: seals any number of rows, as in a maintenance round. */
  minRows(includeFew: boolean): number {
    if (includeFew) return 1
    if (this.#isBusy) return minRowsWhenBusy
    return this.#arrivals.rate === 0 ? minRowsAfterLoad : minRowsToSeal
  }

  /** Minimum number of neighboring blocks to merge in a past day. */
  get minParts(): number {
    return this.#isBusy ? minPartsWhenBusy : minPartsPastDay
  }

  /** True if queries must wait because there are too many unsealed rows. */
  hasBacklog(now: number): boolean {
    return this.#backlogSince !== undefined && now - this.#backlogSince < maxBacklogWait
  }

  get #isBusy(): boolean {
    return this.#arrivals.rate > busyRate
  }
}
