import type { Db } from "./driver.ts"

const dayMs = 86_400_000
/**
 * A difference between expected and actual time above this value (in ms) counts as a jump. Corrections and suspends are
 * smaller.
 */
const jumpThreshold = dayMs
/**
 * How long a clock must run steadily after a jump before it is trusted, in ms. This gives people time to read the log
 * and correct the clock.
 */
const trustDelay = dayMs

interface Reading {
  /** In Unix ms. */
  now: number
  /** In ms of a monotonic clock. */
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
 * The clock used for retention. If a wall clock were set years ahead by mistake, all events would expire, so a jump is
 * not trusted until the clock has run for a day without another jump.
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
   * Takes readings of both clocks and returns the trusted time, which is the wall clock, or an earlier time after an
   * untrusted jump ahead.
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
   * The latest jump, as long as it is untrusted: the time that was read and the time that was expected. Returns the
   * same object for the same jump.
   */
  get untrustedJump(): { readonly now: number; readonly expected: number } | undefined {
    return this.#jump
  }
}

/** Returns the time that a clock shows if it has not been set since `reading`. */
function extrapolate(reading: Reading, elapsed: number): number {
  return reading.now + elapsed - reading.elapsed
}

function isNear(a: number, b: number): boolean {
  return Math.abs(a - b) <= jumpThreshold
}

/**
 * Returns times (Unix ms) that the database confirms: its creation, and the last receipt of an event if another event
 * was received one to two days before. A single event is not enough, because after a restart, an event that was
 * received while the clock was wrong would be trusted.
 */
function trustedTimes(db: Db): number[] {
  const created = db.prepare(sql.created).pluck().get() as number
  const receipt = db.prepare(sql.receipt)
  const upTo = (id: number) => receipt.get({ id }) as { id: number; receivedAt: number } | undefined
  const last = upTo(Number.MAX_SAFE_INTEGER)
  if (!last) return [created]
  // IDs are in order of receipt, so a binary search finds the last event that is a day older. If a clock that was set
  // back misleads the search, only the creation time is used.
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
