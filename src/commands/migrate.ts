import type { Command } from "commander"
import { upgrade } from "../backups/upgrade.ts"
import { schemaVersion } from "../store/check.ts"
import { migrationLog, pendingMigrations } from "../store/db/migrate.ts"
import { closeAfterReading, openForReading } from "../store/db/open.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, requireDatabase } from "../terminal/database.ts"
import { printFields, printJson, printTable, shortTime } from "../terminal/print.ts"

interface MigrateOptions extends DataOptions {
  status?: boolean
  backup: boolean
}

export function addMigrateCommand(root: Command, context: Context): void {
  const command = root
    .command("migrate")
    .description("migrate a database created by an older version, as `serve` does at startup")
    .option("--status", "show applied and pending migrations; change nothing")
    .option("--no-backup", "skip the backup before the migration; make sure that you have a backup")
  addDataOptions(command, "migrate --status").action((options: MigrateOptions) =>
    options.status ? printStatus(options, context) : migrate(options, context),
  )
}

async function migrate(options: MigrateOptions, context: Context): Promise<void> {
  const path = requireDatabase(options, "lock")
  const { applied, backup } = await upgrade(path, options.backup, context)
  if (options.json) printJson({ db: path, applied, backup }, context)
  else if (applied.length === 0) context.out("no pending migrations\n")
  else
    printFields(
      { applied: applied.join(", "), ...(backup ? { "backup of previous version": backup } : {}) },
      context,
    )
}

function printStatus(options: MigrateOptions, context: Context): void {
  const path = requireDatabase(options)
  const db = openForReading(path)
  try {
    const pending = pendingMigrations(db, path).map(({ name }) => name)
    const applied = pending.length > 0 && schemaVersion(db, path) === 0 ? [] : migrationLog(db)
    const times = applied.map((migration) => ({
      name: migration.name,
      appliedAt: new Date(migration.appliedAt).toISOString() as string | null,
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
