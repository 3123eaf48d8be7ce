import type { Db } from "./driver.ts"

/** How fast a database grows. `oldest` and `newest` are receipt times in Unix ms. */
export interface Growth {
  events: number
  /** Used bytes of the file per event, including indexes. Null if there are no events. */
  bytesPerEvent: number | null
  /** Average over the last `rateDays` days. */
  eventsPerDay: number
  oldest: number | null
  newest: number | null
  /** The longest retention of any website, in ms. Undefined if some events are kept forever. */
  longestRetention: number | undefined
}

const dayMs = 86_400_000
/** Number of days over which the rate is averaged. A week includes both workdays and a weekend. */
const rateDays = 7

const sql = {
  // A negative rid marks the tombstone of a deleted event (see migrations/0006_columns.sql). The unary + prevents an
  // index scan, which would have to sort all IDs. Subtracting two counts is ten times as fast as checking each row.
  events:
    "select (select count(*) from event_rows) - (select count(*) from event_rows where website_rid < 0)",
  // Uses subqueries, because SQLite answers each of them with a single lookup. `select min(id), max(id)` would scan all
  // rows.
  bounds: "select (select min(id) from event_rows) as least, (select max(id) from event_rows) as most",
  oldest: "select ts + delay from event_rows where +website_rid >= 0 order by id limit 1",
  newest: "select ts + delay from event_rows where +website_rid >= 0 order by id desc limit 1",
  from: "select id, ts + delay as receivedAt from event_rows where +website_rid >= 0 and id >= :id order by id limit 1",
  retained: "select retain_ms from websites where deleted_at is null and retain_ms is not null",
}

/**
 * Returns how fast the database grows. Counts all rows, which takes 1 s for ten million rows. `defaultRetention` (in
 * ms; undefined or 0: forever) applies to websites that set no retention.
 */
export function growthOf(db: Db, now: number, defaultRetention: number | undefined): Growth {
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
    longestRetention: longestRetention(db, defaultRetention),
  }
}

/**
 * Returns the average number of events per day over the last `rateDays` days. Finds the first event in this period by
 * binary search over the IDs, which are in order of receipt. After an import or a clock change, the result is an
 * estimate. The first day counts as a full day, because a rate based on a few hours would be meaningless.
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
  // Deleted and imported events leave gaps between IDs, so the range of IDs can be larger than the number of events.
  const recent = Math.min(most + 1 - low, events)
  return recent / Math.min(rateDays, Math.max(1, (now - oldest) / dayMs))
}

/**
 * Returns undefined if some events are kept forever. The default always counts, because it applies to events without a
 * website.
 */
function longestRetention(db: Db, defaultRetention: number | undefined): number | undefined {
  const all = [defaultRetention ?? 0, ...(db.prepare(sql.retained).pluck().all() as number[])]
  return all.includes(0) ? undefined : Math.max(...all)
}
