import { RequestError } from "../errors.ts"
import type { Db, Statement } from "./db/driver.ts"

const dayMs = 86_400_000
/**
 * Maximum number of new event names per website and UTC day from senders without a key. Anyone who knows the public
 * website ID can invent names, and each name stays in the dictionary as long as any event has that name. Even a growing
 * website adds only a few dozen names per day.
 */
const maxNewNamesPerDay = 1_000

const sql = {
  names: "select names from new_names where website_rid = :websiteRid and day = :day",
  add: `
    insert into new_names (website_rid, day, names) values (:websiteRid, :day, :count)
    on conflict (website_rid) do update
    set names = iif(day = excluded.day, names, 0) + excluded.names, day = excluded.day`,
}

/**
 * Counts the new names of each website on the current UTC day. The count is stored in the database, so that a restart
 * does not reset the quota.
 */
export class NewNameQuota {
  readonly #names: Statement
  readonly #add: Statement

  constructor(db: Db) {
    this.#names = db.prepare(sql.names).pluck()
    this.#add = db.prepare(sql.add)
  }

  /** Returns how many new names a website can still add on the UTC day of `now` (Unix ms). */
  remaining(websiteRid: number, now: number): number {
    const names = this.#names.get({ websiteRid, day: dayOf(now) }) as number | undefined
    return maxNewNamesPerDay - (names ?? 0)
  }

  /** Counts new names. Must be called in the transaction that stores them. */
  add(websiteRid: number, now: number, count: number): void {
    this.#add.run({ websiteRid, day: dayOf(now), count })
  }
}

/** Returns the error for a request that exceeds the quota. Retry-After is the time until the end of the UTC day. */
export function tooManyNewNamesError(now: number): RequestError {
  return new RequestError("too_many_new_names", { retryAfter: Math.ceil((dayMs - (now % dayMs)) / 1_000) })
}

function dayOf(now: number): number {
  return Math.floor(now / dayMs)
}
