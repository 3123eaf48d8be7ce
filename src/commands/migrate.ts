import { statSync } from "node:fs"
import { dirname } from "node:path"
import type { Command } from "commander"
import { copyBeside, removeLeftovers, requireRoom } from "../backups/copy.ts"
import { bytesOf } from "../backups/files.ts"
import { UserError } from "../errors.ts"
import { schemaVersion } from "../store/check.ts"
import { refuseDamaged } from "../store/db/damage.ts"
import { isKept } from "../store/db/file-lock.ts"
import { refuseOtherNames, removeNameOfRestore } from "../store/db/file-names.ts"
import { publish } from "../store/db/files.ts"
import { migrationLog, pendingMigrations } from "../store/db/migrate.ts"
import { closeAfterReading, closeDatabase, openDatabase, openForReading } from "../store/db/open.ts"
import { ServerLock } from "../store/db/server-lock.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, requireDatabase } from "../terminal/database.ts"
import { printFields, printJson, printTable, shortTime } from "../terminal/print.ts"
import { keepOwner } from "./restore.ts"

interface MigrateOptions extends DataOptions {
  status?: boolean
  backup: boolean
}

/** ms that the migration waits for another process that writes. */
const busyTimeout = 5_000

export function addMigrateCommand(root: Command, context: Context): void {
  const command = root
    .command("migrate")
    .description("bring the database of an older version up to this one, as serve does at its start")
    .option("--status", "show what has been applied and what is pending; change nothing")
    .option("--no-backup", "make no backup first; have one")
  addDataOptions(command, "migrate --status").action((options: MigrateOptions) =>
    options.status ? printStatus(options, context) : migrate(options, context),
  )
}

async function migrate(options: MigrateOptions, context: Context): Promise<void> {
  const path = requireDatabase(options, "lock")
  const { applied, backup } = await upgrade(path, options.backup, context)
  if (options.json) printJson({ db: path, applied, backup }, context)
  else if (applied.length === 0) context.out("nothing is pending\n")
  else
    printFields({ applied: applied.join(", "), ...(backup ? { "backup of before": backup } : {}) }, context)
}

function printStatus(options: MigrateOptions, context: Context): void {
  const path = requireDatabase(options)
  const db = openForReading(path)
  try {
    const pending = pendingMigrations(db, path).map(({ name }) => name)
    const applied = pending.length > 0 && schemaVersion(db, path) === 0 ? [] : migrationLog(db)
    const times = applied.map((one) => ({
      name: one.name,
      appliedAt: new Date(one.appliedAt).toISOString() as string | null,
    }))
    if (options.json) {
      printJson({ db: path, applied: times, pending }, context)
      return
    }
    const rows = [...times, ...pending.map((name) => ({ name, appliedAt: null }))]
    printTable(
      ["MIGRATION", "APPLIED"],
      rows.map(({ name, appliedAt }) => [name, shortTime(appliedAt, "pending")]),
      context,
    )
  } finally {
    closeAfterReading(db)
  }
}

/** Whether there is a database that lacks migrations. Where it cannot be told, whoever opens it to write says what is wrong. */
export function isOlder(path: string): boolean {
  const found = statSync(path, { throwIfNoEntry: false })
  // Opened under a second name it would get a second -wal.
  if (!found || found.size === 0 || found.nlink > 1 || isKept(path)) return false
  try {
    const { version, pending } = look(path)
    return version > 0 && pending.length > 0
  } catch {
    return false
  }
}

interface Upgrade {
  /** Names of the migrations. */
  applied: string[]
  /** Path of the checked copy of what was there; null: none was wanted or needed. */
  backup: string | null
}

/** Brings the database up to this version. Throws a Complaint where a server has it, it is damaged, or a backup has no room. */
export async function upgrade(path: string, backup: boolean, context: Context): Promise<Upgrade> {
  const lock = new ServerLock(path, context.world.pid)
  try {
    keepOwner(`${path}-lock`, dirname(path))
    removeLeftovers(path, context)
    removeNameOfRestore(path)
    refuseOtherNames(path, true)
    refuseDamaged(path, false)
    const { version, pending } = look(path)
    if (pending.length === 0) return { applied: [], backup: null }
    const place = backup && version > 0 ? await backUp(path, version, context) : null
    const now = context.world.now()
    closeDatabase(openDatabase({ path, durability: "fsync", busyTimeout, now, upgrade: true }))
    return { applied: pending, backup: place }
  } finally {
    lock.release()
  }
}

function look(path: string): { version: number; pending: string[] } {
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
  const time = new Date(context.world.now()).toISOString().replace(/[-:.]/g, "")
  const place = `${path}.before-migration-${String(version).padStart(4, "0")}-${time}`
  try {
    requireRoom(place, bytesOf(path))
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(
      `${path} is not migrated, for there is no room for a backup of before: ${error.message}`,
      "make room; or make a backup on another disk with databuddy backup, then run databuddy migrate --no-backup",
    )
  }
  await copyBeside(place, { what: "database", from: path }, context, (copy) => {
    keepOwner(copy, path)
    publish(copy, place, false)
  })
  return place
}
