import { type Batch, dayMs, type Value } from "../../columns/batch.ts"
import { copyInto } from "../../columns/typed-arrays.ts"
import { compareTexts, textOf } from "../json-values.ts"
import type { PathsQuery, PathsResult } from "../query.ts"
import { Matcher } from "../scan/matcher.ts"
import { type MemoryBudget, OutOfMemoryBudgetError } from "../structures/memory-budget.ts"
import { indexAt, type Selection, sizeOf } from "../structures/selection.ts"
import { partitionUnits, ReceiptOrder } from "./receipt-order.ts"
import { entriesOf, type ReportSource, stepMatcher, visitBatches } from "./step.ts"

/** Number of sessions whose neighbors are counted per step. A step takes a few ms. */
const sessionsPerStep = 65_536

/**
 * Finds the anchor of each session, which is its first matching event, and the neighbors of the anchor, which are the
 * events before and after it. If a session starts or ends before the furthest position, its start or end is counted
 * once under the name null, and positions further away are not counted. The label of an event is its name, and for a
 * page view also its path. The rank of an event is the index of its label.
 *
 * The scan has two passes. The first pass finds the anchors and only reads batches that might contain one. The second
 * pass collects their neighbors. If a session has several events in the ms of its anchor or of a neighbor, only the
 * order of arrival can sort them, so these sessions are scanned again, a part of them at a time. Memory: 4 bytes per
 * dictionary ID of a session, 29 bytes per session with an anchor plus 8 bytes per position, and 100 bytes per event of
 * the sessions that are scanned again.
 */
export function* paths(
  query: PathsQuery,
  source: ReportSource,
  budget: MemoryBudget,
): Generator<void, PathsResult> {
  const { scope, event, before, after } = query
  const scopeMatcher = new Matcher(scope, scope.filters, source)
  const eventMatcher = stepMatcher(event, scope, source)
  const keys = yield* keysOf(source, scopeMatcher, budget)
  const anchors = new Anchors(source.dictionarySizes.sessions, keys, budget)
  let ordinal = 0
  for (const entry of entriesOf(source, scopeMatcher, [eventMatcher])) {
    const batch = source.open(entry)
    const selection = batch && scopeMatcher.select(batch)
    const matching = selection && eventMatcher.select(batch, selection)
    if (batch && matching) anchors.find(batch, matching, ordinal)
    ordinal += batch?.count ?? 0
    yield
  }
  const neighbors = new Neighbors(anchors, before, after, budget)
  if (before + after > 0 && anchors.count > 0) {
    ordinal = 0
    for (const entry of entriesOf(source, scopeMatcher)) {
      const batch = source.open(entry)
      const selection = batch && scopeMatcher.select(batch)
      // An event's ordinal is its position in the first pass. Batches that the first pass skipped get ordinals in
      // between.
      const mayHaveAnchor = eventMatcher.accepts(entry)
      if (batch && selection)
        neighbors.add(batch, selection, mayHaveAnchor ? ordinal : ordinal - 0.5, mayHaveAnchor)
      if (mayHaveAnchor) ordinal += batch?.count ?? 0
      yield
    }
  }
  yield* neighbors.countAll()
  const ambiguous = neighbors.ambiguous()
  for (const sessions of partitionUnits(ambiguous, (session) => neighbors.eventsOf(session), budget)) {
    const childBudget = budget.child()
    const ordered = new ReceiptOrder(sessions, source.dictionarySizes.sessions, childBudget)
    yield* visitBatches(source, scopeMatcher, (batch, selection) =>
      addLabeled(ordered, batch, selection, eventMatcher, keys),
    )
    yield* ordered.each(source, ({ labels }) => neighbors.countInOrder(labels))
    childBudget.release()
  }
  return { sessions: anchors.count, positions: neighbors.positions() }
}

/**
 * Adds the events of a batch. The label of an event in `ReceiptOrder` is 2 * (rank + 1), plus 1 if the event matches
 * the query.
 */
function addLabeled(
  ordered: ReceiptOrder,
  batch: Batch,
  selection: Selection,
  eventMatcher: Matcher,
  keys: Keys,
): void {
  const rankOf = keys.ranksOf(batch)
  const labels = new Uint32Array(batch.count)
  for (let n = 0; n < sizeOf(selection); n++) {
    const index = indexAt(selection, n)
    labels[index] = 2 * (rankOf(index) + 1)
  }
  const matching = eventMatcher.select(batch, selection)
  if (matching)
    for (let n = 0; n < sizeOf(matching); n++) {
      const index = indexAt(matching, n)
      labels[index] = (labels[index] as number) + 1
    }
  const { first, end } = selection
  ordered.add(batch, batch.sessions(), first, end, (index) => labels[index] as number, undefined)
}

/** How the result identifies an event: by its name, and a page view also by its path. */
type EventLabel = Pick<PathsResult["positions"][number], "name" | "page">

interface PageRanks {
  /** Index in `labels` of each path. "" stands for page views without a path. */
  ranks: Map<string, number>
  /**
   * The same indexes by code of a column. Keyed by the array of the column's values, which all slices of a block share.
   */
  byValues: WeakMap<readonly Value[], Uint32Array>
}

/**
 * Encodes the time and the rank of an event as one number, its key. Keys are ordered by time. Their order within the
 * same ms is meaningless.
 */
class Keys {
  readonly labels: EventLabel[] = []
  /** Index in `labels` of each name, for events that are not page views. */
  readonly #ranks = new Map<string, number>()
  /** The ranks of page views, by name. */
  readonly #pages = new Map<string, PageRanks>()

  constructor(
    /** Start of the first day, in Unix ms. */
    private readonly from: number,
    private readonly budget: MemoryBudget,
  ) {}

  /** Adds a label for the events of a batch that are not page views. */
  addName(name: string): void {
    if (!this.#ranks.has(name)) this.#ranks.set(name, this.#add({ name, page: null }))
  }

  /** Adds labels for page views. */
  addPages({ name }: Pick<Batch, "name">, batch: Batch | undefined): void {
    const { ranks } = this.#pagesOf(name)
    for (const value of ["", ...(batch?.column("path")?.values ?? [])]) {
      const page = textOf(value)
      if (!ranks.has(page)) ranks.set(page, this.#add({ name, page }))
    }
  }

  #pagesOf(name: string): PageRanks {
    const known = this.#pages.get(name) ?? { ranks: new Map(), byValues: new WeakMap() }
    this.#pages.set(name, known)
    return known
  }

  #add(label: EventLabel): number {
    this.budget.reserve(labelBytes + (label.page?.length ?? 0) * 2)
    return this.labels.push(label) - 1
  }

  /** Returns a function that maps the index of an event in the batch to its rank. */
  ranksOf(batch: Batch): (index: number) => number {
    if (batch.kind !== "page_view") {
      const rank = this.#ranks.get(batch.name) as number
      return () => rank
    }
    const { ranks, byValues } = this.#pagesOf(batch.name)
    const column = batch.column("path")
    const withoutPath = ranks.get("") as number
    if (!column) return () => withoutPath
    const pageRanks = () => column.values.map((value) => ranks.get(textOf(value)) as number)
    const table = byValues.get(column.values) ?? Uint32Array.from([withoutPath, ...pageRanks()])
    byValues.set(column.values, table)
    const { codes } = column
    return (index) => table[codes[index] as number] as number
  }

  /**
   * Returns the base of a batch. The key of an event is its ms since the start of the batch, multiplied by the number
   * of labels, plus this base and the rank of the event.
   */
  baseOf({ base }: Batch): number {
    return (base - this.from) * this.labels.length
  }
}

/** Overhead per label in bytes, not counting its path. */
const labelBytes = 150

/**
 * Collects the labels of all events in the scope. Throws OutOfMemoryBudgetError if keys with these times and labels
 * would need more than the 53 bits of a number.
 */
function* keysOf(source: ReportSource, scopeMatcher: Matcher, budget: MemoryBudget): Generator<void, Keys> {
  const entries = [...entriesOf(source, scopeMatcher)]
  const days = entries.map(({ day }) => day)
  const [first, last] = [days[0] ?? 0, (days.at(-1) ?? 0) + 1]
  const keys = new Keys(first * dayMs, budget)
  for (const entry of entries) {
    if (entry.kind !== "page_view") keys.addName(entry.name)
    else {
      keys.addPages(entry, entry.open())
      yield
    }
  }
  if ((last - first) * dayMs * keys.labels.length > Number.MAX_SAFE_INTEGER)
    throw new OutOfMemoryBudgetError()
  return keys
}

/** The first matching event of each session. */
class Anchors {
  count = 0
  /** The key of each anchor. */
  events = new Float64Array(1_024)
  /** The ordinal of each anchor, which distinguishes events with the same key. */
  ordinals = new Float64Array(1_024)
  /** Index into the arrays for each session, starting at 1. 0 if the session has no anchor. */
  readonly slotOf: Uint32Array

  constructor(
    sessions: number,
    readonly keys: Keys,
    private readonly budget: MemoryBudget,
  ) {
    budget.reserve(sessions * 4)
    this.slotOf = new Uint32Array(sessions)
  }

  find(batch: Batch, selection: Selection, ordinal: number): void {
    const sessions = batch.sessions()
    const times = batch.times()
    const names = this.keys.labels.length
    const base = this.keys.baseOf(batch)
    const rankOf = this.keys.ranksOf(batch)
    const size = sizeOf(selection)
    this.#grow(size)
    const { events, ordinals, slotOf: slots } = this
    for (let n = 0; n < size; n++) {
      const index = indexAt(selection, n)
      const session = sessions[index] as number
      if (session === 0) continue
      const key = base + (times[index] as number) * names + rankOf(index)
      let slot = (slots[session] as number) - 1
      if (slot < 0) {
        slot = this.count++
        slots[session] = slot + 1
      } else if (key >= (events[slot] as number)) continue
      events[slot] = key
      ordinals[slot] = ordinal + index
    }
  }

  #grow(more: number): void {
    const size = this.events.length
    if (this.count + more <= size) return
    const larger = Math.max(size * 2, this.count + more)
    this.budget.reserve((larger - size) * 16)
    this.events = copyInto(new Float64Array(larger), this.events)
    this.ordinals = copyInto(new Float64Array(larger), this.ordinals)
  }
}

/**
 * Holds the keys of each session: the anchor, the events before it (nearest first), and the events after it (nearest
 * first). The keys of a session are adjacent in memory. A key is infinite if there is no event.
 */
class Neighbors {
  readonly #width: number
  readonly #keys: Float64Array
  readonly #hits = new BatchHits()
  /**
   * 1 for sessions with several events in the ms of the anchor or of a neighbor. Keys do not show the order of such
   * events.
   */
  readonly #ambiguous: Uint8Array
  /** Number of events in each session, at most 2^32 - 1. */
  readonly #events: Uint32Array
  /**
   * Number of sessions for each column and label. Column 0 is the anchor. The next columns are the positions before the
   * anchor, nearest first, and then those after it. Label 0 is the start or end of a session, and other labels are
   * ranks plus 1.
   */
  readonly #counts: Uint32Array

  constructor(
    private readonly anchors: Anchors,
    private readonly before: number,
    private readonly after: number,
    budget: MemoryBudget,
  ) {
    const width = 1 + before + after
    this.#width = width
    const names = anchors.keys.labels.length
    budget.reserve(anchors.count * (width * 8 + 5) + width * (names + 1) * 4)
    this.#keys = new Float64Array(anchors.count * width)
    this.#ambiguous = new Uint8Array(anchors.count)
    this.#events = new Uint32Array(anchors.count)
    this.#counts = new Uint32Array(width * (names + 1))
    const keys = this.#keys
    for (let slot = 0; slot < anchors.count; slot++) {
      let at = slot * width
      keys[at++] = anchors.events[slot] as number
      // For so few numbers, a loop is faster than `fill`.
      for (let n = 0; n < before; n++) keys[at++] = Number.NEGATIVE_INFINITY
      for (let n = 0; n < after; n++) keys[at++] = Number.POSITIVE_INFINITY
    }
  }

  add(batch: Batch, selection: Selection, ordinal: number, mayHaveAnchor: boolean): void {
    const sessions = batch.sessions()
    const times = batch.times()
    const names = this.anchors.keys.labels.length
    const base = this.anchors.keys.baseOf(batch)
    const rankOf = this.anchors.keys.ranksOf(batch)
    const { slotOf: slots, ordinals } = this.anchors
    const { before, after } = this
    const [keys, width, sizes, ambiguous] = [this.#keys, this.#width, this.#events, this.#ambiguous]
    const hits = this.#hits.scan(selection, sessions, slots)
    const { indexes, found, events, anchors } = this.#hits
    // Random reads come first, without branches between them, so that the CPU can run many of them in parallel.
    for (let hit = 0; hit < hits; hit++) anchors[hit] = keys[(found[hit] as number) * width] as number
    for (let hit = 0; hit < hits; hit++) {
      const index = indexes[hit] as number
      events[hit] = base + (times[index] as number) * names + rankOf(index)
    }
    for (let hit = 0; hit < hits; hit++) {
      const slot = found[hit] as number
      sizes[slot] = (sizes[slot] as number) + 1
      const key = events[hit] as number
      const first = slot * width
      const anchor = anchors[hit] as number
      const byKey = key - anchor
      let side = byKey
      if (Math.abs(byKey) < names) {
        const index = indexes[hit] as number
        const byOrdinal = ordinal + (mayHaveAnchor ? index : 0) - (ordinals[slot] as number)
        side = byKey || byOrdinal
        if (side === 0) continue
        // Within a batch, events are in order of arrival, and their ordinals differ by less than the size of the batch.
        const isOtherReceipt =
          byKey !== 0 || !mayHaveAnchor || byOrdinal > index || byOrdinal <= index - batch.count
        if (isOtherReceipt && this.#areTied(key, anchor)) ambiguous[slot] = 1
      }
      const from = side < 0 ? first + 1 : first + 1 + before
      const end = side < 0 ? from + before : from + after
      for (let at = from; at < end; at++) {
        const neighbor = keys[at] as number
        if (Math.abs(key - neighbor) < names && key !== neighbor && this.#areTied(key, neighbor))
          ambiguous[slot] = 1
      }
      if (side < 0) insertNearest(keys, from, before, key, 1)
      else insertNearest(keys, from, after, key, -1)
    }
  }

  /** Returns true if two keys have the same ms. */
  #areTied(a: number, b: number): boolean {
    const names = this.anchors.keys.labels.length
    return Math.floor(a / names) === Math.floor(b / names)
  }

  eventsOf(session: number): number {
    return this.#events[(this.anchors.slotOf[session] as number) - 1] as number
  }

  /** Returns the dictionary IDs of the sessions that `countAll` skips. */
  ambiguous(): number[] {
    const sessions: number[] = []
    const { slotOf } = this.anchors
    for (let session = 0; session < slotOf.length; session++) {
      const slot = slotOf[session] as number
      if (slot > 0 && this.#ambiguous[slot - 1] === 1) sessions.push(session)
    }
    return sessions
  }

  /** Counts all sessions except the ambiguous ones. */
  *countAll(): Generator<void, void> {
    for (let first = 0; first < this.anchors.count; first += sessionsPerStep) {
      this.#count(first, Math.min(first + sessionsPerStep, this.anchors.count))
      yield
    }
  }

  #count(first: number, end: number): void {
    for (let slot = first; slot < end; slot++) {
      if (this.#ambiguous[slot] === 1) continue
      this.#countSide(slot, 1, this.before)
      this.#countSide(slot, 1 + this.before, this.after)
    }
  }

  /** Counts the neighbors on one side of a session's anchor, in up to `limit` columns from `start` on. */
  #countSide(slot: number, start: number, limit: number): void {
    const names = this.anchors.keys.labels.length
    const keys = this.#keys
    const first = slot * this.#width
    for (let at = start; at < start + limit; at++) {
      const key = keys[first + at] as number
      const exists = Math.abs(key) !== Number.POSITIVE_INFINITY
      this.#add(at, exists ? 1 + remainder(key, names) : 0)
      if (!exists) break
    }
  }

  #add(at: number, name: number): void {
    const count = at * (this.anchors.keys.labels.length + 1) + name
    this.#counts[count] = (this.#counts[count] as number) + 1
  }

  /** Counts an ambiguous session by the labels of its events, given in their exact order. */
  countInOrder(labels: readonly number[]): void {
    const { before, after } = this
    const event = labels.findIndex((label) => label % 2 === 1)
    for (const [start, limit, step] of [
      [1, before, -1],
      [1 + before, after, 1],
    ] as const) {
      for (let distance = 1; distance <= limit; distance++) {
        const label = labels[event + distance * step]
        this.#add(start + distance - 1, label === undefined ? 0 : label >> 1)
        if (label === undefined) break
      }
    }
  }

  positions(): PathsResult["positions"] {
    const { labels } = this.anchors.keys
    const positions: PathsResult["positions"] = []
    this.#counts.forEach((count, index) => {
      const at = Math.floor(index / (labels.length + 1))
      const label = labels[(index % (labels.length + 1)) - 1] ?? { name: null, page: null }
      if (count > 0) positions.push({ position: at <= this.before ? -at : at - this.before, ...label, count })
    })
    return positions.sort(comparePositions)
  }
}

/**
 * The events of a batch whose sessions have an anchor: their indexes, the indexes of the anchors, and space for the
 * keys of the events and of the anchors.
 */
class BatchHits {
  indexes = new Uint32Array(0)
  found = new Uint32Array(0)
  events = new Float64Array(0)
  anchors = new Float64Array(0)

  /** Returns the number of events found. */
  scan(selection: Selection, sessions: Uint32Array, slots: Uint32Array): number {
    const size = sizeOf(selection)
    if (this.indexes.length < size) {
      this.indexes = new Uint32Array(size)
      this.found = new Uint32Array(size)
      this.events = new Float64Array(size)
      this.anchors = new Float64Array(size)
    }
    const { indexes, found } = this
    let hits = 0
    for (let n = 0; n < size; n++) {
      const index = indexAt(selection, n)
      const slot = slots[sessions[index] as number] as number
      indexes[hits] = index
      found[hits] = slot - 1
      hits += slot === 0 ? 0 : 1
    }
    return hits
  }
}

/**
 * Inserts a key into a list of the nearest keys, nearest first. `nearer` is 1 if higher keys are nearer, -1 if lower
 * keys are.
 */
function insertNearest(keys: Float64Array, first: number, limit: number, key: number, nearer: 1 | -1): void {
  let at = first + limit - 1
  if (at < first || (key - (keys[at] as number)) * nearer <= 0) return
  for (; at > first && (key - (keys[at - 1] as number)) * nearer > 0; at--) keys[at] = keys[at - 1] as number
  keys[at] = key
}

/**
 * Returns `key % divisor` for whole numbers, where `key` is at least 0. For numbers with more than 32 bits, the `%`
 * operator takes ten times as long.
 */
function remainder(key: number, divisor: number): number {
  // Rounding can increase the quotient to the next whole number, which makes the remainder negative.
  const rest = key - Math.floor(key / divisor) * divisor
  return rest < 0 ? rest + divisor : rest
}

function comparePositions(a: PathsResult["positions"][number], b: PathsResult["positions"][number]): number {
  return (
    a.position - b.position ||
    b.count - a.count ||
    compareTexts(a.name, b.name) ||
    compareTexts(a.page, b.page)
  )
}
