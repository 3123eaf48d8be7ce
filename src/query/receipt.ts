import { type Batch, Moved, type Sighting } from "../columns/batch.ts"
import type { EventSource } from "../columns/source.ts"
import type { Budget } from "./distinct.ts"
import { firstFrom } from "./selection.ts"

// The order of events of the same ms: that of receipt, which is that of their row ids. Blocks hold no row ids. Within one batch events are
// in that order already; for the few ms in which someone has events of several batches the ids are looked up in the rows.

/** Units that are put in order together: some 10 events each take some 50 MB. */
export const unitsPerSlice = 100_000
/** Units that are put in order in one go: some ms, without what is looked up. */
const unitsPerStep = 2_048
/** Rows that are read one after the other in the time of one lookup; and lookups in an hour up to which it is not tried. */
const rowsPerLookup = 16
const fewLookups = 16
const hourMs = 3_600_000
/** Bytes that an event takes here, with its place in the order. */
const eventBytes = 40

type RowLookup = Pick<EventSource, "rowIdsAt" | "rowIdsBetween" | "nameOf">

/** Which rows the events of a batch are. */
type Origin = Pick<Batch, "website" | "name" | "crawler" | "receipt">

/** An event's row id where it is known, else minus its place (from 1) among those of its batch and ms. */
function referenceOf(batch: Batch, index: number, firstOfMs: number): number {
  const { ids } = batch.receipt
  return ids ? (ids[index] as number) : firstOfMs - index - 1
}

/** `ids`: of the events of its website, name and ms. Throws Moved where the event was deleted since its block was looked up. */
function rowIdOf(reference: number, { receipt }: Origin, ids: readonly number[]): number {
  const first = ids.findIndex((id) => id > receipt.after)
  const id = first < 0 ? undefined : ids[first - reference - 1]
  if (id === undefined || id > receipt.last) throw new Moved()
  return id
}

/** An event that is the first or the latest one so far. */
export interface Moment extends Sighting {
  origin: Origin
  reference: number
}

/** `number`: of the id that it is looked at for. */
export function momentAt(batch: Batch, index: number, number: number): Moment {
  const times = batch.times()
  const time = times[index] as number
  const { website, name, crawler, receipt, base } = batch
  // Ids that are known are not held on to beside the event's own.
  const origin = { website, name, crawler, receipt: { after: receipt.after, last: receipt.last } }
  const reference = referenceOf(batch, index, firstFrom(times, time))
  return { number, website, name, ts: base + time, origin, reference }
}

/** Of the same ms too: whether one was received after another. */
export function isAfter(one: Moment, other: Moment, rows: RowLookup): boolean {
  return one.ts === other.ts ? idOf(one, rows) > idOf(other, rows) : one.ts > other.ts
}

function idOf({ reference, origin, ts }: Moment, rows: RowLookup): number {
  if (reference >= 0) return reference
  return rowIdOf(reference, origin, rows.rowIdsAt(origin.website, ts, origin.name, origin.crawler))
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
    private readonly budget: Budget,
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
    const hours = Map.groupBy(tied, (at) => `${this.#originOf(at).website} ${this.#hourOf(at)}`)
    for (const events of hours.values()) {
      const { website } = this.#originOf(events[0] as number)
      const from = this.#hourOf(events[0] as number) * hourMs
      const wanted = new Set(events.map((at) => this.#timeOf(at)))
      // Where that is less work than to look up each ms for itself.
      const most = wanted.size * rowsPerLookup
      const isFew = wanted.size < fewLookups
      const found = isFew ? [] : rows.rowIdsBetween(website, from, from + hourMs, most)
      const readTo = isFew ? from : found.length < most ? from + hourMs : (found.at(-1)?.[1] ?? from)
      const ids = Map.groupBy(
        found.filter(([, ts]) => ts < readTo && wanted.has(ts)),
        (row) => keyOf(row[1], rows.nameOf(row), row[3] === 1),
      )
      for (const at of events) {
        const [origin, ts] = [this.#originOf(at), this.#timeOf(at)]
        const { name, crawler } = origin
        const ofBatch =
          ts < readTo
            ? (ids.get(keyOf(ts, name, crawler)) ?? []).map(([id]) => id)
            : rows.rowIdsAt(origin.website, ts, name, crawler)
        this.#references[at] = rowIdOf(this.#referenceOf(at), origin, ofBatch)
      }
      yield
    }
  }

  #originOf(at: number): Origin {
    return this.#origins[this.#batches[at] as number] as Origin
  }

  #hourOf(at: number): number {
    return Math.floor(this.#timeOf(at) / hourMs)
  }
}

function keyOf(ts: number, name: string, crawler: boolean): string {
  return `${ts} ${crawler} ${name}`
}
