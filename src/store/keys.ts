import type { Random } from "../environment.ts"
import { RequestError } from "../errors.ts"
import type { Db } from "./db/driver.ts"
import { type Overlap, overlapEnd } from "./rotation.ts"

export const scopes = [
  "track:events",
  "read:data",
  "read:reports",
  "manage:websites",
  "manage:keys",
  "manage:users",
] as const
export type Scope = (typeof scopes)[number]

/** The scopes that each scope includes. */
const implied: Partial<Record<Scope, readonly Scope[]>> = { "read:data": ["read:reports"] }

/** Returns true if `granted` contains `scope` or a scope that includes it. */
export function hasScope(granted: readonly Scope[], scope: Scope): boolean {
  return granted.includes(scope) || granted.some((other) => implied[other]?.includes(scope))
}

export interface Key {
  id: string
  name: string
  /** The first characters of the secret, for telling keys apart. */
  start: string
  scopes: Scope[]
  /** IDs of the websites that the key is limited to. Null: all websites. */
  websites: string[] | null
  /** Requests per minute. Null: unlimited. */
  rateLimit: number | null
  /** In Unix ms, like all `…At` fields. */
  createdAt: number
  expiresAt: number | null
  disabledAt: number | null
  revokedAt: number | null
  lastUsedAt: number | null
  /** The first characters of the secret before the last rotation. Null: none. */
  previousStart: string | null
  /** When the previous secret stops working. Null if there is none. */
  previousExpiresAt: number | null
}

/** The key that a secret belongs to. */
export interface FoundKey extends Key {
  /** True if the secret is the previous one. In that case, `expiresAt` is when the previous secret stops working. */
  isPrevious: boolean
}

/** The permissions and limits of a key, a login session or a share link. */
export type Grant = Pick<Key, "scopes" | "websites" | "rateLimit" | "expiresAt">
export type KeyGrant = Grant & Pick<Key, "name">

/** 192 bits, which nobody can guess. They are encoded as a whole number of base64 characters. */
const secretBytes = 24
const prefix = "dbdy_"
/**
 * Length of `start`: the prefix and 7 of the 32 random characters. This is enough to tell keys apart, but does not help
 * to guess the rest.
 */
const startLength = 12

const keyPattern = new RegExp(`^${prefix}[A-Za-z0-9_-]{32}$`)

/** Returns true if `secret` has the format of a key. */
export function looksLikeKey(secret: string): boolean {
  return keyPattern.test(secret)
}

/**
 * Returns the SHA-256 of a secret in hex. Uses Bun's implementation, which takes a third of the time of node:crypto,
 * because this runs on every request.
 */
export function hashKey(secret: string): string {
  return Bun.SHA256.hash(secret, "hex")
}

function newSecret(random: Random): string {
  return prefix + Buffer.from(random(new Uint8Array(secretBytes))).toString("base64url")
}

const columns = `
  id, name, start, scopes, websites, rate_limit, created_at, expires_at, disabled_at, revoked_at, last_used_at,
  previous_start, previous_expires_at`

const sql = {
  list: `select ${columns} from keys order by created_at, id`,
  hashes: `select hash, previous_hash, ${columns} from keys`,
  find: `select ${columns} from keys where id = :id`,
  insert: `
    insert into keys (id, name, hash, start, scopes, websites, rate_limit, created_at, expires_at)
    values (:id, :name, :hash, :start, :scopes, :websites, :rateLimit, :now, :expiresAt)`,
  update: `
    update keys
    set name = :name, scopes = :scopes, websites = :websites, rate_limit = :rateLimit, expires_at = :expiresAt,
      disabled_at = :disabledAt
    where id = :id`,
  revoke: "update keys set revoked_at = coalesce(revoked_at, :now) where id = :id",
  rotate: `
    update keys
    set hash = :hash, start = :start, previous_hash = iif(:end is null, null, hash),
      previous_start = iif(:end is null, null, start), previous_expires_at = :end
    where id = :id`,
  endOverlap: `
    update keys set previous_hash = null, previous_start = null, previous_expires_at = null
    where id = :id and previous_hash is not null`,
  used: "update keys set last_used_at = :at where id = :id and (last_used_at is null or last_used_at < :at)",
}

interface KeyRow {
  id: string
  name: string
  start: string
  scopes: string
  websites: string | null
  rate_limit: number | null
  created_at: number
  expires_at: number | null
  disabled_at: number | null
  revoked_at: number | null
  last_used_at: number | null
  previous_start: string | null
  previous_expires_at: number | null
}

function fromRow(row: KeyRow): Key {
  return {
    id: row.id,
    name: row.name,
    start: row.start,
    scopes: JSON.parse(row.scopes),
    websites: row.websites === null ? null : JSON.parse(row.websites),
    rateLimit: row.rate_limit,
    createdAt: row.created_at,
    expiresAt: row.expires_at,
    disabledAt: row.disabled_at,
    revokedAt: row.revoked_at,
    lastUsedAt: row.last_used_at,
    previousStart: row.previous_start,
    previousExpiresAt: row.previous_expires_at,
  }
}

function jsonOrNull(list: readonly string[] | null): string | null {
  return list === null ? null : JSON.stringify(list)
}

export function listKeys(db: Db): Key[] {
  return (db.prepare(sql.list).all() as KeyRow[]).map(fromRow)
}

/** Returns a map from the hash of each secret (see `hashKey`) to its key. During a rotation, a key has two secrets. */
export function keysByHash(db: Db): Map<string, FoundKey> {
  const rows = db.prepare(sql.hashes).all() as (KeyRow & { hash: Buffer; previous_hash: Buffer | null })[]
  const found = new Map<string, FoundKey>()
  for (const row of rows) {
    const key = fromRow(row)
    found.set(row.hash.toString("hex"), { ...key, isPrevious: false })
    if (row.previous_hash === null) continue
    const expiresAt = Math.min(
      key.previousExpiresAt ?? Number.NEGATIVE_INFINITY,
      key.expiresAt ?? Number.POSITIVE_INFINITY,
    )
    found.set(row.previous_hash.toString("hex"), { ...key, expiresAt, isPrevious: true })
  }
  return found
}

/** Returns a key. Throws `key_not_found` if it does not exist. */
export function findKey(db: Db, id: string): Key {
  const row = db.prepare(sql.find).get({ id }) as KeyRow | undefined
  if (!row) throw new RequestError("key_not_found", { detail: `no key has the ID ${id}` })
  return fromRow(row)
}

/** Creates a key. This is the only time that `secret` is returned, because the database only stores its hash. */
export function createKey(
  db: Db,
  id: string,
  grant: KeyGrant,
  random: Random,
  now: number,
): { key: Key; secret: string } {
  const secret = newSecret(random)
  db.prepare(sql.insert).run({
    id,
    name: grant.name,
    hash: Buffer.from(hashKey(secret), "hex"),
    start: secret.slice(0, startLength),
    scopes: jsonOrNull(grant.scopes),
    websites: jsonOrNull(grant.websites),
    rateLimit: grant.rateLimit,
    now,
    expiresAt: grant.expiresAt,
  })
  return { key: findKey(db, id), secret }
}

/** Changes a key and returns it. Throws `key_not_found` if it does not exist. */
export function updateKey(db: Db, id: string, changes: Partial<KeyGrant & Pick<Key, "disabledAt">>): Key {
  const key = { ...findKey(db, id), ...changes }
  db.prepare(sql.update).run({
    id,
    name: key.name,
    scopes: jsonOrNull(key.scopes),
    websites: jsonOrNull(key.websites),
    rateLimit: key.rateLimit,
    expiresAt: key.expiresAt,
    disabledAt: key.disabledAt,
  })
  return findKey(db, id)
}

/** Revokes a key permanently. Throws `key_not_found`. */
export function revokeKey(db: Db, id: string, now: number): Key {
  db.prepare(sql.revoke).run({ id, now })
  return findKey(db, id)
}

/**
 * Replaces the secret of a key. The current secret works until the end of the overlap, and any earlier secret stops
 * working immediately. Throws `key_not_found`, or `conflict` for a revoked key.
 */
export function rotateKey(
  db: Db,
  id: string,
  overlap: Overlap,
  random: Random,
  now: number,
): { key: Key; secret: string } {
  if (findKey(db, id).revokedAt !== null) {
    throw new RequestError("conflict", { detail: `the key ${id} is revoked; create a new one` })
  }
  const secret = newSecret(random)
  db.prepare(sql.rotate).run({
    id,
    hash: Buffer.from(hashKey(secret), "hex"),
    start: secret.slice(0, startLength),
    end: overlapEnd(overlap, now),
  })
  return { key: findKey(db, id), secret }
}

/** Expires the previous secret of a rotated key immediately. Throws `key_not_found`. */
export function endKeyOverlap(db: Db, id: string): Key {
  db.prepare(sql.endOverlap).run({ id })
  return findKey(db, id)
}

/** Stores when keys were last used. `uses` maps key IDs to Unix ms. */
export function writeLastUsed(db: Db, uses: ReadonlyMap<string, number>): void {
  const statement = db.prepare(sql.used)
  for (const [id, at] of uses) statement.run({ id, at })
}
