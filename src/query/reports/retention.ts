import { type Batch, dayMs } from "../../columns/batch.ts"
import { lowerBound } from "../../columns/typed-arrays.ts"
import { type Bucket, type RetentionQuery, type RetentionResult, stepFilters } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import {
  type Bitset,
  bitsetBytes,
  countByLabel,
  eachWithLabel,
  labelUnlabeled,
  newBitset,
  setBits,
} from "../structures/bitset.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { type Selection, sliceSelection } from "../structures/selection.ts"
import { bucketsOf } from "../structures/time-zone.ts"
import { type ReportSource, stepMatcher, visitBatches } from "./step.ts"
import { type Units, unitsOf } from "./units.ts"

/**
 * For each cohort, counts the units that have a return event in the cohort's own period and in each later period. A
 * cohort consists of the units whose first start event is in the same period. A return event before the start event
 * counts if both are in the same period.
 *
 * Takes up 4 bytes per dictionary ID of the unit, and two bits per ID for each open period, or one bit if the start
 * event and the return event are the same. A period is added up and closed as soon as the scan has passed its last day,
 * so at most the 3 periods that can overlap one UTC day are open.
 */
export function* retention(
  query: RetentionQuery,
  source: ReportSource,
  budget: MemoryBudget,
): Generator<void, RetentionResult> {
  const units = yield* unitsOf(query.unit, query.scope.websites, source, budget)
  const { buckets, cohorts } = yield* cohortsOf({ query, units, source, budget })
  return { buckets, cohorts: cohorts.rows() }
}

/** Calls `add` with each unit of a cohort or, if `period` is set, with those that returned `period` periods later. */
export function* addCohort(
  input: CohortsInput,
  { cohort, period }: { cohort: number; period?: number | undefined },
  add: (unit: number) => void,
): Generator<void, void> {
  yield* cohortsOf(input, (current, { started, returned }, labels) => {
    if (current !== cohort + (period ?? 0)) return
    eachWithLabel(period === undefined ? started : returned, labels, cohort + 1, add)
  })
}

interface CohortsInput {
  query: RetentionQuery
  /** The units of the query. */
  units: Units
  source: ReportSource
  budget: MemoryBudget
}

/**
 * Called for each period that has units. Receives these units, and the cohort of each unit that has one so far. Cohorts
 * are numbered from 1.
 */
type OnPeriod = (period: number, bits: PeriodBits, cohortOf: Uint32Array) => void

function* cohortsOf(
  { query, units, source, budget }: CohortsInput,
  onPeriod?: OnPeriod,
): Generator<void, { buckets: Bucket[]; cohorts: CohortTable }> {
  const { scope, startEvent, returnEvent } = query
  const buckets = bucketsOf(scope.from, scope.to, scope.zone, query.granularity)
  const scopeMatcher = new Matcher(scope, scope.filters, source)
  const startMatcher = stepMatcher(startEvent, scope, source)
  const isSame = JSON.stringify(stepFilters(startEvent)) === JSON.stringify(stepFilters(returnEvent))
  const returnMatcher = isSame ? startMatcher : stepMatcher(returnEvent, scope, source)
  const cohorts = new CohortTable(buckets, units.dictionarySize, isSame, budget, onPeriod)
  const matchers = isSame ? [startMatcher] : [startMatcher, returnMatcher]
  const visit = (batch: Batch, selection: Selection) => {
    cohorts.finishBefore(batch.base)
    const starts = startMatcher.select(batch, selection)
    const returns = isSame ? undefined : returnMatcher.select(batch, selection)
    for (const ids of starts || returns ? units.idsOf(batch) : []) {
      if (starts) cohorts.add(batch, ids, starts, "started")
      if (returns) cohorts.add(batch, ids, returns, "returned")
    }
  }
  yield* visitBatches(source, scopeMatcher, visit, matchers)
  cohorts.finishBefore(Number.POSITIVE_INFINITY)
  return { buckets, cohorts }
}

/** The units that have the start event, and the units that have the return event, in one period. */
interface PeriodBits {
  started: Bitset
  /** The same bitset as `started` if both events are the same. */
  returned: Bitset
}

class CohortTable {
  /** The period of each unit's first start event, starting at 1. 0 if the unit has no start event yet. */
  readonly #cohortOf: Uint32Array
  readonly #sizes: Uint32Array
  /** For each cohort, the number of units that returned in the cohort's own period and in each later one. */
  readonly #returned: Uint32Array[]
  readonly #open = new Map<number, PeriodBits>()
  readonly #spare: PeriodBits[] = []
  /** The first period that has not been added up yet. */
  #next = 0

  constructor(
    private readonly buckets: readonly Bucket[],
    private readonly dictionarySize: number,
    private readonly isSame: boolean,
    private readonly budget: MemoryBudget,
    private readonly onPeriod?: OnPeriod,
  ) {
    budget.reserve(dictionarySize * 4 + buckets.length * (buckets.length + 1) * 2)
    this.#cohortOf = new Uint32Array(dictionarySize)
    this.#sizes = new Uint32Array(buckets.length)
    this.#returned = buckets.map((_, index) => new Uint32Array(buckets.length - index))
  }

  add(batch: Batch, ids: Uint32Array, selection: Selection, event: keyof PeriodBits): void {
    const { first, end } = selection
    const dayEnd = batch.base + dayMs
    let period = this.#next
    for (let index = first; index < end; period++) {
      const bucket = this.buckets[period] as Bucket
      const isLast = bucket.to >= dayEnd || period === this.buckets.length - 1
      const until = isLast ? end : Math.min(end, lowerBound(batch.times(), bucket.to - batch.base, index))
      if (until > index) setBits(this.#bitsOf(period)[event], ids, sliceSelection(selection, index, until))
      index = until
    }
  }

  #bitsOf(period: number): PeriodBits {
    let bits = this.#open.get(period)
    if (!bits) {
      bits = this.#spare.pop() ?? this.#newBits()
      this.#open.set(period, bits)
    }
    return bits
  }

  #newBits(): PeriodBits {
    this.budget.reserve(bitsetBytes(this.dictionarySize) * (this.isSame ? 1 : 2))
    const started = newBitset(this.dictionarySize)
    return { started, returned: this.isSame ? started : newBitset(this.dictionarySize) }
  }

  /** Adds up the periods that end at or before `time` (Unix ms). */
  finishBefore(time: number): void {
    for (
      ;
      this.#next < this.buckets.length && (this.buckets[this.#next] as Bucket).to <= time;
      this.#next++
    ) {
      const bits = this.#open.get(this.#next)
      if (!bits) continue
      this.#open.delete(this.#next)
      this.#addUp(this.#next, bits)
      bits.started.fill(0)
      bits.returned.fill(0)
      this.#spare.push(bits)
    }
  }

  #addUp(period: number, bits: PeriodBits): void {
    const { started, returned } = bits
    this.#sizes[period] = labelUnlabeled(started, this.#cohortOf, period + 1)
    // Label 0 stands for units without a cohort, and for the missing ID.
    const counts = new Uint32Array(period + 2)
    countByLabel(returned, this.#cohortOf, counts)
    for (let cohort = 0; cohort <= period; cohort++)
      (this.#returned[cohort] as Uint32Array)[period - cohort] = counts[cohort + 1] as number
    this.onPeriod?.(period, bits, this.#cohortOf)
  }

  rows(): RetentionResult["cohorts"] {
    return this.#returned.map((returned, index) => ({
      size: this.#sizes[index] as number,
      returned: [...returned],
    }))
  }
}
