import type { Db } from "./db/driver.ts"

/** Access that was revoked or changed after a backup was made. Restoring the backup would undo these changes. */
export interface RevokedAccess {
  keys: { id: string; name: string; change: "revoked" | "disabled" | "rotated" | "changed" }[]
  links: { id: string; name: string; change: "ended" | "rotated" | "changed" }[]
  users: { id: string; email: string; change: "deleted" | "password" | "changed" }[]
}

interface KeyRow {
  id: string
  name: string
  hash: Buffer
  start: string
  scopes: string
  websites: string | null
  rate_limit: number | null
  expires_at: number | null
  disabled_at: number | null
  revoked_at: number | null
  /** Undefined in databases of versions in which rotations had no overlap, here and in `ShareRow`. */
  previous_hash?: Buffer | null
  previous_start?: string | null
  previous_expires_at?: number | null
}

interface ShareRow {
  id: string
  name: string
  hash: Buffer
  embed_hosts?: string
  previous_hash?: Buffer | null
  previous_expires_at?: number | null
}

interface UserRow {
  id: string
  email: string
  role: string
  websites: string | null
  password: string | null
  /** Undefined in databases of versions that could not limit viewers to sections. */
  sections?: string | null
}

const sql = {
  tables: "select name from sqlite_schema where type = 'table'",
  version: "select version from registry",
  newestId: "select max(id) from event_rows",
  websites: "select id || ' ' || created_at from websites",
  keys: "select * from keys",
  shares: "select * from shares order by created_at, id",
  users: "select * from users order by created_at, id",
  columns: "select name from pragma_table_info(:table)",
  setKey: `
    update keys set
      hash = :hash, start = :start, scopes = :scopes, websites = :websites, rate_limit = :rate_limit,
      expires_at = :expires_at, disabled_at = :disabled_at, revoked_at = :revoked_at
    where id = :id`,
  setKeyOverlap: `
    update keys set
      previous_hash = :previous_hash, previous_start = :previous_start, previous_expires_at = :previous_expires_at
    where id = :id`,
  endShare: "delete from shares where id = :id",
  setShareToken: "update shares set hash = :hash where id = :id",
  setShare: `
    update shares set
      embed_hosts = :embed_hosts, previous_hash = :previous_hash, previous_expires_at = :previous_expires_at
    where id = :id`,
  setUser: "update users set role = :role, websites = :websites, password = :password where id = :id",
  setSections: "update users set sections = :sections where id = :id",
  lockUser: "update users set password = null where id = :id",
  endSessions: "delete from sessions where user_id = :id",
  deleteUser: "delete from users where id = :id",
}

/**
 * Finds access that was revoked or changed between `backup` and `current`, the database that the backup is about to
 * replace. Returns empty lists if `backup` and `current` are not two states of the same database, or if `current` is
 * older. Reads databases of any version.
 */
export function findRevokedAccess(backup: Db, current: Db): RevokedAccess {
  const nothing: RevokedAccess = { keys: [], links: [], users: [] }
  if (!isLaterState(backup, current)) return nothing
  const has = (table: string) => [backup, current].every((db) => tablesOf(db).has(table))
  return {
    keys: has("keys") ? changedKeys(backup, current) : [],
    links: has("shares") ? changedShares(backup, current) : [],
    users: has("users") ? changedUsers(backup, current) : [],
  }
}

/** Applies the changes listed in `revoked` to `backup`, with values from `current`. */
export function applyRevocations(revoked: RevokedAccess, backup: Db, current: Db): void {
  backup.pragma("secure_delete = on")
  const apply = backup.transaction(() => {
    const keys = byId<KeyRow>(current, sql.keys)
    for (const { id } of revoked.keys) setKey(backup, keys.get(id))
    const shares = byId<ShareRow>(current, sql.shares)
    for (const { id, change } of revoked.links) {
      if (change === "ended") backup.prepare(sql.endShare).run({ id })
      else setShare(backup, shares.get(id))
    }
    const users = byId<UserRow>(current, sql.users)
    for (const { id, change } of revoked.users) {
      if (change === "deleted") backup.prepare(sql.deleteUser).run({ id })
      else setUser(backup, users.get(id))
    }
  })
  apply.immediate()
}

function setKey(backup: Db, row: KeyRow | undefined): void {
  if (!row) return
  backup.prepare(sql.setKey).run(pick(row, keyFields))
  if (hasColumn(backup, "keys", "previous_hash")) {
    const { id, previous_hash = null, previous_start = null, previous_expires_at = null } = row
    backup.prepare(sql.setKeyOverlap).run({ id, previous_hash, previous_start, previous_expires_at })
  }
}

function setShare(backup: Db, row: ShareRow | undefined): void {
  if (!row) return
  const { id, hash, embed_hosts = "[]", previous_hash = null, previous_expires_at = null } = row
  backup.prepare(sql.setShareToken).run({ id, hash })
  if (hasColumn(backup, "shares", "embed_hosts"))
    backup.prepare(sql.setShare).run({ id, embed_hosts, previous_hash, previous_expires_at })
}

function setUser(backup: Db, row: UserRow | undefined): void {
  if (!row) return
  const { id, role, websites, password, sections = null } = row
  backup.prepare(sql.setUser).run({ id, role, websites, password })
  if (hasColumn(backup, "users", "sections")) backup.prepare(sql.setSections).run({ id, sections })
  else if (sections !== null) {
    // The backup is from a version that cannot limit users to sections. The user cannot log in until an owner sets the
    // limit again and creates a reset link.
    backup.prepare(sql.lockUser).run({ id })
    backup.prepare(sql.endSessions).run({ id })
  }
}

/** Returns true if the two databases have a website, key or user in common, and `current` was written later. */
function isLaterState(backup: Db, current: Db): boolean {
  const common = (table: string, text: string) => {
    if (![backup, current].every((db) => tablesOf(db).has(table))) return false
    const ids = new Set(current.prepare(text).pluck().all())
    return backup
      .prepare(text)
      .pluck()
      .all()
      .some((id) => ids.has(id))
  }
  const isRelated =
    common("websites", sql.websites) ||
    common("keys", "select id from keys") ||
    common("users", "select id from users")
  if (!isRelated) return false
  const value = (db: Db, table: string, text: string) =>
    tablesOf(db).has(table) ? Number(db.prepare(text).pluck().get() ?? 0) : 0
  // Within a database, both values only ever increase.
  const [before, after] = [backup, current].map((db) => ({
    version: value(db, "registry", sql.version),
    newestId: value(db, "event_rows", sql.newestId),
  }))
  if (!before || !after) return false
  return after.version === before.version ? after.newestId >= before.newestId : after.version > before.version
}

function changedKeys(backup: Db, current: Db): RevokedAccess["keys"] {
  const now = byId<KeyRow>(current, sql.keys)
  return [...byId<KeyRow>(backup, sql.keys).values()].flatMap((before) => {
    const after = now.get(before.id)
    const change = after && keyChange(before, after)
    return change === undefined ? [] : [{ id: before.id, name: before.name, change }]
  })
}

function keyChange(before: KeyRow, after: KeyRow): RevokedAccess["keys"][number]["change"] | undefined {
  if (before.revoked_at === null && after.revoked_at !== null) return "revoked"
  if (!before.hash.equals(after.hash)) return "rotated"
  if (before.disabled_at === null && after.disabled_at !== null) return "disabled"
  if (!isSameHash(before.previous_hash, after.previous_hash)) return "rotated"
  const fields = ["scopes", "websites", "rate_limit", "expires_at", "disabled_at", "revoked_at"] as const
  return fields.some((field) => before[field] !== after[field]) ? "changed" : undefined
}

/** Returns the share links that were ended, rotated or changed. Ending a link deletes its row. */
function changedShares(backup: Db, current: Db): RevokedAccess["links"] {
  const now = byId<ShareRow>(current, sql.shares)
  return (backup.prepare(sql.shares).all() as ShareRow[]).flatMap((before): RevokedAccess["links"] => {
    const { id, name } = before
    const after = now.get(id)
    if (!after) return [{ id, name, change: "ended" }]
    if (!before.hash.equals(after.hash)) return [{ id, name, change: "rotated" }]
    if (!isSameHash(before.previous_hash, after.previous_hash)) return [{ id, name, change: "rotated" }]
    const isSame = (before.embed_hosts ?? "[]") === (after.embed_hosts ?? "[]")
    return isSame ? [] : [{ id, name, change: "changed" }]
  })
}

function isSameHash(one: Buffer | null = null, other: Buffer | null = null): boolean {
  return one === null || other === null ? one === other : one.equals(other)
}

function changedUsers(backup: Db, current: Db): RevokedAccess["users"] {
  const now = byId<UserRow>(current, sql.users)
  return [...byId<UserRow>(backup, sql.users).values()].flatMap((before): RevokedAccess["users"] => {
    const { id, email } = before
    const after = now.get(id)
    if (!after) return [{ id, email, change: "deleted" }]
    if (before.password !== after.password) return [{ id, email, change: "password" }]
    const isSame =
      before.role === after.role &&
      before.websites === after.websites &&
      (before.sections ?? null) === (after.sections ?? null)
    return isSame ? [] : [{ id, email, change: "changed" }]
  })
}

function tablesOf(db: Db): Set<unknown> {
  return new Set(db.prepare(sql.tables).pluck().all())
}

function byId<Row extends { id: string }>(db: Db, text: string): Map<string, Row> {
  return new Map((db.prepare(text).all() as Row[]).map((row) => [row.id, row]))
}

function hasColumn(db: Db, table: "keys" | "shares" | "users", column: string): boolean {
  return db.prepare(sql.columns).pluck().all({ table }).includes(column)
}

const keyFields = [
  "id",
  "hash",
  "start",
  "scopes",
  "websites",
  "rate_limit",
  "expires_at",
  "disabled_at",
  "revoked_at",
] as const

/** Returns an object with only these fields of a row. */
function pick<Row, Field extends keyof Row>(row: Row, fields: readonly Field[]): Pick<Row, Field> {
  // The type assertion is needed because Object.fromEntries does not preserve the types of the keys.
  return Object.fromEntries(fields.map((field) => [field, row[field]])) as Pick<Row, Field>
}
