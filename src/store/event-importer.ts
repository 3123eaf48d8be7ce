import type { DailyHash } from "./daily-hash.ts"
import type { Db, Statement } from "./db/driver.ts"
import { EventReader, type StoredEvent } from "./event-reader.ts"
import { EventInserter, type EventRow } from "./events.ts"

/** What became of an event that was to be brought in. */
export type ImportOutcome = "added" | "renumbered" | "present" | "event_id_taken"

const sql = {
  last: "select coalesce(max(id), 0) from event_rows",
  span: "select min(ts) as first, max(ts) as last from event_rows where website_rid = :rid",
  eventId: `
    select 1 from event_rows
    where website_rid = :websiteRid and via_key = :viaKey and event_id = :eventId`,
}

/**
 * Ids above it are not kept: SQLite goes on from the highest, and a file that names one near the end of what a number can
 * hold would leave no room for the events to come. A billion events a day fill it in three years.
 */
const maxPreservedId = 1e12
/** Events of the same ms that are remembered between two of them, with some 200 bytes each. */
const maxCachedEvents = 50_000
/** Ids that one piece of the map of those that were met covers: 8 KiB. */
const idsPerPage = 65_536

/**
 * Brings events in from elsewhere, each once: one that is here already, the same in all but its id, is passed over. Of
 * events that are the same in everything, as many are here afterwards as there came, not fewer and not more. What is stored
 * while this works is not looked at, be it its own or others'. Works inside the caller's transactions.
 */
export class EventImporter {
  readonly #inserter: EventInserter
  readonly #reader: EventReader
  readonly #last: Statement
  readonly #span: Statement
  readonly #eventId: Statement
  /** The highest id before any of this. */
  readonly #lastExistingId: number
  /** Events that were here, by what they say, of each ms that was asked for last. */
  readonly #existing = new Map<string, Map<string, number[]>>()
  #existingCount = 0
  /** A bit for each id that was here and was met. */
  readonly #matchedIds = new Map<number, Uint8Array>()
  readonly #spans = new Map<number, { first: number | null; last: number | null }>()
  #rows: EventRow[] = []
  readonly #eventIds = new Set<string>()
  #highestId = 0

  constructor(db: Db, dailyHash: DailyHash) {
    this.#inserter = new EventInserter(db, dailyHash, { withIds: true })
    const [from, to] = [Number.MIN_SAFE_INTEGER, Number.MAX_SAFE_INTEGER]
    this.#reader = new EventReader(db, { websites: new Map(), from, to })
    this.#last = db.prepare(sql.last).pluck()
    this.#span = db.prepare(sql.span)
    this.#eventId = db.prepare(sql.eventId).pluck()
    this.#lastExistingId = this.#last.get() as number
  }
  /** At the beginning of a transaction: what others stored since the one before. */
  begin(): void {
    this.#highestId = this.#last.get() as number
  }

  /** `row` is `event` as it is to be stored. It is stored with `flush`. */
  add(event: StoredEvent, row: EventRow): ImportOutcome {
    if (this.#isPresent(event, row)) return "present"
    if (row.eventId !== null) {
      const { websiteRid, viaKey, eventId } = row
      const name = `${websiteRid} ${viaKey} ${eventId}`
      if (this.#eventIds.has(name) || this.#eventId.get({ websiteRid, viaKey, eventId }))
        return "event_id_taken"
      this.#eventIds.add(name)
    }
    const kept = event.id > this.#highestId && event.id <= maxPreservedId
    this.#highestId = kept ? event.id : this.#highestId + 1
    this.#rows.push({ ...row, id: this.#highestId })
    return kept ? "added" : "renumbered"
  }

  /** At the end of a transaction. */
  flush(): void {
    this.#inserter.insert(this.#rows)
    this.#rows = []
    this.#eventIds.clear()
  }

  #isPresent(event: StoredEvent, { websiteRid, ts }: EventRow): boolean {
    let span = this.#spans.get(websiteRid)
    if (!span) {
      span = this.#span.get({ rid: websiteRid }) as { first: number | null; last: number | null }
      this.#spans.set(websiteRid, span)
    }
    if (span.first === null || span.last === null || ts < span.first || ts > span.last) return false
    const ids = this.#existingAt(websiteRid, ts).get(contentKey(event))
    const id = ids?.find((one) => !this.#isMatched(one))
    if (id === undefined) return false
    this.#markMatched(id)
    return true
  }

  #existingAt(rid: number, ts: number): Map<string, number[]> {
    const name = `${rid} ${ts}`
    let known = this.#existing.get(name)
    if (known) return known
    if (this.#existingCount > maxCachedEvents) {
      this.#existing.clear()
      this.#existingCount = 0
    }
    known = new Map()
    for (const event of this.#reader.atTime(rid, ts, this.#lastExistingId)) {
      const text = contentKey(event)
      const ids = known.get(text)
      if (ids) ids.push(event.id)
      else known.set(text, [event.id])
    }
    this.#existing.set(name, known)
    this.#existingCount += known.size + 1
    return known
  }

  #isMatched(id: number): boolean {
    const piece = this.#matchedIds.get(Math.floor(id / idsPerPage))
    const place = id % idsPerPage
    return piece !== undefined && ((piece[place >> 3] as number) & (1 << (place & 7))) !== 0
  }

  #markMatched(id: number): void {
    const number = Math.floor(id / idsPerPage)
    const piece = this.#matchedIds.get(number) ?? new Uint8Array(idsPerPage / 8)
    this.#matchedIds.set(number, piece)
    const place = id % idsPerPage
    piece[place >> 3] = (piece[place >> 3] as number) | (1 << (place & 7))
  }
}

/** All that an event says but its id and its website. */
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
  ])
}
