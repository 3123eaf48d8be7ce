import { type EventKind, kindAt } from "../event-kinds.ts"
import { type Context, type ContextKind, ContextReader } from "../store/context-tables.ts"
import { type ContextField, contextFields, type KnownContext, splitContext } from "../store/contexts.ts"
import type { Db, Statement } from "../store/db/driver.ts"
import { byTime, byTimeBackwards, eventsOfTimes, isAt, isBetween, overlapsIds } from "../store/event-times.ts"
import {
  type LinkedVisitor,
  latestProfileOf,
  linkedIds,
  linkedVisitors,
} from "../store/identity-resolution.ts"
import { type StoredText, TextReader } from "../store/texts.ts"
import { type IdKind, idKinds, StaleBlockError } from "./batch.ts"

/**
 * An event row with the values from which columns are built. It is an array rather than an object, because queries read
 * millions of rows.
 */
export type Row = [
  id: number,
  websiteRid: number,
  typeId: number,
  ts: number,
  crawler: 0 | 1,
  anonymousId: string | null,
  sessionId: string | null,
  profileId: string | null,
  path: string | null,
  properties: string | null,
  clientId: number | null,
  acquisitionId: number | null,
]

/** Indexes of the values in a row that can be stored as text ids, which refer to strings in another table. */
const [anonymousIdAt, sessionIdAt, pathAt, propertiesAt] = [5, 6, 8, 9] as const

/** A row as stored, with text ids in place of some strings. */
type RawRow = { [Index in keyof Row]: Row[Index] extends string | null ? StoredText : Row[Index] }

/** The id of a row, and the columns that determine its batch. */
export type RowId = [id: number, ts: number, typeId: number, crawler: 0 | 1]

/** The first values of a row. */
export type RowHead = [id: number, websiteRid: number, typeId: number, ts: number, crawler: 0 | 1]

/** A complete event. */
export interface StoredEvent {
  id: number
  websiteRid: number
  name: string
  kind: EventKind
  namespace: string | null
  source: string | null
  /** Unix ms, like `receivedAt`. */
  ts: number
  receivedAt: number
  anonymousId: string | null
  sessionId: string | null
  profileId: string | null
  path: string | null
  eventId: string | null
  crawler: boolean
  /** JSON object as a string, or null. */
  properties: string | null
  /** The fields of the event's contexts that this version knows. */
  context: KnownContext
}

/** Fields that many event rows have in common. */
export interface EventType {
  name: string
  kind: EventKind
  namespace: string | null
  source: string | null
  /** The property keys. Undefined if each row stores its properties as a complete JSON object. */
  keys: string[] | undefined
}

/**
 * Maximum memory for cached event types, in bytes. There is a limit because clients choose the keys and names, and
 * these can be long.
 */
const typesMemory = 16_777_216
/** Estimated bytes of memory per event type, and per key, in addition to its characters. */
const typeBytes = 300
const keyBytes = 40

const columns =
  "id, website_rid, type_id, ts, crawler, anonymous_id, session_id, profile_id, path, properties, client_id, acquisition_id"
const columnsOf = (table: string) => columns.replaceAll(/\w+/g, `${table}.$&`)

/**
 * Returns SQL for the ids of one kind. `not indexed` makes SQLite scan the rows by row id. With the index on time, it
 * would read all events in the time range again for each range of row ids.
 */
function ids(column: "anonymous_id" | "session_id" | "profile_id"): string {
  return `
    select ${column} from event_rows not indexed
    where id > :after and id <= :last and ${column} is not null and ts >= :from and ts < :to
      and website_rid in (select value from json_each(:websites))`
}

const sql = {
  byId: `
    select ${columns} from event_rows where id > :after and id <= :last and website_rid >= 0 order by id`,
  byTime: `
    select ${columnsOf("r")} from ${eventsOfTimes}
    where t.website_rid = :website and ${isBetween(":from", ":to")} and ${overlapsIds(":after", ":last")}
      and (r.ts > :from or +r.id > :fromId) and +r.id > :after and +r.id <= :last
    order by ${byTime}`,
  atTime: `
    select r.type_id, r.anonymous_id, r.session_id, r.profile_id from ${eventsOfTimes}
    where t.website_rid = :website and ${isAt(":ts")}`,
  newest: `
    select r.id, r.website_rid, r.type_id, r.ts, r.crawler from ${eventsOfTimes}
    where t.website_rid = :website and ${isBetween(":from", ":to")}
    order by ${byTimeBackwards} limit :limit`,
  ids: `
    select r.id, r.ts, r.type_id, r.crawler
    from json_each(:times) as m cross join ${eventsOfTimes}
    where t.website_rid = :website and ${isAt("m.value")}`,
  visitors: ids("anonymous_id"),
  sessions: ids("session_id"),
  profiles: ids("profile_id"),
  event: `
    select r.id, r.website_rid as websiteRid, e.name, e.kind, e.namespace, e.source, e.timestamp as ts, e.received_at as receivedAt,
      e.anonymous_id as anonymousId, e.session_id as sessionId, e.profile_id as profileId, e.path, e.event_id as eventId,
      e.crawler, e.properties, ${contextFields.map((field) => `e.${field}`).join(", ")}
    from event_rows as r join events as e on e.id = r.id where r.id = :id`,
  type: "select name, namespace, source, keys, kind from event_types where id = :id",
}

/** Reads event rows, and the texts, event types and contexts to which they refer. */
export class RowReader {
  readonly #byId: Statement
  readonly #byTime: Statement
  readonly #atTime: Statement
  readonly #newest: Statement
  readonly #ids: Statement
  readonly #type: Statement
  readonly #event: Statement
  readonly #texts: Record<IdKind, Statement>
  readonly #contexts: Record<ContextKind, ContextReader>
  readonly #interned: TextReader
  /** Estimated bytes of garbage from parsing all properties of a row to read only some of them. */
  parsedBytes = 0
  readonly #types = new Map<number, EventType>()
  #typesBytes = 0

  constructor(private readonly db: Db) {
    this.#byId = db.prepare(sql.byId).raw()
    this.#byTime = db.prepare(sql.byTime).raw()
    this.#atTime = db.prepare(sql.atTime).raw()
    this.#newest = db.prepare(sql.newest).raw()
    this.#ids = db.prepare(sql.ids).raw()
    this.#type = db.prepare(sql.type)
    this.#event = db.prepare(sql.event)
    this.#contexts = {
      client: new ContextReader(db, "client"),
      acquisition: new ContextReader(db, "acquisition"),
    }
    this.#interned = new TextReader(db)
    this.#texts = Object.fromEntries(idKinds.map((kind) => [kind, db.prepare(sql[kind]).pluck()])) as Record<
      IdKind,
      Statement
    >
  }

  /**
   * Iterates over rows of all websites with ids above `after` and at most `last`, by id. Returns an iterator instead of
   * an array, because a row can take up 32 KiB. Callers must consume it without yielding.
   */
  byId(after: number, last: number): IterableIterator<Row> {
    return this.#rowsOf(this.#byId.iterate({ after, last }) as IterableIterator<RawRow>)
  }

  /**
   * Iterates over rows of a website with `from` <= ts < `to` and with ids above `after` and at most `last`, by time and
   * then id. Rows with the time `from` are included only if their ids are above `fromId`. Callers must consume the
   * iterator without yielding.
   */
  byTime(
    website: number,
    from: number,
    to: number,
    after: number,
    last: number,
    fromId = -1,
  ): IterableIterator<Row> {
    const rows = this.#byTime.iterate({ website, from, to, after, last, fromId })
    return this.#rowsOf(rows as IterableIterator<RawRow>)
  }

  /** Replaces text ids with strings. The statement must select the columns of a `Row`. */
  *#rowsOf(rows: IterableIterator<RawRow>): Generator<Row, undefined, undefined> {
    for (const row of rows) {
      row[anonymousIdAt] = this.#textInSnapshot(row[anonymousIdAt])
      row[sessionIdAt] = this.#textInSnapshot(row[sessionIdAt])
      row[pathAt] = this.#textInSnapshot(row[pathAt])
      row[propertiesAt] = this.#textInSnapshot(row[propertiesAt])
      // The type assertion is safe because the row no longer contains text ids. Creating a new array for each of
      // millions of rows would take longer.
      yield row as Row
    }
  }

  /**
   * Returns the string for a value in a row. The statement that reads the row must still be open, because then
   * concurrent deletions cannot remove the string. If the string is missing anyway, the database is damaged, which
   * `databuddy check` reports. This method then returns null, as an export does. If it threw an error, all queries that
   * read the row would fail.
   */
  #textInSnapshot(stored: StoredText): string | null {
    return typeof stored === "number" ? (this.#interned.text(stored) ?? null) : stored
  }

  /** Returns the string for a value in a row. Throws StaleBlockError if the string was deleted. */
  #textOf(stored: StoredText): string | null {
    if (typeof stored !== "number") return stored
    const text = this.#interned.text(stored)
    // All events with this string were deleted after the row was read, and then the string was deleted.
    if (text === undefined) throw new StaleBlockError()
    return text
  }

  /**
   * Iterates over the rows of a website with the given time (Unix ms) and event name. For each row, yields the ids of
   * its visitor, session and profile, in the order of `idKinds`.
   */
  *idsAt(website: number, ts: number, name: string): Generator<(string | null)[]> {
    const rows = this.#atTime.iterate({ website, ts }) as Iterable<[number, ...StoredText[]]>
    for (const [typeId, ...ids] of rows)
      if (this.typeOf(typeId).name === name) yield ids.map((id) => this.#textOf(id))
  }

  /**
   * Returns the row ids of the events of a website at the given times (Unix ms), in no particular order. Takes about 50
   * µs, plus 3 µs for each time and for each row.
   */
  ids(website: number, times: readonly number[]): RowId[] {
    return this.#ids.all({ website, times: JSON.stringify(times) }) as RowId[]
  }

  /**
   * Returns the ids of one kind in the events with row ids above `after` and at most `last`. Includes duplicates,
   * because the caller can remove them faster than SQLite can.
   */
  texts(
    kind: IdKind,
    { websites, from, to }: { websites: readonly number[]; from: number; to: number },
    after: number,
    last: number,
  ): string[] {
    const ids = this.#texts[kind].all({ websites: JSON.stringify(websites), from, to, after, last })
    // The type assertions are safe because the statement leaves out nulls.
    return (ids as StoredText[]).map((id) => this.#textOf(id) as string)
  }

  /** Returns the newest rows of a website with `from` <= ts < `to`, newest first. */
  newest(website: number, from: number, to: number, limit: number): RowHead[] {
    return this.#newest.all({ website, from, to, limit }) as RowHead[]
  }

  /** Returns the event with a row id, or undefined if it was deleted. */
  event(id: number): StoredEvent | undefined {
    const row = this.#event.get({ id }) as EventColumns | undefined
    if (!row) return undefined
    const { rest, context } = splitContext(row)
    return { ...rest, crawler: rest.crawler === 1, context }
  }

  /** Returns a context. Throws StaleBlockError if it was deleted. */
  contextOf(kind: ContextKind, id: number): Context {
    const context = this.#contexts[kind].read(id)
    // All events with this context were deleted after the row was read, and then the context was deleted.
    if (!context) throw new StaleBlockError()
    return context
  }

  /** For this and the next two methods, see src/store/identity-resolution.ts. */
  linkedIds(website: number, profileId: string): string[] {
    return linkedIds(this.db, website, profileId)
  }

  linkedVisitors(website: number): Generator<LinkedVisitor[]> {
    return linkedVisitors(this.db, website)
  }

  latestProfileOf(website: number, anonymousId: string): string | undefined {
    return latestProfileOf(this.db, website, anonymousId)
  }

  /** Returns an event type. Throws StaleBlockError if it was deleted. */
  typeOf(id: number): EventType {
    let type = this.#types.get(id)
    if (!type) {
      const row = this.#type.get({ id }) as
        | (Record<"name" | "namespace" | "source" | "keys", string> & { kind: number })
        | undefined
      // All events of this type were deleted after the row was read, and then the type was deleted.
      if (!row) throw new StaleBlockError()
      const { name, namespace, source, keys, kind } = row
      type = {
        name,
        kind: kindAt(kind),
        namespace: namespace || null,
        source: source || null,
        // The type assertion is safe because `store/events.ts` wrote the keys.
        keys: keys ? (JSON.parse(keys) as string[]) : undefined,
      }
      if (this.#typesBytes > typesMemory) {
        this.#types.clear()
        this.#typesBytes = 0
      }
      this.#types.set(id, type)
      this.#typesBytes += typeBytes + 2 * name.length
      for (const key of type.keys ?? []) this.#typesBytes += keyBytes + key.length
    }
    return type
  }
}

/** A row of the view `events`. */
type EventColumns = Omit<StoredEvent, "crawler" | "context"> & { crawler: 0 | 1 } & Record<
    ContextField,
    string | null
  >
