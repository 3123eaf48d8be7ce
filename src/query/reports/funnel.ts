import type { Batch } from "../../columns/batch.ts"
import { compareTexts } from "../json-values.ts"
import type { FunnelQuery, FunnelResult, FunnelStep } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import { GroupMedians } from "../structures/group-medians.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import type { Selection } from "../structures/selection.ts"
import { DimensionCodes } from "./dimension-codes.ts"
import {
  type EntriesByUnit,
  FunnelEntries,
  insertionSort,
  maskRange,
  type StepMasks,
  sortBoth,
  stepMasksOf,
} from "./funnel-entries.ts"
import { type OrderedEvents, partitionUnits, ReceiptOrder } from "./receipt-order.ts"
import { type ReportSource, stepMatcher, visitBatches } from "./step.ts"
import { type Units, unitsOf } from "./units.ts"

/** Number of entries to process per step. A step takes about 20 ms. */
const entriesPerStep = 500_000

/**
 * Computes how far units get through the steps, like ClickHouse's `windowFunnel` in its default mode.
 *
 * The entries of a unit are its events that match at least one step. They are processed in chronological order, and in
 * order of arrival within the same ms. The steps of an entry are processed from last to first, so that an entry counts
 * as at most one step of an attempt. Each step keeps the latest attempt that reached it, including the time at which
 * that attempt reached each step:
 *
 * - An entry that matches the first step starts an attempt. It replaces the attempt at step 1.
 * - An entry that matches a later step k continues the attempt at step k - 1, if that attempt started at most `window`
 *   ms ago. The attempt is copied to step k, where it replaces the previous one, and also stays at step k - 1.
 *
 * The best attempt of a unit is the first attempt that reached the unit's furthest step.
 *
 * Memory: 4 bytes per dictionary ID of the unit. Each entry takes up 12 bytes while entries are collected, 8 bytes
 * while units are processed, and 20 bytes at the peak (28 if there is a `by`). Each step that a unit reached takes up
 * 12 bytes, except for the first step. Units whose result depends on the order of arrival are processed again, in
 * several parts, which takes 100 bytes for each of their entries.
 */
export function* funnel(
  query: FunnelQuery,
  source: ReportSource,
  budget: MemoryBudget,
): Generator<void, FunnelResult> {
  const { steps, unit, scope } = query
  const units = yield* unitsOf(unit, scope.websites, source, budget)
  return yield* bestAttempts({ query, units, source, budget }, (values) => {
    const counts = new StepCounts(steps.length, values, budget)
    return { add: (_, attempt) => counts.add(attempt), result: () => ({ groups: counts.groups() }) }
  })
}

/**
 * Calls `add` with each unit that reached a step or, if `isDropOff` is true, with each unit whose best attempt ended
 * there. If `value` is set, only includes units with this value of `by`.
 */
export function* addUnitsAtStep(
  input: FunnelInput,
  { step, isDropOff, value }: { step: number; isDropOff: boolean; value?: string | null | undefined },
  add: (unit: number) => void,
): Generator<void, void> {
  yield* bestAttempts(input, (values) => ({
    add: (unit, { reached, code }) => {
      if (isDropOff ? reached !== step + 1 : reached <= step) return
      if (value === undefined || (values?.texts[code] ?? null) === value) add(unit)
    },
    result: () => undefined,
  }))
}

interface FunnelInput {
  query: FunnelQuery
  /** The units of the query. */
  units: Units
  source: ReportSource
  budget: MemoryBudget
}

/** The best attempt of a unit. */
interface Attempt {
  /** Number of steps reached. */
  reached: number
  /** The code of the value of `by` at the first step. */
  code: number
  /** The time of each step reached, in ms. The array is reused for the next attempt. */
  times: Float64Array
}

interface AttemptCollector<Result> {
  /** Called once for each unit that reached the first step. */
  add(unit: number, attempt: Attempt): void
  result(): Result
}

/** Finds the best attempt of each unit. `collectorOf` is called once the values of `by` are known. */
function* bestAttempts<Result>(
  { query, units, source, budget }: FunnelInput,
  collectorOf: (values: DimensionCodes | undefined) => AttemptCollector<Result>,
): Generator<void, Result> {
  const { scope, steps, window, by } = query
  const matcher = new Matcher(scope, scope.filters, source)
  const stepMatchers = steps.map((step) => stepMatcher(step, scope, source))
  const values = by === undefined ? undefined : new DimensionCodes(by, source, budget)
  const scan = (add: (batch: Batch, masks: StepMasks, codes: Uint32Array | undefined) => void) => {
    const visit = (batch: Batch, selection: Selection) => {
      const selections = stepMatchers.map((step) => step.select(batch, selection))
      const masks = stepMasksOf(batch, selections)
      if (masks) add(batch, masks, selections[0] ? values?.codesOf(batch) : undefined)
    }
    return visitBatches(source, matcher, visit, stepMatchers)
  }
  const entries = new FunnelEntries(units.dictionarySize, budget, values !== undefined)
  yield* scan((batch, masks, codes) => {
    for (const ids of units.idsOf(batch)) entries.add(batch, ids, scope.from, masks, codes)
  })
  const byUnit = yield* entries.byUnit()
  if (values) yield* values.lookUp()
  const collector = collectorOf(values)
  const finder = new AttemptFinder({ steps: steps.length, window, byUnit, budget, collector })
  while (finder.processUnits(entriesPerStep)) yield
  const { ends } = byUnit
  const entriesOfUnit = (unit: number) => (ends[unit] as number) - (ends[unit - 1] as number)
  for (const part of partitionUnits(finder.ambiguous, entriesOfUnit, budget)) {
    const childBudget = budget.child()
    const ordered = new ReceiptOrder(part, units.dictionarySize, childBudget)
    yield* scan((batch, { first, end, masks }, codes) => {
      const maskOf = typeof masks === "number" ? () => masks : (index: number) => masks[index] as number
      for (const ids of units.idsOf(batch)) ordered.add(batch, ids, first, end, maskOf, codes)
    })
    yield* ordered.each(source, (events) => finder.processOrdered(events))
    childBudget.release()
  }
  return collector.result()
}

interface AttemptFinderOptions {
  /** Number of steps of the funnel. */
  steps: number
  /** Maximum time from the first to the last step, in ms. */
  window: number
  byUnit: EntriesByUnit
  budget: MemoryBudget
  collector: Pick<AttemptCollector<unknown>, "add">
}

/** Finds the best attempt of each unit, one unit after another. */
class AttemptFinder {
  /**
   * For each step, the latest attempt that reached the step: the times of the attempt's steps (`steps` numbers), and
   * the code of the value of `by` at its first step.
   */
  readonly #attempts: Float64Array
  readonly #codes: Uint32Array
  readonly #best: Attempt
  /**
   * Units that have different entries in the same ms. Only the order of arrival can sort such entries, so these units
   * must be processed again with `processOrdered`.
   */
  readonly ambiguous: number[] = []
  #nextUnit = 1

  constructor(private readonly options: AttemptFinderOptions) {
    const { steps } = options
    this.#attempts = new Float64Array(steps * steps)
    this.#codes = new Uint32Array(steps)
    this.#best = { reached: 0, code: 0, times: new Float64Array(steps) }
  }

  /** Processes more units, with about this many entries in total. Returns false once all units have been processed. */
  processUnits(entries: number): boolean {
    const { ends, keys, codes } = this.options.byUnit
    let unit = this.#nextUnit
    let first = ends[unit - 1] as number
    const last = first + entries
    for (; unit < ends.length && first < last; unit++) {
      const end = ends[unit] as number
      if (first === end) continue
      if (end - first > 1) this.#sort(first, end)
      if (isAmbiguous(keys, codes, first, end)) {
        this.options.budget.reserve(8)
        this.ambiguous.push(unit)
      } else this.#process(unit, keys, codes, first, end)
      first = end
    }
    this.#nextUnit = unit
    return unit < ends.length
  }

  /**
   * Processes the events of an ambiguous unit in their exact order. The label of an event is the mask of the steps that
   * it matches.
   */
  processOrdered({ unit, times, labels, codes }: OrderedEvents): void {
    const keys = Float64Array.from(times, (time, index) => time * maskRange + (labels[index] as number))
    this.#process(unit, keys, this.options.byUnit.codes && Uint32Array.from(codes), 0, keys.length)
  }

  #process(
    unit: number,
    keys: Float64Array,
    codes: Uint32Array | undefined,
    first: number,
    end: number,
  ): void {
    const { steps, window, collector } = this.options
    const [attempts, attemptCodes, best] = [this.#attempts, this.#codes, this.#best.times]
    let reached = 0
    let bestCode = 0
    for (let index = first; index < end && reached < steps; index++) {
      const key = keys[index] as number
      const time = Math.floor(key / maskRange)
      const mask = key - time * maskRange
      for (let step = 31 - Math.clz32(mask); step >= 0; step--) {
        if ((mask & (1 << step)) === 0) continue
        const to = step * steps
        if (step === 0) {
          attempts[0] = time
          if (codes) attemptCodes[0] = codes[index] as number
        } else {
          const from = to - steps
          if (step > reached || time - (attempts[from] as number) > window) continue
          for (let before = 0; before < step; before++)
            attempts[to + before] = attempts[from + before] as number
          attempts[to + step] = time
          attemptCodes[step] = attemptCodes[step - 1] as number
        }
        if (step < reached) continue
        reached = step + 1
        bestCode = attemptCodes[step] as number
        for (let upTo = 0; upTo <= step; upTo++) best[upTo] = attempts[to + upTo] as number
      }
    }
    if (reached === 0) return
    this.#best.reached = reached
    this.#best.code = bestCode
    collector.add(unit, this.#best)
  }

  #sort(first: number, end: number): void {
    const { keys, codes } = this.options.byUnit
    // The scan proceeds by day and name, so most entries are already close to their final index.
    if (end - first <= 32) insertionSort(keys, codes, first, end)
    else if (codes) sortBoth(keys, codes, first, end)
    else keys.subarray(first, end).sort()
  }
}

/** Counts the units at each step. */
class StepCounts {
  /** Number of units that reached each step, for each code of a value of `by`. */
  readonly #units: Uint32Array
  readonly #durations: GroupMedians[]
  readonly #groupCount: number

  constructor(
    private readonly steps: number,
    private readonly values: DimensionCodes | undefined,
    budget: MemoryBudget,
  ) {
    this.#groupCount = values?.texts.length ?? 1
    budget.reserve(this.#groupCount * steps * 4)
    this.#units = new Uint32Array(this.#groupCount * steps)
    this.#durations = Array.from({ length: steps }, () => new GroupMedians(budget))
  }

  add({ reached, code, times }: Attempt): void {
    for (let step = 0; step < reached; step++) {
      const at = code * this.steps + step
      this.#units[at] = (this.#units[at] as number) + 1
      if (step === 0) continue
      const duration = (times[step] as number) - (times[step - 1] as number)
      ;(this.#durations[step] as GroupMedians).add(code, duration)
    }
  }

  groups(): FunnelResult["groups"] {
    const { steps, values } = this
    const medians = this.#durations.map((durations) => durations.medians(this.#groupCount))
    const groups: FunnelResult["groups"] = []
    for (let code = 0; code < this.#groupCount; code++) {
      const units = this.#units.subarray(code * steps, (code + 1) * steps)
      if (values && units[0] === 0) continue
      groups.push({
        by: values?.texts[code] ?? null,
        steps: Array.from(
          units,
          (units, step): FunnelStep => ({ units, median: medians[step]?.[code] ?? null }),
        ),
      })
    }
    return groups.sort(compareGroups)
  }
}

/** Returns true if two of the sorted entries have the same ms but different masks or codes. */
function isAmbiguous(
  keys: Float64Array,
  codes: Uint32Array | undefined,
  first: number,
  end: number,
): boolean {
  for (let index = first + 1; index < end; index++) {
    const [before, key] = [keys[index - 1] as number, keys[index] as number]
    if (key - before >= maskRange || Math.floor(key / maskRange) !== Math.floor(before / maskRange)) continue
    if (key !== before || (codes && codes[index] !== codes[index - 1])) return true
  }
  return false
}

function compareGroups(a: FunnelResult["groups"][number], b: FunnelResult["groups"][number]): number {
  return (b.steps[0]?.units ?? 0) - (a.steps[0]?.units ?? 0) || compareTexts(a.by, b.by)
}
