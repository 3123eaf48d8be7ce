import { createHmac } from "node:crypto"
import type { Random } from "../environment.ts"
import type { Db } from "./db/driver.ts"

const dayMs = 86_400_000
/** 256 bits, the block that HMAC-SHA-256 keeps its strength with. */
const saltBytes = 32
/** 128 bits of the hash: two of a billion visitors a day share one with a chance of 1 in 10^20. */
const hashBytes = 16

const sql = {
  find: "select salt from salts where day = :day",
  insert: "insert into salts (day, salt) values (:day, :salt)",
  latest: "select max(day) from salts",
  forget: "delete from salts where day < :day",
}

/**
 * The privacy setting `daily`: an anonymous id becomes a keyed hash whose salt lives for one UTC day, so that nobody,
 * the owner included, can tell afterwards who it was or join two days. Works inside the caller's transaction.
 */
export class DailyHash {
  #day = -1
  #salt: Buffer | undefined

  constructor(
    private readonly db: Db,
    private readonly random: Random,
  ) {}

  /** 22 characters of base64url. The same visitor differs from website to website. */
  hash(anonymousId: string, websiteRid: number, now: number): string {
    return hashVisitorId(this.#saltOf(Math.floor(now / dayMs)), anonymousId, websiteRid)
  }

  /** After a rollback a salt that was just made is not in the database: it must not be used again. */
  reset(): void {
    this.#salt = undefined
  }

  #saltOf(day: number): Buffer {
    if (this.#salt && this.#day === day) return this.#salt
    const found = this.db.prepare(sql.find).pluck().get({ day }) as Buffer | undefined
    const salt = found ?? Buffer.from(this.random(new Uint8Array(saltBytes)))
    if (!found) this.db.prepare(sql.insert).run({ day, salt })
    this.#day = day
    this.#salt = salt
    return salt
  }
}

function hashVisitorId(salt: Buffer, anonymousId: string, websiteRid: number): string {
  const digest = createHmac("sha256", salt).update(`${websiteRid}\0${anonymousId}`).digest()
  return digest.subarray(0, hashBytes).toString("base64url")
}

/** As `DailyHash.hash` on the day of `now` (Unix ms), but makes no salt: undefined where nothing was hashed that day. */
export function dailyHashOn(
  db: Db,
  now: number,
): ((anonymousId: string, websiteRid: number) => string) | undefined {
  const day = Math.floor(now / dayMs)
  const salt = db.prepare(sql.find).pluck().get({ day }) as Buffer | undefined
  return salt && ((anonymousId, websiteRid) => hashVisitorId(salt, anonymousId, websiteRid))
}

/** The same of the latest day on which anything was hashed. */
export function latestDailyHash(db: Db): ReturnType<typeof dailyHashOn> {
  const day = db.prepare(sql.latest).pluck().get() as number | null
  return day === null ? undefined : dailyHashOn(db, day * dayMs)
}

/**
 * Deletes the salts of the days before `now` (Unix ms) and overwrites their bytes in the database. True where there was one:
 * the -wal then still holds them, until a checkpoint cuts it off.
 */
export function deleteOldSalts(db: Db, now: number): boolean {
  return db.prepare(sql.forget).run({ day: Math.floor(now / dayMs) }).changes > 0
}
