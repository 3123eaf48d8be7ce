import type { Db } from "./db/driver.ts"
import { withoutTimes } from "./event-times.ts"
import { packedEventId } from "./packed-ids.ts"

/*
 * Records the days whose events were removed from the file because a ClickHouse cluster has them (see
 * src/clickhouse/README.md). For each website and day, the number of removed events and the sum of their hashes stay in
 * the file, so that the file and the cluster can be compared: the events in the file plus the removed events must equal
 * the events in the cluster. Events and these records always change in the same transaction.
 *
 * Events that arrive later for a removed day are stored like all others, and removed later.
 */

/** A number of events, and the sum of their hashes modulo 2^64. The sum does not depend on the order of the events. */
export interface Sum {
  events: number
  hash: bigint
}

export interface RemovedDay extends Sum {
  rid: number
  /** In days since 1970-01-01 (UTC). */
  day: number
  /** The highest ID among the removed events. */
  lastId: number
  /** Number of events that the cluster lacked when it was compared with the file after a restore. */
  missing: number
  /** True if the events must be deleted in the cluster. */
  isExpired: boolean
}

/** An event that was removed from the file. */
export interface RemovedEvent {
  id: number
  day: number
  hash: bigint
  viaKey: 0 | 1
  eventId: string | null
}

/** A change that removes events from the file, or that changes the records of removed events. */
export type RemovalChange =
  /**
   * Removes these events of a website and day from the file. The cluster has the events. Skips events that are no
   * longer in the file.
   */
  | { type: "remove"; rid: number; day: number; events: readonly Pick<RemovedEvent, "id" | "hash">[] }
  /**
   * Corrects the record of a removed day to `sum`: the events that the cluster actually has, apart from events that are
   * also in the file. `missing` is the number of events that the cluster lacks. The change has no effect if the
   * recorded sum is no longer `expected`.
   */
  | { type: "correct"; rid: number; day: number; expected: Sum; sum: Sum; missing: number }
  /** Accepts events with these event IDs again. */
  | { type: "forgetEventIds"; rid: number; eventIds: readonly Pick<RemovedEvent, "viaKey" | "eventId">[] }
  /** The cluster has deleted the events of an expired day. */
  | { type: "deleteExpired"; rid: number; day: number }

const sql = {
  all: `
    select website_rid as rid, day, events, hash, last_id as lastId, missing, expired
    from removed_days
    order by website_rid, day`,
  find: `
    select website_rid as rid, day, events, hash, last_id as lastId, missing, expired
    from removed_days where website_rid = :rid and day = :day`,
  between: `
    select 1 from removed_days
    where website_rid in (select value from json_each(:rids)) and day between :first and :last
    limit 1`,
  last: `
    select value as rid, (
      select max(day) from removed_days where website_rid = value and day between :first and :last
    ) as lastDay
    from json_each(:rids)
    where lastDay is not null`,
  store: `
    insert into removed_days (website_rid, day, events, hash, last_id, missing)
    values (:rid, :day, :events, :hash, :lastId, :missing)
    on conflict do update set events = :events, hash = :hash, last_id = :lastId, missing = :missing`,
  dropEmpty: "delete from removed_days where events = 0",
  deleteDay: "delete from removed_days where website_rid = :rid and day = :day",
  totals: `
    select sum(events) as events, sum(missing) as missing, max(day) + 1 as localDay
    from removed_days where website_rid in (select value from json_each(:rids)) or :rids is null`,
  setRemoving: "update shipping set removing = :removing",
  storeEventIds: `
    insert or ignore into removed_event_ids (website_rid, via_key, event_id)
    select website_rid, via_key, event_id from event_rows
    where id in (select value from json_each(:ids)) and event_id is not null`,
  present:
    "select id from event_rows where id in (select value from json_each(:ids)) and +website_rid = :rid",
  deleteRows: "delete from event_rows where id in (select value from json_each(:ids))",
  deleteEventId: `
    delete from removed_event_ids
    where website_rid = :rid and via_key = :viaKey and event_id in (:eventId, :packedId)`,
  isLocal: "select 1 from event_rows where id = :id and website_rid >= 0",
  // A trigger preserves the empty row with the highest ID, so that no later event gets that ID. See
  // migrations/0023_shipping.sql. Uses `limit`, because SQLite would read all rows to compute `max(id)` with a
  // condition.
  reserveNext: `
    insert into event_rows (id, website_rid, type_id, ts, delay, via_key, crawler)
    select id + 1, -1, 0, 0, 0, 0, 0 from (select id from event_rows order by id desc limit 1)
    where id in (select value from json_each(:ids))`,
  deleteEmptyRows:
    "delete from event_rows where website_rid < 0 and id in (select value from json_each(:ids))",
  queueDeletion: "insert or ignore into shipping_deletions (id) values (:id)",
  expire: `
    update removed_days set expired = 1
    where expired = 0 and (
      website_rid in (select rid from websites where deleted_at is not null)
      or exists (
        select 1 from (
          select 0 as rid, :defaultRetention as ms
          union all
          select rid, coalesce(retain_ms, :defaultRetention) from websites
        ) as retention
        where rid = website_rid and ms > 0 and (day + 1) * 86400000 <= :now - ms))`,
}

interface Row {
  rid: number
  day: number
  events: number
  hash: string
  lastId: number
  missing: number
  expired: number
}

function dayOf({ hash, expired, ...row }: Row): RemovedDay {
  return { ...row, hash: BigInt(hash), isExpired: expired === 1 }
}

export function isEqual(one: Sum, other: Sum): boolean {
  return one.events === other.events && one.hash === other.hash
}

export function addSums(one: Sum, other: Sum): Sum {
  return { events: one.events + other.events, hash: BigInt.asUintN(64, one.hash + other.hash) }
}

export function subtractSums(from: Sum, sum: Sum): Sum {
  return { events: from.events - sum.events, hash: BigInt.asUintN(64, from.hash - sum.hash) }
}

export function removedDays(db: Db): RemovedDay[] {
  return (db.prepare(sql.all).all() as Row[]).map(dayOf)
}

/** Returns the record of a website and day, or undefined if no events were removed. */
export function findRemovedDay(db: Db, rid: number, day: number): RemovedDay | undefined {
  const row = db.prepare(sql.find).get({ rid, day }) as Row | undefined
  return row && dayOf(row)
}

/** Returns true if removed events of these websites happened on the days of a time range (Unix ms). */
export type RemovalTest = (rids: readonly number[], from: number, to: number) => boolean

/** Returns a `RemovalTest`. Prepares the statement only once, because preparing it takes longer than running it. */
export function removalTest(db: Db): RemovalTest {
  const statement = db.prepare(sql.between)
  return (rids, from, to) => statement.get(dayRange(rids, from, to)) !== undefined
}

/**
 * Returns a map from the rid of each website to its last removed day in a time range (Unix ms). Leaves out websites
 * without removed days in this range.
 */
export function lastRemovedDays(
  db: Db,
  rids: readonly number[],
  from: number,
  to: number,
): Map<number, number> {
  const rows = db
    .prepare(sql.last)
    .raw()
    .all(dayRange(rids, from, to)) as [rid: number, lastDay: number][]
  return new Map(rows)
}

function dayRange(rids: readonly number[], from: number, to: number) {
  const dayAt = (ms: number) => Math.floor(ms / 86_400_000)
  return { rids: JSON.stringify(rids), first: dayAt(from), last: dayAt(to - 1) }
}

/** Totals of the events that only the cluster has. */
export interface RemovedTotals {
  events: number
  missing: number
  /** The time since which the file has all events, in Unix ms. */
  localSince: number
}

/** Returns the totals for these websites, or for all websites if `rids` is null. Undefined if nothing was removed. */
export function removedTotals(db: Db, rids: readonly number[] | null = null): RemovedTotals | undefined {
  const { events, missing, localDay } = db
    .prepare(sql.totals)
    .get({ rids: rids && JSON.stringify(rids) }) as {
    events: number | null
    missing: number | null
    localDay: number | null
  }
  if (localDay === null) return undefined
  return { events: events ?? 0, missing: missing ?? 0, localSince: localDay * 86_400_000 }
}

/** Formats a message such as `12 events before 2026-11-01 are only in the ClickHouse cluster`. */
export function removedText({ events, localSince }: RemovedTotals): string {
  const day = new Date(localSince).toISOString().slice(0, 10)
  return `${events.toLocaleString("en")} events before ${day} are only in the ClickHouse cluster`
}

/** Applies a change. Runs inside the caller's transaction. */
export function applyRemoval(db: Db, change: RemovalChange): void {
  switch (change.type) {
    case "remove":
      removeEvents(db, change)
      return
    case "correct": {
      const { rid, day, expected, sum, missing } = change
      const known = findRemovedDay(db, rid, day)
      if (known && isEqual(known, expected)) storeDay(db, { ...known, ...sum, missing })
      return
    }
    case "forgetEventIds":
      change.eventIds.forEach(eventIdDeletion(db, change.rid))
      return
    case "deleteExpired":
      db.prepare(sql.deleteDay).run({ rid: change.rid, day: change.day })
  }
}

function storeDay(db: Db, { isExpired: _, hash, ...day }: RemovedDay): void {
  db.prepare(sql.store).run({ ...day, hash: String(hash) })
}

function removeEvents(db: Db, { rid, day, events }: Extract<RemovalChange, { type: "remove" }>): void {
  const ofWebsite = { ids: JSON.stringify(events.map(({ id }) => id)), rid }
  const present = new Set(db.prepare(sql.present).pluck().all(ofWebsite) as number[])
  const removed = events.filter(({ id }) => present.has(id))
  if (removed.length === 0) return
  const ids = removed.map(({ id }) => id)
  const values = { ids: JSON.stringify(ids) }
  db.prepare(sql.storeEventIds).run(values)
  // While `removing` is 1, the trigger that queues deletions for the cluster does nothing.
  const setRemoving = db.prepare(sql.setRemoving)
  setRemoving.run({ removing: 1 })
  withoutTimes(db, rid, ids, () => db.prepare(sql.deleteRows).run(values))
  setRemoving.run({ removing: 0 })
  const known = findRemovedDay(db, rid, day) ?? {
    rid,
    day,
    events: 0,
    hash: 0n,
    lastId: 0,
    missing: 0,
    isExpired: false,
  }
  const sum = addSums(known, sumOf(removed))
  storeDay(db, { ...known, ...sum, lastId: Math.max(known.lastId, ...ids) })
}

function sumOf(events: readonly Pick<RemovedEvent, "hash">[]): Sum {
  return events.reduce<Sum>((sum, { hash }) => addSums(sum, { events: 1, hash }), { events: 0, hash: 0n })
}

/**
 * Returns a function that deletes the event ID of a removed event of a website, so that new events with this ID are
 * accepted.
 */
function eventIdDeletion(db: Db, rid: number): (event: Pick<RemovedEvent, "viaKey" | "eventId">) => void {
  const statement = db.prepare(sql.deleteEventId)
  return ({ viaKey, eventId }) => {
    if (eventId !== null) statement.run({ rid, viaKey, eventId, packedId: packedEventId(eventId) })
  }
}

/**
 * Queues removed events of a website for deletion in the cluster, and returns how many were queued. Skips events that
 * are in the file or already queued. Runs inside the caller's transaction.
 */
export function deleteRemovedEvents(db: Db, rid: number, events: readonly RemovedEvent[]): number {
  const queue = db.prepare(sql.queueDeletion)
  const isLocal = localTest(db)
  const deleteEventId = eventIdDeletion(db, rid)
  let deleted = 0
  for (const event of events) {
    const known = findRemovedDay(db, rid, event.day)
    if (!known || isLocal(event.id) || queue.run({ id: event.id }).changes === 0) continue
    storeDay(db, { ...known, ...subtractSums(known, { events: 1, hash: event.hash }) })
    deleteEventId(event)
    deleted++
  }
  return deleted
}

/**
 * Records that removed events of a website and day are back in the file. Must be called in the transaction that inserts
 * them, before the insert, because this function frees their IDs and event IDs. Column blocks must not cover any of
 * these IDs.
 */
export function takeBack(db: Db, rid: number, day: number, events: readonly RemovedEvent[]): void {
  const known = findRemovedDay(db, rid, day)
  if (!known) throw new Error("the day is not removed")
  events.forEach(eventIdDeletion(db, rid))
  const values = { ids: JSON.stringify(events.map(({ id }) => id)) }
  db.prepare(sql.reserveNext).run(values)
  db.prepare(sql.deleteEmptyRows).run(values)
  storeDay(db, { ...known, ...subtractSums(known, sumOf(events)) })
}

/**
 * Deletes the records of removed days whose events are all back in the file, apart from events that the cluster has
 * lost.
 */
export function dropEmptyRemovedDays(db: Db): void {
  db.prepare(sql.dropEmpty).run()
}

/** Returns a function that returns true for the IDs of events that are in the file. */
export function localTest(db: Db): (id: number) => boolean {
  const statement = db.prepare(sql.isLocal)
  return (id) => statement.get({ id }) !== undefined
}

/**
 * Marks removed days as expired if all of their events have expired at `now` (Unix ms), or if their website was
 * deleted. The shipper then deletes their events in the cluster. `defaultRetention` is in ms. Returns true if any days
 * were marked.
 */
export function expireRemovedDays(db: Db, defaultRetention: number, now: number): boolean {
  return db.prepare(sql.expire).run({ defaultRetention, now }).changes > 0
}
