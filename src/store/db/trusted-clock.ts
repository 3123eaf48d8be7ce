import type { Db } from "./driver.ts"

const dayMs = 86_400_000
/**
 * If the actual and the expected time differ by more than this (in ms), the clock is considered to have jumped. Clock
 * corrections and suspends usually cause smaller differences.
 */
const jumpThreshold = dayMs
/**
 * How long a clock must run steadily after a jump before it is trusted, in ms. This gives the operator time to see the
 * warning and correct the clock.
 */
const trustDelay = dayMs

interface Reading {
  /** In Unix ms. */
  now: number
  /** In ms on a monotonic clock. */
  elapsed: number
}

const sql = {
  created: "select min(applied_at) from migrations",
  /** The last event up to a given ID. A negative rid marks a tombstone. */
  receipt: `
    select id, ts + delay as receivedAt from event_rows
    where id <= :id and website_rid >= 0 order by id desc limit 1`,
}

/**
 * The clock used for retention. If the wall clock were set years ahead by mistake, all events would expire. Therefore,
 * a jump is not trusted until the clock has run for a day without another jump.
 */
export class TrustedClock {
  #trusted: Reading
  #jump: (Reading & { expected: number }) | undefined

  constructor(db: Db, now: number, elapsed: number) {
    const [nearest = now] = trustedTimes(db).sort((a, b) => Math.abs(a - now) - Math.abs(b - now))
    this.#trusted = { now: nearest, elapsed }
    this.observe(now, elapsed)
  }

  /**
   * Takes readings of both clocks and returns the trusted time: the wall clock, or an earlier time while a jump ahead
   * is untrusted.
   */
  observe(now: number, elapsed: number): number {
    const expected = extrapolate(this.#trusted, elapsed)
    if (this.#jump && !isNear(now, extrapolate(this.#jump, elapsed))) this.#jump = undefined
    if (isNear(now, expected) || (this.#jump && elapsed - this.#jump.elapsed >= trustDelay)) {
      this.#trusted = { now, elapsed }
      this.#jump = undefined
      return now
    }
    this.#jump ??= { now, elapsed, expected }
    return Math.min(now, expected)
  }

  /**
   * The latest jump (the time that was read and the time that was expected), or undefined if the clock is trusted.
   * Returns the same object for the same jump.
   */
  get untrustedJump(): { readonly now: number; readonly expected: number } | undefined {
    return this.#jump
  }
}

/** Returns the time that the wall clock shows if it has not been set since `reading`. */
function extrapolate(reading: Reading, elapsed: number): number {
  return reading.now + elapsed - reading.elapsed
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= jumpThreshold
}

/**
 * Returns times (Unix ms) that the database confirms: its creation, and the receipt of the last event if another event
 * was received one to two days earlier. A single event is not enough: it might have been received while the clock was
 * wrong, and the wrong time would be trusted after a restart.
 */
function trustedTimes(db: Db): number[] {
  const created = db.prepare(sql.created).pluck().get() as number
  const receipt = db.prepare(sql.receipt)
  const upTo = (id: number) => receipt.get({ id }) as { id: number; receivedAt: number } | undefined
  const last = upTo(Number.MAX_SAFE_INTEGER)
  if (!last) return [created]
  // IDs are in order of receipt, so a binary search finds the newest event that was received at least a day before the
  // last one. If the clock was ever set back, the search might find an event from a different time. In that case, only
  // the creation time is used.
  const limit = last.receivedAt - trustDelay
  let [before, after] = [0, last.id]
  while (after - before > 1) {
    const middle = before + Math.floor((after - before) / 2)
    const event = upTo(middle)
    if (event && event.receivedAt > limit) after = event.id
    else before = middle
  }
  const earlier = upTo(before)
  const isConfirmed = earlier !== undefined && isNear(earlier.receivedAt, limit)
  return isConfirmed ? [created, last.receivedAt] : [created]
}
