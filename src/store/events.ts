import { type EventKind, kindIndex } from "../event-kinds.ts"
import { ContextInterner } from "./context-tables.ts"
import type { AcquisitionContext, ClientContext } from "./contexts.ts"
import type { DailyHash } from "./daily-hash.ts"
import type { Db, Statement } from "./db/driver.ts"
import { type NewNameQuota, tooManyNewNamesError } from "./event-name-quota.ts"
import { deleteEventsBefore, EventTimes } from "./event-times.ts"
import {
  eventKeyOf,
  findEventId,
  findRemovedEventId,
  hasPackedEventId,
  hasTextEventId,
  packedEventId,
} from "./packed-ids.ts"
import { objectOf } from "./properties-json.ts"
import { deletePropertyKeys, PropertyKeyQuota } from "./property-key-quota.ts"
import { TextInterner } from "./texts.ts"

/** A validated event to insert, with its website resolved and its properties serialized. */
export interface EventRow {
  /** Only used by an inserter with `withIds`. Otherwise, SQLite assigns the ID. */
  id?: number
  /** 0 for an event without a website. */
  websiteRid: number
  name: string
  /** '' if missing. The same applies to `source`. */
  namespace: string
  source: string
  /** JSON array of the property keys in order. '' if `properties` is an object or null. */
  keys: string
  /** Event time in Unix ms. */
  ts: number
  /** Receipt time in Unix ms. */
  receivedAt: number
  anonymousId: string | null
  /** If true, `anonymousId` is stored as a hash that cannot be reproduced after the current UTC day. */
  hashVisitor: boolean
  sessionId: string | null
  profileId: string | null
  path: string | null
  /** 1 if sent with an API key, 0 if sent with a website ID. */
  viaKey: 0 | 1
  /** 1 if sent by a known crawler or AI agent. */
  crawler: 0 | 1
  /** The client's idempotency key. Unique per website and kind of credential. */
  eventId: string | null
  /** JSON values in the order of `keys`, without brackets. If `keys` is '', a JSON object. */
  properties: string | null
  /** Custom if absent. */
  kind?: EventKind
  /** Null or absent if unknown. */
  client?: ClientContext | null
  acquisition?: AcquisitionContext | null
}

const columns = [
  "website_rid",
  "type_id",
  "ts",
  "delay",
  "anonymous_id",
  "session_id",
  "profile_id",
  "path",
  "via_key",
  "crawler",
  "event_id",
  "properties",
]

/**
 * Columns that are only bound if a row has a context. Always binding these two values would make all other inserts 5%
 * slower.
 */
const contextColumns = ["client_id", "acquisition_id"]

/**
 * Numbers of rows per statement. Statements with 32 and with 64 rows were equally fast, and smaller ones were slower.
 * The smaller statements insert the remaining rows if fewer than 32 are left.
 */
const statementSizes = [32, 8, 1]

/**
 * Uses positional parameters in the order of `columns`, because named parameters would allocate an object per row in
 * the hottest statement.
 */
function insertRows(size: number, columns: readonly string[]): string {
  const row = `(${columns.map(() => "?").join(", ")})`
  return `
    insert into event_rows (${columns.join(", ")})
    values ${Array(size).fill(row).join(", ")}
    on conflict (${eventKeyOf("event_id")}) where ${hasPackedEventId} do nothing
    on conflict (website_rid, via_key, event_id) where ${hasTextEventId} do nothing`
}

const sql = {
  findType: `
    select id from event_types
    where name = :name and namespace = :namespace and source = :source and keys = :keys and kind = :kind`,
  /** Marks the type as used if a check is running (see unused-event-types.ts). */
  changeType: "update type_checks set changes = changes + 1 where type_id = :id",
  state: "select checks, unpacked_id, exists (select 1 from removed_event_ids) from type_state",
  findName: `
    select 1 from event_types
    where name = :name and namespace = :namespace and source = :source and kind = :kind
    limit 1`,
  countTypes: `
    select count(*) from event_types
    where name = :name and namespace = :namespace and source = :source and kind = :kind`,
  insertType: `
    insert into event_types (id, name, namespace, source, keys, kind)
    select
      max(next_id, (select coalesce(max(id), 0) + 1 from event_types)), :name, :namespace, :source, :keys, :kind
    from type_state`,
  /** True if there are rows in which the event ID might be a UUID stored as text. */
  hasUnpackedIds: `
    select exists (select 1 from event_rows where id <= (select unpacked_id from type_state))`,
  addUnpackedId: "update type_state set unpacked_id = max(unpacked_id, :id)",
  countEvents: "select count(*) from event_rows where website_rid = :rid",
  deletedWebsite: `
    select rid from websites
    where (deleted_at < :settled and not exists (select 1 from removed_days where website_rid = rid))
      or (deleted_at is not null and exists (select 1 from event_times where website_rid = rid))
    limit 1`,
  deleteProfiles: "delete from profiles where website_rid = :rid",
  deleteLinks: "delete from profile_links where website_rid = :rid",
  deleteBlocks:
    "delete from blocks where id in (select id from blocks where website_rid = :blocksOf limit :limit)",
  deleteNewNames: "delete from new_names where website_rid = :rid",
  deleteWebsite: "delete from websites where rid = :rid and deleted_at < :settled",
}

/**
 * Maximum number of key sets per event name in the type dictionary. Rows with any other key set store keys and values
 * themselves. Otherwise, keys generated by the sender (`item_8123`) would fill the dictionary with entries that are
 * used only once.
 */
const maxKeySetsPerName = 200
/** A row has many keys if `keys` has more characters than this, which is about 256 keys. */
const longKeys = 2_048
/**
 * Maximum number of entries in the type cache. They take about 200 bytes each, 4 MB in total. The cache is cleared when
 * it is full.
 */
const maxCachedTypes = 20_000

export interface InserterOptions {
  /** True if the rows already have IDs. */
  withIds?: boolean
  /** Limits new names in rows sent without a key. Undefined: no limit. */
  newNames?: NewNameQuota
}

/** Inserts event rows, several per statement. Runs inside the caller's transaction. */
export class EventInserter {
  readonly #statements: { size: number; plain: Statement; withContexts: Statement }[]
  readonly #insertOne: Statement
  readonly #selectType: Statement
  readonly #findName: Statement
  readonly #countTypes: Statement
  readonly #insertType: Statement
  readonly #changeType: Statement
  readonly #state: Statement
  readonly #clients: ContextInterner
  readonly #acquisitions: ContextInterner
  readonly #texts: TextInterner
  readonly #times: EventTimes
  readonly #findEventId: Statement
  readonly #findRemovedEventId: Statement
  readonly #hasUnpackedIds: Statement
  readonly #addUnpackedId: Statement
  readonly #withIds: boolean
  readonly #newNames: NewNameQuota | undefined
  readonly #propertyKeys: PropertyKeyQuota
  #types = new Map<string, number>()
  #namesAtLimit = new Set<string>()
  /** The last row with a cached type, and its type. The page views of a request usually have the same type. */
  #lastType: { row: EventRow; id: number } | undefined
  /** Number of the latest type check when the caches were last cleared. */
  #cachedCheck = -1
  /** True if rows with IDs up to `#lastUnpackedId` might have event IDs that are UUIDs stored as text. */
  #someUnpacked = false
  #lastUnpackedId = -1
  /** True if events with event IDs have been removed from the file. */
  #someRemoved = false

  constructor(
    db: Db,
    private readonly dailyHash: DailyHash,
    { withIds = false, newNames }: InserterOptions = {},
  ) {
    this.#withIds = withIds
    this.#newNames = newNames
    this.#propertyKeys = new PropertyKeyQuota(db)
    this.#clients = new ContextInterner(db, "client")
    this.#acquisitions = new ContextInterner(db, "acquisition")
    this.#texts = new TextInterner(db)
    this.#times = new EventTimes(db)
    this.#findEventId = db.prepare(findEventId).pluck()
    this.#findRemovedEventId = db.prepare(findRemovedEventId).pluck()
    this.#hasUnpackedIds = db.prepare(sql.hasUnpackedIds).pluck()
    this.#addUnpackedId = db.prepare(sql.addUnpackedId)
    const named = withIds ? ["id", ...columns] : columns
    this.#statements = statementSizes.map((size) => ({
      size,
      plain: db.prepare(insertRows(size, named)),
      withContexts: db.prepare(insertRows(size, [...named, ...contextColumns])),
    }))
    this.#insertOne = db.prepare(insertRows(1, [...named, ...contextColumns]))
    this.#selectType = db.prepare(sql.findType).pluck()
    this.#findName = db.prepare(sql.findName)
    this.#countTypes = db.prepare(sql.countTypes).pluck()
    this.#insertType = db.prepare(sql.insertType)
    this.#changeType = db.prepare(sql.changeType)
    this.#state = db.prepare(sql.state).raw()
  }

  /**
   * Inserts rows and returns how many were inserted. Skips rows whose `eventId` already exists. `types` contains the
   * results of `typesOf` in the same transaction. If `types` is absent, revalidates the caches and looks up the types.
   */
  insert(rows: readonly EventRow[], types = this.#currentTypesOf(rows)): number {
    if (!this.#someUnpacked && !this.#someRemoved) return this.#insert(rows, types)
    const isNew = rows.map(
      (row) =>
        !(this.#someUnpacked && this.#hasStoredUuid(row)) && !(this.#someRemoved && this.#wasRemoved(row)),
    )
    return this.#insert(
      rows.filter((_, index) => isNew[index]),
      types.filter((_, index) => isNew[index]),
    )
  }

  /** Returns true if the event ID is a UUID that is already stored, as bytes or as text. */
  #hasStoredUuid({ websiteRid, viaKey, eventId }: EventRow): boolean {
    const packedId = eventId === null ? null : packedEventId(eventId)
    if (packedId === null) return false
    return this.#findEventId.get({ websiteRid, viaKey, eventId, packedId }) !== undefined
  }

  /** Returns true if an event with this event ID was removed from the file. */
  #wasRemoved({ websiteRid, viaKey, eventId }: EventRow): boolean {
    if (eventId === null) return false
    const packedId = packedEventId(eventId)
    return this.#findRemovedEventId.get({ websiteRid, viaKey, eventId, packedId }) !== undefined
  }

  #insert(rows: readonly EventRow[], types: readonly number[]): number {
    let next = 0
    let inserted = 0
    for (const { size, ...statements } of this.#statements) {
      for (; rows.length - next >= size; next += size) {
        const end = next + size
        const hasContexts = someHaveContexts(rows, next, end)
        const statement = hasContexts ? statements.withContexts : statements.plain
        const values: unknown[] = []
        for (let index = next; index < end; index++)
          this.#addValues(values, rows[index] as EventRow, types[index] as number, hasContexts)
        const { changes, lastInsertRowid } = statement.run(values)
        inserted += changes
        this.#addTimes(rows.slice(next, end), changes, Number(lastInsertRowid))
        if (changes < size) inserted += this.#insertUnpacked(rows, types, next, end)
        this.#texts.flush(changes < size)
      }
    }
    return inserted
  }

  /**
   * Of the rows from `first` to `end`, inserts those that the last statement skipped although their event IDs are new,
   * and returns how many it inserted. A row is skipped if another UUID has the same indexed bytes. Stores these IDs as
   * text, because an index compares text as a whole. Even if a sender chooses IDs that collide, they cost no more than
   * other IDs.
   */
  #insertUnpacked(rows: readonly EventRow[], types: readonly number[], first: number, end: number): number {
    let inserted = 0
    for (let index = first; index < end; index++) {
      const row = rows[index] as EventRow
      if (row.eventId === null || packedEventId(row.eventId) === null || this.#hasStoredUuid(row)) continue
      const values: unknown[] = []
      this.#addValues(values, row, types[index] as number, true, row.eventId)
      const { changes, lastInsertRowid } = this.#insertOne.run(values)
      inserted += changes
      this.#addTimes([row], changes, Number(lastInsertRowid))
      if (changes > 0) this.#addUnpackedId.run({ id: lastInsertRowid })
      this.#someUnpacked = true
    }
    return inserted
  }

  /**
   * Adds the inserted rows to `event_times`. `inserted` is how many of `rows` were inserted. `last` is the ID of the
   * last inserted row.
   */
  #addTimes(rows: readonly EventRow[], inserted: number, last: number): void {
    if (inserted === 0) return
    const first = last - inserted + 1
    for (const [index, { websiteRid, ts, id }] of rows.entries()) {
      if (id !== undefined) this.#times.add(websiteRid, ts, id)
      else if (inserted === rows.length) this.#times.add(websiteRid, ts, first + index)
      // SQLite does not report which rows it skipped, so each row gets entries for the whole range of new IDs.
      else this.#times.add(websiteRid, ts, first, last)
    }
  }

  #currentTypesOf(rows: readonly EventRow[]): number[] {
    this.revalidateCaches()
    return this.typesOf(rows)
  }

  /**
   * Returns the type ID of each row of one request. A negative ID means that the row stores its properties as an
   * object. Creates missing types. If the new names exceed the quota of the website, throws `too_many_new_names` before
   * creating any type. `revalidateCaches` must be called first, once for all requests of a transaction.
   */
  typesOf(rows: readonly EventRow[]): number[] {
    const types = new Array<number>(rows.length)
    const missing: number[] = []
    for (let index = 0; index < rows.length; index++) {
      const row = rows[index] as EventRow
      const id = this.#findType(row)
      if (id === undefined) {
        if (missing.length === 0) this.#rejectNewName(row)
        missing.push(index)
      }
      types[index] = id ?? 0
    }
    if (missing.length === 0) return types
    this.#admitNames(missing.map((index) => rows[index] as EventRow))
    for (const index of missing) types[index] = this.#createType(rows[index] as EventRow)
    return types
  }

  /**
   * If a row has many keys and they no longer fit in the dictionary, returns the row with its properties as an object,
   * which is how it will be stored. The check and the conversion take 1 ms per row. Must be called before the commit,
   * because the commit blocks all other requests.
   */
  withObject(row: EventRow): EventRow {
    if (row.keys.length < longKeys || this.#types.has(typeKey(row, row.keys))) return row
    const isAtLimit = this.#namesAtLimit.has(nameKey(row))
    if (!isAtLimit && this.#propertyKeys.hasRoom(row.websiteRid, row.receivedAt, row.keys)) return row
    return { ...row, keys: "", properties: objectOf(row.keys, row.properties ?? "") }
  }

  /** Returns false if the row would count against the quota for new names. */
  isKnownName(row: EventRow): boolean {
    return kindOf(row) !== "custom" || this.#findName.get(nameOf(row)) !== undefined
  }

  /** Must be called after a rollback, because cached types and contexts might be missing from the database. */
  clearCaches(): void {
    this.#lastUnpackedId = -1
    this.#times.begin()
    this.#propertyKeys.reset()
    this.#clearTypes()
    this.#clients.clear()
    this.#acquisitions.clear()
    this.#texts.clear()
  }

  #clearTypes(): void {
    this.#types.clear()
    this.#lastType = undefined
    this.#namesAtLimit.clear()
  }

  /**
   * Clears the caches if a check of unused types and contexts has started in any process, because the check can only
   * see later uses of them that are recorded in the database. Must be called in each transaction. Until the transaction
   * ends, only this connection can start a check.
   */
  revalidateCaches(): void {
    this.#texts.begin()
    this.#times.begin()
    const [checks, lastUnpackedId, someRemoved] = this.#state.get() as [number, number, number]
    this.#someRemoved = someRemoved === 1
    if (lastUnpackedId !== this.#lastUnpackedId) {
      this.#lastUnpackedId = lastUnpackedId
      this.#someUnpacked = this.#hasUnpackedIds.get() === 1
    }
    if (checks === this.#cachedCheck) return
    this.#cachedCheck = checks
    this.#clearTypes()
    this.#clients.clear()
    this.#acquisitions.clear()
    this.#texts.clear()
  }

  #addValues(
    values: unknown[],
    row: EventRow,
    type: number,
    hasContexts: boolean,
    eventId = row.eventId === null ? null : (packedEventId(row.eventId) ?? row.eventId),
  ): void {
    if (this.#withIds) values.push(row.id)
    const isCustom = row.kind === undefined || row.kind === "custom"
    const texts = this.#texts
    const properties = type < 0 ? objectOf(row.keys, row.properties ?? "") : row.properties
    values.push(
      row.websiteRid,
      Math.abs(type),
      row.ts,
      row.receivedAt - row.ts,
      row.hashVisitor && row.anonymousId !== null
        ? this.dailyHash.hash(row.anonymousId, row.websiteRid, row.receivedAt)
        : texts.storedId(row.anonymousId, "anonymous_id"),
      texts.storedId(row.sessionId, "session_id"),
      row.profileId,
      isCustom ? row.path : texts.storedText(row.path, "path"),
      row.viaKey,
      row.crawler,
      eventId,
      isCustom ? properties : texts.storedText(properties, "properties"),
    )
    if (hasContexts) values.push(this.#clients.idOf(row.client), this.#acquisitions.idOf(row.acquisition))
  }

  /** Returns the type ID of a row (see `typesOf`), or undefined if the type has to be created. */
  #findType(row: EventRow): number | undefined {
    const last = this.#lastType
    if (last && isOfSameType(row, last.row)) return last.id
    const cached = this.#types.get(typeKey(row, row.keys))
    if (cached !== undefined) {
      this.#lastType = { row, id: cached }
      return cached
    }
    if (row.keys === "" || !this.#namesAtLimit.has(nameKey(row))) return this.#lookUp(row, row.keys)
    return this.#findObjectType(row)
  }

  /** Returns the negated type ID of rows that store their properties as an object, or undefined if there is no type. */
  #findObjectType(row: EventRow): number | undefined {
    const id = this.#types.get(typeKey(row, "")) ?? this.#lookUp(row, "")
    return id === undefined ? undefined : -id
  }

  #lookUp(row: EventRow, keys: string): number | undefined {
    const id = this.#selectType.get({ ...nameOf(row), keys }) as number | undefined
    if (id === undefined) return undefined
    this.#changeType.run({ id })
    this.#cacheType(typeKey(row, keys), id)
    return id
  }

  /**
   * Creates the type of a row and returns its ID. The ID is negated if the name has too many key sets or the website
   * has too many new keys.
   */
  #createType(row: EventRow): number {
    // An earlier row of the same request might have created the type.
    const existing = this.#findType(row)
    if (existing !== undefined) return existing
    const { keys, websiteRid, receivedAt } = row
    const isAtLimit = keys !== "" && (this.#countTypes.get(nameOf(row)) as number) >= maxKeySetsPerName
    if (isAtLimit) this.#namesAtLimit.add(nameKey(row))
    const asObject = isAtLimit || (keys !== "" && !this.#propertyKeys.admit(websiteRid, receivedAt, keys))
    const shared = asObject ? this.#findObjectType(row) : undefined
    if (shared !== undefined) return shared
    const typeKeys = asObject ? "" : keys
    const id = Number(this.#insertType.run({ ...nameOf(row), keys: typeKeys }).lastInsertRowid)
    this.#cacheType(typeKey(row, typeKeys), id)
    return asObject ? -id : id
  }

  #cacheType(key: string, id: number): void {
    if (this.#types.size >= maxCachedTypes) this.#clearTypes()
    this.#types.set(key, id)
  }

  /**
   * Throws `too_many_new_names` if the name is new and the quota is used up. Called for the first missing type in a
   * request, so that the other rows of a rejected request are not looked up.
   */
  #rejectNewName(row: EventRow): void {
    if (!this.#newNames || row.viaKey === 1 || this.#newNames.remaining(row.websiteRid, row.receivedAt) > 0)
      return
    if (!this.isKnownName(row)) throw tooManyNewNamesError(row.receivedAt)
  }

  /**
   * Enforces the quota for new names. All rows of a request without a key belong to one website. Namespace and source
   * count as part of the name, because senders can generate them too. Only the names of custom events count, because
   * all other names are fixed.
   */
  #admitNames(rows: readonly EventRow[]): void {
    const { websiteRid, receivedAt, viaKey } = rows[0] as EventRow
    if (!this.#newNames || viaKey === 1) return
    const names = new Set<string>()
    const remaining = this.#newNames.remaining(websiteRid, receivedAt)
    for (const row of rows) {
      const key = nameKey(row)
      if (names.has(key) || this.isKnownName(row)) continue
      names.add(key)
      if (names.size > remaining) throw tooManyNewNamesError(receivedAt)
    }
    if (names.size > 0) this.#newNames.add(websiteRid, receivedAt, names.size)
  }
}

function someHaveContexts(rows: readonly EventRow[], first: number, end: number): boolean {
  for (let index = first; index < end; index++) {
    const { client, acquisition } = rows[index] as EventRow
    if (client || acquisition) return true
  }
  return false
}

function kindOf({ kind = "custom" }: EventRow): EventKind {
  return kind
}

/** Returns the columns of a type that do not depend on property keys. */
function nameOf(row: EventRow): { name: string; namespace: string; source: string; kind: number } {
  const { name, namespace, source } = row
  return { name, namespace, source, kind: kindIndex(kindOf(row)) }
}

function isOfSameType(one: EventRow, other: EventRow): boolean {
  return (
    one.name === other.name &&
    one.kind === other.kind &&
    one.keys === other.keys &&
    one.namespace === other.namespace &&
    one.source === other.source
  )
}

function nameKey(row: EventRow): string {
  return typeKey(row, "")
}

/**
 * Returns a string that identifies a type. No part of it contains NUL. Custom events are the most frequent, so their
 * strings are the shortest.
 */
function typeKey(row: EventRow, keys: string): string {
  const key = `${row.name}\0${row.namespace}\0${row.source}\0${keys}`
  return row.kind === undefined || row.kind === "custom" ? key : `${row.kind}\0\0${key}`
}

/** Counts the events of a website. Scans all rows, which takes about 2 s for ten million events. */
export function countEvents(db: Db, websiteRid: number): number {
  return db.prepare(sql.countEvents).pluck().get({ rid: websiteRid }) as number
}

/**
 * Time in ms after which no request in flight can still see a deleted website. This is longer than the maximum of
 * --lock-wait.
 */
const settleDelay = 900_000
/**
 * Number of events to delete per transaction. This takes about 10 ms if each has an eventId, because their index
 * entries are scattered.
 */
export const sweepRows = 500
/** Pause between these transactions, in ms, because new events have priority. */
export const sweepPause = 25

/**
 * Deletes up to `limit` events of one deleted website. After the last event, deletes the website itself as soon as no
 * request can add events to it. Returns false if there is nothing to delete at `now` (Unix ms).
 */
export function sweepDeleted(db: Db, now: number, limit = sweepRows): boolean {
  const settled = now - settleDelay
  const rid = db.prepare(sql.deletedWebsite).pluck().get({ settled }) as number | undefined
  if (rid === undefined) return false
  if (deleteEventsBefore(db, rid, limit)) return true
  // The query engine would delete the column blocks too, but it might not be running. Replaced blocks have the rid -1 -
  // rid.
  for (const blocksOf of [rid, -1 - rid]) {
    if (db.prepare(sql.deleteBlocks).run({ blocksOf, limit }).changes > 0) return true
  }
  db.prepare(sql.deleteNewNames).run({ rid })
  db.prepare(sql.deleteProfiles).run({ rid })
  db.prepare(sql.deleteLinks).run({ rid })
  deletePropertyKeys(db, rid)
  db.prepare(sql.deleteWebsite).run({ rid, settled })
  return true
}
