import type { Batch } from "../columns/batch.ts"
import type { Budget } from "./distinct.ts"
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
 * neighbours. Memory: 4 bytes for each session's number; for each session that has the event 22 bytes, and 12 for each place.
 */
export function* paths(
  question: PathsQuestion,
  source: Followed,
  budget: Budget,
): Generator<void, PathsAnswer> {
  const { scope, event, before, after } = question
  const all = new Matcher(scope, scope.filters, source)
  const fits = stepMatcher(event, scope, source)
  const found = new Found(source.numbers.sessions, before, after, budget)
  let ordinal = 0
  for (const entry of entriesOf(source, all, [fits])) {
    const batch = source.open(entry)
    const selection = batch && all.select(batch)
    const fitting = selection && fits.select(batch, selection)
    if (batch && fitting) found.find(batch, fitting, ordinal)
    ordinal += batch?.count ?? 0
    yield
  }
  if (before + after > 0 && found.count > 0) {
    found.makePlaces()
    ordinal = 0
    for (const entry of entriesOf(source, all)) {
      const batch = source.open(entry)
      const selection = batch && all.select(batch)
      // Batches of the first pass have the same ordinals as there; what is in no such batch stands between two of them.
      const again = fits.accepts(entry)
      if (batch && selection) found.around(batch, selection, again ? ordinal : ordinal - 0.5, again)
      if (again) ordinal += batch?.count ?? 0
      yield
    }
  }
  return { sessions: found.count, places: yield* found.places() }
}

/** Sessions that have the event. Neighbours stand in the order of their distance from it. */
class Found {
  count = 0
  /** Places in the arrays by session, counted from 1. */
  readonly #places: Uint32Array
  #times = new Float64Array(1_024)
  #names = new Uint32Array(1_024)
  /** Tells events of the same ms and name apart. */
  #ordinals = new Float64Array(1_024)
  #before: Neighbours
  #after: Neighbours
  readonly #texts: string[] = []
  readonly #codes = new Map<string, number>()

  constructor(
    sessions: number,
    private readonly mostBefore: number,
    private readonly mostAfter: number,
    private readonly budget: Budget,
  ) {
    budget.take(sessions * 4)
    this.#places = new Uint32Array(sessions)
    this.#before = new Neighbours(0, 0, 1, this.#texts)
    this.#after = new Neighbours(0, 0, -1, this.#texts)
  }

  find(batch: Batch, selection: Selection, ordinal: number): void {
    const sessions = batch.sessions()
    const times = batch.times()
    const name = this.#codeOf(batch.name)
    const size = sizeOf(selection)
    this.#makeRoom(size)
    const places = this.#places
    for (let n = 0; n < size; n++) {
      const index = placeOf(selection, n)
      const session = sessions[index] as number
      if (session === 0) continue
      const time = batch.base + (times[index] as number)
      let place = (places[session] as number) - 1
      if (place < 0) {
        place = this.count++
        places[session] = place + 1
      } else {
        const before = this.#times[place] as number
        if (time > before) continue
        if (time === before && !this.#isBefore(name, this.#names[place] as number)) continue
      }
      this.#times[place] = time
      this.#names[place] = name
      this.#ordinals[place] = ordinal + index
    }
  }

  makePlaces(): void {
    this.budget.take(this.count * (2 + 12 * (this.mostBefore + this.mostAfter)))
    this.#before = new Neighbours(this.count, this.mostBefore, 1, this.#texts)
    this.#after = new Neighbours(this.count, this.mostAfter, -1, this.#texts)
  }

  around(batch: Batch, selection: Selection, ordinal: number, counted: boolean): void {
    const { base } = batch
    const sessions = batch.sessions()
    const times = batch.times()
    const name = this.#codeOf(batch.name)
    const [places, eventTimes] = [this.#places, this.#times]
    const [before, after] = [this.#before, this.#after]
    const size = sizeOf(selection)
    for (let n = 0; n < size; n++) {
      const index = placeOf(selection, n)
      const place = (places[sessions[index] as number] as number) - 1
      if (place < 0) continue
      const time = base + (times[index] as number)
      const side =
        time - (eventTimes[place] as number) || this.#side(place, name, ordinal, counted ? index : 0)
      if (side < 0) before.add(place, time, name)
      else if (side > 0) after.add(place, time, name)
    }
  }

  /** Where another event of the same ms stands: below 0 before the session's event, 0 it is the one, else after it. */
  #side(place: number, name: number, ordinal: number, index: number): number {
    const eventName = this.#names[place] as number
    if (name === eventName) return ordinal + index - (this.#ordinals[place] as number)
    return this.#isBefore(name, eventName) ? -1 : 1
  }

  #isBefore(name: number, other: number): boolean {
    return (this.#texts[name] as string) < (this.#texts[other] as string)
  }

  *places(): Generator<void, PathsAnswer["places"]> {
    const texts = [null, ...this.#texts]
    const places: PathsAnswer["places"] = []
    for (const neighbours of [this.#before, this.#after]) {
      const { most } = neighbours
      const counts = new Uint32Array(most * texts.length)
      for (let first = 0; first < this.count; first += sessionsPerStep) {
        neighbours.count(first, Math.min(first + sessionsPerStep, this.count), counts, texts.length)
        yield
      }
      counts.forEach((count, index) => {
        const distance = Math.floor(index / texts.length) + 1
        const name = texts[index % texts.length] as string | null
        if (count > 0) places.push({ place: neighbours === this.#before ? -distance : distance, name, count })
      })
    }
    return places.sort(inOrder)
  }

  #codeOf(name: string): number {
    let code = this.#codes.get(name)
    if (code === undefined) {
      code = this.#texts.push(name) - 1
      this.#codes.set(name, code)
    }
    return code
  }

  #makeRoom(more: number): void {
    const size = this.#times.length
    if (this.count + more <= size) return
    const larger = Math.max(size * 2, this.count + more)
    this.budget.take((larger - size) * 20)
    const [times, names, ordinals] = [this.#times, this.#names, this.#ordinals]
    this.#times = new Float64Array(larger)
    this.#times.set(times)
    this.#names = new Uint32Array(larger)
    this.#names.set(names)
    this.#ordinals = new Float64Array(larger)
    this.#ordinals.set(ordinals)
  }
}

/** Up to `most` events of each session, the nearest first. */
class Neighbours {
  readonly counts: Uint8Array
  readonly times: Float64Array
  readonly names: Uint32Array

  /** `nearer`: 1 where later events are nearer, -1 where earlier ones are. */
  constructor(
    sessions: number,
    readonly most: number,
    private readonly nearer: 1 | -1,
    private readonly texts: readonly string[],
  ) {
    this.counts = new Uint8Array(sessions)
    this.times = new Float64Array(sessions * most)
    this.names = new Uint32Array(sessions * most)
  }

  add(place: number, time: number, name: number): void {
    const { most, counts, times, names, nearer } = this
    const first = place * most
    const count = counts[place] as number
    let at = first + count
    for (; at > first; at--) {
      const difference = (time - (times[at - 1] as number)) * nearer
      if (difference < 0 || (difference === 0 && !this.#isNearer(name, names[at - 1] as number))) break
    }
    const end = first + most
    if (at === end) return
    let last = first + count
    if (count < most) counts[place] = count + 1
    else last--
    for (; last > at; last--) {
      times[last] = times[last - 1] as number
      names[last] = names[last - 1] as number
    }
    times[at] = time
    names[at] = name
  }

  /** Of two of the same ms. Those of the same name come in the order of receipt: the one added is the later one. */
  #isNearer(name: number, other: number): boolean {
    const [text, otherText] = [this.texts[name] as string, this.texts[other] as string]
    return this.nearer === 1 ? text >= otherText : text < otherText
  }

  /** Adds each place's names to `counts`, `names` numbers for each place; number 0 is the end of a session. */
  count(first: number, end: number, counts: Uint32Array, names: number): void {
    const { most } = this
    for (let place = first; place < end; place++) {
      const count = this.counts[place] as number
      for (let distance = 0; distance < count; distance++) {
        const at = distance * names + 1 + (this.names[place * most + distance] as number)
        counts[at] = (counts[at] as number) + 1
      }
      if (count < most) counts[count * names] = (counts[count * names] as number) + 1
    }
  }
}

function inOrder(one: PathsAnswer["places"][number], other: PathsAnswer["places"][number]): number {
  const first = one.place - other.place || other.count - one.count
  if (first !== 0 || one.name === other.name) return first
  if (one.name === null || other.name === null) return one.name === null ? -1 : 1
  return one.name < other.name ? -1 : 1
}
