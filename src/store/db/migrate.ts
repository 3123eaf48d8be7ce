import { createHash } from "node:crypto"
import websites from "../../../migrations/0001_websites.sql" with { type: "text" }
import keys from "../../../migrations/0002_keys.sql" with { type: "text" }
import events from "../../../migrations/0003_events.sql" with { type: "text" }
import profiles from "../../../migrations/0004_profiles.sql" with { type: "text" }
import retention from "../../../migrations/0005_retention.sql" with { type: "text" }
import columns from "../../../migrations/0006_columns.sql" with { type: "text" }
import users from "../../../migrations/0007_users.sql" with { type: "text" }
import dashboard from "../../../migrations/0008_dashboard.sql" with { type: "text" }
import names from "../../../migrations/0009_names.sql" with { type: "text" }
import propertyKeys from "../../../migrations/0010_new_keys.sql" with { type: "text" }
import dayBlocks from "../../../migrations/0011_day_blocks.sql" with { type: "text" }
import kinds from "../../../migrations/0012_kinds.sql" with { type: "text" }
import claims from "../../../migrations/0013_claims.sql" with { type: "text" }
import idTexts from "../../../migrations/0014_id_texts.sql" with { type: "text" }
import texts from "../../../migrations/0015_texts.sql" with { type: "text" }
import lowerIsBetter from "../../../migrations/0020_lower_is_better.sql" with { type: "text" }
import boards from "../../../migrations/0021_boards.sql" with { type: "text" }
import sharing from "../../../migrations/0022_sharing.sql" with { type: "text" }
import shipping from "../../../migrations/0023_shipping.sql" with { type: "text" }
import eventIndexes from "../../../migrations/0024_event_indexes.sql" with { type: "text" }
import boardLinks from "../../../migrations/0025_board_links.sql" with { type: "text" }
import removedDays from "../../../migrations/0026_removed_days.sql" with { type: "text" }
import registrySource from "../../../migrations/0027_registry_source.sql" with { type: "text" }
import { UserError } from "../../errors.ts"
import type { Db } from "./driver.ts"

export interface Migration {
  name: string
  sql: string
  /**
   * A query that returns 1 if the migration changed the schema as intended. Only needed for migrations that edit the
   * schema's text.
   */
  verify?: string
}

/**
 * 0015_texts edits sqlite_schema with text replacements, which fail silently. If they failed, the columns would still
 * have the type text, and would store the integer IDs of texts as text.
 */
const verifyTexts = `
  select count(*) = 5 from pragma_table_info('event_rows')
  where name in ('anonymous_id', 'session_id', 'path', 'event_id', 'properties') and lower(type) = 'any'`

/** 0024_event_indexes also edits sqlite_schema. Without the unique index, every insert would fail. */
const verifyEventIndexes = `
  select count(*) = 1 from pragma_index_list('event_rows') where name = 'event_rows_event_key' and "unique"`

/** Migrations in the order in which they are applied. Only append to the list: a released migration never changes. */
export const migrations: readonly Migration[] = [
  { name: "0001_websites", sql: websites },
  { name: "0002_keys", sql: keys },
  { name: "0003_events", sql: events },
  { name: "0004_profiles", sql: profiles },
  { name: "0005_retention", sql: retention },
  { name: "0006_columns", sql: columns },
  { name: "0007_users", sql: users },
  { name: "0008_dashboard", sql: dashboard },
  { name: "0009_names", sql: names },
  { name: "0010_new_keys", sql: propertyKeys },
  { name: "0011_day_blocks", sql: dayBlocks },
  { name: "0012_kinds", sql: kinds },
  { name: "0013_claims", sql: claims },
  { name: "0014_id_texts", sql: idTexts },
  { name: "0015_texts", sql: texts, verify: verifyTexts },
  { name: "0020_lower_is_better", sql: lowerIsBetter },
  { name: "0021_boards", sql: boards },
  { name: "0022_sharing", sql: sharing },
  { name: "0023_shipping", sql: shipping },
  { name: "0024_event_indexes", sql: eventIndexes, verify: verifyEventIndexes },
  { name: "0025_board_links", sql: boardLinks },
  { name: "0026_removed_days", sql: removedDays },
  { name: "0027_registry_source", sql: registrySource },
]

const createMigrationsTable = `
  create table if not exists migrations (
    name text primary key,
    checksum text not null, -- SHA-256 of the file
    applied_at integer not null
  ) strict`

/** "dbdy" in ASCII. Distinguishes databuddy's databases from those of other programs. */
const applicationId = 0x64626479

function checksum(sql: string): string {
  return createHash("sha256").update(sql).digest("hex")
}

/**
 * Returns the migrations that have not been applied to `db`. Does not write anything. Throws a UserError if the file
 * belongs to another program or to a newer version.
 */
export function pendingMigrations(db: Db, path: string, known = migrations): Migration[] {
  const objects = db.prepare("select count(*) from sqlite_schema").pluck().get() as number
  if (objects === 0) return [...known]
  if (db.pragma("application_id", { simple: true }) !== applicationId) {
    throw new UserError(
      `${path} is an SQLite database, but not a databuddy database`,
      "choose another file; this file was not changed",
    )
  }
  const applied = db.prepare("select name, checksum from migrations order by name").all() as {
    name: string
    checksum: string
  }[]
  for (const migration of applied) {
    const ours = known.find(({ name }) => name === migration.name)
    if (!ours) {
      throw new UserError(
        `${path} was written by a newer version of databuddy: it contains the migration ${migration.name}, which this version does not know`,
        "run the newer version, or restore a backup made before the upgrade; the file was not changed",
      )
    }
    if (checksum(ours.sql) !== migration.checksum) {
      throw new UserError(
        `the migration ${migration.name} in ${path} differs from the one in this version`,
        "the file was created by an unreleased build; the file was not changed",
      )
    }
  }
  return known.slice(applied.length)
}

/** Returns the names of the applied migrations in order. */
export function appliedMigrations(db: Db): string[] {
  return db.prepare("select name from migrations order by name").pluck().all() as string[]
}

/** Returns the applied migrations in order, and when each was applied (Unix ms). */
export function migrationLog(db: Db): { name: string; appliedAt: number }[] {
  return db.prepare("select name, applied_at as appliedAt from migrations order by name").all() as {
    name: string
    appliedAt: number
  }[]
}

function unexpectedSchema(path: string, name: string): UserError {
  return new UserError(
    `${path} was not migrated: its schema differs from the one that databuddy creates, so the migration ${name} cannot be applied`,
    "restore a backup whose schema was not edited, or export the events with the previous version and import them into a new database",
  )
}

/**
 * Applies pending migrations in one transaction, so that the previous version can still use the database after a
 * failure. Returns the names of the applied migrations. Two processes can safely call this function at the same time.
 * Throws a UserError if a migration cannot be applied to the schema.
 */
export function migrate(db: Db, path: string, now: number, known = migrations): string[] {
  const apply = db.transaction(() => {
    const pending = pendingMigrations(db, path, known)
    if (pending.length === 0) return []
    db.exec(createMigrationsTable)
    const record = db.prepare(
      "insert into migrations (name, checksum, applied_at) values (:name, :checksum, :now)",
    )
    for (const { name, sql, verify } of pending) {
      db.exec(sql)
      if (verify !== undefined && db.prepare(verify).pluck().get() !== 1) throw unexpectedSchema(path, name)
      record.run({ name, checksum: checksum(sql), now })
    }
    db.pragma(`application_id = ${applicationId}`)
    return pending.map(({ name }) => name)
  })
  // Allows migrations to edit sqlite_schema, for example to change column types.
  db.unsafeMode(true)
  try {
    return apply.immediate()
  } finally {
    db.unsafeMode(false)
  }
}
