/** Rows that wait to be sealed from which commits are slowed down, and the number to which they are limited. */
const slowRows = 131_072
const maxRows = 200_000
/** Rows from which they are sealed at once: as many as one pass takes. */
const fullRows = 65_536
/** Rows per second that are always accepted: a backlog delays events, but does not stop them. */
const minRate = 10_000
/** Share of the speed of sealing at which rows are accepted: at `slowRows`, and from `maxRows` on. */
const slowShare = 1.5
const fullShare = 0.5
/** Weight of the latest speed in the average. */
const latestWeight = 0.3

/**
 * Slows ingest down while sealing falls behind: each query reads the rows that are not sealed. Knows nothing, and slows nothing, until
 * the first report of the sealing.
 */
export class SealingLag {
  #unsealed: number | undefined
  /** Rows per second. */
  #rate = 0
  #sealedAt = Number.NEGATIVE_INFINITY

  /** `elapsed`: ms of a monotonic clock. */
  constructor(private readonly elapsed: () => number) {}

  /** Called once so many rows wait that they are sealed at once. */
  onFull: () => void = () => {}

  /** Whether a report has come. */
  get isKnown(): boolean {
    return this.#unsealed !== undefined
  }

  get isFull(): boolean {
    return (this.#unsealed ?? 0) >= fullRows
  }

  /** Reports the exact number of rows. Rows stored meanwhile are counted with the next report. */
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

  /** Returns the ms to wait after a commit of `rows` before the next one. */
  delayAfter(rows: number): number {
    const unsealed = this.#unsealed ?? 0
    if (unsealed <= slowRows) return 0
    const fullness = Math.min(1, (unsealed - slowRows) / (maxRows - slowRows))
    const share = slowShare + (fullShare - slowShare) * fullness
    return (rows / Math.max(minRate, this.#rate * share)) * 1_000
  }
}
