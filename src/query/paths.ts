import { type Batch, dayMs } from "../columns/batch.ts"
import { type Budget, TooLarge } from "./distinct.ts"
import { Matcher } from "./filter.ts"
import type { PathsAnswer, PathsQuestion } from "./question.ts"
import { placeOf, type Selection, sizeOf } from "./selection.ts"
import { entriesOf, type Followed, stepMatcher } from "./step.ts"

/** Sessions whose neighbours are counted in one go: some ms. */
const sessionsPerStep = 65_536

/**
 * Which events stand around the first one of each session that fits. Where a session ends before the last place that was
 * asked for, its next place counts as null, and those beyond it as nothing.
 *
 * Two passes: the first finds the event in each session and reads nothing but batches that may hold it; the second keeps the
 * neighbours. Memory: 4 bytes for each session's number; for each session that has the event 24 bytes, and 8 for each place.
 */
export function* paths(
  question: PathsQuestion,
  source: Followed,
  budget: Budget,
): Generator<void, PathsAnswer> {
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
  return { sessions: found.count, places: yield* around.places() }
}

/** Puts an event's time and name into one number, in whose order events are taken. */
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
  if ((last - first) * dayMs * names.size > Number.MAX_SAFE_INTEGER) throw new TooLarge()
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
    private readonly budget: Budget,
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

  constructor(
    private readonly found: Found,
    private readonly before: number,
    private readonly after: number,
    budget: Budget,
  ) {
    const width = 1 + before + after
    this.#width = width
    budget.take(found.count * width * 8)
    this.#keys = new Float64Array(found.count * width)
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
      const key = base + (times[index] as number) * names
      const first = place * width
      const side =
        key - (events[hit] as number) || ordinal + (counted ? index : 0) - (ordinals[place] as number)
      if (side < 0) insertNearest(keys, first + 1, before, key, 1)
      else if (side > 0) insertNearest(keys, first + 1 + before, after, key, -1)
    }
  }

  *places(): Generator<void, PathsAnswer["places"]> {
    const { names } = this.found.keys
    const places: PathsAnswer["places"] = []
    for (const [begin, most, sign] of [
      [1, this.before, -1],
      [1 + this.before, this.after, 1],
    ] as const) {
      // For each distance and name; number 0 is the end of a session.
      const counts = new Uint32Array(most * (names.length + 1))
      for (let first = 0; first < this.found.count; first += sessionsPerStep) {
        this.#count(begin, most, first, Math.min(first + sessionsPerStep, this.found.count), counts)
        yield
      }
      counts.forEach((count, index) => {
        const distance = Math.floor(index / (names.length + 1)) + 1
        const name = names[(index % (names.length + 1)) - 1] ?? null
        if (count > 0) places.push({ place: sign * distance, name, count })
      })
    }
    return places.sort(inOrder)
  }

  #count(begin: number, most: number, first: number, end: number, counts: Uint32Array): void {
    const names = this.found.keys.names.length
    const [keys, width] = [this.#keys, this.#width]
    for (let place = first; place < end; place++) {
      for (let distance = 0; distance < most; distance++) {
        const key = keys[place * width + begin + distance] as number
        const isThere = Math.abs(key) !== Number.POSITIVE_INFINITY
        const at = distance * (names + 1) + (isThere ? 1 + (key % names) : 0)
        counts[at] = (counts[at] as number) + 1
        if (!isThere) break
      }
    }
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

function inOrder(one: PathsAnswer["places"][number], other: PathsAnswer["places"][number]): number {
  const first = one.place - other.place || other.count - one.count
  if (first !== 0 || one.name === other.name) return first
  if (one.name === null || other.name === null) return one.name === null ? -1 : 1
  return one.name < other.name ? -1 : 1
}
