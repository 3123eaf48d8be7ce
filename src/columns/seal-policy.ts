import { minPartsPastDay, minPartsWhenBusy } from "./merge-plan.ts"

/** ms between checks for rows to seal. */
export const sealInterval = 1_000
/** ms between maintenance rounds, which also seal small numbers of rows, and merge the blocks of past days. */
export const maintenanceInterval = 60_000
/**
 * Rows are sealed when at least this many are unsealed. The number is higher during fast ingestion, because each
 * sealing pass costs a commit. It is lower when no more rows arrive, so that the rows from an import are sealed before
 * the first query.
 */
const minRowsToSeal = 8_192
const minRowsWhenBusy = 65_536
const minRowsAfterLoad = 1_024
/**
 * More rows per second than this count as fast ingestion. `rateInterval`: rows are counted over at least this many ms.
 */
const busyRate = 4_096
const rateInterval = 1_000
/**
 * Queries wait for the sealer if more rows than this are unsealed, because otherwise each query would read all these
 * rows. The limit is higher while events arrive, because there are then always some unsealed rows, so that queries
 * would often have to wait.
 */
export const backlogRows = 16_384
const backlogRowsWhileReceiving = 131_072
/** If more rows than this are added per second, events count as arriving. */
const receivingRate = 64
/**
 * Queries wait at most this many ms for a backlog to be sealed. Waiting pays off because the sealer reads rows about as
 * fast as a query does, and then no other query has to read them.
 */
const maxBacklogWait = 30_000

/** Decides when rows are sealed and whether queries wait for the sealer. `now`: monotonic clock, in ms. */
export class SealPolicy {
  /** The last measurement: arriving rows per second, the time of the measurement, and the last row id at that time. */
  #arrivals: { rate: number; at: number; last: number }
  /** When the number of unsealed rows last rose above the limit. Undefined if it is not above the limit. */
  #backlogSince: number | undefined

  /** `last`: the last row id. */
  constructor(last: number, now: number) {
    this.#arrivals = { rate: 0, at: now, last }
  }

  /** Must be called before each pass, with the number of unsealed rows and the last row id. */
  update(unsealed: number, last: number, now: number): void {
    const arrivals = this.#arrivals
    if (now - arrivals.at >= rateInterval)
      this.#arrivals = { rate: ((last - arrivals.last) / (now - arrivals.at)) * 1_000, at: now, last }
    const isReceiving = this.#arrivals.rate > receivingRate
    if (unsealed <= (isReceiving ? backlogRowsWhileReceiving : backlogRows)) this.#backlogSince = undefined
    else this.#backlogSince ??= now
  }

  /**
   * Returns the minimum number of unsealed rows to seal. `includeFew`: true to seal any number of rows, for example in
   * a maintenance round.
   */
  minRows(includeFew: boolean): number {
    if (includeFew) return 1
    if (this.#isBusy) return minRowsWhenBusy
    return this.#arrivals.rate === 0 ? minRowsAfterLoad : minRowsToSeal
  }

  /** Minimum number of consecutive blocks to merge on a past day. */
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
