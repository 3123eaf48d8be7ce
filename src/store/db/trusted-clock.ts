import type { Db } from "./driver.ts"

const dayMs = 86_400_000
/** ms that a clock may be off from where it would be had it run on: corrections and suspended machines are less. */
const jumpThreshold = dayMs
/** ms that a clock runs on after a leap before it is believed: time for a person to see the log and set it. */
const trustDelay = dayMs

interface Reading {
  /** Unix ms */
  now: number
  /** ms of a clock that is never set. */
  elapsed: number
}

const sql = {
  created: "select min(applied_at) from migrations",
  /** The receipt of an event; those of no website (-1) are none. */
  receipt: `
    select id, ts + delay as receivedAt from event_rows
    where id <= :id and website_rid >= 0 order by id desc limit 1`,
}

/**
 * The time by which events may be deleted for their age. A clock that is set years ahead by mistake would take all of them, so a
 * leap counts only when the clock has run on for a day without another.
 */
export class TrustedClock {
  #trusted: Reading
  #jump: (Reading & { expected: number }) | undefined

  constructor(db: Db, now: number, elapsed: number) {
    const [nearest = now] = trustedTimes(db).sort((one, other) => Math.abs(one - now) - Math.abs(other - now))
    this.#trusted = { now: nearest, elapsed }
    this.observe(now, elapsed)
  }

  /** To be called with what the clocks say now. Never later than the clock, nor than it would be without its last leap. */
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

  /** The last leap while it is not believed: what the clock said, and what it would have said. The same object for the same leap. */
  get untrustedJump(): { readonly now: number; readonly expected: number } | undefined {
    return this.#jump
  }
}

/** What a clock would say that ran on. */
function extrapolate(reading: Reading, elapsed: number): number {
  return reading.now + elapsed - reading.elapsed
}

function isNear(one: number, other: number): boolean {
  return Math.abs(one - other) <= jumpThreshold
}

/**
 * Times (Unix ms) at which the clock was right, as far as the database tells: when it was made, and the last receipt of an event,
 * if another was received some day or two before. Were one enough, a restart under a wrong clock would believe it.
 */
function trustedTimes(db: Db): number[] {
  const created = db.prepare(sql.created).pluck().get() as number
  const receipt = db.prepare(sql.receipt)
  const upTo = (id: number) => receipt.get({ id }) as { id: number; receivedAt: number } | undefined
  const last = upTo(Number.MAX_SAFE_INTEGER)
  if (!last) return [created]
  // Ids are in the order of receipt, so the last event that is a day older is found by halving. Should a clock that was set back
  // lead astray, there is one witness less.
  const limit = last.receivedAt - trustDelay
  let [before, after] = [0, last.id]
  while (after - before > 1) {
    const middle = before + Math.floor((after - before) / 2)
    const found = upTo(middle)
    if (found && found.receivedAt > limit) after = found.id
    else before = middle
  }
  const earlier = upTo(before)
  const isProven = earlier !== undefined && isNear(earlier.receivedAt, limit)
  return isProven ? [created, last.receivedAt] : [created]
}
