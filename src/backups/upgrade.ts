import { statSync } from "node:fs"
import { dirname } from "node:path"
import { UserError } from "../errors.ts"
import { schemaVersion } from "../store/check.ts"
import { rejectDamaged } from "../store/db/damage.ts"
import { rejectAliases, removeRestoreLink } from "../store/db/database-path.ts"
import { isFileLocked } from "../store/db/file-lock.ts"
import { keepOwner, publish } from "../store/db/files.ts"
import { pendingMigrations } from "../store/db/migrate.ts"
import { closeDatabase, openDatabase, openForReading } from "../store/db/open.ts"
import { ServerLock } from "../store/db/server-lock.ts"
import type { Context } from "../terminal/context.ts"
import { databaseBytes } from "./files.ts"
import { removeStaleStaging, requireFreeSpace, stageCopy } from "./staging.ts"

/** The migration waits at most this many ms for the write lock. */
const busyTimeout = 5_000

export interface UpgradeResult {
  /** Names of the migrations, in order. */
  applied: string[]
  /** Path of the verified backup that was created before the migration. Null if no backup was requested or needed. */
  backup: string | null
}

/**
 * True if some migrations have not been applied to the database yet. False if the database does not exist, is in use or
 * cannot be read, because opening it for writing then creates it or reports the problem.
 */
export function needsMigration(path: string): boolean {
  const file = statSync(path, { throwIfNoEntry: false })
  // A file with several names (hard links) is not opened, because SQLite would use a separate -wal file for each name.
  if (!file || file.size === 0 || file.nlink > 1 || isFileLocked(path)) return false
  try {
    const { version, pending } = readSchema(path)
    return version > 0 && pending.length > 0
  } catch {
    return false
  }
}

/**
 * Migrates the database to the schema of this version, after a backup if `backup` is true. Throws a UserError if a
 * server is using the database, if the database is damaged, or if there is no space for the backup.
 */
export async function upgrade(path: string, backup: boolean, context: Context): Promise<UpgradeResult> {
  const lock = new ServerLock(path, context.environment.pid)
  try {
    keepOwner(`${path}-lock`, dirname(path))
    removeStaleStaging(path, context)
    removeRestoreLink(path)
    rejectAliases(path, true)
    rejectDamaged(path, false)
    const { version, pending } = readSchema(path)
    if (pending.length === 0) return { applied: [], backup: null }
    const backupPath = backup && version > 0 ? await backUp(path, version, context) : null
    const now = context.environment.now()
    closeDatabase(openDatabase({ path, durability: "fsync", busyTimeout, now, upgrade: true }))
    return { applied: pending, backup: backupPath }
  } finally {
    lock.release()
  }
}

function readSchema(path: string): { version: number; pending: string[] } {
  const db = openForReading(path)
  try {
    return {
      version: schemaVersion(db, path),
      pending: pendingMigrations(db, path).map(({ name }) => name),
    }
  } finally {
    db.close()
  }
}

async function backUp(path: string, version: number, context: Context): Promise<string> {
  const time = new Date(context.environment.now()).toISOString().replace(/[-:.]/g, "")
  const backup = `${path}.before-migration-${String(version).padStart(4, "0")}-${time}`
  try {
    requireFreeSpace(backup, databaseBytes(path))
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(
      `${path} was not migrated, because there is no space for a backup: ${error.message}`,
      "free disk space; or back up to another disk with `databuddy backup`, then run `databuddy migrate --no-backup`",
    )
  }
  await stageCopy(backup, { what: "database", from: path }, context, (copy) => {
    keepOwner(copy, path)
    publish(copy, backup, false)
  })
  return backup
}
