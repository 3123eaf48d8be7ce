import type { Db } from "./db/driver.ts"

/** Access that was revoked or changed after a backup. A restore of the backup would bring it back. */
export interface RevokedAccess {
  keys: { id: string; name: string; change: "revoked" | "disabled" | "rotated" | "changed" }[]
  links: { id: string; name: string; change: "ended" }[]
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
}

interface UserRow {
  id: string
  email: string
  role: string
  websites: string | null
  password: string | null
}

const sql = {
  tables: "select name from sqlite_schema where type = 'table'",
  version: "select version from registry",
  newestId: "select max(id) from event_rows",
  websites: "select id || ' ' || created_at from websites",
  keys: `
    select id, name, hash, start, scopes, websites, rate_limit, expires_at, disabled_at, revoked_at from keys`,
  shares: "select id, name from shares order by created_at, id",
  users: "select id, email, role, websites, password from users order by created_at, id",
  setKey: `
    update keys set
      hash = :hash, start = :start, scopes = :scopes, websites = :websites, rate_limit = :rate_limit,
      expires_at = :expires_at, disabled_at = :disabled_at, revoked_at = :revoked_at
    where id = :id`,
  endShare: "delete from shares where id = :id",
  setUser: "update users set role = :role, websites = :websites, password = :password where id = :id",
  deleteUser: "delete from users where id = :id",
}

/**
 * Finds access that was revoked or changed between `backup` and `current`, the database it replaces. Returns nothing if
 * they are not two states of the same database, or if `current` is older. Reads databases of any version.
 */
export function findRevokedAccess(backup: Db, current: Db): RevokedAccess {
  const nothing: RevokedAccess = { keys: [], links: [], users: [] }
  if (!isLaterState(backup, current)) return nothing
  const has = (table: string) => [backup, current].every((db) => tablesOf(db).has(table))
  return {
    keys: has("keys") ? changedKeys(backup, current) : [],
    links: has("shares") ? endedShares(backup, current) : [],
    users: has("users") ? changedUsers(backup, current) : [],
  }
}

/** Copies from `current` to `backup` the access that `revoked` names. */
export function applyRevocations(revoked: RevokedAccess, backup: Db, current: Db): void {
  backup.pragma("secure_delete = on")
  const apply = backup.transaction(() => {
    const keys = byId<KeyRow>(current, sql.keys)
    for (const { id } of revoked.keys) backup.prepare(sql.setKey).run(omitField(keys.get(id), "name"))
    for (const { id } of revoked.links) backup.prepare(sql.endShare).run({ id })
    const users = byId<UserRow>(current, sql.users)
    for (const { id, change } of revoked.users) {
      if (change === "deleted") backup.prepare(sql.deleteUser).run({ id })
      else backup.prepare(sql.setUser).run(omitField(users.get(id), "email"))
    }
  })
  apply.immediate()
}

/** True if the two share a website, a key or a user, and `current` was written later. */
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
  // Both only increase in a database.
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
  const fields = ["scopes", "websites", "rate_limit", "expires_at", "disabled_at", "revoked_at"] as const
  return fields.some((field) => before[field] !== after[field]) ? "changed" : undefined
}

/** Share links that are gone: ending a link deletes its row. */
function endedShares(backup: Db, current: Db): RevokedAccess["links"] {
  const now = byId<{ id: string }>(current, sql.shares)
  return (backup.prepare(sql.shares).all() as { id: string; name: string }[])
    .filter(({ id }) => !now.has(id))
    .map(({ id, name }) => ({ id, name, change: "ended" }))
}

function changedUsers(backup: Db, current: Db): RevokedAccess["users"] {
  const now = byId<UserRow>(current, sql.users)
  return [...byId<UserRow>(backup, sql.users).values()].flatMap((before): RevokedAccess["users"] => {
    const { id, email } = before
    const after = now.get(id)
    if (!after) return [{ id, email, change: "deleted" }]
    if (before.password !== after.password) return [{ id, email, change: "password" }]
    const isSame = before.role === after.role && before.websites === after.websites
    return isSame ? [] : [{ id, email, change: "changed" }]
  })
}

function tablesOf(db: Db): Set<unknown> {
  return new Set(db.prepare(sql.tables).pluck().all())
}

function byId<Row extends { id: string }>(db: Db, text: string): Map<string, Row> {
  return new Map((db.prepare(text).all() as Row[]).map((row) => [row.id, row]))
}

/** Copies a row without `field`: a statement rejects parameters that it does not have. */
function omitField<Row extends object>(row: Row | undefined, field: keyof Row): Partial<Row> {
  return Object.fromEntries(Object.entries(row ?? {}).filter(([name]) => name !== field)) as Partial<Row>
}
