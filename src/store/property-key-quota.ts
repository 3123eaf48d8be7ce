import type { Db, Statement } from "./db/driver.ts"
import { stringsOf } from "./properties-json.ts"

const dayMs = 86_400_000
/**
 * Maximum number of property keys that a website can add to the dictionary of event types per UTC day. Rows with
 * further new keys store these keys themselves, so that generated keys (`item_8123`) only take up space in their own
 * events.
 */
export const maxNewKeysPerDay = 2_000
/**
 * Maximum number of hashes in the cache. They take up about 40 bytes each, 4 MB in total. If there are more, the cache
 * is cleared before the keys of another website are read.
 */
const maxCachedHashes = 100_000

const sql = {
  hashes: "select hash from property_keys where website_rid = :websiteRid",
  added: "select count(*) from property_keys where website_rid = :websiteRid and day = :day",
  add: "insert into property_keys (website_rid, hash, day) values (:websiteRid, :hash, :day)",
  delete: "delete from property_keys where website_rid = :websiteRid",
}

interface WebsiteKeys {
  hashes: Set<number>
  /** Number of keys that were new on `day` (days since 1970-01-01). */
  added: number
  day: number
}

/**
 * Records which property keys each website has added to the dictionary. The record is in the database, so that a
 * restart does not reset the quota. It contains hashes of the keys, because a key can be personal data. Only used for
 * key sets that are not in the dictionary. Runs inside the caller's transaction.
 */
export class PropertyKeyQuota {
  readonly #hashes: Statement
  readonly #added: Statement
  readonly #add: Statement
  /** Maps the rid of each website to its keys. */
  readonly #websites = new Map<number, WebsiteKeys>()
  #cached = 0

  constructor(db: Db) {
    this.#hashes = db.prepare(sql.hashes).pluck()
    this.#added = db.prepare(sql.added).pluck()
    this.#add = db.prepare(sql.add)
  }

  /** Clears the cache. Must be called after a rollback. */
  reset(): void {
    this.#websites.clear()
    this.#cached = 0
  }

  /**
   * Adds `keys`, which is a JSON array of strings as in `EventRow`. If the new keys exceed the quota on the UTC day of
   * `now` (Unix ms), returns false and adds none of them.
   */
  admit(websiteRid: number, now: number, keys: string): boolean {
    const day = Math.floor(now / dayMs)
    const website = this.#websiteKeys(websiteRid, day)
    const newHashes = newHashesOf(website, keys)
    if (!newHashes) return false
    for (const hash of newHashes) {
      this.#add.run({ websiteRid, hash, day })
      website.hashes.add(hash)
    }
    website.added += newHashes.size
    this.#cached += newHashes.size
    return true
  }

  /** Returns false if `admit` would return false. Can be called outside a transaction. */
  hasRoom(websiteRid: number, now: number, keys: string): boolean {
    return newHashesOf(this.#websiteKeys(websiteRid, Math.floor(now / dayMs)), keys) !== undefined
  }

  #websiteKeys(websiteRid: number, day: number): WebsiteKeys {
    let website = this.#websites.get(websiteRid)
    if (!website) {
      // Does not clear the cache while it contains the current website. Otherwise, if the website had more keys than
      // fit in the cache, they would be read again for each row.
      if (this.#cached > maxCachedHashes) this.reset()
      const hashes = new Set(this.#hashes.all({ websiteRid }) as number[])
      website = { hashes, added: 0, day: Number.NaN }
      this.#websites.set(websiteRid, website)
      this.#cached += hashes.size + 1
    }
    if (website.day !== day) {
      website.day = day
      website.added = this.#added.get({ websiteRid, day }) as number
    }
    return website
  }
}

/** Returns the hashes of the keys that are new to the website, or undefined if the new keys exceed the quota. */
function newHashesOf({ hashes, added }: WebsiteKeys, keys: string): Set<number> | undefined {
  const newHashes = new Set<number>()
  for (const key of stringsOf(keys)) {
    // If two keys have the same hash, the second is not counted.
    const hash = Bun.hash.xxHash32(key)
    if (!hashes.has(hash) && newHashes.add(hash).size > maxNewKeysPerDay - added) return undefined
  }
  return newHashes
}

/** Deletes the records of a website. Must be called after the website's last events have been deleted. */
export function deletePropertyKeys(db: Db, websiteRid: number): void {
  db.prepare(sql.delete).run({ websiteRid })
}
