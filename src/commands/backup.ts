import { existsSync } from "node:fs"
import { resolve } from "node:path"
import type { Command } from "commander"
import { isBucketUrl } from "../backups/bucket.ts"
import { databaseBytes } from "../backups/files.ts"
import { type ArchiveOptions, archiveFlags, newArchive } from "../backups/off-site.ts"
import { requireFreeSpace, stageCopy, stopSignalOf, uploadCopy } from "../backups/staging.ts"
import { UserError } from "../errors.ts"
import { addFlagsOfServe } from "../serve-options.ts"
import type { Contents } from "../store/check.ts"
import { publish } from "../store/db/files.ts"
import { contentsFields, contentsJson } from "../terminal/contents.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, requireDatabase } from "../terminal/database.ts"
import { requireWritableOutput } from "../terminal/output-file.ts"
import { printFields, printJson, size } from "../terminal/print.ts"

interface BackupOptions extends DataOptions, ArchiveOptions {
  force?: boolean
  existing?: string
}

const output = { what: "backup", example: "/var/backups/today.db" } as const

export function addBackupCommand(root: Command, context: Context): void {
  const command = root
    .command("backup <file>")
    .description(
      "back up the database to a verified copy (safe while the server runs). <file> can be in a bucket (s3://bucket/prefix); the copy is then compressed and, with --backup-key, encrypted",
    )
    .option("--force", "replace an existing file once the new copy is verified")
    .option("--existing <backup>", "upload this backup to the bucket instead of a new copy of the database")
  addDataOptions(
    addFlagsOfServe(command, archiveFlags),
    "backup /var/backups/databuddy-monday.db --force",
  ).action((file: string, options: BackupOptions) => {
    if (isBucketUrl(file)) return uploadBackup(file, options, context)
    if (options.existing !== undefined)
      command.error("error: --existing needs a bucket, such as s3://my-bucket/databuddy")
    const source = command.getOptionValueSource("backupKey")
    if (source === "cli")
      command.error("error: --backup-key has no effect on a local file, which is not encrypted")
    return backup(file, options, context)
  })
}

async function backup(file: string, options: BackupOptions, context: Context): Promise<void> {
  const startedAt = context.environment.elapsed()
  const from = requireDatabase(options)
  const to = resolve(file)
  requireWritableOutput(to, from, output, options.force)
  requireFreeSpace(to, databaseBytes(from))
  const copy = await stageCopy(to, { what: "database", from }, context, (path) => {
    requireWritableOutput(to, from, output, options.force)
    publish(path, to, options.force ?? false)
  })
  const ms = Math.round(context.environment.elapsed() - startedAt)
  if (options.json) printJson({ file: to, bytes: copy.bytes, ...contentsJson(copy), ms }, context)
  else {
    const took = `${(ms / 1_000).toFixed(1)} s`
    printFields({ backup: to, size: size(copy.bytes), ...contentsFields(copy), took }, context)
  }
}

async function uploadBackup(url: string, options: BackupOptions, context: Context): Promise<void> {
  const startedAt = context.environment.elapsed()
  const from = requireDatabase(options)
  const archive = await newArchive(url, from, options, context)
  let bytes = 0
  const upload = async (path: string, signal: AbortSignal) => {
    bytes = await archive.upload(path, signal)
  }
  const copy = options.existing === undefined ? await copyAndUpload(from, upload, context) : undefined
  if (options.existing !== undefined) {
    const existing = resolve(options.existing)
    if (!existsSync(existing))
      throw new UserError(`${existing} does not exist`, "choose a file that `databuddy backup` created")
    await upload(existing, stopSignalOf(context))
  }
  const ms = Math.round(context.environment.elapsed() - startedAt)
  if (options.json) printJson({ file: archive.url, bytes, ...(copy && contentsJson(copy)), ms }, context)
  else {
    const took = `${(ms / 1_000).toFixed(1)} s`
    const contents = copy ? contentsFields(copy) : {}
    printFields({ backup: archive.url, size: size(bytes), ...contents, took }, context)
  }
}

/** Copies the database to a file beside it, uploads that copy, and then removes the copy. */
function copyAndUpload(
  from: string,
  upload: (path: string, signal: AbortSignal) => Promise<void>,
  context: Context,
): Promise<Contents> {
  const path = uploadCopy(from)
  requireFreeSpace(path, databaseBytes(from))
  return stageCopy(path, { what: "database", from }, context, (copy, _, signal) => upload(copy, signal))
}
