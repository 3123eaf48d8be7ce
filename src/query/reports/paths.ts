import { type Batch, dayMs } from "../../columns/batch.ts"
import type { PathsQuery, PathsResult } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import { type MemoryBudget, OutOfMemoryBudgetError } from "../structures/id-set.ts"
import { placeOf, type Selection, sizeOf } from "../structures/selection.ts"
import { ReceiptOrder, slicesOf } from "./receipt-order.ts"
import { entriesOf, type Followed, stepMatcher } from "./step.ts"

/** Sessions whose neighbours are counted in one go: some ms. */
const sessionsPerStep = 65_536

/**
 * Which events stand around the first one of each session that fits. Where a session ends before the last place that was
 * asked for, its next place counts as null, and those beyond it as nothing.
 *
 * Two passes: the first finds the event in each session and reads nothing but batches that may hold it; the second keeps the
 * neighbours. Sessions in which the order of receipt makes a difference, since other events of the same ms are among those, are
 * walked through once more. Memory: 4 bytes for each session's number; for each session that has the event 29 bytes, and 8 for each
 * place; 100 for each event of those sessions that are walked through, some at a time.
 */
export function* paths(
  question: PathsQuery,
  source: Followed,
  budget: MemoryBudget,
): Generator<void, PathsResult> {
  const { scope, event, before, after } = question
  const all = new Matcher(scope, scope.filters, source)
  const fits = stepMatcher(event, scope, source)
  const keys = keysOf(source, all)
  const found = new Found(source.numbers.sessions, keys, budget)
  let ordinal = 0
  for (const entry of entriesOf(source, all, [fits])) {
    const batch = source.open(entry)
    const selection = batch && all.select(batch)
    const fitting = selection && fits.select(batch, selection)
    if (batch && fitting) found.find(batch, fitting, ordinal)
    ordinal += batch?.count ?? 0
    yield
  }
  const around = new Around(found, before, after, budget)
  if (before + after > 0 && found.count > 0) {
    ordinal = 0
    for (const entry of entriesOf(source, all)) {
      const batch = source.open(entry)
      const selection = batch && all.select(batch)
      // Batches of the first pass have the same ordinals as there; what is in no such batch stands between two of them.
      const again = fits.accepts(entry)
      if (batch && selection) around.add(batch, selection, again ? ordinal : ordinal - 0.5, again)
      if (again) ordinal += batch?.count ?? 0
      yield
    }
  }
  yield* around.countAll()
  const ambiguous = around.ambiguous()
  for (const sessions of slicesOf(ambiguous, (session) => around.eventsOf(session), budget)) {
    const part = budget.part()
    const ordered = new ReceiptOrder(sessions, source.numbers.sessions, part)
    for (const entry of entriesOf(source, all)) {
      const batch = source.open(entry)
      const selection = batch && all.select(batch)
      if (batch && selection) addLabelled(ordered, batch, selection, fits, keys)
      yield
    }
    yield* ordered.each(source, ({ labels }) => around.countInOrder(labels))
    part.release()
  }
  return { sessions: found.count, places: around.places() }
}

/** An event's label says its name, and whether it is the one that is asked about. */
function addLabelled(
  ordered: ReceiptOrder,
  batch: Batch,
  selection: Selection,
  fits: Matcher,
  { ranks }: Keys,
): void {
  const name = 2 * ((ranks.get(batch.name) as number) + 1)
  const labels = new Uint32Array(batch.count)
  for (let n = 0; n < sizeOf(selection); n++) labels[placeOf(selection, n)] = name
  const fitting = fits.select(batch, selection)
  if (fitting) for (let n = 0; n < sizeOf(fitting); n++) labels[placeOf(fitting, n)] = name + 1
  const { first, end } = selection
  ordered.add(batch, batch.sessions(), first, end, (index) => labels[index] as number, undefined)
}

/** Puts an event's time and name into one number, in whose order events are taken but for those of the same ms. */
interface Keys {
  /** In the order of their texts. */
  names: readonly string[]
  ranks: ReadonlyMap<string, number>
  /** Unix ms; the begin of the first day. */
  from: number
}

/** Throws TooLarge where time and name are more than one number can tell apart. */
function keysOf(source: Followed, all: Matcher): Keys {
  const names = new Set<string>()
  let [first, last] = [Number.POSITIVE_INFINITY, 0]
  for (const { name, day } of entriesOf(source, all)) {
    names.add(name)
    first = Math.min(first, day)
    last = day + 1
  }
  if ((last - first) * dayMs * names.size > Number.MAX_SAFE_INTEGER) throw new OutOfMemoryBudgetError()
  const sorted = [...names].sort()
  return { names: sorted, ranks: new Map(sorted.map((name, rank) => [name, rank])), from: first * dayMs }
}

/** The key of a batch's event at a time is that time after the batch's begin, times the number of names, plus this. */
function keyBase({ names, ranks, from }: Keys, { base, name }: Batch): number {
  return (base - from) * names.length + (ranks.get(name) as number)
}

/** Sessions that have the event, and its key in each. */
class Found {
  count = 0
  events = new Float64Array(1_024)
  /** Tells events of the same ms and name apart. */
  ordinals = new Float64Array(1_024)
  /** Places in the arrays by session, counted from 1. */
  readonly placeOf: Uint32Array

  constructor(
    sessions: number,
    readonly keys: Keys,
    private readonly budget: MemoryBudget,
  ) {
    budget.take(sessions * 4)
    this.placeOf = new Uint32Array(sessions)
  }

  find(batch: Batch, selection: Selection, ordinal: number): void {
    const sessions = batch.sessions()
    const times = batch.times()
    const names = this.keys.names.length
    const base = keyBase(this.keys, batch)
    const size = sizeOf(selection)
    this.#makeRoom(size)
    const { events, ordinals, placeOf: places } = this
    for (let n = 0; n < size; n++) {
      const index = placeOf(selection, n)
      const session = sessions[index] as number
      if (session === 0) continue
      const key = base + (times[index] as number) * names
      let place = (places[session] as number) - 1
      if (place < 0) {
        place = this.count++
        places[session] = place + 1
      } else if (key >= (events[place] as number)) continue
      events[place] = key
      ordinals[place] = ordinal + index
    }
  }

  #makeRoom(more: number): void {
    const size = this.events.length
    if (this.count + more <= size) return
    const larger = Math.max(size * 2, this.count + more)
    this.budget.take((larger - size) * 16)
    const [events, ordinals] = [this.events, this.ordinals]
    this.events = new Float64Array(larger)
    this.events.set(events)
    this.ordinals = new Float64Array(larger)
    this.ordinals.set(ordinals)
  }
}

/**
 * For each session its event's key, those of the events before it, the nearest first, and those after it; what is near in use is near in
 * memory. Infinite where there is none.
 */
class Around {
  readonly #width: number
  readonly #keys: Float64Array
  readonly #hits = new Hits()
  /** 1 for sessions where events of the same ms are at or next to the event, whose order these keys do not tell. */
  readonly #ambiguous: Uint8Array
  /** Events of each session, at most 2^32 - 1. */
  readonly #events: Uint32Array
  /** For each place (those before, the nearest first, then those after) and name; number 0 is the end of a session. */
  readonly #counts: Uint32Array

  constructor(
    private readonly found: Found,
    private readonly before: number,
    private readonly after: number,
    budget: MemoryBudget,
  ) {
    const width = 1 + before + after
    this.#width = width
    const names = found.keys.names.length
    budget.take(found.count * (width * 8 + 5) + width * (names + 1) * 4)
    this.#keys = new Float64Array(found.count * width)
    this.#ambiguous = new Uint8Array(found.count)
    this.#events = new Uint32Array(found.count)
    this.#counts = new Uint32Array(width * (names + 1))
    for (let place = 0; place < found.count; place++) {
      const at = place * width
      this.#keys[at] = found.events[place] as number
      this.#keys.fill(Number.NEGATIVE_INFINITY, at + 1, at + 1 + before)
      this.#keys.fill(Number.POSITIVE_INFINITY, at + 1 + before, at + width)
    }
  }

  add(batch: Batch, selection: Selection, ordinal: number, counted: boolean): void {
    const sessions = batch.sessions()
    const times = batch.times()
    const names = this.found.keys.names.length
    const base = keyBase(this.found.keys, batch)
    const { placeOf: places, ordinals } = this.found
    const { before, after } = this
    const [keys, width] = [this.#keys, this.#width]
    const hits = this.#hits.look(selection, sessions, places)
    const { indexes, found, events } = this.#hits
    // What is far apart in memory is looked up together, without a branch between: then it is waited for together.
    for (let hit = 0; hit < hits; hit++) events[hit] = keys[(found[hit] as number) * width] as number
    for (let hit = 0; hit < hits; hit++) {
      const index = indexes[hit] as number
      const place = found[hit] as number
      this.#events[place] = (this.#events[place] as number) + 1
      const key = base + (times[index] as number) * names
      const first = place * width
      const byKey = key - (events[hit] as number)
      const byOrdinal = ordinal + (counted ? index : 0) - (ordinals[place] as number)
      const side = byKey || byOrdinal
      if (side === 0) continue
      // Events of one batch, which have ordinals near to each other, are in the order of receipt.
      const isOfOther = byKey !== 0 || !counted || byOrdinal > index || byOrdinal <= index - batch.count
      if (Math.abs(byKey) < names && isOfOther && this.#areTied(key, events[hit] as number))
        this.#ambiguous[place] = 1
      const from = side < 0 ? first + 1 : first + 1 + before
      const end = side < 0 ? from + before : from + after
      for (let at = from; at < end; at++) {
        const other = keys[at] as number
        if (Math.abs(key - other) < names && key !== other && this.#areTied(key, other))
          this.#ambiguous[place] = 1
      }
      if (side < 0) insertNearest(keys, from, before, key, 1)
      else insertNearest(keys, from, after, key, -1)
    }
  }

  /** Whether two keys are of the same ms. */
  #areTied(one: number, other: number): boolean {
    const names = this.found.keys.names.length
    return Math.floor(one / names) === Math.floor(other / names)
  }

  eventsOf(session: number): number {
    return this.#events[(this.found.placeOf[session] as number) - 1] as number
  }

  /** Numbers of the sessions that `countAll` leaves out. */
  ambiguous(): number[] {
    const sessions: number[] = []
    this.found.placeOf.forEach((place, session) => {
      if (place > 0 && this.#ambiguous[place - 1] === 1) sessions.push(session)
    })
    return sessions
  }

  /** Counts all sessions but those that are ambiguous. */
  *countAll(): Generator<void, void> {
    for (let first = 0; first < this.found.count; first += sessionsPerStep) {
      this.#count(first, Math.min(first + sessionsPerStep, this.found.count))
      yield
    }
  }

  #count(first: number, end: number): void {
    const names = this.found.keys.names.length
    const { before, after } = this
    const [keys, width] = [this.#keys, this.#width]
    for (let place = first; place < end; place++) {
      if (this.#ambiguous[place] === 1) continue
      for (const [begin, most] of [
        [1, before],
        [1 + before, after],
      ] as const) {
        for (let at = begin; at < begin + most; at++) {
          const key = keys[place * width + at] as number
          const isThere = Math.abs(key) !== Number.POSITIVE_INFINITY
          this.#add(at, isThere ? 1 + (key % names) : 0)
          if (!isThere) break
        }
      }
    }
  }

  #add(at: number, name: number): void {
    const count = at * (this.found.keys.names.length + 1) + name
    this.#counts[count] = (this.#counts[count] as number) + 1
  }

  /** An ambiguous session, by the labels of its events in their order. */
  countInOrder(labels: readonly number[]): void {
    const { before, after } = this
    const event = labels.findIndex((label) => label % 2 === 1)
    for (const [begin, most, step] of [
      [1, before, -1],
      [1 + before, after, 1],
    ] as const) {
      for (let distance = 1; distance <= most; distance++) {
        const label = labels[event + distance * step]
        this.#add(begin + distance - 1, label === undefined ? 0 : label >> 1)
        if (label === undefined) break
      }
    }
  }

  places(): PathsResult["places"] {
    const { names } = this.found.keys
    const places: PathsResult["places"] = []
    this.#counts.forEach((count, index) => {
      const at = Math.floor(index / (names.length + 1))
      const name = names[(index % (names.length + 1)) - 1] ?? null
      if (count > 0) places.push({ place: at <= this.before ? -at : at - this.before, name, count })
    })
    return places.sort(inOrder)
  }
}

/** Events of a batch whose sessions have the event: where they stand, the places of their sessions, and room for the event's keys. */
class Hits {
  indexes = new Uint32Array(0)
  found = new Uint32Array(0)
  events = new Float64Array(0)

  /** How many there are. */
  look(selection: Selection, sessions: Uint32Array, places: Uint32Array): number {
    const size = sizeOf(selection)
    if (this.indexes.length < size) {
      this.indexes = new Uint32Array(size)
      this.found = new Uint32Array(size)
      this.events = new Float64Array(size)
    }
    const { indexes, found } = this
    let hits = 0
    for (let n = 0; n < size; n++) {
      const index = placeOf(selection, n)
      const place = places[sessions[index] as number] as number
      indexes[hits] = index
      found[hits] = place - 1
      hits += place === 0 ? 0 : 1
    }
    return hits
  }
}

/** Keeps the nearest of some keys, the nearest first. `nearer`: 1 where higher ones are, -1 where lower ones are. */
function insertNearest(keys: Float64Array, first: number, most: number, key: number, nearer: 1 | -1): void {
  let at = first + most - 1
  if (at < first || (key - (keys[at] as number)) * nearer <= 0) return
  for (; at > first && (key - (keys[at - 1] as number)) * nearer > 0; at--) keys[at] = keys[at - 1] as number
  keys[at] = key
}

function inOrder(one: PathsResult["places"][number], other: PathsResult["places"][number]): number {
  const first = one.place - other.place || other.count - one.count
  if (first !== 0 || one.name === other.name) return first
  if (one.name === null || other.name === null) return one.name === null ? -1 : 1
  return one.name < other.name ? -1 : 1
}
