import type { IdKind } from "../../columns/batch.ts"
import { MemoryBatch } from "../../columns/column-builder.ts"
import type { RowHead } from "../../columns/row-reader.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import type { EventsQuery, EventsResult, ListedEvent, StoredEvent } from "../query.ts"
import { kindOf, Matcher } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/id-set.ts"
import { placeOf, sizeOf } from "../structures/selection.ts"

/** Rows beyond those wanted that are looked at before blocks are: some 2 ms. */
const spareRows = 500
/** Events up to which the newest rows are read, all at once: some 20 ms. */
const mostNewest = 1_000
/** Bytes that an event takes beside its properties, and those that it takes for each of their characters, on its way to the client. */
const eventBytes = 500
const characterBytes = 4
/** Bytes that the time of an event takes, until it is known whether it is on the page. */
const pickBytes = 60

interface Pick {
  website: number
  ts: number
}

/** Single events, the newest first. Blocks say when those that are wanted happened; the events themselves are rows. */
export function* events(
  question: EventsQuery,
  source: Snapshot,
  budget: MemoryBudget,
): Generator<void, EventsResult> {
  const { scope, limit, offset, after } = question
  const to = after ? Math.min(scope.to, after.ts + 1) : scope.to
  const matcher = new Matcher({ from: scope.from, to }, scope.filters, source)
  const wanted = limit + offset
  const weigh = ({ properties }: StoredEvent) =>
    budget.take(eventBytes + (properties?.length ?? 0) * characterBytes)
  if (!matcher.perEvent && wanted <= mostNewest) {
    // Name, website and crawler are seen in the row itself; a rare name is found faster in the blocks.
    const fits = (row: RowHead) =>
      (row[4] === 0 || scope.crawlers) &&
      (!after || row[3] < after.ts || row[0] < after.id) &&
      matcher.accepts({ name: source.nameOf(row), website: row[1] })
    const found = source.newest(to, wanted, fits, wanted + spareRows)
    if (found) {
      const page = found.slice(offset)
      for (const event of page) weigh(event)
      return { events: listed(page, source) }
    }
    yield
  }
  const picks = new Picks(wanted, after?.ts)
  for (const day of source.daysBackwards()) {
    for (const entry of day) {
      if ((matcher.names && !matcher.names.includes(entry.name)) || !matcher.accepts(entry)) continue
      const batch = source.open(entry)
      const selection = batch && matcher.select(batch)
      if (!batch || !selection) continue
      const times = batch.times()
      // No more of one batch than are wanted in all, but those of the same ms stay together.
      let taken = 0
      let last = -1
      for (let place = sizeOf(selection) - 1; place >= 0; place--) {
        const ts = batch.base + (times[placeOf(selection, place)] as number)
        if (taken >= wanted && ts !== last && ts !== after?.ts) break
        if (ts !== after?.ts) taken++
        last = ts
        budget.take(pickBytes)
        picks.add({ website: batch.website, ts })
      }
      yield
    }
    if (picks.enough()) break
  }
  // After a cursor the page's place shows only in the rows.
  const { moments, passed } = picks.newest(after ? 0 : offset)
  const numbered = scope.filters.flatMap(({ field }): IdKind[] =>
    field === "profile" ? ["profiles", "visitors"] : [kindOf[field] ?? []].flat(),
  )
  const rows = yield* source.eventsAt(moments, numbered, weigh)
  const fitting = new Set<number>()
  for (const columns of rows.columns) {
    if (columns.crawler && !scope.crawlers) continue
    const batch = new MemoryBatch(columns)
    const selection = matcher.select(batch)
    if (!selection) continue
    for (let place = 0; place < sizeOf(selection); place++)
      fitting.add((columns.rowIds as Float64Array)[placeOf(selection, place)] as number)
  }
  const found = rows.events
    .filter(({ id, ts }) => fitting.has(id) && (!after || ts < after.ts || id < after.id))
    .sort((one, other) => other.ts - one.ts || other.id - one.id)
  return { events: listed(found.slice(offset - passed, offset - passed + limit), source) }
}

function listed(events: readonly StoredEvent[], source: Snapshot): ListedEvent[] {
  return events.map((event) => ({ ...event, websiteId: source.websiteId(event.websiteRid) ?? null }))
}

/** Times of events, days from the newest on. */
class Picks {
  readonly #all: Pick[] = []
  /** Those of the time after which is gone on may be of earlier answers. */
  #counted = 0

  constructor(
    private readonly wanted: number,
    private readonly after: number | undefined,
  ) {}

  add(pick: Pick): void {
    this.#all.push(pick)
    if (pick.ts !== this.after) this.#counted++
  }

  enough(): boolean {
    return this.#counted >= this.wanted
  }

  /**
   * Each website and time once: all that are needed for as many events as are wanted, but for those later than the one at
   * `offset`. `passed`: events that are later.
   */
  newest(offset: number): { moments: Pick[]; passed: number } {
    const sorted = this.#all.sort((one, other) => other.ts - one.ts)
    const distinct = new Map<string, Pick>()
    const begin = sorted[offset]?.ts
    if (begin === undefined) return { moments: [], passed: offset }
    let counted = 0
    let passed = 0
    let last: number | undefined
    for (const pick of sorted) {
      if (pick.ts > begin) {
        passed++
        counted++
        continue
      }
      if (counted >= this.wanted && pick.ts !== last) break
      distinct.set(`${pick.website} ${pick.ts}`, pick)
      if (pick.ts !== this.after) counted++
      last = pick.ts
    }
    return { moments: [...distinct.values()], passed }
  }
}
