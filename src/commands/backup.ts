import { existsSync, statSync } from "node:fs"
import { resolve } from "node:path"
import type { Command } from "commander"
import { copyBeside, requireRoom } from "../backups/copy.ts"
import { bytesOf, sameFile } from "../backups/files.ts"
import { UserError } from "../errors.ts"
import { isKept } from "../store/db/file-lock.ts"
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
    .description("make a checked copy of the database, beside a running server too")
    .option("--force", "replace the file if it exists, once the new copy is checked")
  addDataOptions(command, "backup /var/backups/databuddy-monday.db --force").action(
    (file: string, options: BackupOptions) => backup(file, options, context),
  )
}

async function backup(file: string, options: BackupOptions, context: Context): Promise<void> {
  const started = context.world.elapsed()
  const from = requireDatabase(options)
  const to = resolve(file)
  refusePlace(to, from, options)
  requireRoom(to, bytesOf(from))
  const copy = await copyBeside(to, { what: "database", from }, context, (path) => {
    refusePlace(to, from, options)
    publish(path, to, options.force ?? false)
  })
  const ms = Math.round(context.world.elapsed() - started)
  if (options.json) printJson({ file: to, bytes: copy.bytes, ...contentsJson(copy), ms }, context)
  else {
    const took = `${(ms / 1_000).toFixed(1)} s`
    printFields({ backup: to, size: size(copy.bytes), ...contentsFields(copy), took }, context)
  }
}

/** With --force too: neither the database itself nor another one that is in use. */
function refusePlace(to: string, from: string, { force }: BackupOptions): void {
  if (!existsSync(to)) return
  if (sameFile(to, from) || [`${from}-wal`, `${from}-shm`].includes(to)) {
    throw new UserError(
      `${to} is the database itself`,
      "give the place of the copy, such as /var/backups/today.db",
    )
  }
  if (!statSync(to).isFile()) {
    throw new UserError(`${to} is not a file`, "give the name of the copy too, such as /var/backups/today.db")
  }
  if (!force) throw new UserError(`${to} exists`, "give another name, or add --force to replace it")
  if (isKept(to)) throw new UserError(`${to} is a database that a server has open`, "give another name")
  if (existsSync(`${to}-wal`)) {
    throw new UserError(`${to} is a database in use: there is a -wal beside it`, "give another name")
  }
}
