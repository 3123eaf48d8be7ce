import type { Batch, RowLocator } from "../../columns/batch.ts"
import type { Dimension, FunnelQuery, FunnelResult, FunnelStep } from "../query.ts"
import { dimensionOf, kindOf, Matcher } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/id-set.ts"
import { valueAt } from "../structures/quickselect.ts"
import {
  type ByUnit,
  FunnelEntries,
  insertionSort,
  type Masked,
  maskRange,
  masksOf,
  sortBoth,
} from "./funnel-entries.ts"
import { type InOrder, ReceiptOrder, slicesOf } from "./receipt-order.ts"
import { entriesOf, type Followed, stepMatcher } from "./step.ts"
import { unitsOf } from "./units.ts"

/** Entries that are walked through, and ids whose text is looked up, in one go: some 20 ms each. */
const entriesPerStep = 500_000
const idsPerStep = 16_384
/** Bytes that a value of `by` takes beside its text. */
const valueBytes = 120

/**
 * How far units get through the steps: ClickHouse's `windowFunnel` in its default mode.
 *
 * The entries of a unit, which are its events that fit at least one step, are taken in the order of time, those of the same ms in
 * that of receipt. The steps of one entry are taken from the last to the first, so that it is one step at most of an attempt.
 * For each step the latest attempt that got there is kept, with the times of its steps. An entry that fits
 * - the first step begins an attempt, which replaces that of step 1;
 * - step k > 1, where an attempt has got to step k - 1 and began at most `window` ms ago, takes this attempt to step k, where it
 *   replaces the one before it; the attempt of step k - 1 stays.
 * The attempt that gets to a step for the first time is the unit's best one, until another one gets further.
 *
 * Memory: 4 bytes for each number of the unit's kind; for each entry 12 bytes while it is collected and 8 while units are
 * walked through, 20 together at the most (with `by` 28); 12 bytes for each step after the first that a unit reached. Units in whose
 * entries the order of receipt makes a difference are walked through once more, some at a time: 100 bytes for each of their entries.
 */
export function* funnel(
  question: FunnelQuery,
  source: Followed,
  budget: MemoryBudget,
): Generator<void, FunnelResult> {
  const { scope, steps, window, by } = question
  const units = yield* unitsOf(question.unit, scope.websites, source, budget)
  const all = new Matcher(scope, scope.filters, source)
  const matchers = steps.map((step) => stepMatcher(step, scope, source))
  const values = by === undefined ? undefined : new Values(by, source, budget)
  const eachFitting = function* (add: (batch: Batch, found: Masked, codes: Uint32Array | undefined) => void) {
    for (const entry of entriesOf(source, all, matchers)) {
      const batch = source.open(entry)
      const selection = batch && all.select(batch)
      if (batch && selection) {
        const fitting = matchers.map((matcher) => matcher.select(batch, selection))
        const found = masksOf(batch, fitting)
        if (found) add(batch, found, fitting[0] ? values?.codesOf(batch) : undefined)
      }
      yield
    }
  }
  const entries = new FunnelEntries(units.numbers, budget, values !== undefined)
  yield* eachFitting((batch, found, codes) => {
    for (const ids of units.of(batch)) entries.add(batch, ids, scope.from, found, codes)
  })
  const byUnit = yield* entries.byUnit()
  if (values) yield* values.lookUp()
  const walk = new Walk(steps.length, window, byUnit, values, budget)
  while (walk.someUnits(entriesPerStep)) yield
  const { ends } = byUnit
  const entriesOfUnit = (unit: number) => (ends[unit] as number) - (ends[unit - 1] as number)
  for (const ambiguous of slicesOf(walk.ambiguous, entriesOfUnit, budget)) {
    const part = budget.part()
    const ordered = new ReceiptOrder(ambiguous, units.numbers, part)
    yield* eachFitting((batch, { first, end, masks }, codes) => {
      const maskOf = typeof masks === "number" ? () => masks : (index: number) => masks[index] as number
      for (const ids of units.of(batch)) ordered.add(batch, ids, first, end, maskOf, codes)
    })
    yield* ordered.each(source, (events) => walk.unitInOrder(events))
    part.release()
  }
  return { groups: walk.finish() }
}

/** Values of a dimension over all batches: 0 where there is none. */
class Values {
  readonly texts: (string | null)[] = [null]
  readonly #codes = new Map<string | number, number>()
  readonly #sightings: RowLocator[] = []

  constructor(
    private readonly dimension: Dimension,
    private readonly source: Followed,
    private readonly budget: MemoryBudget,
  ) {}

  codesOf(batch: Batch): Uint32Array {
    const codes = new Uint32Array(batch.count)
    const { dimension, source } = this
    if (dimension === "event_name") return codes.fill(this.#codeOf(batch.name))
    if (dimension === "website_id") return codes.fill(this.#codeOf(source.websiteId(batch.website) ?? null))
    const kind = kindOf[dimension]
    if (kind) return this.#idCodes(codes, batch, batch[kind]())
    const column = dimensionOf(batch, dimension)
    const through = column.texts.map((text) => this.#codeOf(text))
    for (let index = 0; index < codes.length; index++)
      codes[index] = through[column.codes[index] as number] as number
    return codes
  }

  #codeOf(text: string | null): number {
    if (text === null) return 0
    const known = this.#codes.get(text)
    return known ?? this.#add(text, text)
  }

  #add(key: string | number, text: string | null): number {
    this.budget.take(valueBytes + (text ?? "").length * 2)
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
        this.#sightings.push({ number, website, name, ts: base + (times[index] as number) })
      codes[index] = known ?? this.#add(number, null)
    }
    return codes
  }

  /** Ids are numbers until here. */
  *lookUp(): Generator<void, void> {
    const kind = kindOf[this.dimension]
    if (!kind) return
    for (let at = 0; at < this.#sightings.length; at += idsPerStep) {
      const texts = yield* this.source.texts(kind, this.#sightings.slice(at, at + idsPerStep))
      for (const [number, text] of texts) this.texts[this.#codes.get(number) as number] = text
      yield
    }
  }
}

/** ms that units took from the step before. */
class Gaps {
  groups = new Uint32Array(1_024)
  ms = new Float64Array(1_024)
  count = 0

  constructor(private readonly budget: MemoryBudget) {}

  add(group: number, ms: number): void {
    if (this.count === this.ms.length) {
      this.budget.take(this.count * 12)
      this.groups = copied(new Uint32Array(this.count * 2), this.groups)
      this.ms = copied(new Float64Array(this.count * 2), this.ms)
    }
    this.groups[this.count] = group
    this.ms[this.count++] = ms
  }

  /** Of each group; null where it has none. */
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
      return first === end ? null : valueAt(sorted, first + Math.ceil((end - first) / 2) - 1, first, end)
    })
  }
}

function copied<Numbers extends Uint32Array | Float64Array>(larger: Numbers, from: Numbers): Numbers {
  larger.set(from)
  return larger
}

/** Goes through units one by one, and counts them. */
class Walk {
  /** Times of the attempt that got to each step, `steps` for each; and the code of `by` that it began with. */
  readonly #attempts: Float64Array
  readonly #codes: Uint32Array
  readonly #best: Float64Array
  /** For each code of `by`, the units that reached each step. */
  readonly #people: Uint32Array
  readonly #gaps: Gaps[]
  /** Units whose entries of the same ms differ: only the order of receipt tells which comes first. They are not counted yet. */
  readonly ambiguous: number[] = []
  readonly #groups: number
  /** The unit that comes next. */
  #next = 1

  constructor(
    private readonly steps: number,
    private readonly window: number,
    private readonly byUnit: ByUnit,
    private readonly values: Values | undefined,
    private readonly budget: MemoryBudget,
  ) {
    this.#attempts = new Float64Array(steps * steps)
    this.#codes = new Uint32Array(steps)
    this.#best = new Float64Array(steps)
    this.#groups = values?.texts.length ?? 1
    budget.take(this.#groups * steps * 4)
    this.#people = new Uint32Array(this.#groups * steps)
    this.#gaps = Array.from({ length: steps }, () => new Gaps(budget))
  }

  /** The next units, which have some so many entries; false when none are left. */
  someUnits(entries: number): boolean {
    const { ends, keys, codes } = this.byUnit
    let unit = this.#next
    let first = ends[unit - 1] as number
    const last = first + entries
    for (; unit < ends.length && first < last; unit++) {
      const end = ends[unit] as number
      if (first === end) continue
      if (end - first > 1) this.#sort(first, end)
      if (isAmbiguous(keys, codes, first, end)) {
        this.budget.take(8)
        this.ambiguous.push(unit)
      } else this.#walk(keys, codes, first, end)
      first = end
    }
    this.#next = unit
    return unit < ends.length
  }

  /** A unit whose labels are the masks. */
  unitInOrder({ times, labels, codes }: InOrder): void {
    const keys = Float64Array.from(times, (time, index) => time * maskRange + (labels[index] as number))
    this.#walk(keys, this.values && Uint32Array.from(codes), 0, keys.length)
  }

  #walk(keys: Float64Array, codes: Uint32Array | undefined, first: number, end: number): void {
    const { steps, window } = this
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
          for (let place = 0; place < step; place++) attempts[to + place] = attempts[from + place] as number
          attempts[to + step] = time
          attemptCodes[step] = attemptCodes[step - 1] as number
        }
        if (step < reached) continue
        reached = step + 1
        bestCode = attemptCodes[step] as number
        for (let place = 0; place <= step; place++) best[place] = attempts[to + place] as number
      }
    }
    for (let step = 0; step < reached; step++) {
      const at = bestCode * steps + step
      this.#people[at] = (this.#people[at] as number) + 1
      if (step > 0)
        (this.#gaps[step] as Gaps).add(bestCode, (best[step] as number) - (best[step - 1] as number))
    }
  }

  #sort(first: number, end: number): void {
    const { keys, codes } = this.byUnit
    // They come day by day and name by name: few are far from their place.
    if (end - first <= 32) insertionSort(keys, codes, first, end)
    else if (codes) sortBoth(keys, codes, first, end)
    else keys.subarray(first, end).sort()
  }

  finish(): FunnelResult["groups"] {
    const { steps } = this
    const medians = this.#gaps.map((gaps) => gaps.medians(this.#groups))
    const groups: FunnelResult["groups"] = []
    for (let code = 0; code < this.#groups; code++) {
      const people = this.#people.subarray(code * steps, (code + 1) * steps)
      if (this.values && people[0] === 0) continue
      groups.push({
        by: this.values?.texts[code] ?? null,
        steps: Array.from(
          people,
          (people, step): FunnelStep => ({ people, median: medians[step]?.[code] ?? null }),
        ),
      })
    }
    return groups.sort(inOrder)
  }
}

/** Whether two of the sorted entries have the same ms and are not the same otherwise. */
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

function inOrder(one: FunnelResult["groups"][number], other: FunnelResult["groups"][number]): number {
  const more = (other.steps[0]?.people ?? 0) - (one.steps[0]?.people ?? 0)
  if (more !== 0 || one.by === other.by) return more
  if (one.by === null || other.by === null) return one.by === null ? -1 : 1
  return one.by < other.by ? -1 : 1
}
