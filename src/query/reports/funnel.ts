import type { Batch, RowLocator, Value } from "../../columns/batch.ts"
import { copyInto } from "../../columns/typed-arrays.ts"
import { compareTexts, textOf } from "../json.ts"
import type { Dimension, FunnelQuery, FunnelResult, FunnelStep } from "../query.ts"
import { columnOf, kindOf, Matcher } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { quickselect } from "../structures/quickselect.ts"
import type { Selection } from "../structures/selection.ts"
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
import { unitsOf } from "./units.ts"

/** Entries that are processed, and ids whose text is looked up, in one step: about 20 ms each. */
const entriesPerStep = 500_000
const idsPerStep = 16_384
/** Bytes of a value of `by` without its text. */
const valueBytes = 120

/**
 * How far units get through the steps: `windowFunnel` of ClickHouse in its default mode.
 *
 * The entries of a unit are its events that match at least one step. They are processed in the order of time, and of receipt within
 * one ms. The steps of one entry are processed from the last to the first, so that an entry is at most one step of an attempt.
 * Each step keeps the latest attempt that reached it, with the times of its steps. An entry that matches
 * - the first step starts an attempt, which replaces the one at step 1;
 * - step k > 1, if an attempt is at step k - 1 and started at most `window` ms ago, copies this attempt to step k, where it
 *   replaces the previous one; the attempt at step k - 1 stays.
 * The best attempt of a unit is the first one that reached its furthest step.
 *
 * Memory: 4 bytes for each dictionary id of the unit; for each entry 12 bytes while entries are collected and 8 while units are
 * processed, 20 at the peak (28 with `by`); 12 bytes for each step after the first that a unit reached. Units whose result depends on
 * the order of receipt are processed again in parts: 100 bytes for each of their entries.
 */
export function* funnel(
  query: FunnelQuery,
  source: ReportSource,
  budget: MemoryBudget,
): Generator<void, FunnelResult> {
  const { scope, steps, window, by } = query
  const units = yield* unitsOf(query.unit, scope.websites, source, budget)
  const matcher = new Matcher(scope, scope.filters, source)
  const stepMatchers = steps.map((step) => stepMatcher(step, scope, source))
  const values = by === undefined ? undefined : new Values(by, source, budget)
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
  const counter = new AttemptCounter({ steps: steps.length, window, byUnit, values, budget })
  while (counter.processUnits(entriesPerStep)) yield
  const { ends } = byUnit
  const entriesOfUnit = (unit: number) => (ends[unit] as number) - (ends[unit - 1] as number)
  for (const part of partitionUnits(counter.ambiguous, entriesOfUnit, budget)) {
    const own = budget.child()
    const ordered = new ReceiptOrder(part, units.dictionarySize, own)
    yield* scan((batch, { first, end, masks }, codes) => {
      const maskOf = typeof masks === "number" ? () => masks : (index: number) => masks[index] as number
      for (const ids of units.idsOf(batch)) ordered.add(batch, ids, first, end, maskOf, codes)
    })
    yield* ordered.each(source, (events) => counter.processOrdered(events))
    own.release()
  }
  return { groups: counter.groups() }
}

/** Values of a dimension over all batches: 0 if there is none. */
class Values {
  readonly texts: (string | null)[] = [null]
  readonly #codes = new Map<string | number, number>()
  readonly #locators: RowLocator[] = []
  /** All slices of a block share their values. */
  readonly #ownCodes = new WeakMap<readonly Value[], Uint32Array>()

  constructor(
    private readonly dimension: Dimension,
    private readonly source: ReportSource,
    private readonly budget: MemoryBudget,
  ) {}

  codesOf(batch: Batch): Uint32Array {
    const codes = new Uint32Array(batch.count)
    const { dimension, source } = this
    if (dimension === "event_name") return codes.fill(this.#codeOf(batch.name))
    if (dimension === "kind") return codes.fill(this.#codeOf(batch.kind))
    if (dimension === "website_id") return codes.fill(this.#codeOf(source.websiteId(batch.website) ?? null))
    const kind = kindOf[dimension]
    if (kind) return this.#idCodes(codes, batch, batch[kind]())
    const column = columnOf(batch, dimension)
    if (!column) return codes
    const ownCodes = this.#ownCodesOf(column.values)
    for (let index = 0; index < codes.length; index++) {
      const code = column.codes[index] as number
      if (code === 0) continue
      if (ownCodes[code] === 0) ownCodes[code] = this.#codeOf(textOf(column.values[code - 1] as Value))
      codes[index] = ownCodes[code] as number
    }
    return codes
  }

  /** Maps a block's codes to the codes used here; 0 until a code occurs. */
  #ownCodesOf(values: readonly Value[]): Uint32Array {
    let ownCodes = this.#ownCodes.get(values)
    if (!ownCodes) {
      ownCodes = new Uint32Array(values.length + 1)
      this.#ownCodes.set(values, ownCodes)
    }
    return ownCodes
  }

  #codeOf(text: string | null): number {
    if (text === null) return 0
    const known = this.#codes.get(text)
    return known ?? this.#add(text, text)
  }

  #add(key: string | number, text: string | null): number {
    this.budget.reserve(valueBytes + (text ?? "").length * 2)
    const code = this.texts.push(text) - 1
    this.#codes.set(key, code)
    return code
  }

  #idCodes(codes: Uint32Array, batch: Batch, numbers: Uint32Array): Uint32Array {
    const { website, name, base } = batch
    const times = batch.times()
    for (let index = 0; index < codes.length; index++) {
      const number = numbers[index] as number
      if (number === 0) continue
      const known = this.#codes.get(number)
      if (known === undefined)
        this.#locators.push({ number, website, name, ts: base + (times[index] as number) })
      codes[index] = known ?? this.#add(number, null)
    }
    return codes
  }

  /** Ids are numbers until here. */
  *lookUp(): Generator<void, void> {
    const kind = kindOf[this.dimension]
    if (!kind) return
    for (let at = 0; at < this.#locators.length; at += idsPerStep) {
      const texts = yield* this.source.texts(kind, this.#locators.slice(at, at + idsPerStep))
      for (const [number, text] of texts) this.texts[this.#codes.get(number) as number] = text
      yield
    }
  }
}

/** ms that units took from the previous step. */
class StepDurations {
  groups = new Uint32Array(1_024)
  ms = new Float64Array(1_024)
  count = 0

  constructor(private readonly budget: MemoryBudget) {}

  add(group: number, ms: number): void {
    if (this.count === this.ms.length) {
      this.budget.reserve(this.count * 12)
      this.groups = copyInto(new Uint32Array(this.count * 2), this.groups)
      this.ms = copyInto(new Float64Array(this.count * 2), this.ms)
    }
    this.groups[this.count] = group
    this.ms[this.count++] = ms
  }

  /** One per group; null if the group has no durations. */
  medians(groups: number): (number | null)[] {
    const next = new Uint32Array(groups + 1)
    for (let index = 0; index < this.count; index++) {
      const group = (this.groups[index] as number) + 1
      next[group] = (next[group] as number) + 1
    }
    for (let group = 1; group <= groups; group++)
      next[group] = (next[group] as number) + (next[group - 1] as number)
    const sorted = new Float64Array(this.count)
    const starts = next.slice()
    for (let index = 0; index < this.count; index++) {
      const group = this.groups[index] as number
      const at = next[group] as number
      next[group] = at + 1
      sorted[at] = this.ms[index] as number
    }
    return Array.from({ length: groups }, (_, group) => {
      const [first, end] = [starts[group] as number, starts[group + 1] as number]
      return first === end ? null : quickselect(sorted, first + Math.ceil((end - first) / 2) - 1, first, end)
    })
  }
}

interface AttemptCounterOptions {
  /** How many steps the funnel has. */
  steps: number
  /** ms */
  window: number
  byUnit: EntriesByUnit
  values: Values | undefined
  budget: MemoryBudget
}

/** Processes the entries of one unit after another, and counts the units at each step. */
class AttemptCounter {
  /** The times of the latest attempt at each step, `steps` numbers each, and the code of `by` of its first step. */
  readonly #attempts: Float64Array
  readonly #codes: Uint32Array
  readonly #best: Float64Array
  /** The units that reached each step, by code of `by`. */
  readonly #units: Uint32Array
  readonly #durations: StepDurations[]
  /** Units with different entries in the same ms, which only the order of receipt can sort. They are not counted yet. */
  readonly ambiguous: number[] = []
  readonly #groupCount: number
  #nextUnit = 1

  constructor(private readonly options: AttemptCounterOptions) {
    const { steps, values, budget } = options
    this.#attempts = new Float64Array(steps * steps)
    this.#codes = new Uint32Array(steps)
    this.#best = new Float64Array(steps)
    this.#groupCount = values?.texts.length ?? 1
    budget.reserve(this.#groupCount * steps * 4)
    this.#units = new Uint32Array(this.#groupCount * steps)
    this.#durations = Array.from({ length: steps }, () => new StepDurations(budget))
  }

  /** Processes the next units with about this many entries. False once all units are processed. */
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
      } else this.#process(keys, codes, first, end)
      first = end
    }
    this.#nextUnit = unit
    return unit < ends.length
  }

  /** Processes a unit whose labels are the masks. */
  processOrdered({ times, labels, codes }: OrderedEvents): void {
    const keys = Float64Array.from(times, (time, index) => time * maskRange + (labels[index] as number))
    this.#process(keys, this.options.values && Uint32Array.from(codes), 0, keys.length)
  }

  #process(keys: Float64Array, codes: Uint32Array | undefined, first: number, end: number): void {
    const { steps, window } = this.options
    const [attempts, attemptCodes, best] = [this.#attempts, this.#codes, this.#best]
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
    for (let step = 0; step < reached; step++) {
      const at = bestCode * steps + step
      this.#units[at] = (this.#units[at] as number) + 1
      if (step > 0)
        (this.#durations[step] as StepDurations).add(
          bestCode,
          (best[step] as number) - (best[step - 1] as number),
        )
    }
  }

  #sort(first: number, end: number): void {
    const { keys, codes } = this.options.byUnit
    // The scan goes by day and name, so few entries are far from their final index.
    if (end - first <= 32) insertionSort(keys, codes, first, end)
    else if (codes) sortBoth(keys, codes, first, end)
    else keys.subarray(first, end).sort()
  }

  groups(): FunnelResult["groups"] {
    const { steps, values } = this.options
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

/** Whether two of the sorted entries have the same ms but different masks or codes. */
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
