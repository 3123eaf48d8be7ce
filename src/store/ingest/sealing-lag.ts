/**
 * Commits are slowed down if there are more than `slowRows` unsealed rows, which keeps the backlog at about this size.
 * They are slowest at `maxRows` or more.
 */
const slowRows = 131_072
const maxRows = 200_000
/** Sealing starts immediately at this number of unsealed rows, which fills one pass of the sealer. */
const fullRows = 65_536
/** Rows per second that are always accepted. A backlog delays events but never stops them. */
const minRate = 10_000
/** Accepted rate as a multiple of the sealing rate, at `slowRows` and at `maxRows` or more. */
const slowShare = 1.5
const fullShare = 0.5
/** Weight of the latest sealing rate in the moving average. */
const latestWeight = 0.3

/**
 * Slows down ingestion when sealing (building column blocks from event rows) falls behind, because each query has to
 * read all unsealed rows. Does nothing until the sealer first reports a row count.
 */
export class SealingLag {
  #unsealed: number | undefined
  /** In rows per second. */
  #rate = 0
  #sealedAt = Number.NEGATIVE_INFINITY

  /** `elapsed` returns the time of a monotonic clock in ms. */
  constructor(private readonly elapsed: () => number) {}

  /** Called when there are enough unsealed rows to start sealing immediately. */
  onFull: () => void = () => {}

  /** True once a row count has been reported. */
  get isKnown(): boolean {
    return this.#unsealed !== undefined
  }

  get isFull(): boolean {
    return (this.#unsealed ?? 0) >= fullRows
  }

  /**
   * Reports the exact number of unsealed rows. Rows that are stored while the sealer counts are only included in the
   * next report.
   */
  report(unsealed: number): void {
    this.#unsealed = unsealed
  }

  stored(rows: number): void {
    if (this.#unsealed === undefined) return
    this.#unsealed += rows
    if (this.isFull) this.onFull()
  }

  sealed(rows: number): void {
    const now = this.elapsed()
    const seconds = (now - this.#sealedAt) / 1_000
    this.#sealedAt = now
    if (this.#unsealed !== undefined) this.#unsealed = Math.max(0, this.#unsealed - rows)
    if (seconds <= 0 || seconds === Number.POSITIVE_INFINITY) return
    const rate = rows / seconds
    this.#rate = this.#rate === 0 ? rate : this.#rate * (1 - latestWeight) + rate * latestWeight
  }

  /** Returns how many ms to wait after a commit of `rows` before the next commit. */
  delayAfter(rows: number): number {
    const unsealed = this.#unsealed ?? 0
    if (unsealed <= slowRows) return 0
    const fullness = Math.min(1, (unsealed - slowRows) / (maxRows - slowRows))
    const share = slowShare + (fullShare - slowShare) * fullness
    return (rows / Math.max(minRate, this.#rate * share)) * 1_000
  }
}
