import { existsSync, lchownSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { Command } from "commander"
import { copyBeside, removeLeftovers, requireRoom } from "../backups/copy.ts"
import { sameFile } from "../backups/files.ts"
import { UserError } from "../errors.ts"
import { syncFile, verifyBackup } from "../store/copy.ts"
import { Database, type Db } from "../store/db/driver.ts"
import { lockExclusively } from "../store/db/exclusive-lock.ts"
import { databasePath, refuseOtherNames } from "../store/db/file-names.ts"
import { closeAfterReading, openForReading } from "../store/db/open.ts"
import { carryOver, type EndedAccess, endedAccess } from "../store/ended-access.ts"
import { contentsFields, contentsJson } from "../terminal/contents.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions } from "../terminal/database.ts"
import { printFields, printJson, shown, size } from "../terminal/print.ts"

interface RestoreOptions extends DataOptions {
  dryRun?: boolean
  reviveAccess?: boolean
}

export function addRestoreCommand(root: Command, context: Context): void {
  const command = root
    .command("restore <file>")
    .description("put a backup in the database's place; the server must be stopped")
    .option("--dry-run", "check the backup and show what it would bring back; change nothing")
    .option(
      "--revive-access",
      "bring back keys, share links, users and passwords as the backup has them, also those that ended since (default: what ended since stays ended)",
    )
  addDataOptions(command, "restore /var/backups/databuddy-monday.db --dry-run").action(
    (file: string, options: RestoreOptions) => restore(file, options, context),
  )
}

async function restore(file: string, options: RestoreOptions, context: Context): Promise<void> {
  const from = resolve(file)
  if (!existsSync(from) || !statSync(from).isFile()) {
    throw new UserError(`${from} is not a file`, "give a file that databuddy backup made")
  }
  const db = databasePath(options.db)
  if (options.dryRun) {
    const contents = verifyBackup(from)
    const bytes = statSync(from).size
    const ended = endedBefore(from, db)
    if (options.json) {
      const access = accessJson(ended, options)
      printJson({ file: from, bytes, ...contentsJson(contents), restored: false, access }, context)
    } else {
      printFields({ backup: from, size: size(bytes), ...contentsFields(contents) }, context)
      printAccess(ended, options, context)
      context.out("sound; nothing was changed\n")
    }
    return
  }

  if (sameFile(from, db)) throw new UserError(`${from} is the database itself`, "give a backup of it")
  requireRoom(db, statSync(from).size)
  const aside = `${db}.before-restore-${new Date(context.world.now()).toISOString().replace(/[-:.]/g, "")}`
  refuseOtherNames(db, false)
  const taken = lockExclusively(db, context.world.pid)
  let kept = false
  let ended: EndedAccess | undefined
  try {
    keepOwner(`${db}-lock`, dirname(db))
    removeLeftovers(db, context)
    const copy = await copyBeside(db, { what: "backup", from }, context, (path) => {
      ended = taken.db && withCopy(path, taken.db, options)
      keepOwner(path, existsSync(db) ? db : dirname(db))
      kept = taken.replace(path, aside)
    })
    if (options.json) {
      const { bytes } = copy
      const before = kept ? aside : null
      const access = accessJson(ended, options)
      printJson({ file: from, bytes, ...contentsJson(copy), restored: true, db, before, access }, context)
    } else {
      const before: Record<string, string> = kept ? { "what was there": aside } : {}
      printFields(
        { backup: from, size: size(copy.bytes), ...contentsFields(copy), "restored to": db, ...before },
        context,
      )
      printAccess(ended, options, context)
    }
  } finally {
    taken.release()
  }
}

/** What ended since, and by default also ends in the copy, which nobody else has yet. */
function withCopy(path: string, current: Db, { reviveAccess }: RestoreOptions): EndedAccess | undefined {
  const copy = new Database(path, { fileMustExist: true })
  let ended: EndedAccess | undefined
  try {
    copy.pragma("journal_mode = memory")
    ended = readAccess(copy, current)
    if (ended && !reviveAccess) carryOver(ended, copy, current)
  } finally {
    copy.close()
  }
  syncFile(path)
  return ended
}

/** Undefined where the database is too damaged to be read. */
function readAccess(backup: Db, current: Db): EndedAccess | undefined {
  try {
    return endedAccess(backup, current)
  } catch {
    return undefined
  }
}

/** Undefined where there is no database, or none that can be read. */
function endedBefore(from: string, db: string): EndedAccess | undefined {
  if (!existsSync(db)) return undefined
  const open: Db[] = []
  try {
    for (const path of [from, db]) open.push(openForReading(path))
    const [backup, current] = open
    return backup && current && endedAccess(backup, current)
  } catch {
    return undefined
  } finally {
    for (const one of open) closeAfterReading(one)
  }
}

function accessJson(ended: EndedAccess | undefined, { reviveAccess }: RestoreOptions) {
  return { asOf: ended && !reviveAccess ? "database" : "backup", ended: ended ?? null }
}

/** Before all else people want to know whether what they revoked works again. */
function printAccess(
  ended: EndedAccess | undefined,
  { reviveAccess, dryRun }: RestoreOptions,
  context: Context,
): void {
  if (!ended) {
    context.out(
      "note: keys that were revoked, share links that ended and passwords that changed after the backup was made work as they did then: there is no database that could be read and compared\n",
    )
    return
  }
  const changes = [
    ...ended.keys.map(({ name, id, change }) => `key ${shown(name)} (${id}): ${change}`),
    ...ended.links.map(({ name, id }) => `share link ${shown(name)} (${id}): ended`),
    ...ended.users.map(({ email, change }) => `user ${shown(email)}: ${change}`),
  ]
  if (changes.length === 0) return
  const [verb, since] = [dryRun ? "would" : "", "since the backup was made"]
  context.out(
    reviveAccess
      ? `note: this ${verb ? "would be" : "is"} as in the backup again, though it changed ${since}:\n`
      : `note: this changed ${since} and ${verb ? "would stay" : "stayed"} so; --revive-access brings back what the backup has:\n`,
  )
  for (const one of changes) context.out(`  ${one}\n`)
}

/** Made by root, the files must still be the server's own. */
export function keepOwner(path: string, like: string): void {
  const { uid, gid } = statSync(like)
  if (process.getuid?.() === 0 && (uid !== 0 || gid !== 0)) lchownSync(path, uid, gid)
}
