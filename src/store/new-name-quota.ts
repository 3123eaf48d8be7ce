import { RequestError } from "../errors.ts"
import type { Db, Statement } from "./db/driver.ts"

const dayMs = 86_400_000
/**
 * New names that a website takes on one UTC day from senders with no key. Whoever knows the public website id can make names up, and
 * each stays in the dictionary for as long as it has an event; a website that grows honestly makes some tens of them.
 */
export const maxNewNamesPerDay = 1_000

const sql = {
  names: "select names from new_names where website_rid = :websiteRid and day = :day",
  add: `
    insert into new_names (website_rid, day, names) values (:websiteRid, :day, :count)
    on conflict (website_rid) do update
    set names = iif(day = excluded.day, names, 0) + excluded.names, day = excluded.day`,
}

/** Counts the new names of each website and day, in the database: a restart gives nobody a second allowance. */
export class NewNameQuota {
  readonly #names: Statement
  readonly #add: Statement

  constructor(db: Db) {
    this.#names = db.prepare(sql.names).pluck()
    this.#add = db.prepare(sql.add)
  }

  /** How many more a website may have on the day of `now` (Unix ms). */
  remaining(websiteRid: number, now: number): number {
    const names = this.#names.get({ websiteRid, day: dayOf(now) }) as number | undefined
    return maxNewNamesPerDay - (names ?? 0)
  }

  /** Inside the transaction that stores the names. */
  add(websiteRid: number, now: number, count: number): void {
    this.#add.run({ websiteRid, day: dayOf(now), count })
  }
}

/** The rejection of a request beyond the limit. It can be sent again when the UTC day is over. */
export function tooManyNewNamesError(now: number): RequestError {
  return new RequestError("too_many_new_names", { retryAfter: Math.ceil((dayMs - (now % dayMs)) / 1_000) })
}

function dayOf(now: number): number {
  return Math.floor(now / dayMs)
}
