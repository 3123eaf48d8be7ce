import { existsSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { Command } from "commander"
import { syncFile, verifyBackup } from "../backups/copy-database.ts"
import { removeStaleStaging, requireFreeSpace, stageCopy } from "../backups/staging.ts"
import { UserError } from "../errors.ts"
import { databasePath, refuseAliases } from "../store/db/database-path.ts"
import { Database, type Db } from "../store/db/driver.ts"
import { lockExclusively } from "../store/db/exclusive-lock.ts"
import { keepOwner } from "../store/db/files.ts"
import { closeAfterReading, openForReading } from "../store/db/open.ts"
import { applyRevocations, findRevokedAccess, type RevokedAccess } from "../store/revoked-access.ts"
import { contentsFields, contentsJson } from "../terminal/contents.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions } from "../terminal/database.ts"
import { isSameFile } from "../terminal/output-file.ts"
import { printFields, printJson, shown, size } from "../terminal/print.ts"

interface RestoreOptions extends DataOptions {
  dryRun?: boolean
  reviveAccess?: boolean
}

export function addRestoreCommand(root: Command, context: Context): void {
  const command = root
    .command("restore <file>")
    .description("replace the database with a backup (stop the server first)")
    .option("--dry-run", "verify the backup and show what it contains; change nothing")
    .option(
      "--revive-access",
      "restore keys, share links, users and passwords exactly as in the backup (default: later revocations and changes stay in effect)",
    )
  addDataOptions(command, "restore /var/backups/databuddy-monday.db --dry-run").action(
    (file: string, options: RestoreOptions) => restore(file, options, context),
  )
}

async function restore(file: string, options: RestoreOptions, context: Context): Promise<void> {
  const from = resolve(file)
  if (!existsSync(from) || !statSync(from).isFile()) {
    throw new UserError(`${from} is not a file`, "choose a file created by databuddy backup")
  }
  const db = databasePath(options.db)
  if (options.dryRun) {
    const contents = verifyBackup(from)
    const bytes = statSync(from).size
    const ended = compareAccess(from, db)
    if (options.json) {
      const access = accessJson(ended, options)
      printJson({ file: from, bytes, ...contentsJson(contents), restored: false, access }, context)
    } else {
      printFields({ backup: from, size: size(bytes), ...contentsFields(contents) }, context)
      printAccess(ended, options, context)
      context.out("the backup is valid; nothing was changed\n")
    }
    return
  }

  if (isSameFile(from, db)) throw new UserError(`${from} is the database itself`, "choose a backup of it")
  requireFreeSpace(db, statSync(from).size)
  const aside = `${db}.before-restore-${new Date(context.environment.now()).toISOString().replace(/[-:.]/g, "")}`
  refuseAliases(db, false)
  const lock = lockExclusively(db, context.environment.pid)
  let hasPrevious = false
  let ended: RevokedAccess | undefined
  try {
    keepOwner(`${db}-lock`, dirname(db))
    removeStaleStaging(db, context)
    const copy = await stageCopy(db, { what: "backup", from }, context, (path) => {
      ended = lock.db && keepEndedAccess(path, lock.db, options)
      keepOwner(path, existsSync(db) ? db : dirname(db))
      hasPrevious = lock.replace(path, aside)
    })
    if (options.json) {
      const { bytes } = copy
      const before = hasPrevious ? aside : null
      const access = accessJson(ended, options)
      printJson({ file: from, bytes, ...contentsJson(copy), restored: true, db, before, access }, context)
    } else {
      const before: Record<string, string> = hasPrevious ? { "previous database": aside } : {}
      printFields(
        { backup: from, size: size(copy.bytes), ...contentsFields(copy), "restored to": db, ...before },
        context,
      )
      printAccess(ended, options, context)
    }
  } finally {
    lock.release()
  }
}

/** Returns the access that ended since the backup, and by default ends it in the copy too, before the copy is in use. */
function keepEndedAccess(
  path: string,
  current: Db,
  { reviveAccess }: RestoreOptions,
): RevokedAccess | undefined {
  const copy = new Database(path, { fileMustExist: true })
  let ended: RevokedAccess | undefined
  try {
    copy.pragma("journal_mode = memory")
    ended = readAccess(copy, current)
    if (ended && !reviveAccess) applyRevocations(ended, copy, current)
  } finally {
    copy.close()
  }
  syncFile(path)
  return ended
}

/** Undefined if the database is too damaged to be read. */
function readAccess(backup: Db, current: Db): RevokedAccess | undefined {
  try {
    return findRevokedAccess(backup, current)
  } catch {
    return undefined
  }
}

/** Undefined if there is no database, or it cannot be read. */
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

/** Prints whether revoked access works again, which is the first question after a restore. */
function printAccess(
  ended: RevokedAccess | undefined,
  { reviveAccess, dryRun }: RestoreOptions,
  context: Context,
): void {
  if (!ended) {
    context.out(
      "note: keys, share links and passwords work as they did when the backup was made, even if they were revoked or changed since: there is no readable database to compare with\n",
    )
    return
  }
  const changes = [
    ...ended.keys.map(({ name, id, change }) => `key ${shown(name)} (${id}): ${change}`),
    ...ended.links.map(({ name, id }) => `share link ${shown(name)} (${id}): ended`),
    ...ended.users.map(({ email, change }) => `user ${shown(email)}: ${change}`),
  ]
  if (changes.length === 0) return
  context.out(
    reviveAccess
      ? `note: these changed since the backup was made and ${dryRun ? "would be" : "are"} restored:\n`
      : `note: these changed since the backup was made and ${dryRun ? "would stay" : "stayed"} changed; use --revive-access to restore them:\n`,
  )
  for (const change of changes) context.out(`  ${change}\n`)
}
