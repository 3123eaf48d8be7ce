import type { Db } from "./db/driver.ts"
import { migrations, pendingMigrations } from "./db/migrate.ts"
import { roles } from "./users.ts"

/** What a database holds, as people count it. */
export interface Contents {
  websites: number
  keys: number
  users: number
  events: number
  /** When the newest event was received, Unix ms; null where there is none. */
  newestEvent: number | null
}

const sql = {
  tables: "select name from sqlite_schema where type = 'table'",
  websites: "select count(*) from websites where deleted_at is null",
  keys: "select count(*) from keys",
  users: "select count(*) from users",
  events: `
    select count(*) from event_rows
    where website_rid = 0 or website_rid in (select rid from websites where deleted_at is null)`,
  // Below 0 is no event: see migrations/0006_columns.sql. With the + no index is used, by way of which all ids would be sorted.
  newestEvent: "select ts + delay from event_rows where +website_rid >= 0 order by id desc limit 1",
}

/** What the schema itself does not say. Each counts the rows that break it; the count comes first in the message. */
const invariants = [
  {
    broken: "events have a type that does not exist",
    sql: "select count(*) from event_rows where website_rid >= 0 and type_id not in (select id from event_types)",
  },
  {
    broken: "events have a website that does not exist",
    sql: `
      select count(*) from event_rows
      where website_rid > 0 and website_rid not in (select rid from websites)`,
  },
  {
    broken: "event types have keys that are no JSON array",
    sql: `
      select count(*) from event_types
      where keys <> '' and iif(json_valid(keys), json_type(keys), '') <> 'array'`,
  },
  {
    broken: "users have a role or websites that cannot be read",
    sql: `
      select count(*) from users
      where role not in (${roles.map((role) => `'${role}'`).join(", ")})
        or (websites is not null and iif(json_valid(websites), json_type(websites), '') <> 'array')`,
  },
  {
    broken: "events have properties that cannot be read",
    // Values stand without brackets; as many of them as there are keys. See migrations/0003_events.sql.
    sql: `
      select count(*)
      from event_rows as e
      join (
        select id, keys, iif(keys <> '' and json_valid(keys), json_array_length(keys), 0) as length from event_types
      ) as t on t.id = e.type_id
      where case
        when t.keys = '' then e.properties is not null and iif(json_valid(e.properties), json_type(e.properties), '') <> 'object'
        when json_valid('[' || e.properties || ']') then json_array_length('[' || e.properties || ']') <> t.length
        else true
      end`,
  },
]

/** Lines of SQLite's own report that are enough to know. */
const reportedLines = 20

/** Of any version: what it has no table for yet, it has none of. */
export function countContents(db: Db): Contents {
  const tables = new Set(db.prepare(sql.tables).pluck().all())
  const value = (table: string, text: string) =>
    tables.has(table) ? (db.prepare(text).pluck().get() as number | undefined) : undefined
  return {
    websites: value("websites", sql.websites) ?? 0,
    keys: value("keys", sql.keys) ?? 0,
    users: value("users", sql.users) ?? 0,
    events: value("event_rows", sql.events) ?? 0,
    newestEvent: value("event_rows", sql.newestEvent) ?? null,
  }
}

/** What SQLite finds wrong with the file: pages, indexes, constraints. Reads all of it, some seconds a GB. */
export function findDamage(db: Db): string[] {
  return collectErrors(() => {
    const report = db.prepare(`pragma integrity_check(${reportedLines})`).pluck().all() as string[]
    return report.filter((line) => line !== "ok")
  })
}

/** Everything that is wrong with a database, a sentence each; none: it is sound. `path` is for the messages. */
export function findProblems(db: Db, path: string): string[] {
  const pending = pendingMigrations(db, path).map((one) => `the migration ${one.name} has not been applied`)
  const found = [...findDamage(db), ...collectErrors(() => brokenReferences(db))]
  // What is not there, or cannot be read, cannot be counted.
  if (pending.length > 0 || found.length > 0) return [...pending, ...found]
  return invariants.flatMap((invariant) =>
    collectErrors(() => {
      const rows = db.prepare(invariant.sql).pluck().get() as number
      return rows === 0 ? [] : [`${rows} ${invariant.broken}`]
    }),
  )
}

/** Number of the newest migration, as its file name begins; 0: none. */
export function schemaVersion(db: Db, path: string): number {
  return migrations.length - pendingMigrations(db, path).length
}

function brokenReferences(db: Db): string[] {
  const rows = db.prepare("pragma foreign_key_check").all() as { table: string; parent: string }[]
  return rows
    .slice(0, reportedLines)
    .map(({ table, parent }) => `a row of ${table} refers to no row of ${parent}`)
}

/** On a damaged file any statement may throw; that is a finding. */
function collectErrors(look: () => string[]): string[] {
  try {
    return look()
  } catch (error) {
    return [(error as Error).message]
  }
}
