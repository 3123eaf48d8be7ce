import { existsSync, statSync } from "node:fs"
import { resolve } from "node:path"
import type { Command } from "commander"
import { databaseBytes, isSameFile } from "../backups/files.ts"
import { requireFreeSpace, stageCopy } from "../backups/staging.ts"
import { UserError } from "../errors.ts"
import { isFileLocked } from "../store/db/file-lock.ts"
import { publish } from "../store/db/files.ts"
import { contentsFields, contentsJson } from "../terminal/contents.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, requireDatabase } from "../terminal/database.ts"
import { printFields, printJson, size } from "../terminal/print.ts"

interface BackupOptions extends DataOptions {
  force?: boolean
}

export function addBackupCommand(root: Command, context: Context): void {
  const command = root
    .command("backup <file>")
    .description("back up the database to a verified copy (safe while the server runs)")
    .option("--force", "replace an existing file once the new copy is verified")
  addDataOptions(command, "backup /var/backups/databuddy-monday.db --force").action(
    (file: string, options: BackupOptions) => backup(file, options, context),
  )
}

async function backup(file: string, options: BackupOptions, context: Context): Promise<void> {
  const startedAt = context.environment.elapsed()
  const from = requireDatabase(options)
  const to = resolve(file)
  refusePlace(to, from, options)
  requireFreeSpace(to, databaseBytes(from))
  const copy = await stageCopy(to, { what: "database", from }, context, (path) => {
    refusePlace(to, from, options)
    publish(path, to, options.force ?? false)
  })
  const ms = Math.round(context.environment.elapsed() - startedAt)
  if (options.json) printJson({ file: to, bytes: copy.bytes, ...contentsJson(copy), ms }, context)
  else {
    const took = `${(ms / 1_000).toFixed(1)} s`
    printFields({ backup: to, size: size(copy.bytes), ...contentsFields(copy), took }, context)
  }
}

/** Rejects the database itself, and with --force too any other database in use. */
function refusePlace(to: string, from: string, { force }: BackupOptions): void {
  if (!existsSync(to)) return
  if (isSameFile(to, from) || [`${from}-wal`, `${from}-shm`].includes(to)) {
    throw new UserError(
      `${to} is the database itself`,
      "choose a path for the backup, such as /var/backups/today.db",
    )
  }
  if (!statSync(to).isFile()) {
    throw new UserError(
      `${to} is not a file`,
      "include a file name for the backup, such as /var/backups/today.db",
    )
  }
  if (!force) throw new UserError(`${to} already exists`, "choose another name, or add --force to replace it")
  if (isFileLocked(to)) throw new UserError(`${to} is a database that a server uses`, "choose another name")
  if (existsSync(`${to}-wal`)) {
    throw new UserError(`${to} is a database in use: it has a -wal file`, "choose another name")
  }
}
