import { type Batch, type RowLocator, type SliceId, StaleBlockError, sliceKey } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import { copyInto, lowerBound } from "../../columns/typed-arrays.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"

// Events in the same ms are ordered by arrival, which is the order of their row IDs. Blocks do not store row IDs, but
// the events of a batch are already in that order. For the few ms in which a unit has events in several batches, the
// row IDs are looked up in the rows.

/** Minimum and maximum number of events to sort at once. */
const minEvents = 10_000
const maxEvents = 2_000_000
/** Share of the available memory that the events to sort can take up. */
const memoryShare = 1 / 2
/**
 * Number of units to sort per step, and number of moments whose row IDs are looked up per step. A step takes a few ms.
 */
const unitsPerStep = 2_048
const momentsPerLookup = 1_000
/** Bytes per event, including its index in the order and the data needed to look up its row ID. */
const eventBytes = 100

/** Splits units into parts that are small enough to sort at once. `eventsOf` returns the number of events of a unit. */
export function partitionUnits(
  units: readonly number[],
  eventsOf: (unit: number) => number,
  budget: MemoryBudget,
): number[][] {
  const limit = Math.min(Math.max(minEvents, (budget.available * memoryShare) / eventBytes), maxEvents)
  const parts: number[][] = []
  let events = Number.POSITIVE_INFINITY
  for (const unit of units) {
    const eventsInUnit = eventsOf(unit)
    if (events + eventsInUnit > limit) {
      parts.push([])
      events = 0
    }
    parts.at(-1)?.push(unit)
    events += eventsInUnit
  }
  return parts
}

type RowLookup = Pick<Snapshot, "rowIdsAt" | "typeOf">

/** Identifies the rows of a batch. */
type Origin = SliceId & Pick<Batch, "website" | "receipt">

/**
 * Returns the row ID of an event if it is known. Otherwise, returns the negated rank of the event (starting at 1) among
 * the events of its batch in the same ms.
 */
function referenceOf(batch: Batch, index: number, firstOfMs: number): number {
  const { ids } = batch.receipt
  return ids ? (ids[index] as number) : firstOfMs - index - 1
}

/**
 * Returns the row IDs of all events that a website has at the given moments (Unix ms), in ascending order. The map is
 * keyed by ms, name, kind and crawler flag, which together identify a batch.
 */
function idsByBatch(rows: RowLookup, website: number, moments: readonly number[]): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const row of rows.rowIdsAt(website, moments)) {
    const [id, ts, , crawler] = row
    const { name, kind } = rows.typeOf(row)
    const key = keyOf(ts, { name, kind, crawler: crawler === 1 })
    const ids = found.get(key)
    if (ids) ids.push(id)
    else found.set(key, [id])
  }
  for (const ids of found.values()) if (ids.length > 1) ids.sort((a, b) => a - b)
  return found
}

function keyOf(ts: number, id: SliceId): string {
  return `${ts} ${sliceKey(id)}`
}

/**
 * Returns the row ID of an event. `found` is the result of `idsByBatch`. Throws StaleBlockError if the event has been
 * deleted since its block was opened.
 */
function rowIdOf(
  reference: number,
  origin: Origin,
  ts: number,
  found: ReadonlyMap<string, number[]>,
): number {
  const { receipt } = origin
  const ids = found.get(keyOf(ts, origin)) ?? []
  const first = ids.findIndex((id) => id > receipt.after)
  const id = first < 0 ? undefined : ids[first - reference - 1]
  if (id === undefined || id > receipt.last) throw new StaleBlockError()
  return id
}

/** The time of an event, and the data needed to look up its row ID. */
export interface Moment extends Omit<RowLocator, "dictionaryId"> {
  origin: Origin
  /** See `referenceOf`. Replaced by the row ID once it has been looked up. */
  reference: number
}

export function momentAt(batch: Batch, index: number): Moment {
  const times = batch.times()
  const time = times[index] as number
  const { website, name, kind, crawler, receipt, base } = batch
  // Copied without the row IDs of the other events, so that those do not stay in memory.
  const origin = { website, name, kind, crawler, receipt: { after: receipt.after, last: receipt.last } }
  return {
    website,
    name,
    ts: base + time,
    origin,
    reference: referenceOf(batch, index, lowerBound(times, time)),
  }
}

/** Returns true if `a` is later than `b`, or arrived later in the same ms. */
export function isAfter(a: Moment, b: Moment, rows: RowLookup): boolean {
  return a.ts === b.ts ? idOf(a, rows) > idOf(b, rows) : a.ts > b.ts
}

function idOf(moment: Moment, rows: RowLookup): number {
  const { reference, origin, ts } = moment
  if (reference < 0) moment.reference = rowIdOf(reference, origin, ts, idsByBatch(rows, origin.website, [ts]))
  return moment.reference
}

/** The events of a unit, ordered by time and then by arrival. */
export interface OrderedEvents {
  /** Dictionary ID of the unit. */
  unit: number
  /** In Unix ms. */
  times: number[]
  labels: number[]
  codes: number[]
}

/** Sorts the events of units by time, then by arrival. */
export class ReceiptOrder {
  /** For each dictionary ID, its index in `units` plus 1, or 0 if `units` does not contain the ID. */
  readonly #slots: Uint32Array
  readonly #origins: Origin[] = []
  #count = 0
  #size = 0
  #unitSlots = new Uint32Array(0)
  #times = new Float64Array(0)
  #references = new Float64Array(0)
  #batches = new Uint32Array(0)
  #labels = new Uint32Array(0)
  #codes = new Uint32Array(0)

  /** Only sorts the events of `units`. `dictionarySize` is one more than the largest dictionary ID of a unit. */
  constructor(
    private readonly units: readonly number[],
    dictionarySize: number,
    private readonly budget: MemoryBudget,
  ) {
    budget.reserve(dictionarySize * 4)
    this.#slots = new Uint32Array(dictionarySize)
    for (const [slot, unit] of units.entries()) this.#slots[unit] = slot + 1
  }

  /**
   * Adds the events of a batch from `first` to `end` (exclusive) whose label is above 0. Batches must be added in the
   * order of the scan.
   */
  add(
    batch: Batch,
    units: Uint32Array,
    first: number,
    end: number,
    labelOf: (index: number) => number,
    codes: Uint32Array | undefined,
  ): void {
    const times = batch.times()
    const { website, name, kind, crawler, receipt, base } = batch
    let batchNumber = -1
    let firstOfMs = -1
    for (let index = first; index < end; index++) {
      const slot = this.#slots[units[index] as number] as number
      if (slot === 0) continue
      const label = labelOf(index)
      if (label === 0) continue
      if (batchNumber < 0) {
        const { after, last } = receipt
        batchNumber = this.#origins.push({ website, name, kind, crawler, receipt: { after, last } }) - 1
      }
      const time = times[index] as number
      if (firstOfMs < 0 || times[firstOfMs] !== time) firstOfMs = lowerBound(times, time)
      if (this.#count === this.#size) this.#grow()
      const at = this.#count++
      this.#unitSlots[at] = slot - 1
      this.#times[at] = base + time
      this.#references[at] = referenceOf(batch, index, firstOfMs)
      this.#batches[at] = batchNumber
      this.#labels[at] = label
      if (codes) this.#codes[at] = codes[index] as number
    }
  }

  #grow(): void {
    const size = Math.max(1_024, this.#size * 2)
    this.budget.reserve((size - this.#size) * eventBytes)
    this.#size = size
    this.#unitSlots = copyInto(new Uint32Array(size), this.#unitSlots)
    this.#times = copyInto(new Float64Array(size), this.#times)
    this.#references = copyInto(new Float64Array(size), this.#references)
    this.#batches = copyInto(new Uint32Array(size), this.#batches)
    this.#labels = copyInto(new Uint32Array(size), this.#labels)
    this.#codes = copyInto(new Uint32Array(size), this.#codes)
  }

  /** Calls `visit` with the events of each unit. */
  *each(rows: RowLookup, visit: (events: OrderedEvents) => void): Generator<void, void> {
    const { order, ends } = this.#byUnit()
    yield
    const tied: number[] = []
    for (const slot of this.units.keys()) {
      const unitOrder = order.subarray(ends[slot] as number, ends[slot + 1] as number)
      // The sort is stable, so events of the same batch and ms stay in order of arrival.
      unitOrder.set([...unitOrder].sort((a, b) => this.#timeOf(a) - this.#timeOf(b)))
      for (const run of this.#ties(unitOrder))
        for (const at of run) if (this.#referenceOf(at) < 0) tied.push(at)
      if (slot % unitsPerStep === unitsPerStep - 1) yield
    }
    yield* this.#lookUp(tied, rows)
    for (const [slot, unit] of this.units.entries()) {
      const unitOrder = order.subarray(ends[slot] as number, ends[slot + 1] as number)
      for (const run of this.#ties(unitOrder))
        run.set([...run].sort((a, b) => this.#referenceOf(a) - this.#referenceOf(b)))
      const [times, labels, codes] = [this.#times, this.#labels, this.#codes].map((all) =>
        Array.from(unitOrder, (at) => all[at] as number),
      ) as [number[], number[], number[]]
      visit({ unit, times, labels, codes })
      if (slot % unitsPerStep === unitsPerStep - 1) yield
    }
  }

  #timeOf(at: number): number {
    return this.#times[at] as number
  }

  #referenceOf(at: number): number {
    return this.#references[at] as number
  }

  /** Groups events by unit. The events of the nth unit are in `order` from `ends[n]` to `ends[n + 1]` (exclusive). */
  #byUnit(): { order: Uint32Array; ends: Uint32Array } {
    const ends = new Uint32Array(this.units.length + 1)
    for (let at = 0; at < this.#count; at++) {
      const next = (this.#unitSlots[at] as number) + 1
      ends[next] = (ends[next] as number) + 1
    }
    for (let slot = 0; slot < this.units.length; slot++)
      ends[slot + 1] = (ends[slot + 1] as number) + (ends[slot] as number)
    const order = new Uint32Array(this.#count)
    const next = ends.slice()
    for (let at = 0; at < this.#count; at++) {
      const slot = this.#unitSlots[at] as number
      const target = next[slot] as number
      order[target] = at
      next[slot] = target + 1
    }
    return { order, ends }
  }

  /**
   * Yields each run of events in the same ms that come from several batches. `events` are the events of a unit in
   * chronological order.
   */
  *#ties(events: Uint32Array): Generator<Uint32Array> {
    for (let first = 0, end = 0; first < events.length; first = end) {
      const [start, ts] = [events[first] as number, this.#timeOf(events[first] as number)]
      let isOneBatch = true
      for (end = first + 1; end < events.length && this.#timeOf(events[end] as number) === ts; end++)
        isOneBatch &&= this.#batches[events[end] as number] === this.#batches[start]
      if (!isOneBatch) yield events.subarray(first, end)
    }
  }

  /** Replaces references with row IDs, in steps. */
  *#lookUp(tied: readonly number[], rows: RowLookup): Generator<void, void> {
    for (const [website, events] of Map.groupBy(tied, (at) => this.#originOf(at).website)) {
      const moments = [...Map.groupBy(events, (at) => this.#timeOf(at))].sort(([a], [b]) => a - b)
      yield
      for (let first = 0; first < moments.length; first += momentsPerLookup) {
        const some = moments.slice(first, first + momentsPerLookup)
        const ids = idsByBatch(
          rows,
          website,
          some.map(([ts]) => ts),
        )
        for (const [ts, events] of some) {
          for (const at of events) {
            const origin = this.#originOf(at)
            this.#references[at] = rowIdOf(this.#referenceOf(at), origin, ts, ids)
          }
        }
        yield
      }
    }
  }

  #originOf(at: number): Origin {
    return this.#origins[this.#batches[at] as number] as Origin
  }
}
