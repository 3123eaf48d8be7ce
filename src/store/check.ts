import { messageOf } from "../errors.ts"
import { eventKinds } from "../event-kinds.ts"
import { contextTables } from "./context-tables.ts"
import type { Db } from "./db/driver.ts"
import { migrations, pendingMigrations } from "./db/migrate.ts"
import { countMissing } from "./event-times.ts"
import { type RemovedTotals, removedTotals } from "./removed-days.ts"
import { roles } from "./roles.ts"
import { textColumns, textOf } from "./texts.ts"

/** Row counts of a database. */
export interface Contents {
  websites: number
  keys: number
  users: number
  events: number
  /**
   * Events that were removed from the file, and the time (Unix ms) from which the file has all events. Undefined if no
   * events were removed.
   */
  removed: RemovedTotals | undefined
  /** Receipt time of the newest event in Unix ms. Null if there are no events. */
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
  // A negative rid marks a tombstone (see migrations/0006_columns.sql). The unary + prevents an index scan, which would
  // have to sort all IDs.
  newestEvent: "select ts + delay from event_rows where +website_rid >= 0 order by id desc limit 1",
}

/**
 * Rules that the schema cannot express. Each query counts violations, and the message consists of this count and
 * `broken`.
 */
const invariants = [
  {
    broken: "events have a type that does not exist",
    sql: "select count(*) from event_rows where website_rid >= 0 and type_id not in (select id from event_types)",
  },
  ...Object.values(contextTables).map(({ table, column }) => ({
    broken: `events have a context that does not exist in ${table}`,
    sql: `
      select count(*) from event_rows
      where ${column} is not null and ${column} not in (select id from ${table})`,
  })),
  {
    broken: "events have a text that does not exist",
    sql: `
      select count(*) from event_rows
      where ${textColumns
        .map((column) => `(typeof(${column}) = 'integer' and ${column} not in (select id from texts))`)
        .join(" or ")}`,
  },
  { broken: "events are missing from event_times", sql: countMissing },
  {
    broken: "event types have a kind that does not exist",
    sql: `select count(*) from event_types where kind not between 0 and ${eventKinds.length - 1}`,
  },
  {
    broken: "events have a website that does not exist",
    sql: `
      select count(*) from event_rows
      where website_rid > 0 and website_rid not in (select rid from websites)`,
  },
  {
    broken: "event types have keys that are not a JSON array",
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
    // Values are stored without brackets, one for each key (see migrations/0003_events.sql).
    sql: `
      select count(*)
      from (select type_id, ${textOf("properties")} as properties from event_rows) as e
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

/** Maximum number of problems to list from each of SQLite's own checks. */
const reportedLines = 20

/** Counts the rows of a database of any version. Missing tables count as empty. */
export function countContents(db: Db): Contents {
  const tables = new Set(db.prepare(sql.tables).pluck().all())
  const value = (table: string, text: string) =>
    tables.has(table) ? (db.prepare(text).pluck().get() as number | undefined) : undefined
  return {
    websites: value("websites", sql.websites) ?? 0,
    keys: value("keys", sql.keys) ?? 0,
    users: value("users", sql.users) ?? 0,
    events: value("event_rows", sql.events) ?? 0,
    removed: tables.has("removed_days") ? removedTotals(db) : undefined,
    newestEvent: value("event_rows", sql.newestEvent) ?? null,
  }
}

/**
 * Returns the problems that `pragma integrity_check` reports about pages, indexes and constraints. This check reads the
 * whole file and takes a few seconds per GB.
 */
export function findDamage(db: Db): string[] {
  return collectErrors(() => {
    const report = db.prepare(`pragma integrity_check(${reportedLines})`).pluck().all() as string[]
    return report.filter((line) => line !== "ok")
  })
}

/** Returns one sentence per problem found in the database. `path` is only used in messages. */
export function findProblems(db: Db, path: string): string[] {
  const pending = pendingMigrations(db, path).map(({ name }) => `the migration ${name} has not been applied`)
  const problems = [...findDamage(db), ...collectErrors(() => brokenReferences(db))]
  // The queries in `invariants` require all tables and readable pages.
  if (pending.length > 0 || problems.length > 0) return [...pending, ...problems]
  return invariants.flatMap((invariant) =>
    collectErrors(() => {
      const rows = db.prepare(invariant.sql).pluck().get() as number
      return rows === 0 ? [] : [`${rows} ${invariant.broken}`]
    }),
  )
}

/** Returns the number of the newest applied migration, as in its file name. 0 if there is none. */
export function schemaVersion(db: Db, path: string): number {
  const applied = migrations.length - pendingMigrations(db, path).length
  // Migration numbers can have gaps.
  return Number(migrations[applied - 1]?.name.slice(0, 4) ?? 0)
}

function brokenReferences(db: Db): string[] {
  const rows = db.prepare("pragma foreign_key_check").all() as { table: string; parent: string }[]
  return rows
    .slice(0, reportedLines)
    .map(({ table, parent }) => `a row of ${table} refers to a missing row of ${parent}`)
}

/** Returns exceptions as problems, because any statement can throw if the file is damaged. */
function collectErrors(check: () => string[]): string[] {
  try {
    return check()
  } catch (error) {
    return [messageOf(error)]
  }
}
