import type { Batch, IdKind, RowLocator } from "../../columns/batch.ts"
import type { Entry } from "../../columns/snapshot.ts"
import { copyInto } from "../../columns/typed-arrays.ts"
import { compareTexts } from "../json-values.ts"
import type { Filter, ReportCount, Scope, Unit } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import { addToBitset, type Bitset, bitsetBytes, findInBitset, newBitset } from "../structures/bitset.ts"
import { IdSet } from "../structures/id-set.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { quickselect } from "../structures/quickselect.ts"
import { indexAt, type Selection, sizeOf } from "../structures/selection.ts"
import { addUnitsAtStep } from "./funnel.ts"
import { isAfter, type Moment, momentAt } from "./receipt-order.ts"
import { addCohort } from "./retention.ts"
import { type ReportSource, visitBatches } from "./step.ts"
import { type Units, unitsOf, unitTexts } from "./units.ts"

/** Bytes reserved for a row on the page. */
const rowBytes = 500

/**
 * The ID of a listed unit, and the location of its latest event. If several events share the latest millisecond, it is
 * any one of them.
 */
export interface ListedId extends RowLocator {
  text: string
}

interface Page {
  /** The unit to list. */
  unit: Unit
  scope: Scope
  /**
   * If set, only the units that this number in a report counts are listed. The report must count the same kind of unit.
   */
  of: ReportCount | undefined
  limit: number
  offset: number
}

/**
 * Returns a page of all units that have events, or of those that a report counts, sorted by latest event, newest first.
 * Units whose latest events are in the same ms are sorted by the text of their ID. `add` is called for each event of
 * each row on the page.
 *
 * To find the page, the scan starts with the newest day, and stops after the day on which it has found enough units.
 * Memory: 4 bytes and two bits per dictionary ID, 28 bytes per unit on the scanned days, and the page. If `of` is set,
 * also the memory of the report.
 */
export function* listByLatestEvent<Row>(
  { unit, scope, of, limit, offset }: Page,
  source: ReportSource,
  budget: MemoryBudget,
  rowOf: (listed: ListedId) => Row,
  add: (row: Row, batch: Batch, index: number) => void,
): Generator<void, { total: number; rows: Row[] }> {
  const units = yield* unitsOf(unit, scope.websites, source, budget)
  const counted = of && (yield* countedUnits(of, units, source, budget))
  if (counted?.size === 0) return { total: 0, rows: [] }
  const matcher = new Matcher(scope, scope.filters, source)
  const enough = limit > 0 ? Math.min(offset + limit, counted?.size ?? Number.POSITIVE_INFINITY) : 0
  const latest = yield* findLatest({ units, counted, matcher, source, budget, enough })
  const listed = yield* pageOf(latest, budget, offset, limit, (locators) =>
    unitTexts(unit, locators, scope.websites, source),
  )
  budget.reserve(listed.length * rowBytes + bitsetBytes(units.dictionarySize) * 2)
  const rows = new Map(listed.map((id): [number, Row] => [id.dictionaryId, rowOf(id)]))
  const ids = new ScannedIds(units.dictionarySize, Uint32Array.from(rows.keys()))
  yield* visitBatches(source, matcher, (batch, selection) => {
    for (const column of units.idsOf(batch)) {
      const hits = ids.scan(column, selection)
      for (let hit = 0; hit < hits; hit++) {
        const index = ids.indexes[hit] as number
        add(rows.get(column[index] as number) as Row, batch, index)
      }
    }
  })
  return { total: counted?.size ?? ids.total, rows: [...rows.values()] }
}

/** Returns the dictionary IDs of the units that a report counts. */
function* countedUnits(
  of: ReportCount,
  units: Units,
  source: ReportSource,
  budget: MemoryBudget,
): Generator<void, IdSet> {
  const counted = new IdSet(units.dictionarySize, budget)
  const childBudget = budget.child()
  const add = (id: number) => counted.add(id)
  if ("step" in of)
    yield* addUnitsAtStep({ query: withKindFilter(of.query), units, source, budget: childBudget }, of, add)
  else yield* addCohort({ query: withKindFilter(of.query), units, source, budget: childBudget }, of, add)
  childBudget.release()
  return counted
}

/** Adapts a query to a snapshot that can also contain other kinds of events. */
function withKindFilter<Q extends ReportCount["query"]>(query: Q): Q {
  const { scope } = query
  const kinds: Filter = { field: "kind", op: "in", value: [...scope.kinds] }
  return { ...query, scope: { ...scope, filters: [...scope.filters, kinds] } }
}

/** Counts the distinct IDs in all batches, and finds the events of a batch whose IDs are on the page. */
class ScannedIds {
  /** Number of distinct IDs. */
  total = 0
  indexes = new Uint32Array(1_024)
  readonly #known: Bitset
  readonly #page: Bitset

  constructor(dictionarySize: number, page: Uint32Array) {
    this.#known = newBitset(dictionarySize)
    this.#page = newBitset(dictionarySize)
    addToBitset(this.#page, page, { first: 0, end: page.length, at: undefined })
    // ID 0 stands for a missing ID and is not counted.
    this.#known[0] = 1
  }

  /** Returns the number of selected events whose ID is on the page. `indexes` holds their positions. */
  scan(ids: Uint32Array, selection: Selection): number {
    const size = sizeOf(selection)
    if (this.indexes.length < size) this.indexes = new Uint32Array(size * 2)
    this.total += addToBitset(this.#known, ids, selection)
    return findInBitset(this.#page, ids, selection, this.indexes)
  }
}

/** The latest event of each ID. IDs are in the order in which the scan found them, newest days first. */
class LatestEvents {
  count = 0
  ids = new Uint32Array(1_024)
  times = new Float64Array(1_024)
  #names = new Uint32Array(1_024)
  #websites = new Int32Array(1_024)
  /** For each ID, its index in the arrays above plus 1, or 0 if it has not been found yet. */
  readonly #positions: Uint32Array
  readonly #texts: string[] = []
  readonly #codes = new Map<string, number>()

  /** If `counted` is given, IDs that it does not contain are skipped. */
  constructor(
    dictionarySize: number,
    private readonly counted: IdSet | undefined,
    private readonly budget: MemoryBudget,
  ) {
    budget.reserve(dictionarySize * 4)
    this.#positions = new Uint32Array(dictionarySize)
  }

  /** `known` is the number of IDs with events on later days. These IDs are not processed again. */
  add(batch: Batch, ids: Uint32Array, selection: Selection, known: number): void {
    const times = batch.times()
    const name = this.#codeOf(batch.name)
    const size = sizeOf(selection)
    this.#grow(size)
    const { base, website } = batch
    const { ids: knownIds, times: knownTimes, counted } = this
    const [positions, names, websites] = [this.#positions, this.#names, this.#websites]
    let { count } = this
    for (let n = 0; n < size; n++) {
      const index = indexAt(selection, n)
      const id = ids[index] as number
      if (id === 0 || counted?.has(id) === false) continue
      let position = positions[id] as number
      if (position !== 0 && position <= known) continue
      const time = base + (times[index] as number)
      if (position === 0) {
        position = ++count
        positions[id] = position
        knownIds[position - 1] = id
      } else {
        const before = knownTimes[position - 1] as number
        if (time <= before) continue
      }
      knownTimes[position - 1] = time
      names[position - 1] = name
      websites[position - 1] = website
    }
    this.count = count
  }

  locatorAt(index: number): RowLocator {
    return {
      dictionaryId: this.ids[index] as number,
      website: this.#websites[index] as number,
      name: this.#texts[this.#names[index] as number] as string,
      ts: this.times[index] as number,
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

  #grow(more: number): void {
    const size = this.ids.length
    if (this.count + more <= size) return
    const larger = Math.max(size * 2, this.count + more)
    // Each ID takes up 20 bytes here, and another 8 while the page is selected.
    this.budget.reserve((larger - size) * 28)
    this.ids = copyInto(new Uint32Array(larger), this.ids)
    this.times = copyInto(new Float64Array(larger), this.times)
    this.#names = copyInto(new Uint32Array(larger), this.#names)
    this.#websites = copyInto(new Int32Array(larger), this.#websites)
  }
}

interface LatestInput {
  units: Units
  /** Only includes these units. */
  counted: IdSet | undefined
  matcher: Matcher
  source: ReportSource
  budget: MemoryBudget
  enough: number
}

/**
 * Returns the latest events of at least `enough` IDs, or of all IDs if there are fewer. All other IDs only have events
 * on earlier days.
 */
function* findLatest({
  units,
  counted,
  matcher,
  source,
  budget,
  enough,
}: LatestInput): Generator<void, LatestEvents> {
  const latest = new LatestEvents(enough > 0 ? units.dictionarySize : 0, counted, budget)
  if (enough === 0) return latest
  const names = matcher.names && new Set(matcher.names)
  const accepts = (entry: Entry) => (!names || names.has(entry.name)) && matcher.accepts(entry)
  for (const day of source.daysBackwards()) {
    const known = latest.count
    for (const entry of day) {
      if (!accepts(entry)) continue
      const batch = source.open(entry)
      const selection = batch && matcher.select(batch)
      if (batch && selection) for (const ids of units.idsOf(batch)) latest.add(batch, ids, selection, known)
      yield
    }
    if (latest.count >= enough) break
  }
  return latest
}

function* pageOf(
  latest: LatestEvents,
  budget: MemoryBudget,
  offset: number,
  limit: number,
  textsOf: (locators: readonly RowLocator[]) => Generator<void, ReadonlyMap<number, string>>,
): Generator<void, ListedId[]> {
  const { count } = latest
  const last = Math.min(offset + limit, count) - 1
  if (limit === 0 || offset > last) return []
  const times = latest.times.slice(0, count)
  const newestTime = quickselect(times, count - 1 - offset, 0, count)
  const oldestTime = quickselect(times, count - 1 - last, 0, count)
  yield
  let later = 0
  const candidates: RowLocator[] = []
  for (let index = 0; index < count; index++) {
    const time = latest.times[index] as number
    if (time > newestTime) later++
    else if (time >= oldestTime) candidates.push(latest.locatorAt(index))
  }
  budget.reserve(candidates.length * rowBytes)
  const texts = yield* textsOf(candidates)
  // An ID that has been deleted in the meantime has no text, and is skipped.
  return candidates
    .flatMap((locator): ListedId[] => {
      const text = texts.get(locator.dictionaryId)
      return text === undefined ? [] : [{ ...locator, text }]
    })
    .sort((a, b) => b.ts - a.ts || compareTexts(a.text, b.text))
    .slice(offset - later, offset - later + limit)
}

/** An event of a batch. Its moment is computed on first use, because computing it takes a binary search. */
export class EventRef {
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

/**
 * The latest ID of a given kind, such as a profile ID, for a row on the page. It is taken from the row's latest event
 * that has such an ID.
 */
export class LatestId {
  locator: (RowLocator & { moment: Moment }) | undefined

  constructor(
    private readonly kind: IdKind,
    private readonly source: ReportSource,
  ) {}

  add(event: EventRef, ts: number): void {
    const dictionaryId = event.batch[this.kind]()[event.index] as number
    const before = this.locator
    if (dictionaryId === 0 || (before && ts < before.ts)) return
    const { moment } = event
    if (!before || isAfter(moment, before.moment, this.source)) {
      const { website, name } = moment
      this.locator = { dictionaryId, website, name, ts, moment }
    }
  }

  /** Returns the text of each ID in order, or null for a row without an ID. */
  static *texts(
    source: ReportSource,
    kind: IdKind,
    ids: readonly LatestId[],
  ): Generator<void, (string | null)[]> {
    const texts = yield* source.texts(
      kind,
      ids.flatMap(({ locator }) => locator ?? []),
    )
    return ids.map(({ locator }) => (locator && texts.get(locator.dictionaryId)) ?? null)
  }
}
