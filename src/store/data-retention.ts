import { parseDuration } from "../duration.ts"
import type { Db } from "./db/driver.ts"
import { sweepRows } from "./events.ts"

/** ms. A shorter time is a slip, such as 12m for twelve months, and would delete nearly everything. */
const shortest = 86_400_000
/** ms, a hundred years: what is meant to stay longer stays for ever. */
const longest = 36_525 * 86_400_000
export const retentionFormat =
  "forever, or a time such as 90d or 52w (s, m, h, d, w) of at least 1d and at most 36525d"

/** `90d` → ms, `forever` → 0; undefined where it is neither, or out of bounds. */
export function parseRetention(text: string): number | undefined {
  if (text === "forever") return 0
  const ms = parseDuration(text)
  return ms !== undefined && ms >= shortest && ms <= longest ? ms : undefined
}

/** Free pages (of 4 KiB) that stay in the file: the next events take them again. */
const reservedPages = 256
/** Pages given back in one transaction: some 10 ms. */
const pagesPerStep = 200

const sql = {
  expired: `
    with kept as (
      select 0 as rid, :standard as ms
      union all
      select rid, coalesce(retain_ms, :standard) from websites where deleted_at is null
    )
    select rid, :now - ms as before from kept
    where ms > 0 and exists (select 1 from event_rows where website_rid = rid and ts < :now - ms)
    limit 1`,
  deleteBefore: `
    delete from event_rows
    where id in (select id from event_rows where website_rid = :rid and ts < :before order by ts limit :limit)`,
}

/**
 * Takes away some events of one website that are older than it keeps them, the oldest first. `standard`: ms for websites
 * without a time of their own and for the owner's own events; 0: for ever. False when there is nothing to do now (Unix ms).
 */
export function sweepExpired(db: Db, standard: number, now: number, limit = sweepRows): boolean {
  const expired = findExpired(db, standard, now)
  if (!expired) return false
  db.prepare(sql.deleteBefore).run({ ...expired, limit })
  return true
}

/** Whether `sweepExpired` would take something away. */
export function hasExpired(db: Db, standard: number, now: number): boolean {
  return findExpired(db, standard, now) !== undefined
}

function findExpired(db: Db, standard: number, now: number): { rid: number; before: number } | undefined {
  return db.prepare(sql.expired).get({ standard, now }) as { rid: number; before: number } | undefined
}

/**
 * Gives some of the room that deleted rows have left back to the disk; the file is shorter after the next checkpoint. False
 * when what is free is worth keeping, or the file was made by others and cannot give any back.
 */
export function releaseFreePages(db: Db): boolean {
  const free = () => db.pragma("freelist_count", { simple: true }) as number
  const before = free()
  if (before <= reservedPages) return false
  db.pragma(`incremental_vacuum(${Math.min(before - reservedPages, pagesPerStep)})`)
  return free() < before
}
