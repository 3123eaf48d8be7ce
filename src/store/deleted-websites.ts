import type { Db } from "./db/driver.ts"
import { deleteEventsBefore } from "./event-times.ts"
import { sweepRows } from "./events.ts"
import { deletePropertyKeys } from "./property-key-quota.ts"

/**
 * Time in ms from the deletion of a website until no request in flight can still use the website. This is longer than
 * the maximum of --lock-wait.
 */
const settleDelay = 900_000

const sql = {
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
 * Deletes up to `limit` events of one deleted website. After the last event, deletes the website itself as soon as no
 * request can add events to it. Returns false if there is nothing to delete at `now` (Unix ms).
 */
export function sweepDeleted(db: Db, now: number, limit = sweepRows): boolean {
  const settled = now - settleDelay
  const rid = db.prepare(sql.deletedWebsite).pluck().get({ settled }) as number | undefined
  if (rid === undefined) return false
  if (deleteEventsBefore(db, rid, limit)) return true
  // The query engine also deletes column blocks, but it might not be running. `-1 - rid` stands for replaced blocks.
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
