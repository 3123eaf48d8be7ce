import type { Db } from "./db/driver.ts"
import { deleteEventsBefore, hasBefore } from "./event-times.ts"
import { sweepRows } from "./events.ts"
import { expireRemovedDays } from "./removed-days.ts"

/** Number of free pages (4 KiB each) to leave in the file for new events. */
const reservedPages = 256
/** Number of pages to free per transaction. Freeing them takes about 10 ms. */
const pagesPerStep = 200

const sql = {
  expired: `
    with retention as (
      select 0 as rid, :defaultRetention as ms
      union all
      select rid, coalesce(retain_ms, :defaultRetention) from websites where deleted_at is null
    )
    select rid, :now - ms as before from retention
    where ms > 0 and ${hasBefore("rid", "(:now - ms)")}
    limit 1`,
}

/**
 * Deletes up to `limit` expired events of one website, oldest first. `defaultRetention` (in ms; 0 means forever)
 * applies to websites without their own retention and to events without a website. If no events have expired, marks
 * expired removed days instead (see removed-days.ts). Returns false if nothing has expired at `now` (Unix ms).
 */
export function sweepExpired(db: Db, defaultRetention: number, now: number, limit = sweepRows): boolean {
  const expired = findExpired(db, defaultRetention, now)
  if (!expired) return expireRemovedDays(db, defaultRetention, now)
  deleteEventsBefore(db, expired.rid, limit, expired.before)
  return true
}

/** Returns true if `sweepExpired` would delete events. */
export function hasExpired(db: Db, defaultRetention: number, now: number): boolean {
  return findExpired(db, defaultRetention, now) !== undefined
}

function findExpired(
  db: Db,
  defaultRetention: number,
  now: number,
): { rid: number; before: number } | undefined {
  return db.prepare(sql.expired).get({ defaultRetention, now }) as { rid: number; before: number } | undefined
}

/**
 * Releases some free pages to the file system (incremental vacuum). The file shrinks at the next checkpoint. Returns
 * false if only a few pages are free, or if the file was created without auto_vacuum.
 */
export function releaseFreePages(db: Db): boolean {
  const free = () => db.pragma("freelist_count", { simple: true }) as number
  const before = free()
  if (before <= reservedPages) return false
  db.pragma(`incremental_vacuum(${Math.min(before - reservedPages, pagesPerStep)})`)
  return free() < before
}
