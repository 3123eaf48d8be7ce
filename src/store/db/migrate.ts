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
import { UserError } from "../../errors.ts"
import type { Db } from "./driver.ts"

export interface Migration {
  name: string
  sql: string
}

/** In the order in which they are applied. Append only: a released file never changes. */
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
]

const createMigrationsTable = `
  create table if not exists migrations (
    name text primary key,
    checksum text not null, -- SHA-256 of the file
    applied_at integer not null
  ) strict`

/** "dbdy" in ASCII, so that a file of another program is not taken for ours. */
const applicationId = 0x64626479

function checksum(sql: string): string {
  return createHash("sha256").update(sql).digest("hex")
}

/** The names of the migrations that `db` lacks. Throws a Complaint, having written nothing, where it is not ours to change. */
export function pendingMigrations(db: Db, path: string, known = migrations): Migration[] {
  const objects = db.prepare("select count(*) from sqlite_schema").pluck().get() as number
  if (objects === 0) return [...known]
  if (db.pragma("application_id", { simple: true }) !== applicationId) {
    throw new UserError(
      `${path} is an SQLite database, but not one of databuddy`,
      "give another file; this one was not touched",
    )
  }
  const applied = db.prepare("select name, checksum from migrations order by name").all() as {
    name: string
    checksum: string
  }[]
  for (const one of applied) {
    const ours = known.find((migration) => migration.name === one.name)
    if (!ours) {
      throw new UserError(
        `${path} was written by a newer databuddy: it has the migration ${one.name}, which this version does not know`,
        "run the newer version, or restore a backup made before the upgrade; the file was not touched",
      )
    }
    if (checksum(ours.sql) !== one.checksum) {
      throw new UserError(
        `the migration ${one.name} in ${path} is not the one that this version has`,
        "the file was made by a build that was never released; the file was not touched",
      )
    }
  }
  return known.slice(applied.length)
}

/** The names of the migrations that `db` has, in their order. */
export function appliedMigrations(db: Db): string[] {
  return db.prepare("select name from migrations order by name").pluck().all() as string[]
}

/** What `db` has, and when it got it (Unix ms). */
export function migrationLog(db: Db): { name: string; appliedAt: number }[] {
  return db.prepare("select name, applied_at as appliedAt from migrations order by name").all() as {
    name: string
    appliedAt: number
  }[]
}

/**
 * Applies what is pending in one transaction, so that whatever fails leaves a database that the version before can go on with.
 * Gives the names. Two processes may do so at once.
 */
export function migrate(db: Db, path: string, now: number, known = migrations): string[] {
  const apply = db.transaction(() => {
    const pending = pendingMigrations(db, path, known)
    if (pending.length === 0) return []
    db.exec(createMigrationsTable)
    const note = db.prepare(
      "insert into migrations (name, checksum, applied_at) values (:name, :checksum, :now)",
    )
    for (const { name, sql } of pending) {
      db.exec(sql)
      note.run({ name, checksum: checksum(sql), now })
    }
    db.pragma(`application_id = ${applicationId}`)
    return pending.map(({ name }) => name)
  })
  return apply.immediate()
}
