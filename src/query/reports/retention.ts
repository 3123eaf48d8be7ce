import { type Batch, dayMs } from "../../columns/batch.ts"
import type { Bucket, RetentionQuery, RetentionResult } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/id-set.ts"
import { firstFrom, type Selection, within } from "../structures/selection.ts"
import { bucketsOf } from "../structures/zone.ts"
import { entriesOf, type Followed, stepMatcher } from "./step.ts"
import { unitsOf } from "./units.ts"

/**
 * Who came back in which period after the one of their first `start` in the range. Someone whose `comeBack` is before their `start`
 * but in the same period has come back in it.
 *
 * Memory: for each number of the unit's kind 4 bytes, and two bits (one where `start` and `comeBack` are the same) for each
 * period that one UTC day is in, 3 at the most: periods are added up as soon as the days have gone past them.
 */
export function* retention(
  question: RetentionQuery,
  source: Followed,
  budget: MemoryBudget,
): Generator<void, RetentionResult> {
  const { scope, start, comeBack } = question
  const units = yield* unitsOf(question.unit, scope.websites, source, budget)
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, question.granularity)
  const all = new Matcher(scope, scope.filters, source)
  const starts = stepMatcher(start, scope, source)
  const same =
    JSON.stringify([start.name, start.filters]) === JSON.stringify([comeBack.name, comeBack.filters])
  const comesBack = same ? starts : stepMatcher(comeBack, scope, source)
  const periods = new Periods(buckets, units.numbers, same, budget)
  for (const entry of entriesOf(source, all, same ? [starts] : [starts, comesBack])) {
    periods.finishBefore(entry.day * dayMs)
    const batch = source.open(entry)
    const selection = batch && all.select(batch)
    if (batch && selection) {
      const started = starts.select(batch, selection)
      const cameBack = same ? undefined : comesBack.select(batch, selection)
      for (const ids of started || cameBack ? units.of(batch) : []) {
        if (started) periods.add(batch, ids, started, "start")
        if (cameBack) periods.add(batch, ids, cameBack, "comeBack")
      }
    }
    yield
  }
  periods.finishBefore(Number.POSITIVE_INFINITY)
  return { buckets, cohorts: periods.cohorts() }
}

/** Units that did something in a period: a bit for each number. Signed, because numbers of 32 bits are slower to work with. */
interface Seen {
  start: Int32Array
  /** The same array where both steps are the same. */
  comeBack: Int32Array
}

class Periods {
  /** The period of each unit's first start, counted from 1; 0: none yet. */
  readonly #cohortOf: Uint32Array
  readonly #sizes: Uint32Array
  /** For each cohort, who came back in its own period and the later ones. */
  readonly #returned: Uint32Array[]
  readonly #seen = new Map<number, Seen>()
  readonly #spare: Seen[] = []
  /** The first period that is not added up. */
  #next = 0

  constructor(
    private readonly buckets: readonly Bucket[],
    private readonly units: number,
    private readonly same: boolean,
    private readonly budget: MemoryBudget,
  ) {
    budget.take(units * 4 + buckets.length * (buckets.length + 1) * 2)
    this.#cohortOf = new Uint32Array(units)
    this.#sizes = new Uint32Array(buckets.length)
    this.#returned = buckets.map((_, index) => new Uint32Array(buckets.length - index))
  }

  add(batch: Batch, units: Uint32Array, selection: Selection, step: keyof Seen): void {
    const { first, end } = selection
    const dayEnd = batch.base + dayMs
    let index = this.#next
    for (let at = first; at < end; index++) {
      const bucket = this.buckets[index] as Bucket
      const last = bucket.to >= dayEnd || index === this.buckets.length - 1
      const until = last ? end : Math.min(end, firstFrom(batch.times(), bucket.to - batch.base, at))
      if (until > at) setBits(this.#seenIn(index)[step], units, within(selection, at, until))
      at = until
    }
  }

  #seenIn(index: number): Seen {
    let seen = this.#seen.get(index)
    if (!seen) {
      seen = this.#spare.pop() ?? this.#newSeen()
      this.#seen.set(index, seen)
    }
    return seen
  }

  #newSeen(): Seen {
    const words = (this.units >>> 5) + 1
    this.budget.take(words * (this.same ? 4 : 8))
    const start = new Int32Array(words)
    return { start, comeBack: this.same ? start : new Int32Array(words) }
  }

  /** Adds up the periods that are over at a time, Unix ms. */
  finishBefore(time: number): void {
    for (
      ;
      this.#next < this.buckets.length && (this.buckets[this.#next] as Bucket).to <= time;
      this.#next++
    ) {
      const seen = this.#seen.get(this.#next)
      if (!seen) continue
      this.#seen.delete(this.#next)
      const { start, comeBack } = seen
      const size = join(start, this.#cohortOf, this.#next + 1)
      this.#sizes[this.#next] = size
      countReturns(comeBack, this.#cohortOf, this.#returned, this.#next)
      start.fill(0)
      comeBack.fill(0)
      this.#spare.push(seen)
    }
  }

  cohorts(): RetentionResult["cohorts"] {
    return this.#returned.map((returned, index) => ({
      size: this.#sizes[index] as number,
      returned: [...returned],
    }))
  }
}

function setBits(bits: Int32Array, units: Uint32Array, { first, end, at }: Selection): void {
  if (at) {
    for (let index = 0; index < at.length; index++) {
      const unit = units[at[index] as number] as number
      bits[unit >>> 5] = (bits[unit >>> 5] as number) | (1 << (unit & 31))
    }
    return
  }
  for (let index = first; index < end; index++) {
    const unit = units[index] as number
    bits[unit >>> 5] = (bits[unit >>> 5] as number) | (1 << (unit & 31))
  }
}

/** Units that are in no cohort yet join this one; how many they are. */
function join(bits: Int32Array, cohortOf: Uint32Array, cohort: number): number {
  let size = 0
  // Unit 0 stands for a missing id.
  bits[0] = (bits[0] as number) & ~1
  for (let word = 0; word < bits.length; word++) {
    for (let left = bits[word] as number; left !== 0; left &= left - 1) {
      const unit = word * 32 + 31 - Math.clz32(left & -left)
      if (cohortOf[unit] !== 0) continue
      cohortOf[unit] = cohort
      size++
    }
  }
  return size
}

function countReturns(
  bits: Int32Array,
  cohortOf: Uint32Array,
  returned: readonly Uint32Array[],
  period: number,
): void {
  const counts = new Uint32Array(period + 2)
  for (let word = 0; word < bits.length; word++) {
    for (let left = bits[word] as number; left !== 0; left &= left - 1) {
      const cohort = cohortOf[word * 32 + 31 - Math.clz32(left & -left)] as number
      counts[cohort] = (counts[cohort] as number) + 1
    }
  }
  for (let cohort = 0; cohort <= period; cohort++)
    (returned[cohort] as Uint32Array)[period - cohort] = counts[cohort + 1] as number
}
