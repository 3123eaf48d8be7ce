import { existsSync, lchownSync, realpathSync, statSync } from "node:fs"
import { dirname, resolve } from "node:path"
import type { Command } from "commander"
import { Complaint } from "../errors.ts"
import { verifyBackup } from "../store/backup.ts"
import { takeDatabase } from "../store/takeover.ts"
import { sameFile } from "./backup.ts"
import { contentsFields, contentsJson } from "./contents.ts"
import type { Context } from "./context.ts"
import { copyBeside, removeLeftovers, requireRoom } from "./copying.ts"
import { addDataOptions, type DataOptions } from "./database.ts"
import { printFields, printJson, size } from "./print.ts"

interface RestoreOptions extends DataOptions {
  dryRun?: boolean
}

export function addRestoreCommand(root: Command, context: Context): void {
  const command = root
    .command("restore <file>")
    .description("put a backup in the database's place; the server must be stopped")
    .option("--dry-run", "check the backup and show what it would bring back; change nothing")
  addDataOptions(command, "restore /var/backups/databuddy-monday.db --dry-run").action(
    (file: string, options: RestoreOptions) => restore(file, options, context),
  )
}

async function restore(file: string, options: RestoreOptions, context: Context): Promise<void> {
  const from = resolve(file)
  if (!existsSync(from) || !statSync(from).isFile()) {
    throw new Complaint(`${from} is not a file`, "give a file that databuddy backup made")
  }
  if (options.dryRun) {
    const contents = verifyBackup(from)
    const bytes = statSync(from).size
    if (options.json) printJson({ file: from, bytes, ...contentsJson(contents), restored: false }, context)
    else {
      printFields({ backup: from, size: size(bytes), ...contentsFields(contents) }, context)
      context.out("sound; nothing was changed\n")
    }
    return
  }

  const named = resolve(options.db)
  // Where the path is a link, the file that it leads to is the database, for SQLite too.
  const db = existsSync(named) ? realpathSync(named) : named
  if (sameFile(from, db)) throw new Complaint(`${from} is the database itself`, "give a backup of it")
  requireRoom(db, statSync(from).size)
  const aside = `${db}.before-restore-${new Date(context.world.now()).toISOString().replace(/[-:.]/g, "")}`
  const taken = takeDatabase(db, context.world.pid)
  let kept = false
  try {
    keepOwner(`${db}-lock`, dirname(db))
    removeLeftovers(db, context)
    const copy = await copyBeside(db, { what: "backup", from }, context, (path) => {
      keepOwner(path, existsSync(db) ? db : dirname(db))
      kept = taken.replace(path, aside)
    })
    if (options.json) {
      const { bytes } = copy
      const before = kept ? aside : null
      printJson({ file: from, bytes, ...contentsJson(copy), restored: true, db, before }, context)
    } else {
      const before: Record<string, string> = kept ? { "what was there": aside } : {}
      printFields(
        { backup: from, size: size(copy.bytes), ...contentsFields(copy), "restored to": db, ...before },
        context,
      )
    }
  } finally {
    taken.release()
  }
}

/** Made by root, the files must still be the server's own. */
export function keepOwner(path: string, like: string): void {
  const { uid, gid } = statSync(like)
  if (process.getuid?.() === 0 && (uid !== 0 || gid !== 0)) lchownSync(path, uid, gid)
}
