import type { Db, Statement } from "./db/driver.ts"

/*
 * `event_times` is an index that finds events by website and time. Time is divided into periods of `periodMs`, and IDs
 * into groups of `groupIds`. One entry covers all events of a website that happened in one period and whose IDs are in
 * one group. Few entries are needed, because events that arrive together usually happened together. An index with one
 * entry per event would take up 18 bytes per event. This index takes up less than 1 byte per event if a period has
 * several events.
 *
 * A lookup reads all groups of the period. With shorter periods or smaller groups, it would read fewer rows, but there
 * would be more entries. An entry can outlive its events. In that case, retention removes the entry later.
 */

/** Length of a period in ms. The same value is in migrations/0024_event_indexes.sql. */
const periodMs = 10_000
/** Number of IDs per group. */
const groupIds = 64

/**
 * Returns SQL for the period number of a time in Unix ms. The cast is needed because the driver binds numbers as reals.
 */
const periodOf = (time: string) => `cast(${time} as integer) / ${periodMs}`

/**
 * SQL for a `from` clause that joins `event_times as t` with the events (as `r`). Write `r.id` as `+r.id` in
 * conditions. Otherwise, SQLite does not look up the events group by group.
 */
export const eventsOfTimes = `
  event_times as t
  cross join event_rows as r
    on r.id between t.id_group * ${groupIds} and t.id_group * ${groupIds} + ${groupIds - 1}
    and r.website_rid = t.website_rid
    and r.ts / ${periodMs} = t.period`

/**
 * Returns an SQL condition that the event happened at or after `from` and before `to`. Add a condition on
 * `t.website_rid`.
 */
export function isBetween(from: string, to: string): string {
  return `t.period between ${periodOf(from)} and ${periodOf(to)} and r.ts >= ${from} and r.ts < ${to}`
}

/** Returns an SQL condition that the event happened at `time`. Add a condition on `t.website_rid`. */
export function isAt(time: string): string {
  return `t.period = ${periodOf(time)} and r.ts = ${time}`
}

/** Returns an SQL condition that the entry's group contains any of the IDs from `after` to `last`. */
export function overlapsIds(after: string, last: string): string {
  return `t.id_group between cast(${after} as integer) / ${groupIds} and cast(${last} as integer) / ${groupIds}`
}

/**
 * Returns an SQL condition that the website has events that happened before a time, or entries for earlier periods that
 * no longer have events.
 */
export function hasBefore(rid: string, time: string): string {
  return `(
    exists (select 1 from event_times where website_rid = ${rid} and period < ${periodOf(time)})
    or exists (
      select 1 from ${eventsOfTimes}
      where t.website_rid = ${rid} and t.period = ${periodOf(time)} and r.ts < ${time}))`
}

/** SQL for the number of events without an entry, on all websites. */
export const countMissing = `
  select count(*) from event_rows as r
  where website_rid >= 0 and not exists (
    select 1 from event_times
    where website_rid = r.website_rid and period = r.ts / ${periodMs} and id_group = r.id / ${groupIds})`

/**
 * SQL that sorts by time and then by receipt. SQLite reads one period at a time, so that a limit ends the scan early.
 */
export const byTime = "t.period, r.ts, r.id"
export const byTimeBackwards = "t.period desc, r.ts desc, r.id desc"

const sql = {
  insert: "insert or ignore into event_times (website_rid, period, id_group) values (?, ?, ?)",
  // Uses subqueries, because SQLite answers each of them with a single lookup.
  span: `
    select
      (select min(period) from event_times where website_rid = :rid) as first,
      (select max(period) from event_times where website_rid = :rid) as last`,
  deleteEvents: `
    delete from event_rows
    where id in (
      select r.id from ${eventsOfTimes}
      where t.website_rid = :rid and t.period <= ${periodOf(":before")} and r.ts < :before
      order by t.period
      limit :limit)
    returning ts`,
  deleteBefore: `delete from event_times where website_rid = :rid and period < ${periodOf(":before")}`,
  nextPeriod: `
    select min(period) from event_times where website_rid = :rid and period >= ${periodOf(":from")}`,
  idGroups: `
    select min(id_group) as first, max(id_group) as last from event_times
    where website_rid = :rid and period >= ${periodOf(":from")} and period < ${periodOf(":to")}`,
  entriesOfEvents: `
    select distinct ts / ${periodMs} as period, id / ${groupIds} as idGroup from event_rows
    where id in (select value from json_each(:ids))`,
  deleteUnused: `
    delete from event_times
    where website_rid = :rid and period = :period and id_group = :idGroup
      and not exists (
        select 1 from event_rows as r
        where r.id between :idGroup * ${groupIds} and :idGroup * ${groupIds} + ${groupIds - 1}
          and +r.website_rid = :rid and r.ts / ${periodMs} = :period)`,
}

/** Adds the events of an insert to `event_times`. */
export class EventTimes {
  readonly #insert: Statement
  /** The group of IDs for which `#periods` is valid. */
  #group = -1
  /** Maps each website to its periods that already have an entry in the group. */
  readonly #periods = new Map<number, Set<number>>()

  constructor(db: Db) {
    this.#insert = db.prepare(sql.insert)
  }

  /**
   * Adds an event. Must be called in the transaction that inserts the event, preferably in ID order, which requires the
   * fewest inserts. `ts` is in Unix ms. `firstId` and `lastId` are the event's ID, or a range that contains it.
   */
  add(websiteRid: number, ts: number, firstId: number, lastId = firstId): void {
    const period = Math.trunc(ts / periodMs)
    const lastGroup = Math.trunc(lastId / groupIds)
    for (let group = Math.trunc(firstId / groupIds); group <= lastGroup; group++) {
      if (group !== this.#group) this.begin()
      this.#group = group
      const periods = this.#periods.get(websiteRid) ?? new Set()
      if (periods.has(period)) continue
      this.#periods.set(websiteRid, periods.add(period))
      this.#insert.run(websiteRid, period, group)
    }
  }

  /**
   * Must be called at the start of each transaction and after a rollback, because other connections might have deleted
   * entries.
   */
  begin(): void {
    this.#group = -1
    this.#periods.clear()
  }
}

/**
 * Deletes up to `limit` events of a website that happened before a time (Unix ms), and their entries. The oldest
 * periods are deleted first. Returns false if there were no such events.
 */
export function deleteEventsBefore(
  db: Db,
  rid: number,
  limit: number,
  before = Number.MAX_SAFE_INTEGER,
): boolean {
  const times = db.prepare(sql.deleteEvents).pluck().all({ rid, before, limit }) as number[]
  // Deletes the entries too. Otherwise, later steps would read them again and find no events.
  db.prepare(sql.deleteBefore).run({ rid, before: times.length < limit ? before : Math.max(...times) })
  return times.length > 0
}

/** Returns a range in Unix ms that contains all events of a website, or undefined if it has none. */
export function timesOf(db: Db, rid: number): { from: number; to: number } | undefined {
  const { first, last } = db.prepare(sql.span).get({ rid }) as { first: number | null; last: number | null }
  if (first === null || last === null) return undefined
  // The division rounds times before 1970 up, so an event can be up to one period earlier.
  return { from: (first - 1) * periodMs, to: (last + 1) * periodMs }
}

/**
 * Returns a time in the period of the website's first entry at or after a given time (Unix ms), or undefined if there
 * is none. The entry might have no events.
 */
export function nextTimeOf(db: Db, rid: number, from: number): number | undefined {
  const period = db.prepare(sql.nextPeriod).pluck().get({ rid, from }) as number | null
  return period === null ? undefined : period * periodMs
}

/**
 * Returns the range of IDs that a website's events in a time range can have: above `after`, up to `last`. `from` and
 * `to` must be multiples of the period.
 */
export function idRangeOf(db: Db, rid: number, from: number, to: number): { after: number; last: number } {
  const { first, last } = db.prepare(sql.idGroups).get({ rid, from, to }) as {
    first: number | null
    last: number | null
  }
  if (first === null || last === null) return { after: 0, last: 0 }
  return { after: first * groupIds - 1, last: (last + 1) * groupIds - 1 }
}

/**
 * Runs `remove`, which must delete these events of a website. Then deletes the entries that no longer have any events,
 * and returns the result of `remove`.
 */
export function withoutTimes<Result>(
  db: Db,
  rid: number,
  ids: readonly number[],
  remove: () => Result,
): Result {
  const entries = db.prepare(sql.entriesOfEvents).all({ ids: JSON.stringify(ids) }) as object[]
  const result = remove()
  const deleteUnused = db.prepare(sql.deleteUnused)
  for (const entry of entries) deleteUnused.run({ rid, ...entry })
  return result
}
