import { type EventKind, kindAt } from "../event-kinds.ts"
import { type Context, ContextReader, contextTables } from "./context-tables.ts"
import type { ContextField } from "./contexts.ts"
import type { Db, Statement } from "./db/driver.ts"
import { byTime, eventsOfTimes, isAt, isBetween } from "./event-times.ts"
import { eventIdOf } from "./packed-ids.ts"
import { type StoredText, TextReader } from "./texts.ts"

/** A stored event, with the column names of the `events` view. */
export interface StoredEvent extends Record<ContextField, string | null> {
  id: number
  /** Null for an event without a website. */
  website_id: string | null
  name: string
  namespace: string | null
  source: string | null
  /** In Unix ms, like `received_at`. */
  timestamp: number
  received_at: number
  anonymous_id: string | null
  session_id: string | null
  profile_id: string | null
  path: string | null
  event_id: string | null
  credential: "key" | "website_id"
  crawler: boolean
  /** JSON string of an object. */
  properties: string | null
  kind: EventKind
}

/** Selects the events to read. */
export interface EventSelection {
  /** Maps websites.rid to websites.id, and 0 to null for events without a website. */
  websites: ReadonlyMap<number, string | null>
  /** Range of event times in Unix ms. `from` is inclusive, `to` is exclusive. */
  from: number
  to: number
}

/**
 * Up to this many events are found by time and then read by ID. For more events, it is faster to scan all events in ID
 * order, which takes about 5 s for 10 million.
 */
const maxIndexedEvents = 100_000
/** Number of index entries per read. A read takes a few ms. */
const indexRowsPerRead = 5_000
/**
 * Maximum number of parsed key sets in the cache. Each takes up about 300 bytes. The cache is cleared when it is full.
 */
const maxCachedKeySets = 10_000

const eventColumns = `
  e.id, e.website_rid, t.name, t.namespace, t.source, e.ts, e.delay, e.anonymous_id, e.session_id, e.profile_id, e.path,
  e.event_id, e.via_key, e.crawler, t.keys, e.properties, t.kind, e.client_id, e.acquisition_id`

const sql = {
  last: "select max(id) from event_rows",
  idsByTime: `
    select r.ts, r.id from ${eventsOfTimes}
    where t.website_rid = :rid and ${isBetween(":ts", ":to")} and (r.ts > :ts or +r.id > :id)
    order by ${byTime}
    limit :limit`,
  rangeEnd:
    "select max(id) from (select id from event_rows where id > :after and id <= :last order by id limit :rows)",
  inRange: `
    select ${eventColumns}
    from event_rows as e
    cross join event_types as t on t.id = e.type_id
    where e.id > :after and e.id <= :last and +e.ts >= :from and +e.ts < :to
      and +e.website_rid in (select value from json_each(:rids))
    order by e.id`,
  atTime: `
    select ${eventColumns}
    from event_rows as e
    cross join event_types as t on t.id = e.type_id
    where e.id in (
      select r.id from ${eventsOfTimes} where t.website_rid = :rid and ${isAt(":ts")} and +r.id <= :last)
    order by e.id`,
  byId: `
    select ${eventColumns}
    from event_rows as e
    cross join event_types as t on t.id = e.type_id
    where e.id in (select value from json_each(:ids)) and +e.website_rid in (select value from json_each(:rids))
    order by e.id`,
}

type EventColumns = [
  id: number,
  rid: number,
  name: string,
  namespace: string,
  source: string,
  ts: number,
  delay: number,
  anonymousId: StoredText,
  sessionId: StoredText,
  profileId: string | null,
  path: StoredText,
  eventId: string | Uint8Array | null,
  viaKey: number,
  crawler: number,
  keys: string,
  properties: StoredText,
  kind: number,
  clientId: number | null,
  acquisitionId: number | null,
]

/** Returns the values of a context. Unknown values are null. */
function valuesOf<Field extends string>(
  context: Context | undefined,
  fields: readonly Field[],
): Record<Field, string | null> {
  // The type assertion is needed because Object.fromEntries does not preserve the types of the keys.
  return Object.fromEntries(fields.map((field) => [field, context?.[field] || null])) as Record<
    Field,
    string | null
  >
}

const unknownClient = valuesOf(undefined, contextTables.client.fields)
const unknownAcquisition = valuesOf(undefined, contextTables.acquisition.fields)

/**
 * Number of events in the first batch, and the target size of a batch in characters of properties. Reading a batch of
 * this size takes a few ms. A single event can have 32 KiB of properties.
 */
const firstBatch = 16
const batchCharacters = 262_144

/**
 * Returns the number of events in the next batch, at most `rows`. The larger the events, the smaller the batch. `size`
 * is the number of events requested for the previous batch.
 */
function nextBatchSize(size: number, rows: number, events: readonly StoredEvent[]): number {
  const characters = events.reduce((sum, { properties }) => sum + (properties?.length ?? 0), 0)
  const fitting = Math.floor((batchCharacters * size) / Math.max(1, characters))
  return Math.max(1, Math.min(rows, size * 2, fitting))
}

/**
 * Reads events in batches. Each read is a separate transaction of a few ms, which is safe because stored rows never
 * change.
 */
export class EventReader {
  readonly #rangeEnd: Statement
  readonly #inRange: Statement
  readonly #byId: Statement
  readonly #atTime: Statement
  readonly #rids: string
  readonly #clients: ContextReader
  readonly #acquisitions: ContextReader
  readonly #texts: TextReader
  /** Maps the JSON array in `keys` to a list of its items, each as JSON. */
  readonly #keys = new Map<string, string[]>()

  constructor(
    private readonly db: Db,
    private readonly selection: EventSelection,
  ) {
    this.#rangeEnd = db.prepare(sql.rangeEnd).pluck()
    this.#inRange = db.prepare(sql.inRange).raw()
    this.#byId = db.prepare(sql.byId).raw()
    this.#atTime = db.prepare(sql.atTime).raw()
    this.#clients = new ContextReader(db, "client")
    this.#acquisitions = new ContextReader(db, "acquisition")
    this.#texts = new TextReader(db)
    this.#rids = JSON.stringify([...selection.websites.keys()])
  }

  /**
   * Yields the events that exist now, in ID order, reading at most `rows` rows per batch. A batch can be empty, so that
   * the caller can let other work run after every read.
   */
  *all(rows: number): Generator<StoredEvent[]> {
    const last = this.db.prepare(sql.last).pluck().get() as number | null
    if (last === null) return
    const ids: number[] | undefined = yield* this.#idsByTime(last)
    if (ids) {
      yield* this.inBatches(ids, rows)
      return
    }
    for (const { events } of this.inRange(Number.MIN_SAFE_INTEGER, last, rows)) yield events
  }

  /**
   * Yields the events with IDs above `after` and up to `last` in ID order, with at most `rows` rows per batch. With
   * each batch, yields `end`, the ID up to which all selected events have been yielded. Batches can be empty.
   */
  *inRange(after: number, last: number, rows: number): Generator<{ events: StoredEvent[]; end: number }> {
    const { from, to } = this.selection
    let size = Math.min(rows, firstBatch)
    for (let start = after; ; ) {
      const end = this.#rangeEnd.get({ after: start, last, rows: size }) as number | null
      if (end === null) return
      const events = this.#events(this.#inRange, { after: start, last: end, from, to, rids: this.#rids })
      yield { events, end }
      start = end
      size = nextBatchSize(size, rows, events)
    }
  }

  /** Yields the events with these IDs, with at most `rows` events per batch. */
  *inBatches(ids: readonly number[], rows: number): Generator<StoredEvent[]> {
    let size = Math.min(rows, firstBatch)
    for (let at = 0; at < ids.length; ) {
      const events = this.byId(ids.slice(at, at + size))
      yield events
      at += size
      size = nextBatchSize(size, rows, events)
    }
  }

  byId(ids: readonly number[]): StoredEvent[] {
    return this.#events(this.#byId, { ids: JSON.stringify(ids), rids: this.#rids })
  }

  /** Returns the events of one website with the timestamp `ts` (Unix ms) and IDs up to `last`. */
  atTime(rid: number, ts: number, last: number): StoredEvent[] {
    return this.#events(this.#atTime, { rid, ts, last })
  }

  /**
   * Reads events with their contexts and texts in one transaction. Otherwise, the contexts and texts could be deleted
   * after the events have been read.
   */
  #events(select: Statement, parameters: object): StoredEvent[] {
    return this.db.transaction(() =>
      (select.all(parameters) as EventColumns[]).map((row) => this.#event(row)),
    )()
  }

  /**
   * Returns the IDs of the selected events up to `last` in ascending order, or undefined if there are more than
   * `maxIndexedEvents`. Yields an empty batch between reads.
   */
  *#idsByTime(last: number): Generator<StoredEvent[], number[] | undefined> {
    const { websites, from, to } = this.selection
    const read = this.db.prepare(sql.idsByTime).raw()
    const ids: number[] = []
    for (const rid of websites.keys()) {
      let [ts, id] = [from, Number.MIN_SAFE_INTEGER]
      for (;;) {
        const entries = read.all({ rid, ts, id, to, limit: indexRowsPerRead }) as [number, number][]
        for (const [, entryId] of entries) if (entryId <= last) ids.push(entryId)
        if (ids.length > maxIndexedEvents) return undefined
        const end = entries.at(-1)
        if (!end || entries.length < indexRowsPerRead) break
        ;[ts, id] = end
        yield []
      }
    }
    return ids.sort((a, b) => a - b)
  }

  #event(row: EventColumns): StoredEvent {
    const [
      id,
      rid,
      name,
      namespace,
      source,
      ts,
      delay,
      anonymousId,
      sessionId,
      profile_id,
      path,
      eventId,
      viaKey,
      crawler,
      keys,
      storedProperties,
      kind,
      clientId,
      acquisitionId,
    ] = row
    const properties = this.#text(storedProperties)
    return {
      id,
      website_id: this.selection.websites.get(rid) ?? null,
      name,
      namespace: namespace || null,
      source: source || null,
      timestamp: ts,
      received_at: ts + delay,
      anonymous_id: this.#text(anonymousId),
      session_id: this.#text(sessionId),
      profile_id,
      path: this.#text(path),
      event_id: eventIdOf(eventId),
      credential: viaKey === 1 ? "key" : "website_id",
      crawler: crawler === 1,
      properties: keys === "" ? properties : this.#object(keys, properties ?? ""),
      kind: kindAt(kind),
      ...(clientId === null
        ? unknownClient
        : valuesOf(this.#clients.read(clientId), contextTables.client.fields)),
      ...(acquisitionId === null
        ? unknownAcquisition
        : valuesOf(this.#acquisitions.read(acquisitionId), contextTables.acquisition.fields)),
    }
  }

  /**
   * Returns the text of a stored value, or null if there is none. A text that a row refers to is only missing in a
   * damaged file.
   */
  #text(stored: StoredText): string | null {
    return this.#texts.text(stored) ?? null
  }

  /**
   * Joins keys and values into a JSON object. The values were written by JavaScript, so parsing and serializing
   * preserves them. The type assertions are safe because `EventInserter` wrote the JSON.
   */
  #object(keys: string, values: string): string {
    let names = this.#keys.get(keys)
    if (!names) {
      names = (JSON.parse(keys) as string[]).map((key) => JSON.stringify(key))
      if (this.#keys.size >= maxCachedKeySets) this.#keys.clear()
      this.#keys.set(keys, names)
    }
    // The type assertion is safe because JSON in brackets is an array.
    const list = JSON.parse(`[${values}]`) as unknown[]
    return `{${names.map((key, index) => `${key}:${JSON.stringify(list[index])}`).join(",")}}`
  }
}
