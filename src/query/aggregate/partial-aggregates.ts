import { type Batch, dayMs } from "../../columns/batch.ts"
import type { Day, Entry, Snapshot } from "../../columns/snapshot.ts"
import type { Matcher } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/id-set.ts"
import { inBoth, rangeOf, type Selection } from "../structures/selection.ts"

/** What is counted of events, and adds up. */
export interface Mergeable<Self> {
  add(batch: Batch, selection: Selection): void
  /** Adds another one of the same, which stays as it is. */
  merge(other: Self): void
  /** Makes it smaller; from then on it is only merged into others. */
  pack(): void
}

/** Unix ms, `to` exclusive. */
export interface TimeRange {
  from: number
  to: number
}

/** What a question counts. */
export interface Aggregation<Of extends Mergeable<Of>, Time extends TimeRange> {
  /** Says what is counted of which events, but for when a stretch begins and ends; undefined: it is not to be kept for the next question. */
  keyOf(time: Time): string | undefined
  /** `base`: what it begins with, which does not change any more. */
  empty(time: Time, budget: MemoryBudget, base?: Of): Of
  /** Adds what a block tells of a time without its columns; false, with nothing added, where it does not tell. */
  addCounts(counts: Of, entry: Entry, time: Time): boolean
}

/** What is made of counts in the end. */
export interface Finisher<Of, Made> {
  /** Tells apart what is made of the same counts. */
  key: string
  make(counts: Of): Made
  /** What it takes in memory. */
  bytes(made: Made): number
}

/** ms; what begins or ends between two of these times is not asked for again, and not kept. */
const gridMs = 900_000
/** Days up to which a stretch is counted at once. */
const fewDays = 2

/** A batch from rows, and which of its events fit; undefined: it is not read yet. */
interface Loose {
  entry: Entry
  selection: Selection | undefined
}

/** All runs of a stretch together. */
interface Together<Of> {
  /** All but the last. */
  earlier: Of
  /** What they take. */
  bytes: number
  /** Of which blocks, and the last run on top. */
  state: string
  all: Of
}

/**
 * Counts events of stretches of time, and keeps what it counted of blocks for the next question.
 *
 * A long stretch is counted in runs of 1, 2, 4, 8 … days, each of which is kept. They begin at multiples of their length and are no
 * longer than there are days after them and before them: days change while they are new, and when the oldest events are
 * deleted, and then few are counted anew. All runs together are kept too: without the last one, which changes most, and with it.
 * On top of that come the events in rows, each time.
 */
export class PartialAggregates<Of extends Mergeable<Of>, Time extends TimeRange> {
  readonly #names: ReadonlySet<string> | undefined
  readonly #loose = new Map<Day, Loose[]>()

  constructor(
    private readonly source: Snapshot,
    private readonly matcher: Matcher,
    private readonly counted: Aggregation<Of, Time>,
    private readonly budget: MemoryBudget,
  ) {
    this.#names = matcher.names && new Set(matcher.names)
  }

  /** What is made of the counts of a stretch; undefined where there is no event at all. */
  *of<Made>(time: Time, making: Finisher<Of, Made>): Generator<void, Made | undefined> {
    if (this.#daysIn(time).length === 0) return undefined
    const budget = this.budget.part()
    const made = yield* this.isLoose(time)
      ? this.#made(this.#whole(time, budget), making)
      : this.#keeping(
          `made ${making.key}`,
          time,
          budget,
          (own) => this.#made(this.#sealed(time, own), making),
          making.bytes,
        )
    budget.release()
    return made
  }

  *#made<Made>(counts: Generator<void, Of>, { make }: Finisher<Of, Made>): Generator<void, Made> {
    return make(yield* counts)
  }

  /** Whether some of its events are in rows. */
  isLoose(time: TimeRange): boolean {
    return this.#daysIn(time).some(
      (day) =>
        day.isUnread ||
        this.#looseOf(day).some(
          ({ entry, selection }) =>
            !(entry.batch && selection) || inside(entry.batch, selection, time) !== undefined,
        ),
    )
  }

  #daysIn({ from, to }: TimeRange): Day[] {
    return this.source.days.filter(({ day }) => (day + 1) * dayMs > from && day * dayMs < to)
  }

  #accepted(entries: readonly Entry[]): Entry[] {
    return entries.filter(
      (entry) => (!this.#names || this.#names.has(entry.name)) && this.matcher.accepts(entry),
    )
  }

  /** Of a day that is read, or whose rows are read once. */
  #looseOf(day: Day): Loose[] {
    let loose = this.#loose.get(day)
    if (!loose) {
      loose = this.#accepted(day.loose()).flatMap((entry): Loose[] => {
        const selection = entry.batch && this.matcher.select(entry.batch)
        return entry.batch && !selection ? [] : [{ entry, selection }]
      })
      this.#loose.set(day, loose)
    }
    return loose
  }

  /** Of blocks and rows. */
  *#whole(time: Time, budget: MemoryBudget): Generator<void, Of> {
    const counts = this.counted.empty(time, budget, yield* this.#base(time, budget))
    for (const day of this.#daysIn(time)) {
      const loose = day.isUnread
        ? this.#accepted(day.loose()).map((entry): Loose => ({ entry, selection: undefined }))
        : this.#looseOf(day)
      for (const { entry, selection } of loose) {
        const batch = this.source.open(entry)
        const some = batch && (selection ? inside(batch, selection, time) : this.#select(batch, time))
        if (batch && some) counts.add(batch, some)
        yield
      }
    }
    return counts
  }

  #select(batch: Batch, { from, to }: TimeRange): Selection | undefined {
    return this.matcher.select(batch, rangeOf(batch, from, to))
  }

  /** Of blocks alone, to be changed by nobody; kept also where it is counted at once, since more is counted on top of it. */
  #base(time: Time, budget: MemoryBudget): Generator<void, Of> {
    const cut = this.#cutOf(time)
    if (cut !== undefined) return this.#throughCut(time, cut, budget)
    const runs = this.#runsOf(time)
    return runs.length > 1
      ? this.#together(time, runs, budget)
      : this.#keeping("base", time, budget, (own) => this.#count(time, own))
  }

  /** The same, not kept where it is counted at once. */
  #sealed(time: Time, budget: MemoryBudget): Generator<void, Of> {
    if (this.#cutOf(time) !== undefined) return this.#base(time, budget)
    const runs = this.#runsOf(time)
    return runs.length > 1 ? this.#together(time, runs, budget) : this.#count(time, budget)
  }

  #isKept(time: Time): boolean {
    return this.source.kept.memory > 0 && this.counted.keyOf(time) !== undefined
  }

  /** Up to when it can be kept, of a stretch that ends at any ms: now, or a day ago. */
  #cutOf(time: Time): number | undefined {
    const { from, to } = time
    const cut = Math.floor(to / gridMs) * gridMs
    return this.#isKept(time) && from % gridMs === 0 && from < cut && cut < to ? cut : undefined
  }

  *#throughCut(time: Time, cut: number, budget: MemoryBudget): Generator<void, Of> {
    const until = { ...time, to: cut }
    // The next cut comes soon, and takes the place of this one.
    const name = `until ${time.from} ${this.counted.keyOf(time)}`
    const earlier = yield* this.#keptAs(name, `${cut} ${this.#stateOf(until)}`, budget, (own) => {
      const runs = this.#runsOf(until)
      return runs.length > 1 ? this.#merged(until, runs, own) : this.#count(until, own)
    })
    const counts = this.counted.empty(time, budget, earlier)
    counts.merge(yield* this.#packed({ ...time, from: cut }, budget))
    return counts
  }

  *#together(time: Time, runs: readonly Time[], budget: MemoryBudget): Generator<void, Of> {
    const { kept } = this.source
    const last = runs.at(-1) as Time
    const before = { ...time, to: last.from }
    const name = this.#nameOf(`together ${last.from}`, time)
    const [stateBefore, state] = [this.#stateOf(before), this.#stateOf(time)]
    const known = isOnGrid(time) ? kept.find<Together<Of>>(name, stateBefore) : undefined
    if (known) this.source.fromKept = true
    if (known?.state === state) return known.all
    const own = budget.part()
    const earlier = known?.earlier ?? (yield* this.#merged(before, runs.slice(0, -1), own))
    const bytes = known?.bytes ?? own.taken
    const all = this.counted.empty(time, own, earlier)
    all.merge(yield* this.#run(last, own))
    const together: Together<Of> = { earlier, bytes, state, all }
    const inAll = own.taken + (known ? bytes : 0)
    if (isOnGrid(time) && kept.put(name, stateBefore, together, inAll, false)) own.release()
    return all
  }

  *#merged(time: Time, runs: readonly Time[], budget: MemoryBudget): Generator<void, Of> {
    const counts = this.counted.empty(time, budget)
    for (const run of runs) {
      const own = budget.part()
      counts.merge(yield* this.#run(run, own))
      own.release()
      yield
    }
    return counts
  }

  #run(time: Time, budget: MemoryBudget): Generator<void, Of> {
    return this.#keeping("run", time, budget, (own) => this.#packed(time, own), undefined, true)
  }

  *#packed(time: Time, budget: MemoryBudget): Generator<void, Of> {
    const counts = yield* this.#count(time, budget)
    counts.pack()
    return counts
  }

  *#count(time: Time, budget: MemoryBudget): Generator<void, Of> {
    const counts = this.counted.empty(time, budget)
    for (const day of this.#daysIn(time)) {
      for (const entry of this.#accepted(day.sealed())) {
        if (this.counted.addCounts(counts, entry, time)) continue
        const batch = this.source.open(entry)
        const found = batch && this.matcher.narrow(batch, time.from, time.to)
        if (found) counts.add(found.batch, found.selection)
        yield
      }
    }
    return counts
  }

  /** What is counted now or was for an earlier question. */
  *#keeping<Thing>(
    what: string,
    time: Time,
    budget: MemoryBudget,
    count: (own: MemoryBudget) => Generator<void, Thing>,
    bytes?: (thing: Thing, own: MemoryBudget) => number,
    isSpare?: boolean,
  ): Generator<void, Thing> {
    if (!this.#isKept(time) || !isOnGrid(time)) return yield* count(budget)
    return yield* this.#keptAs(this.#nameOf(what, time), this.#stateOf(time), budget, count, bytes, isSpare)
  }

  *#keptAs<Thing>(
    name: string,
    state: string,
    budget: MemoryBudget,
    count: (own: MemoryBudget) => Generator<void, Thing>,
    bytes: (thing: Thing, own: MemoryBudget) => number = (_, own) => own.taken,
    isSpare = false,
  ): Generator<void, Thing> {
    const { kept } = this.source
    const known = kept.find<{ thing: Thing }>(name, state)
    if (known) {
      this.source.fromKept = true
      return known.thing
    }
    const own = budget.part()
    const thing = yield* count(own)
    if (kept.put(name, state, { thing }, bytes(thing, own), isSpare)) own.release()
    return thing
  }

  #nameOf(what: string, time: Time): string {
    return `${what} ${time.from} ${time.to} ${this.counted.keyOf(time)}`
  }

  /** As long as it is the same, so are the blocks. */
  #stateOf(time: TimeRange): string {
    return this.#daysIn(time)
      .map(({ state }) => state)
      .join("")
  }

  /** One after the other; one alone where it is to be counted at once. */
  #runsOf(time: Time): Time[] {
    const { from, to } = time
    const { oldest, newest } = this.source.span
    if (!this.#isKept(time) || to - from <= fewDays * dayMs) return [time]
    const runs: Time[] = []
    const days = this.#daysIn(time).filter(({ state }) => state !== "")
    const end = days.at(-1)?.day ?? 0
    for (let day = days[0]?.day ?? 1; day <= end; ) {
      let length = 1
      const isFree = (longer: number) =>
        day % longer === 0 &&
        (day + longer) * dayMs <= to &&
        longer <= newest - (day + longer - 1) &&
        longer <= day - oldest
      if (day * dayMs >= from) while (isFree(length * 2)) length *= 2
      runs.push({ ...time, from: Math.max(from, day * dayMs), to: Math.min(to, (day + length) * dayMs) })
      day += length
    }
    return runs.length > 0 ? runs : [time]
  }
}

function isOnGrid({ from, to }: TimeRange): boolean {
  return from % gridMs === 0 && to % gridMs === 0
}

/** Those of a selection that are in a stretch of time. */
function inside(batch: Batch, selection: Selection, { from, to }: TimeRange): Selection | undefined {
  return inBoth(selection, rangeOf(batch, from, to))
}
