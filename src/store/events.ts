import type { DailyHash } from "./daily-hash.ts"
import type { Db, Statement } from "./db/driver.ts"
import { type NewNameQuota, tooManyNewNamesError } from "./new-name-quota.ts"
import { deletePropertyKeys, PropertyKeyQuota } from "./property-key-quota.ts"

/** An event as it is stored: checked, with its website found and its properties serialised. */
export interface EventRow {
  /** For an inserter `withIds` alone; any other lets SQLite give the next one. */
  id?: number
  /** 0: no website, the owner's own event. */
  websiteRid: number
  name: string
  /** '' for none, as for `source`. */
  namespace: string
  source: string
  /** JSON array of property keys in their order; '' where `properties` is an object, or null. */
  keys: string
  /** When it happened, Unix ms. */
  ts: number
  /** When it was received, Unix ms. */
  receivedAt: number
  anonymousId: string | null
  /** Store a hash of `anonymousId` that nobody can undo after today (UTC). */
  hashVisitor: boolean
  sessionId: string | null
  profileId: string | null
  path: string | null
  /** 1: sent with an API key, 0: with a website id. */
  viaKey: 0 | 1
  /** 1: sent by a known crawler or AI agent. */
  crawler: 0 | 1
  /** The client's idempotency key: one such event is kept per website and kind of credential. */
  eventId: string | null
  /** JSON values in the order of `keys`, without brackets around them; an object where `keys` is ''. */
  properties: string | null
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

/** Rows in one statement. 32 to 64 measured alike, 8 and 1 slower; a rest of less than 32 goes by 8 and by 1. */
const statementSizes = [32, 8, 1]

/** Named parameters would cost an object a row in the hottest statement, so these are by position, in `columns`' order. */
function insertRows(size: number, columns: readonly string[]): string {
  const row = `(${columns.map(() => "?").join(", ")})`
  return `
    insert into event_rows (${columns.join(", ")})
    values ${Array(size).fill(row).join(", ")}
    on conflict (website_rid, via_key, event_id) where event_id is not null do nothing`
}

const sql = {
  findType: `
    select id from event_types
    where name = :name and namespace = :namespace and source = :source and keys = :keys`,
  /** A type that is being checked for events is not unused: see src/store/unused-types.ts. */
  changeType: "update type_checks set changes = changes + 1 where type_id = :id",
  checks: "select checks from type_state",
  findName: `
    select 1 from event_types
    where name = :name and namespace = :namespace and source = :source
    limit 1`,
  countTypes: `
    select count(*) from event_types
    where name = :name and namespace = :namespace and source = :source`,
  insertType: `
    insert into event_types (id, name, namespace, source, keys)
    select
      max(next_id, (select coalesce(max(id), 0) + 1 from event_types)), :name, :namespace, :source, :keys
    from type_state`,
  countEvents: "select count(*) from event_rows where website_rid = :rid",
  deletedWebsite: `
    select rid from websites
    where deleted_at < :settled
      or (deleted_at is not null and exists (select 1 from event_rows where website_rid = rid))
    limit 1`,
  deleteEvents: `
    delete from event_rows
    where id in (select id from event_rows where website_rid = :rid limit :limit)`,
  deleteProfiles: "delete from profiles where website_rid = :rid",
  deleteLinks: "delete from profile_links where website_rid = :rid",
  deleteBlocks:
    "delete from blocks where id in (select id from blocks where website_rid = :blocksOf limit :limit)",
  deleteNewNames: "delete from new_names where website_rid = :rid",
  deleteWebsite: "delete from websites where rid = :rid and deleted_at < :settled",
}

/**
 * Sets of property keys that one event name may have before further ones are stored whole, each with its row. Keys that
 * are made up by the sender (`item_8123`) would otherwise fill the dictionary with entries that are used once.
 */
const maxKeySetsPerName = 200
/** Entries of the type cache; at some 200 bytes each, a few MB. When it is full it starts anew. */
const maxCachedTypes = 20_000

export interface InserterOptions {
  /** Rows bring their ids. */
  withIds?: boolean
  /** Limits the new names of rows that came without a key; left out: they are not limited. */
  newNames?: NewNameQuota
}

/** Inserts event rows, several in one statement. Works inside the caller's transaction. */
export class EventInserter {
  readonly #statements: { size: number; statement: Statement }[]
  readonly #selectType: Statement
  readonly #findName: Statement
  readonly #countTypes: Statement
  readonly #insertType: Statement
  readonly #changeType: Statement
  readonly #checks: Statement
  readonly #withIds: boolean
  readonly #newNames: NewNameQuota | undefined
  readonly #propertyKeys: PropertyKeyQuota
  #types = new Map<string, number>()
  #namesAtLimit = new Set<string>()
  /** Of the check of types up to which the cache is good. */
  #cachedCheck = -1

  constructor(
    db: Db,
    private readonly dailyHash: DailyHash,
    { withIds = false, newNames }: InserterOptions = {},
  ) {
    this.#withIds = withIds
    this.#newNames = newNames
    this.#propertyKeys = new PropertyKeyQuota(db)
    const named = withIds ? ["id", ...columns] : columns
    this.#statements = statementSizes.map((size) => ({
      size,
      statement: db.prepare(insertRows(size, named)),
    }))
    this.#selectType = db.prepare(sql.findType).pluck()
    this.#findName = db.prepare(sql.findName)
    this.#countTypes = db.prepare(sql.countTypes).pluck()
    this.#insertType = db.prepare(sql.insertType)
    this.#changeType = db.prepare(sql.changeType)
    this.#checks = db.prepare(sql.checks).pluck()
  }

  /**
   * A row whose `eventId` is known is passed over: the first one wins. Gives how many were not. `types`: of `typesOf`, in the same
   * transaction.
   */
  insert(rows: readonly EventRow[], types: readonly number[] = this.typesOf(rows)): number {
    let next = 0
    let inserted = 0
    for (const { size, statement } of this.#statements) {
      while (rows.length - next >= size) {
        const values: unknown[] = []
        for (const end = next + size; next < end; next++) {
          this.#addValues(values, rows[next] as EventRow, types[next] as number)
        }
        inserted += statement.run(values).changes
      }
    }
    return inserted
  }

  /**
   * The type id of each row of one request, negative where the row holds its properties whole. Makes the types that are missing; throws
   * `too_many_new_names`, with none made, where they have more new names than are left to the website.
   */
  typesOf(rows: readonly EventRow[]): number[] {
    this.#invalidateTypeCache()
    const types = new Array<number>(rows.length)
    const missing: number[] = []
    for (let index = 0; index < rows.length; index++) {
      const id = this.#findType(rows[index] as EventRow)
      if (id === undefined) missing.push(index)
      types[index] = id ?? 0
    }
    if (missing.length === 0) return types
    this.#admitNames(missing.map((index) => rows[index] as EventRow))
    for (const index of missing) types[index] = this.#createType(rows[index] as EventRow)
    return types
  }

  /** After a rollback: the ids of types that are not in the database after all must not be used again. */
  clearTypeCache(): void {
    this.#propertyKeys.reset()
    this.#clearTypes()
  }

  #clearTypes(): void {
    this.#types.clear()
    this.#namesAtLimit.clear()
  }

  /** A check of types, by whatever process, counts only uses that are looked up in the database after it began. */
  #invalidateTypeCache(): void {
    const checks = this.#checks.get() as number
    if (checks === this.#cachedCheck) return
    this.#cachedCheck = checks
    this.#clearTypes()
  }

  #addValues(values: unknown[], row: EventRow, type: number): void {
    if (this.#withIds) values.push(row.id)
    values.push(
      row.websiteRid,
      Math.abs(type),
      row.ts,
      row.receivedAt - row.ts,
      row.hashVisitor && row.anonymousId !== null
        ? this.dailyHash.hash(row.anonymousId, row.websiteRid, row.receivedAt)
        : row.anonymousId,
      row.sessionId,
      row.profileId,
      row.path,
      row.viaKey,
      row.crawler,
      row.eventId,
      type < 0 ? propertiesObject(row) : row.properties,
    )
  }

  /** Undefined where it is to be made. */
  #findType(row: EventRow): number | undefined {
    const { name, namespace, source, keys } = row
    const cached = this.#types.get(typeKey(name, namespace, source, keys))
    if (cached !== undefined) return cached
    if (keys === "" || !this.#namesAtLimit.has(nameKey(row))) return this.#lookUp(row, keys)
    return this.#findWhole(row)
  }

  /** The type of rows that hold their properties whole. */
  #findWhole(row: EventRow): number | undefined {
    const { name, namespace, source } = row
    const id = this.#types.get(typeKey(name, namespace, source, "")) ?? this.#lookUp(row, "")
    return id === undefined ? undefined : -id
  }

  #lookUp({ name, namespace, source }: EventRow, keys: string): number | undefined {
    const id = this.#selectType.get({ name, namespace, source, keys }) as number | undefined
    if (id === undefined) return undefined
    this.#changeType.run({ id })
    this.#cacheType(typeKey(name, namespace, source, keys), id)
    return id
  }

  /** Negative where the name has too many sets of keys already, or the website too many new keys. */
  #createType(row: EventRow): number {
    // An earlier row of the request may have made it.
    const known = this.#findType(row)
    if (known !== undefined) return known
    const { name, namespace, source, keys, websiteRid, receivedAt } = row
    const isCrowded =
      keys !== "" && (this.#countTypes.get({ name, namespace, source }) as number) >= maxKeySetsPerName
    if (isCrowded) this.#namesAtLimit.add(nameKey(row))
    const isWhole = isCrowded || (keys !== "" && !this.#propertyKeys.admit(websiteRid, receivedAt, keys))
    const found = isWhole ? this.#findWhole(row) : undefined
    if (found !== undefined) return found
    const kept = isWhole ? "" : keys
    const id = Number(this.#insertType.run({ name, namespace, source, keys: kept }).lastInsertRowid)
    this.#cacheType(typeKey(name, namespace, source, kept), id)
    return isWhole ? -id : id
  }

  #cacheType(key: string, id: number): void {
    if (this.#types.size >= maxCachedTypes) this.#clearTypes()
    this.#types.set(key, id)
  }

  /** All rows without a key of one request are of one website. A name counts with its namespace and source: senders can make up those, too. */
  #admitNames(rows: readonly EventRow[]): void {
    const { websiteRid, receivedAt, viaKey } = rows[0] as EventRow
    if (!this.#newNames || viaKey === 1) return
    const names = new Set<string>()
    const left = this.#newNames.remaining(websiteRid, receivedAt)
    for (const row of rows) {
      const key = nameKey(row)
      const { name, namespace, source } = row
      if (names.has(key) || this.#findName.get({ name, namespace, source })) continue
      names.add(key)
      if (names.size > left) throw tooManyNewNamesError(receivedAt)
    }
    if (names.size > 0) this.#newNames.add(websiteRid, receivedAt, names.size)
  }
}

function nameKey({ name, namespace, source }: EventRow): string {
  return `${name}\0${namespace}\0${source}`
}

function typeKey(name: string, namespace: string, source: string, keys: string): string {
  return `${name}\0${namespace}\0${source}\0${keys}`
}

/** The properties of a row as one object, `{"a":1}`. */
function propertiesObject(row: EventRow): string {
  const keys = JSON.parse(row.keys) as string[]
  const values = JSON.parse(`[${row.properties}]`) as unknown[]
  return JSON.stringify(Object.fromEntries(keys.map((key, index) => [key, values[index]])))
}

/** How many events a website has. Reads an index of all of them: about a second for ten million. */
export function countEvents(db: Db, websiteRid: number): number {
  return db.prepare(sql.countEvents).pluck().get({ rid: websiteRid }) as number
}

/** ms after which no request can be under way that still saw a website: longer than the longest --lock-wait. */
const settleDelay = 900_000
/** Events that one transaction takes away: some 10 ms where each has an eventId, whose index is in no order of time. */
export const sweepRows = 500
/** ms to leave between two such transactions, so that new events come first. */
export const sweepPause = 25

/**
 * Takes away some events of one deleted website, and with the last of them, when nothing can follow it any more,
 * the website itself. False when there is nothing to do now (Unix ms).
 */
export function sweepDeleted(db: Db, now: number, limit = sweepRows): boolean {
  const settled = now - settleDelay
  const rid = db.prepare(sql.deletedWebsite).pluck().get({ settled }) as number | undefined
  if (rid === undefined) return false
  if (db.prepare(sql.deleteEvents).run({ rid, limit }).changes > 0) return true
  // The engine would find that they have no events; there may be none running. -1 - rid: those put aside.
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
