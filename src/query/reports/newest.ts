import type { Batch, IdKind, RowLocator } from "../../columns/batch.ts"
import type { Entry } from "../../columns/snapshot.ts"
import type { Scope } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/id-set.ts"
import { valueAt } from "../structures/quickselect.ts"
import { placeOf, type Selection, sizeOf } from "../structures/selection.ts"
import { isAfter, type Moment, momentAt } from "./receipt-order.ts"
import { entriesOf, type Followed } from "./step.ts"

/** Bytes that a row of the page may take. */
const rowBytes = 500

/** An id of a list, with an event of the latest ms that it has one in. */
export interface Listed extends RowLocator {
  text: string
}

interface Page {
  kind: IdKind
  scope: Scope
  limit: number
  offset: number
}

/**
 * A page of all ids, the one with the latest event first; those of the same ms in the order of their text.
 * `add` is called for each event of a row of the page.
 *
 * The page is found in the newest days: no more of them are looked at than have as many ids as the page's end. Memory: 4
 * bytes and two bits for each number of the kind, 28 bytes for each id in those days, and the page.
 */
export function* newest<Row>(
  { kind, scope, limit, offset }: Page,
  source: Followed,
  budget: MemoryBudget,
  rowOf: (listed: Listed) => Row,
  add: (row: Row, batch: Batch, index: number) => void,
): Generator<void, { total: number; rows: Row[] }> {
  const all = new Matcher(scope, scope.filters, source)
  const numbers = source.numbers[kind]
  const found = yield* latest(kind, all, source, budget, limit > 0 ? offset + limit : 0)
  const listed = yield* pageOf(found, source, budget, offset, limit, kind)
  budget.take(listed.length * rowBytes + (numbers >>> 2) + 8)
  const rows = new Map(listed.map((one): [number, Row] => [one.number, rowOf(one)]))
  const seen = new Seen(numbers, rows.keys())
  for (const entry of entriesOf(source, all)) {
    const batch = source.open(entry)
    const selection = batch && all.select(batch)
    if (batch && selection) {
      const ids = batch[kind]()
      seen.look(ids, selection)
      for (let hit = 0; hit < seen.hits; hit++) {
        const index = seen.indexes[hit] as number
        add(rows.get(ids[index] as number) as Row, batch, index)
      }
    }
    yield
  }
  return { total: seen.total, rows: [...rows.values()] }
}

/** A bit for each number; signed, because numbers of 32 bits are slower to work with. */
function bitsFor(numbers: number): Int32Array {
  return new Int32Array((numbers >>> 5) + 1)
}

/** Ids that were seen, and where the wanted ones stood in the batch looked at last. */
class Seen {
  /** Distinct ids. */
  total = 0
  hits = 0
  indexes = new Uint32Array(1_024)
  readonly #seen: Int32Array
  readonly #wanted: Int32Array

  constructor(numbers: number, wanted: Iterable<number>) {
    this.#seen = bitsFor(numbers)
    this.#wanted = bitsFor(numbers)
    for (const number of wanted)
      this.#wanted[number >>> 5] = (this.#wanted[number >>> 5] as number) | (1 << (number & 31))
    // 0 stands for a missing id, and is not counted.
    this.#seen[0] = 1
  }

  look(ids: Uint32Array, selection: Selection): void {
    const { first, end, at } = selection
    if (this.indexes.length < sizeOf(selection)) this.indexes = new Uint32Array(sizeOf(selection) * 2)
    if (at) this.#lookThrough(at, ids)
    else this.#lookAtAll(ids, first, end)
  }

  #lookAtAll(ids: Uint32Array, first: number, end: number): void {
    const { indexes } = this
    const [seen, wanted] = [this.#seen, this.#wanted]
    let [fresh, hits] = [0, 0]
    for (let index = first; index < end; index++) {
      const id = ids[index] as number
      const bit = 1 << (id & 31)
      const before = seen[id >>> 5] as number
      if ((before & bit) === 0) {
        seen[id >>> 5] = before | bit
        fresh++
      }
      if (((wanted[id >>> 5] as number) & bit) !== 0) indexes[hits++] = index
    }
    this.total += fresh
    this.hits = hits
  }

  #lookThrough(at: Uint32Array, ids: Uint32Array): void {
    const { indexes } = this
    const [seen, wanted] = [this.#seen, this.#wanted]
    let [fresh, hits] = [0, 0]
    for (let n = 0; n < at.length; n++) {
      const index = at[n] as number
      const id = ids[index] as number
      const bit = 1 << (id & 31)
      const before = seen[id >>> 5] as number
      if ((before & bit) === 0) {
        seen[id >>> 5] = before | bit
        fresh++
      }
      if (((wanted[id >>> 5] as number) & bit) !== 0) indexes[hits++] = index
    }
    this.total += fresh
    this.hits = hits
  }
}

/** Ids by the order in which they were met, the newest days first, with the latest event of each. */
class Latest {
  count = 0
  ids = new Uint32Array(1_024)
  times = new Float64Array(1_024)
  #names = new Uint32Array(1_024)
  #websites = new Int32Array(1_024)
  /** Places in the arrays, counted from 1. */
  readonly #places: Uint32Array
  readonly #texts: string[] = []
  readonly #codes = new Map<string, number>()

  constructor(
    numbers: number,
    private readonly budget: MemoryBudget,
  ) {
    budget.take(numbers * 4)
    this.#places = new Uint32Array(numbers)
  }

  /** `known`: ids that were met on later days than this one, for which nothing changes. */
  add(batch: Batch, ids: Uint32Array, selection: Selection, known: number): void {
    const times = batch.times()
    const name = this.#codeOf(batch.name)
    const size = sizeOf(selection)
    this.#makeRoom(size)
    const { base, website } = batch
    const { ids: metIds, times: metTimes } = this
    const [places, names, websites] = [this.#places, this.#names, this.#websites]
    let { count } = this
    for (let n = 0; n < size; n++) {
      const index = placeOf(selection, n)
      const id = ids[index] as number
      if (id === 0) continue
      let place = places[id] as number
      if (place !== 0 && place <= known) continue
      const time = base + (times[index] as number)
      if (place === 0) {
        place = ++count
        places[id] = place
        metIds[place - 1] = id
      } else {
        const before = metTimes[place - 1] as number
        if (time <= before) continue
      }
      metTimes[place - 1] = time
      names[place - 1] = name
      websites[place - 1] = website
    }
    this.count = count
  }

  nameAt(place: number): string {
    return this.#texts[this.#names[place] as number] as string
  }

  sighting(place: number): RowLocator {
    return {
      number: this.ids[place] as number,
      website: this.#websites[place] as number,
      name: this.nameAt(place),
      ts: this.times[place] as number,
    }
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
    const size = this.ids.length
    if (this.count + more <= size) return
    const larger = Math.max(size * 2, this.count + more)
    // 20 bytes an id here, and 8 when the page is looked for.
    this.budget.take((larger - size) * 28)
    const { ids, times } = this
    this.ids = new Uint32Array(larger)
    this.ids.set(ids)
    this.times = new Float64Array(larger)
    this.times.set(times)
    const names = this.#names
    this.#names = new Uint32Array(larger)
    this.#names.set(names)
    const websites = this.#websites
    this.#websites = new Int32Array(larger)
    this.#websites.set(websites)
  }
}

/** At least as many ids as are asked for, and with them all that have a later event than the others. */
function* latest(
  kind: IdKind,
  all: Matcher,
  source: Followed,
  budget: MemoryBudget,
  enough: number,
): Generator<void, Latest> {
  const found = new Latest(enough > 0 ? source.numbers[kind] : 0, budget)
  if (enough === 0) return found
  const names = all.names && new Set(all.names)
  const fits = (entry: Entry) => (!names || names.has(entry.name)) && all.accepts(entry)
  for (const day of source.daysBackwards()) {
    const known = found.count
    for (const entry of day) {
      if (!fits(entry)) continue
      const batch = source.open(entry)
      const selection = batch && all.select(batch)
      if (batch && selection) found.add(batch, batch[kind](), selection, known)
      yield
    }
    if (found.count >= enough) break
  }
  return found
}

function* pageOf(
  found: Latest,
  source: Followed,
  budget: MemoryBudget,
  offset: number,
  limit: number,
  kind: IdKind,
): Generator<void, Listed[]> {
  const { count } = found
  const last = Math.min(offset + limit, count) - 1
  if (limit === 0 || offset > last) return []
  const times = found.times.slice(0, count)
  const newestTime = valueAt(times, count - 1 - offset, 0, count)
  const oldestTime = valueAt(times, count - 1 - last, 0, count)
  yield
  let later = 0
  const candidates: RowLocator[] = []
  for (let place = 0; place < count; place++) {
    const time = found.times[place] as number
    if (time > newestTime) later++
    else if (time >= oldestTime) candidates.push(found.sighting(place))
  }
  budget.take(candidates.length * rowBytes)
  const texts = yield* source.texts(kind, candidates)
  // Whoever was forgotten since has no text, and no place in the list.
  return candidates
    .flatMap((sighting): Listed[] => {
      const text = texts.get(sighting.number)
      return text === undefined ? [] : [{ ...sighting, text }]
    })
    .sort((one, other) => other.ts - one.ts || compare(one.text, other.text))
    .slice(offset - later, offset - later + limit)
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}

/** An event that is looked at, made when it is first asked for: that takes a while. */
export class Looked {
  #moment: Moment | undefined

  constructor(
    readonly batch: Batch,
    readonly index: number,
  ) {}

  get moment(): Moment {
    this.#moment ??= momentAt(this.batch, this.index)
    return this.#moment
  }
}

/** The newest event of a row that has some id. */
export class NewestId {
  sighting: (RowLocator & { moment: Moment }) | undefined

  constructor(
    private readonly kind: IdKind,
    private readonly source: Followed,
  ) {}

  add(looked: Looked, ts: number): void {
    const number = looked.batch[this.kind]()[looked.index] as number
    const before = this.sighting
    if (number === 0 || (before && ts < before.ts)) return
    const { moment } = looked
    if (!before || isAfter(moment, before.moment, this.source)) {
      const { website, name } = moment
      this.sighting = { number, website, name, ts, moment }
    }
  }

  /** Their texts, in the order of the ids; null where there is none. */
  static *texts(
    source: Followed,
    kind: IdKind,
    ids: readonly NewestId[],
  ): Generator<void, (string | null)[]> {
    const texts = yield* source.texts(
      kind,
      ids.flatMap(({ sighting }) => sighting ?? []),
    )
    return ids.map(({ sighting }) => (sighting && texts.get(sighting.number)) ?? null)
  }
}
