import { createHmac } from "node:crypto"
import type { Random } from "../environment.ts"
import type { Db } from "./db/driver.ts"

const dayMs = 86_400_000
/** 256 bits, the output size of SHA-256. This is the recommended key size for HMAC. */
const saltBytes = 32
/**
 * Length of the truncated hash in bytes (128 bits). With a billion visitors a day, the chance of a collision is less
 * than 1 in 10^20.
 */
const hashBytes = 16

const sql = {
  find: "select salt from salts where day = :day",
  insert: "insert into salts (day, salt) values (:day, :salt)",
  latest: "select max(day) from salts",
  forget: "delete from salts where day < :day",
}

/**
 * Implements the privacy setting `daily`: replaces an anonymous ID with a keyed hash whose salt is deleted when the UTC
 * day is over. From then on, nobody, not even the owner, can identify the visitor or link visits on different days.
 * Runs inside the caller's transaction.
 */
export class DailyHash {
  #day = -1
  #salt: Buffer | undefined

  constructor(
    private readonly db: Db,
    private readonly random: Random,
  ) {}

  /** Returns 22 characters of base64url. The same ID has a different hash on every website. */
  hash(anonymousId: string, websiteRid: number, now: number): string {
    return hashVisitorId(this.#saltOf(Math.floor(now / dayMs)), anonymousId, websiteRid)
  }

  /** Clears the cached salt. Must be called after a rollback, which might have removed a new salt from the database. */
  reset(): void {
    this.#salt = undefined
  }

  #saltOf(day: number): Buffer {
    if (this.#salt && this.#day === day) return this.#salt
    const stored = this.db.prepare(sql.find).pluck().get({ day }) as Buffer | undefined
    const salt = stored ?? Buffer.from(this.random(new Uint8Array(saltBytes)))
    if (!stored) this.db.prepare(sql.insert).run({ day, salt })
    this.#day = day
    this.#salt = salt
    return salt
  }
}

function hashVisitorId(salt: Buffer, anonymousId: string, websiteRid: number): string {
  const digest = createHmac("sha256", salt).update(`${websiteRid}\0${anonymousId}`).digest()
  return digest.subarray(0, hashBytes).toString("base64url")
}

/**
 * Returns a function like `DailyHash.hash` for the UTC day that contains `now` (Unix ms). Returns undefined if there is
 * no salt for that day, and never creates one.
 */
export function dailyHashOn(
  db: Db,
  now: number,
): ((anonymousId: string, websiteRid: number) => string) | undefined {
  const day = Math.floor(now / dayMs)
  const salt = db.prepare(sql.find).pluck().get({ day }) as Buffer | undefined
  return salt && ((anonymousId, websiteRid) => hashVisitorId(salt, anonymousId, websiteRid))
}

/** Returns the hash function of the latest day with a salt, or undefined if there is no salt. */
export function latestDailyHash(db: Db): ReturnType<typeof dailyHashOn> {
  const day = db.prepare(sql.latest).pluck().get() as number | null
  return day === null ? undefined : dailyHashOn(db, day * dayMs)
}

/**
 * Deletes the salts of days before the UTC day that contains `now` (Unix ms), and overwrites their bytes in the
 * database. Returns true if any salts were deleted. Their bytes remain in the -wal until the -wal is truncated.
 */
export function deleteOldSalts(db: Db, now: number): boolean {
  return db.prepare(sql.forget).run({ day: Math.floor(now / dayMs) }).changes > 0
}
