import type { Db } from "./driver.ts"

/** How a database grows. Times are of receipt, Unix ms. */
export interface Growth {
  events: number
  /** Of the file, indexes and all, but for what is free in it; null where there are no events. */
  bytesPerEvent: number | null
  /** Events that came a day, of late. */
  eventsPerDay: number
  oldest: number | null
  newest: number | null
  /** Most ms that events of any website are kept; undefined: some are kept for ever. */
  longestRetention: number | undefined
}

const dayMs = 86_400_000
/** Days that the rate is of: a week has its quiet days in it. */
const rateDays = 7

const sql = {
  // Below 0 are no events but what keeps the id of a deleted one: see migrations/0006_columns.sql. With the + no index is used for
  // that condition; by way of it all ids would be sorted.
  // All and then less those: a condition on each row takes ten times as long.
  events:
    "select (select count(*) from event_rows) - (select count(*) from event_rows where website_rid < 0)",
  // Each alone is looked up; both in one go look through an index.
  bounds: "select (select min(id) from event_rows) as least, (select max(id) from event_rows) as most",
  oldest: "select ts + delay from event_rows where +website_rid >= 0 order by id limit 1",
  newest: "select ts + delay from event_rows where +website_rid >= 0 order by id desc limit 1",
  from: "select id, ts + delay as receivedAt from event_rows where +website_rid >= 0 and id >= :id order by id limit 1",
  retained: "select retain_ms from websites where deleted_at is null and retain_ms is not null",
}

/** `standard`: ms that events are kept where their website does not say; undefined or 0: for ever. Looks through one index. */
export function growthOf(db: Db, now: number, standard: number | undefined): Growth {
  const value = (text: string) => db.prepare(text).pluck().get() as number | undefined
  const pragma = (name: string) => db.pragma(name, { simple: true }) as number
  const events = value(sql.events) ?? 0
  const oldest = value(sql.oldest) ?? null
  const used = (pragma("page_count") - pragma("freelist_count")) * pragma("page_size")
  return {
    events,
    bytesPerEvent: events === 0 ? null : used / events,
    eventsPerDay: eventsPerDay(db, events, oldest, now),
    oldest,
    newest: value(sql.newest) ?? null,
    longestRetention: longestRetention(db, standard),
  }
}

/**
 * By a search among the ids, which are in the order of receipt; only an import or a clock that was set makes that a guess. What is
 * younger than a day counts as a day: the rate of a first hour says nothing.
 */
function eventsPerDay(db: Db, events: number, oldest: number | null, now: number): number {
  const { least, most } = db.prepare(sql.bounds).get() as { least: number | null; most: number | null }
  if (oldest === null || least === null || most === null) return 0
  const since = now - rateDays * dayMs
  const from = db.prepare(sql.from)
  let [low, high] = [least, most + 1]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const row = from.get({ id: middle }) as { id: number; receivedAt: number } | undefined
    if (!row || row.receivedAt >= since) high = middle
    else low = row.id + 1
  }
  // Ids may have gaps, where events were deleted or came from elsewhere.
  const recent = Math.min(most + 1 - low, events)
  return recent / Math.min(rateDays, Math.max(1, (now - oldest) / dayMs))
}

/** Events of no website follow `standard`, so without it some are kept for ever. */
function longestRetention(db: Db, standard: number | undefined): number | undefined {
  const all = [standard ?? 0, ...(db.prepare(sql.retained).pluck().all() as number[])]
  return all.includes(0) ? undefined : Math.max(...all)
}
