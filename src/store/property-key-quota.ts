import type { Db, Statement } from "./db/driver.ts"

const dayMs = 86_400_000
/**
 * New property keys that a website brings into the dictionary of event types on one UTC day. Properties with further ones are stored whole
 * with their row, so that keys which the sender makes up (`item_8123`) take the room of one event each and no more.
 */
export const maxNewKeysPerDay = 2_000
/** Hashes in the cache, some 40 bytes each: 4 MB. When there are more, it starts empty. */
const maxCachedHashes = 100_000

const sql = {
  hashes: "select hash from property_keys where website_rid = :websiteRid",
  added: "select count(*) from property_keys where website_rid = :websiteRid and day = :day",
  add: "insert into property_keys (website_rid, hash, day) values (:websiteRid, :hash, :day)",
  delete: "delete from property_keys where website_rid = :websiteRid",
}

interface WebsiteKeys {
  hashes: Set<number>
  /** Those that were new on `day`, days since 1970-01-01. */
  added: number
  day: number
}

/**
 * Which property keys websites have brought into the dictionary. They stand in the database as hashes: a restart gives nobody a second
 * allowance, and a key may be personal. Asked only for a set of keys that the dictionary does not have. Works inside the caller's
 * transaction.
 */
export class PropertyKeyQuota {
  readonly #hashes: Statement
  readonly #added: Statement
  readonly #add: Statement
  /** By rid. */
  readonly #websites = new Map<number, WebsiteKeys>()
  #cached = 0

  constructor(db: Db) {
    this.#hashes = db.prepare(sql.hashes).pluck()
    this.#added = db.prepare(sql.added).pluck()
    this.#add = db.prepare(sql.add)
  }

  /** After a rollback: what was added is not in the database. */
  reset(): void {
    this.#websites.clear()
    this.#cached = 0
  }

  /** Adds keys (a JSON array). False, with none added, where more of them are new than are left to the website on the day of `now` (Unix ms). */
  admit(websiteRid: number, now: number, keys: string): boolean {
    const day = Math.floor(now / dayMs)
    const known = this.#of(websiteRid, day)
    const left = maxNewKeysPerDay - known.added
    const fresh = new Set<number>()
    for (const key of JSON.parse(keys) as string[]) {
      // Of two keys that share a hash the second one is not counted.
      const hash = Bun.hash.xxHash32(key)
      if (!known.hashes.has(hash) && fresh.add(hash).size > left) return false
    }
    for (const hash of fresh) {
      this.#add.run({ websiteRid, hash, day })
      known.hashes.add(hash)
    }
    known.added += fresh.size
    this.#cached += fresh.size
    return true
  }

  #of(websiteRid: number, day: number): WebsiteKeys {
    if (this.#cached > maxCachedHashes) this.reset()
    let known = this.#websites.get(websiteRid)
    if (!known) {
      const hashes = new Set(this.#hashes.all({ websiteRid }) as number[])
      known = { hashes, added: 0, day: Number.NaN }
      this.#websites.set(websiteRid, known)
      this.#cached += hashes.size + 1
    }
    if (known.day !== day) {
      known.day = day
      known.added = this.#added.get({ websiteRid, day }) as number
    }
    return known
  }
}

/** With the last events of a website. */
export function deletePropertyKeys(db: Db, websiteRid: number): void {
  db.prepare(sql.delete).run({ websiteRid })
}
