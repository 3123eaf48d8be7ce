import { type Batch, type RowLocator, StaleBlockError } from "../../columns/batch.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import type { MemoryBudget } from "../structures/id-set.ts"
import { firstFrom } from "../structures/selection.ts"

// The order of events of the same ms: that of receipt, which is that of their row ids. Blocks hold no row ids. Within one batch events are
// in that order already; for the few ms in which someone has events of several batches the ids are looked up in the rows.

/** Events that are put in order together, at least and at most. */
const leastEvents = 10_000
const mostEvents = 2_000_000
/** Of the memory that is left, for those. */
const share = 1 / 2
/** Units that are put in order in one go, and moments whose row ids are looked up: some ms each. */
const unitsPerStep = 2_048
const momentsPerLookup = 1_000
/** Bytes that an event takes here, with its place in the order, and its moment where that is looked up. */
const eventBytes = 100

/** Units in parts, each of which can be put in order at once. `eventsOf`: how many each has. */
export function slicesOf(
  units: readonly number[],
  eventsOf: (unit: number) => number,
  budget: MemoryBudget,
): number[][] {
  const most = Math.min(Math.max(leastEvents, (budget.left * share) / eventBytes), mostEvents)
  const slices: number[][] = []
  let events = Number.POSITIVE_INFINITY
  for (const unit of units) {
    const theirs = eventsOf(unit)
    if (events + theirs > most) {
      slices.push([])
      events = 0
    }
    slices.at(-1)?.push(unit)
    events += theirs
  }
  return slices
}

type RowLookup = Pick<Snapshot, "rowIdsAt" | "nameOf">

/** Which rows the events of a batch are. */
type Origin = Pick<Batch, "website" | "name" | "crawler" | "receipt">

/** An event's row id where it is known, else minus its place (from 1) among those of its batch and ms. */
function referenceOf(batch: Batch, index: number, firstOfMs: number): number {
  const { ids } = batch.receipt
  return ids ? (ids[index] as number) : firstOfMs - index - 1
}

/** Row ids by what tells batches apart, ascending: those of one ms, name, and crawlers or not. */
function idsByBatch(rows: RowLookup, website: number, moments: readonly number[]): Map<string, number[]> {
  const found = new Map<string, number[]>()
  for (const row of rows.rowIdsAt(website, moments)) {
    const [id, ts, , crawler] = row
    const key = keyOf(ts, rows.nameOf(row), crawler === 1)
    const ids = found.get(key)
    if (ids) ids.push(id)
    else found.set(key, [id])
  }
  for (const ids of found.values()) if (ids.length > 1) ids.sort((one, other) => one - other)
  return found
}

function keyOf(ts: number, name: string, crawler: boolean): string {
  return `${ts} ${crawler} ${name}`
}

/** Throws Moved where the event was deleted since its block was looked up. */
function rowIdOf(
  reference: number,
  { name, crawler, receipt }: Origin,
  ts: number,
  found: ReadonlyMap<string, number[]>,
): number {
  const ids = found.get(keyOf(ts, name, crawler)) ?? []
  const first = ids.findIndex((id) => id > receipt.after)
  const id = first < 0 ? undefined : ids[first - reference - 1]
  if (id === undefined || id > receipt.last) throw new StaleBlockError()
  return id
}

/** An event that is the first or the latest one so far. */
export interface Moment extends Omit<RowLocator, "number"> {
  origin: Origin
  /** The row id, once it was looked up. */
  reference: number
}

export function momentAt(batch: Batch, index: number): Moment {
  const times = batch.times()
  const time = times[index] as number
  const { website, name, crawler, receipt, base } = batch
  // Ids that are known are not held on to beside the event's own.
  const origin = { website, name, crawler, receipt: { after: receipt.after, last: receipt.last } }
  return {
    website,
    name,
    ts: base + time,
    origin,
    reference: referenceOf(batch, index, firstFrom(times, time)),
  }
}

/** Of the same ms too: whether one was received after another. */
export function isAfter(one: Moment, other: Moment, rows: RowLookup): boolean {
  return one.ts === other.ts ? idOf(one, rows) > idOf(other, rows) : one.ts > other.ts
}

function idOf(moment: Moment, rows: RowLookup): number {
  const { reference, origin, ts } = moment
  if (reference < 0) moment.reference = rowIdOf(reference, origin, ts, idsByBatch(rows, origin.website, [ts]))
  return moment.reference
}

/** A unit's events in the order of time, then of receipt. */
export interface InOrder {
  /** As `add` was given it. */
  unit: number
  /** Unix ms */
  times: number[]
  labels: number[]
  codes: number[]
}

/** Puts the events of some units in their exact order. */
export class ReceiptOrder {
  /** Places in `units`, counted from 1, by the unit's number. */
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

  /** `numbers`: one more than the largest number of a unit. */
  constructor(
    private readonly units: readonly number[],
    numbers: number,
    private readonly budget: MemoryBudget,
  ) {
    budget.take(numbers * 4)
    this.#slots = new Uint32Array(numbers)
    for (const [slot, unit] of units.entries()) this.#slots[unit] = slot + 1
  }

  /** Events of a batch from `first` up to, but without, `end`, whose label is above 0. Batches come in the order of the source. */
  add(
    batch: Batch,
    units: Uint32Array,
    first: number,
    end: number,
    labelOf: (index: number) => number,
    codes: Uint32Array | undefined,
  ): void {
    const times = batch.times()
    const { website, name, crawler, receipt, base } = batch
    let batchNumber = -1
    let firstOfMs = -1
    for (let index = first; index < end; index++) {
      const slot = this.#slots[units[index] as number] as number
      if (slot === 0) continue
      const label = labelOf(index)
      if (label === 0) continue
      if (batchNumber < 0) {
        const { after, last } = receipt
        batchNumber = this.#origins.push({ website, name, crawler, receipt: { after, last } }) - 1
      }
      const time = times[index] as number
      if (firstOfMs < 0 || times[firstOfMs] !== time) firstOfMs = firstFrom(times, time)
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
    this.budget.take((size - this.#size) * eventBytes)
    const larger = <Numbers extends Uint32Array | Float64Array>(to: Numbers, from: Numbers): Numbers => {
      to.set(from)
      return to
    }
    this.#size = size
    this.#unitSlots = larger(new Uint32Array(size), this.#unitSlots)
    this.#times = larger(new Float64Array(size), this.#times)
    this.#references = larger(new Float64Array(size), this.#references)
    this.#batches = larger(new Uint32Array(size), this.#batches)
    this.#labels = larger(new Uint32Array(size), this.#labels)
    this.#codes = larger(new Uint32Array(size), this.#codes)
  }

  /** Calls `visit` for each unit with its events. */
  *each(rows: RowLookup, visit: (events: InOrder) => void): Generator<void, void> {
    const { order, ends } = this.#byUnit()
    yield
    const tied: number[] = []
    for (const slot of this.units.keys()) {
      const theirs = order.subarray(ends[slot] as number, ends[slot + 1] as number)
      // Stable: those of one batch and ms are in the order of receipt.
      theirs.set([...theirs].sort((one, other) => this.#timeOf(one) - this.#timeOf(other)))
      for (const run of this.#ties(theirs)) for (const at of run) if (this.#referenceOf(at) < 0) tied.push(at)
      if (slot % unitsPerStep === unitsPerStep - 1) yield
    }
    yield* this.#lookUp(tied, rows)
    for (const [slot, unit] of this.units.entries()) {
      const theirs = order.subarray(ends[slot] as number, ends[slot + 1] as number)
      for (const run of this.#ties(theirs))
        run.set([...run].sort((one, other) => this.#referenceOf(one) - this.#referenceOf(other)))
      const [times, labels, codes] = [this.#times, this.#labels, this.#codes].map((all) =>
        Array.from(theirs, (at) => all[at] as number),
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

  /** Events by unit: those of the n-th stand from `ends[n]` up to, but without, `ends[n + 1]`. */
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
      const place = next[slot] as number
      order[place] = at
      next[slot] = place + 1
    }
    return { order, ends }
  }

  /** Of a unit's events, which are in the order of time: those of one ms that are of several batches. */
  *#ties(events: Uint32Array): Generator<Uint32Array> {
    for (let first = 0, end = 0; first < events.length; first = end) {
      const [one, ts] = [events[first] as number, this.#timeOf(events[first] as number)]
      let isOfOne = true
      for (end = first + 1; end < events.length && this.#timeOf(events[end] as number) === ts; end++)
        isOfOne &&= this.#batches[events[end] as number] === this.#batches[one]
      if (!isOfOne) yield events.subarray(first, end)
    }
  }

  /** Puts row ids in the place of their references. Yields meanwhile. */
  *#lookUp(tied: readonly number[], rows: RowLookup): Generator<void, void> {
    for (const [website, events] of Map.groupBy(tied, (at) => this.#originOf(at).website)) {
      const moments = [...Map.groupBy(events, (at) => this.#timeOf(at))].sort(([one], [other]) => one - other)
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
