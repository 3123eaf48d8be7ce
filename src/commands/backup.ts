import { resolve } from "node:path"
import type { Command } from "commander"
import { databaseBytes } from "../backups/files.ts"
import { requireFreeSpace, stageCopy } from "../backups/staging.ts"
import { publish } from "../store/db/files.ts"
import { contentsFields, contentsJson } from "../terminal/contents.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, requireDatabase } from "../terminal/database.ts"
import { refuseOutputFile } from "../terminal/output-file.ts"
import { printFields, printJson, size } from "../terminal/print.ts"

interface BackupOptions extends DataOptions {
  force?: boolean
}

const output = { what: "backup", example: "/var/backups/today.db" } as const

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
  refuseOutputFile(to, from, output, options.force)
  requireFreeSpace(to, databaseBytes(from))
  const copy = await stageCopy(to, { what: "database", from }, context, (path) => {
    refuseOutputFile(to, from, output, options.force)
    publish(path, to, options.force ?? false)
  })
  const ms = Math.round(context.environment.elapsed() - startedAt)
  if (options.json) printJson({ file: to, bytes: copy.bytes, ...contentsJson(copy), ms }, context)
  else {
    const took = `${(ms / 1_000).toFixed(1)} s`
    printFields({ backup: to, size: size(copy.bytes), ...contentsFields(copy), took }, context)
  }
}
