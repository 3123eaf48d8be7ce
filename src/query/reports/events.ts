import type { IdKind } from "../../columns/batch.ts"
import { MemoryBatch } from "../../columns/memory-batch.ts"
import type { RowHead } from "../../columns/row-reader.ts"
import type { Snapshot } from "../../columns/snapshot.ts"
import type { EventsQuery, EventsResult, ListedEvent, StoredEvent } from "../query.ts"
import { kindOf, Matcher } from "../scan/matcher.ts"
import type { MemoryBudget } from "../structures/memory-budget.ts"
import { indexAt, sizeOf } from "../structures/selection.ts"

/** Number of rows to read beyond the page before falling back to blocks. Reading them takes about 2 ms. */
const spareRows = 500
/** Pages with a `limit + offset` of up to this value are read from the newest rows, in one step of about 20 ms. */
const maxNewestRows = 1_000
/** Bytes of an event in memory and in the response, not counting its properties. */
const eventBytes = 500
/** Bytes per character of the properties. */
const characterBytes = 4
/** Bytes of an entry in `CandidateTimes`. */
const candidateBytes = 60

interface EventTime {
  website: number
  ts: number
}

/**
 * Returns a page of events, newest first. Blocks are only used to find the times on the page. The events themselves are
 * read from rows.
 */
export function* events(
  query: EventsQuery,
  snapshot: Snapshot,
  budget: MemoryBudget,
): Generator<void, EventsResult> {
  const { scope, limit, offset, after } = query
  const to = after ? Math.min(scope.to, after.ts + 1) : scope.to
  const matcher = new Matcher({ from: scope.from, to }, scope.filters, snapshot)
  const kinds = new Set(scope.kinds)
  const needed = limit + offset
  const reserve = ({ properties }: StoredEvent) =>
    budget.reserve(eventBytes + (properties?.length ?? 0) * characterBytes)
  if (!matcher.perEvent && needed <= maxNewestRows) {
    // The name, kind, website and crawler flag of an event are stored in its row or its event type. The number of rows
    // to read is limited, because events with a rare name are found faster in blocks.
    const matches = (row: RowHead) => {
      const { name, kind } = snapshot.typeOf(row)
      return (
        (row[4] === 0 || scope.crawlers) &&
        kinds.has(kind) &&
        (!after || row[3] < after.ts || row[0] < after.id) &&
        matcher.accepts({ name, kind, website: row[1] })
      )
    }
    const newest = snapshot.newest(to, needed, matches, needed + spareRows)
    if (newest) {
      const page = newest.slice(offset)
      for (const event of page) reserve(event)
      return { events: withWebsiteIds(page, snapshot) }
    }
    yield
  }
  const candidates = new CandidateTimes(needed, after?.ts)
  for (const day of snapshot.daysBackwards()) {
    for (const entry of day) {
      if ((matcher.names && !matcher.names.includes(entry.name)) || !matcher.accepts(entry)) continue
      const batch = snapshot.open(entry)
      const selection = batch && matcher.select(batch)
      if (!batch || !selection) continue
      const times = batch.times()
      // A batch contributes at most `needed` events, plus the events in the same ms as the last of them.
      let taken = 0
      let last = -1
      for (let n = sizeOf(selection) - 1; n >= 0; n--) {
        const ts = batch.base + (times[indexAt(selection, n)] as number)
        if (taken >= needed && ts !== last && ts !== after?.ts) break
        if (ts !== after?.ts) taken++
        last = ts
        budget.reserve(candidateBytes)
        candidates.add({ website: batch.website, ts })
      }
      yield
    }
    if (candidates.isComplete()) break
  }
  // If there is a cursor, the page starts after a row ID instead of at an offset.
  const { moments, passed } = candidates.newest(after ? 0 : offset)
  const idKinds = scope.filters.flatMap(({ field }): IdKind[] =>
    field === "profile" ? ["profiles", "visitors"] : [kindOf[field] ?? []].flat(),
  )
  const rows = yield* snapshot.eventsAt(moments, idKinds, reserve)
  const matching = new Set<number>()
  for (const columns of rows.columns) {
    if ((columns.crawler && !scope.crawlers) || !kinds.has(columns.kind)) continue
    const batch = new MemoryBatch(columns)
    const selection = matcher.select(batch)
    if (!selection) continue
    for (let n = 0; n < sizeOf(selection); n++)
      matching.add((columns.rowIds as Float64Array)[indexAt(selection, n)] as number)
  }
  const found = rows.events
    .filter(({ id, ts }) => matching.has(id) && (!after || ts < after.ts || id < after.id))
    .sort((a, b) => b.ts - a.ts || b.id - a.id)
  return { events: withWebsiteIds(found.slice(offset - passed, offset - passed + limit), snapshot) }
}

function withWebsiteIds(events: readonly StoredEvent[], snapshot: Snapshot): ListedEvent[] {
  return events.map((event) => ({ ...event, websiteId: snapshot.websiteId(event.websiteRid) ?? null }))
}

/** The times of events that might be on the page. Days must be added newest first. */
class CandidateTimes {
  readonly #all: EventTime[] = []
  /**
   * Number of candidates. Does not include events in the ms of the cursor, because they might be on an earlier page.
   */
  #counted = 0

  constructor(
    private readonly needed: number,
    private readonly after: number | undefined,
  ) {}

  add(candidate: EventTime): void {
    this.#all.push(candidate)
    if (candidate.ts !== this.after) this.#counted++
  }

  isComplete(): boolean {
    return this.#counted >= this.needed
  }

  /**
   * Returns the distinct pairs of website and time on the page, starting with the time of the event at `offset`.
   * `passed` is the number of later events, which are on earlier pages.
   */
  newest(offset: number): { moments: EventTime[]; passed: number } {
    const sorted = this.#all.sort((a, b) => b.ts - a.ts)
    const distinct = new Map<string, EventTime>()
    const start = sorted[offset]?.ts
    if (start === undefined) return { moments: [], passed: offset }
    let counted = 0
    let passed = 0
    let last: number | undefined
    for (const candidate of sorted) {
      if (candidate.ts > start) {
        passed++
        counted++
        continue
      }
      if (counted >= this.needed && candidate.ts !== last) break
      distinct.set(`${candidate.website} ${candidate.ts}`, candidate)
      if (candidate.ts !== this.after) counted++
      last = candidate.ts
    }
    return { moments: [...distinct.values()], passed }
  }
}
