import { contextFields } from "./contexts.ts"
import type { DailyHash } from "./daily-hash.ts"
import type { Db, Statement } from "./db/driver.ts"
import { EventReader, type StoredEvent } from "./event-reader.ts"
import { timesOf } from "./event-times.ts"
import { EventInserter, type EventRow } from "./events.ts"
import { lastEventId, startOfNode } from "./node-ids.ts"
import { findEventId, findRemovedEventId, packedEventId } from "./packed-ids.ts"
import { removedDays } from "./removed-days.ts"
import { websiteIds } from "./websites.ts"

/**
 * The outcome for one event: inserted with its own ID (`added`) or with a new one (`renumbered`), skipped as a
 * duplicate (`present`), or rejected. `event_id_taken` means that another event has its `eventId`. `day_removed` means
 * that the events on the event's day are only in a cluster, so the event cannot be compared with them.
 */
export type ImportOutcome = "added" | "renumbered" | "present" | "event_id_taken" | "day_removed"

/**
 * Maximum ID to preserve, counted from the start of the node's IDs. Events with higher IDs get new ones. SQLite assigns
 * IDs above the highest existing one, so an ID near the end of the range would leave none for future events. At a
 * billion events per day, IDs reach this limit in three years.
 */
const maxPreservedId = 1e12
/** Maximum number of existing events in the cache. Each takes up about 200 bytes. */
const maxCachedEvents = 50_000
const dayMs = 86_400_000
/** Maximum number of existing events that are read ahead at a time. */
const readAheadRows = 1_000
/** Number of IDs per page of the bitset of matched IDs. A page takes up 8 KiB. */
const idsPerPage = 65_536

/**
 * Imports events idempotently: an event is skipped if an event that is equal apart from its ID already exists.
 * Identical events in the input are matched with existing events one to one, so that the import preserves their number.
 * Events are only compared with those that existed when the import started. Events with the same ID are compared first,
 * because reading them in the order of their IDs is much faster than finding them by time. Runs inside the caller's
 * transactions.
 */
export class EventImporter {
  readonly #inserter: EventInserter
  readonly #reader: EventReader
  readonly #eventId: Statement
  readonly #removedEventId: Statement
  /** The highest ID when the import started. */
  readonly #lastExistingId: number
  /**
   * Caches the IDs of existing events. The outer key is the website and the timestamp, and the inner key is the content
   * of the event.
   */
  readonly #existing = new Map<string, Map<string, number[]>>()
  #existingCount = 0
  readonly #readAhead: ReadAhead
  /** Bitset of the existing IDs that have been matched with imported events, divided into pages. */
  readonly #matchedIds = new Map<number, Uint8Array>()
  /** The time span of each website's existing events, read when the import adds the first event to the website. */
  readonly #spans = new Map<number, { from: number; to: number } | undefined>()
  /** The removed days of all websites, in the form `${rid} ${day}`. */
  #removedDays: ReadonlySet<string> = new Set()
  #rows: EventRow[] = []
  readonly #eventIds = new Set<string>()
  #highestId = 0

  constructor(
    private readonly db: Db,
    dailyHash: DailyHash,
  ) {
    this.#inserter = new EventInserter(db, dailyHash, { withIds: true })
    const [from, to] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
    this.#reader = new EventReader(db, { websites: new Map(), from, to })
    this.#eventId = db.prepare(findEventId).pluck()
    this.#removedEventId = db.prepare(findRemovedEventId).pluck()
    this.#lastExistingId = lastEventId(db)
    this.#readAhead = new ReadAhead(db, this.#lastExistingId)
  }

  /** Must be called at the start of each transaction, because other connections might have inserted events. */
  begin(): void {
    this.#highestId = lastEventId(this.db)
    this.#removedDays = new Set(removedDays(this.db).map(({ rid, day }) => `${rid} ${day}`))
  }

  /**
   * Queues an event for `flush`, skips it or rejects it. Returns which of these happened. `row` is the stored form of
   * the event.
   */
  add(event: StoredEvent, row: EventRow): ImportOutcome {
    if (this.#isPresent(event, row)) return "present"
    if (this.#removedDays.has(`${row.websiteRid} ${Math.floor(row.ts / dayMs)}`)) return "day_removed"
    if (row.eventId !== null) {
      const { websiteRid, viaKey, eventId } = row
      const key = `${websiteRid} ${viaKey} ${eventId}`
      const values = { websiteRid, viaKey, eventId, packedId: packedEventId(eventId) }
      if (this.#eventIds.has(key) || this.#eventId.get(values) || this.#removedEventId.get(values))
        return "event_id_taken"
      this.#eventIds.add(key)
    }
    const keepsId = event.id > this.#highestId && event.id <= startOfNode(this.#highestId) + maxPreservedId
    this.#highestId = keepsId ? event.id : this.#highestId + 1
    this.#rows.push({ ...row, id: this.#highestId })
    return keepsId ? "added" : "renumbered"
  }

  /** Inserts the queued events. Must be called at the end of each transaction. */
  flush(): void {
    this.#inserter.insert(this.#rows)
    this.#rows = []
    this.#eventIds.clear()
  }

  #isPresent(event: StoredEvent, { websiteRid, ts }: EventRow): boolean {
    if (!this.#spans.has(websiteRid)) this.#spans.set(websiteRid, timesOf(this.db, websiteRid))
    const span = this.#spans.get(websiteRid)
    if (!span || ts < span.from || ts >= span.to) return false
    const same = this.#readAhead.find(event.id)
    if (same?.rid === websiteRid && !this.#isMatched(event.id) && isEqualContent(same.event, event)) {
      this.#markMatched(event.id)
      return true
    }
    const ids = this.#existingAt(websiteRid, ts).get(contentKey(event))
    const id = ids?.find((candidate) => !this.#isMatched(candidate))
    if (id === undefined) return false
    this.#markMatched(id)
    return true
  }

  #existingAt(rid: number, ts: number): Map<string, number[]> {
    const key = `${rid} ${ts}`
    let events = this.#existing.get(key)
    if (events) return events
    if (this.#existingCount > maxCachedEvents) {
      this.#existing.clear()
      this.#existingCount = 0
    }
    events = new Map()
    for (const event of this.#reader.atTime(rid, ts, this.#lastExistingId)) {
      const text = contentKey(event)
      const ids = events.get(text)
      if (ids) ids.push(event.id)
      else events.set(text, [event.id])
    }
    this.#existing.set(key, events)
    this.#existingCount += events.size + 1
    return events
  }

  #isMatched(id: number): boolean {
    const page = this.#matchedIds.get(Math.floor(id / idsPerPage))
    const bit = id % idsPerPage
    return page !== undefined && ((page[bit >> 3] as number) & (1 << (bit & 7))) !== 0
  }

  #markMatched(id: number): void {
    const pageNumber = Math.floor(id / idsPerPage)
    const page = this.#matchedIds.get(pageNumber) ?? new Uint8Array(idsPerPage / 8)
    this.#matchedIds.set(pageNumber, page)
    const bit = id % idsPerPage
    page[bit >> 3] = (page[bit >> 3] as number) | (1 << (bit & 7))
  }
}

/** Finds existing events by ID. Fast if the IDs are in ascending order, as in an export. */
class ReadAhead {
  readonly #reader: EventReader
  #batches: Iterator<{ events: StoredEvent[]; end: number }> | undefined
  #events = new Map<number, StoredEvent>()
  /** The events with IDs above `#after` and up to `#end` are in `#events`. */
  #after = 0
  #end = 0

  /** Finds events with IDs up to `last`. */
  constructor(
    db: Db,
    private readonly last: number,
  ) {
    // Makes the reader return rids in place of website IDs.
    const websites = new Map([...websiteIds(db).keys()].map((rid) => [rid, String(rid)]))
    const [from, to] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
    this.#reader = new EventReader(db, { websites, from, to })
  }

  find(id: number): { rid: number; event: StoredEvent } | undefined {
    // Does not go back to earlier IDs, because finding the event by time is faster.
    if (id > this.last || id <= this.#after) return undefined
    if (id > this.#end) this.#readNext()
    if (id > this.#end) this.#jump(id)
    const event = this.#events.get(id)
    return event && { rid: Number(event.website_id), event }
  }

  #jump(id: number): void {
    this.#end = id - 1
    this.#batches = this.#reader.inRange(this.#end, this.last, readAheadRows)
    this.#readNext()
  }

  #readNext(): void {
    const next = this.#batches?.next()
    this.#after = this.#end
    this.#events = new Map(next?.done === false ? next.value.events.map((event) => [event.id, event]) : [])
    if (next?.done === false) this.#end = next.value.end
  }
}

/** Returns true if two events are equal apart from their IDs and websites. */
function isEqualContent(one: StoredEvent, other: StoredEvent): boolean {
  return one.timestamp === other.timestamp && contentKey(one) === contentKey(other)
}

/** Returns the content of an event without its ID and website, as a string for comparison. */
function contentKey(event: StoredEvent): string {
  return JSON.stringify([
    event.name,
    event.namespace,
    event.source,
    event.received_at,
    event.anonymous_id,
    event.session_id,
    event.profile_id,
    event.path,
    event.event_id,
    event.credential,
    event.crawler,
    event.properties,
    event.kind,
    ...contextFields.map((field) => event[field]),
  ])
}
