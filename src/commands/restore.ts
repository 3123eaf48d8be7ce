import { existsSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { Command } from "commander"
import { isBucketUrl } from "../backups/bucket.ts"
import { syncFile, verifyBackup } from "../backups/copy-database.ts"
import { type ArchiveOptions, archiveFlags, findArchive } from "../backups/off-site.ts"
import {
  removeStaleStaging,
  requireFreeSpace,
  type StagedTask,
  spareBytes,
  stageCopy,
  withStaging,
} from "../backups/staging.ts"
import { UserError } from "../errors.ts"
import { addFlagsOfServe } from "../serve-options.ts"
import { databasePath, rejectAliases } from "../store/db/database-path.ts"
import { Database, type Db } from "../store/db/driver.ts"
import { lockExclusively } from "../store/db/exclusive-lock.ts"
import { keepOwner } from "../store/db/files.ts"
import { closeAfterReading, openForReading } from "../store/db/open.ts"
import { withWritableRegistry } from "../store/registry-copy.ts"
import { applyRevocations, findRevokedAccess, type RevokedAccess } from "../store/revoked-access.ts"
import { compareAfterRestore } from "../store/shipping.ts"
import { contentsFields, contentsJson } from "../terminal/contents.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions } from "../terminal/database.ts"
import { isSameFile } from "../terminal/output-file.ts"
import { printFields, printJson, shown, size } from "../terminal/print.ts"

interface RestoreOptions extends DataOptions, ArchiveOptions {
  dryRun?: boolean
  reviveAccess?: boolean
  /** Bytes. */
  minFree: number
}

export function addRestoreCommand(root: Command, context: Context): void {
  const command = root
    .command("restore <file>")
    .description(
      "replace the database with a backup (stop the server first). The backup can be in a bucket (s3://bucket/prefix/name); without a name, the newest one is used",
    )
    .option("--dry-run", "verify the backup and show what it contains; change nothing")
    .option(
      "--revive-access",
      "restore keys, share links, users and passwords exactly as they are in the backup (default: later revocations and changes stay in effect)",
    )
  addDataOptions(
    addFlagsOfServe(command, [...archiveFlags, "--min-free"]),
    "restore /var/backups/databuddy-monday.db --dry-run",
  ).action((file: string, options: RestoreOptions) => restore(file, options, context))
}

/** A backup to restore. */
interface Source {
  /** Path or URL. */
  name: string
  bytes: number
  task: StagedTask
}

function localSource(file: string): Source {
  const from = resolve(file)
  const found = statSync(from, { throwIfNoEntry: false })
  if (!found?.isFile()) {
    throw new UserError(`${from} is not a file`, "choose a file created by `databuddy backup`")
  }
  return { name: from, bytes: found.size, task: { what: "backup", from } }
}

async function bucketSource(
  url: string,
  db: string,
  options: RestoreOptions,
  context: Context,
): Promise<Source> {
  // A dry run must leave --min-free bytes on the disk. With less free space, a running server rejects events.
  const reserve = options.dryRun ? Math.max(options.minFree, spareBytes) : spareBytes
  const { url: from, bytes, download } = await findArchive(url, db, options, reserve, context)
  return { name: from, bytes, task: { what: "download", from, download } }
}

async function restore(file: string, options: RestoreOptions, context: Context): Promise<void> {
  const db = databasePath(options.db)
  const source = isBucketUrl(file) ? await bucketSource(file, db, options, context) : localSource(file)
  const { name, task } = source
  if (options.dryRun) {
    if (!("download" in task)) printDryRun(task.from, source, db, options, context)
    else {
      requireFreeSpace(db, source.bytes)
      await withStaging(db, context, async (copy, signal) => {
        await task.download(copy, signal)
        printDryRun(copy, source, db, options, context)
      })
    }
    return
  }

  if (isSameFile(name, db)) throw new UserError(`${name} is the database itself`, "choose a backup of it")
  requireFreeSpace(db, source.bytes)
  const previousPath = `${db}.before-restore-${new Date(context.environment.now()).toISOString().replace(/[-:.]/g, "")}`
  rejectAliases(db, false)
  const lock = lockExclusively(db, context.environment.pid)
  let hasPrevious = false
  let ended: RevokedAccess | undefined
  try {
    keepOwner(`${db}-lock`, dirname(db))
    removeStaleStaging(db, context)
    const copy = await stageCopy(db, task, context, (path) => {
      ended = adaptCopy(path, lock.db, options)
      keepOwner(path, existsSync(db) ? db : dirname(db))
      hasPrevious = lock.replace(path, previousPath)
    })
    if (options.json) {
      const { bytes } = copy
      const before = hasPrevious ? previousPath : null
      const access = accessJson(ended, options)
      printJson({ file: name, bytes, ...contentsJson(copy), restored: true, db, before, access }, context)
    } else {
      const before: Record<string, string> = hasPrevious ? { "previous database": previousPath } : {}
      printFields(
        { backup: name, size: size(copy.bytes), ...contentsFields(copy), "restored to": db, ...before },
        context,
      )
      printAccess(ended, options, context)
    }
  } finally {
    lock.release()
  }
}

/** Verifies the backup at `path`, which is `source` or a copy of it, and prints what it contains. */
function printDryRun(
  path: string,
  { name }: Source,
  db: string,
  options: RestoreOptions,
  context: Context,
): void {
  const contents = verifyBackup(path, name)
  const bytes = statSync(path).size
  const ended = compareAccess(path, db)
  if (options.json) {
    const access = accessJson(ended, options)
    printJson({ file: name, bytes, ...contentsJson(contents), restored: false, access }, context)
  } else {
    printFields({ backup: name, size: size(bytes), ...contentsFields(contents) }, context)
    printAccess(ended, options, context)
    context.out("the backup is valid; nothing was changed\n")
  }
}

/**
 * Changes the copy of the backup before it replaces the existing database. `current`: the existing database, or
 * undefined if there is none. Returns the access that was revoked or changed since the backup. Unless `reviveAccess` is
 * set, also revokes or changes it in the copy.
 */
function adaptCopy(
  path: string,
  current: Db | undefined,
  { reviveAccess }: RestoreOptions,
): RevokedAccess | undefined {
  const copy = new Database(path, { fileMustExist: true })
  let ended: RevokedAccess | undefined
  try {
    copy.pragma("journal_mode = memory")
    if (current) {
      ended = readAccess(copy, current)
      const revocations = reviveAccess ? undefined : ended
      if (revocations) withWritableRegistry(copy, () => applyRevocations(revocations, copy, current))
    }
    compareAfterRestore(copy)
  } finally {
    copy.close()
  }
  syncFile(path)
  return ended
}

/**
 * Returns the access that was revoked or changed since the backup, or undefined if the database is too damaged to be
 * read.
 */
function readAccess(backup: Db, current: Db): RevokedAccess | undefined {
  try {
    return findRevokedAccess(backup, current)
  } catch {
    return undefined
  }
}

/**
 * Like `readAccess`, but opens the files. Returns undefined if there is no file at `db`, or one of the two files cannot
 * be read.
 */
function compareAccess(from: string, db: string): RevokedAccess | undefined {
  if (!existsSync(db)) return undefined
  const opened: Db[] = []
  try {
    for (const path of [from, db]) opened.push(openForReading(path))
    const [backup, current] = opened
    return backup && current && findRevokedAccess(backup, current)
  } catch {
    return undefined
  } finally {
    for (const db of opened) closeAfterReading(db)
  }
}

function accessJson(ended: RevokedAccess | undefined, { reviveAccess }: RestoreOptions) {
  return { asOf: ended && !reviveAccess ? "database" : "backup", ended: ended ?? null }
}

/** Prints the access that was revoked or changed since the backup, and whether it works again. */
function printAccess(
  ended: RevokedAccess | undefined,
  { reviveAccess, dryRun }: RestoreOptions,
  context: Context,
): void {
  if (!ended) {
    context.out(
      "note: there is no readable database to compare with, so keys, share links and passwords work as they did when the backup was created, even if they were revoked or changed later\n",
    )
    return
  }
  const changes = [
    ...ended.keys.map(({ name, id, change }) => `key ${shown(name)} (${id}): ${change}`),
    ...ended.links.map(({ name, id }) => `share link ${shown(name)} (${id}): revoked`),
    ...ended.users.map(({ email, change }) => `user ${shown(email)}: ${change}`),
  ]
  if (changes.length === 0) return
  context.out(
    reviveAccess
      ? `note: these have changed since the backup and ${dryRun ? "would be" : "are"} restored:\n`
      : `note: these have changed since the backup and ${dryRun ? "would stay" : "stay"} changed; use --revive-access to restore them:\n`,
  )
  for (const change of changes) context.out(`  ${change}\n`)
}
