import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  statSync,
} from "node:fs"
import { UserError } from "../errors.ts"
import { type Contents, countContents, findDamage } from "../store/check.ts"
import { Database, type Db } from "../store/db/driver.ts"
import { createPrivateFile } from "../store/db/files.ts"
import { appliedMigrations } from "../store/db/migrate.ts"
import { closeAfterReading, databaseError, openForReading } from "../store/db/open.ts"

/** A finished copy, checked and synced. */
export interface CopyResult extends Contents {
  bytes: number
}

/** `done` of `total` bytes are copied; equal: what is left is to check them. */
export type OnProgress = (done: number, total: number) => void

/** Pages that are copied between two syncs: 1 MiB. The more at once, the longer the server's own syncs wait behind ours. */
const pagesPerStep = 256
/** Most ms between two steps, in which the disk is the server's; usually as long as the step took. */
const longestPause = 50

/**
 * Copies the live database `from` to the new file `to`, without secrets of the day, and checks the copy against what the original held
 * at that moment. Blocks the thread for long; throws a Complaint, and leaves the removal of `to` to the caller.
 */
export async function copyDatabase(from: string, to: string, onProgress: OnProgress): Promise<CopyResult> {
  const original = openForReading(from)
  let held: SourceState
  try {
    held = await copyPages(original, to, onProgress)
  } finally {
    closeAfterReading(original)
  }
  const bytes = statSync(to).size
  onProgress(bytes, bytes)
  const copy = new Database(to, { fileMustExist: true })
  try {
    leaveWalMode(copy)
    deleteSecrets(copy)
    verify(copy, held, from)
  } finally {
    copy.close()
  }
  syncFile(to)
  return { ...held.contents, bytes }
}

interface SourceState {
  contents: Contents
  migrations: string[]
}

/**
 * The read transaction holds one moment for the counts and for all steps of the copying: without it SQLite would start again
 * after each commit of the server, and never end. It blocks no write, but the WAL grows until it is over.
 */
async function copyPages(original: Db, to: string, onProgress: OnProgress): Promise<SourceState> {
  const pageSize = original.pragma("page_size", { simple: true }) as number
  const file = createPrivateFile(to)
  try {
    original.exec("begin")
    if ((original.prepare("select count(*) from sqlite_schema").pluck().get() as number) === 0) {
      throw new UserError(`${original.name} holds nothing yet`, "start the server, which makes its tables")
    }
    const snapshot = { contents: countContents(original), migrations: appliedMigrations(original) }
    let since = performance.now()
    await original.backup(to, {
      progress: ({ totalPages, remainingPages }) => {
        fsyncSync(file)
        Bun.sleepSync(Math.min(performance.now() - since, longestPause))
        since = performance.now()
        onProgress((totalPages - remainingPages) * pageSize, totalPages * pageSize)
        return pagesPerStep
      },
    })
    original.exec("commit")
    return snapshot
  } finally {
    closeSync(file)
  }
}

/** Out of WAL mode, so that the copy can be read where nothing can be written beside it. */
function leaveWalMode(copy: Db): void {
  copy.pragma("journal_mode = delete")
  // A journal on disk would hold what is deleted next.
  copy.pragma("journal_mode = memory")
}

/**
 * Whoever has a salt can tell who a visitor of that day was; a backup is kept for longer than the day. Logins and one-time links would
 * come back with it after they were ended.
 */
const secretTables = ["salts", "sessions", "invites"]

function deleteSecrets(copy: Db): void {
  // Earlier versions have not all of them.
  const tables = copy.prepare("select name from sqlite_schema where type = 'table'").pluck().all()
  copy.pragma("secure_delete = on")
  for (const table of secretTables) if (tables.includes(table)) copy.exec(`delete from ${table}`)
}

function verify(copy: Db, held: SourceState, from: string): void {
  const found = findDamage(copy)
  if (found.length > 0) {
    throw new UserError(
      `the copy is damaged, and so, it seems, is ${from}: ${found[0]}`,
      "databuddy check --db FILE tells more; keep the last good backup",
    )
  }
  const copied = { contents: countContents(copy), migrations: appliedMigrations(copy) }
  if (!Bun.deepEquals(copied, held)) {
    throw new UserError(
      `the copy does not hold what ${from} held: ${JSON.stringify(copied)} instead of ${JSON.stringify(held)}`,
      "the disk or its file system may be failing; try another one",
    )
  }
}

/**
 * Copies the backup `from` to the new file `to` and checks it there. Blocks the thread for long; throws a Complaint, and leaves the
 * removal of `to` to the caller.
 */
export function copyBackup(from: string, to: string, onProgress: OnProgress): CopyResult {
  refuseOpenDatabase(from)
  const bytes = statSync(from).size
  onProgress(0, bytes)
  copyFileSync(from, to, constants.COPYFILE_EXCL)
  // copyFile takes the rights over too; those of a backup that was carried around can be anything.
  chmodSync(to, 0o600)
  onProgress(bytes, bytes)
  const contents = verifyBackup(to, from)
  syncFile(to)
  return { ...contents, bytes }
}

/** Gives what the backup `path` would bring back; throws a Complaint where it cannot be trusted. `name`: what to call it. */
export function verifyBackup(path: string, name = path): Contents {
  refuseOpenDatabase(path)
  const db = withFileName(name, path, () => openForReading(path))
  let contents: Contents
  try {
    const found = findDamage(db)
    if (found.length > 0) {
      throw new UserError(`${name} is damaged: ${found[0]}`, "take another backup; nothing was changed")
    }
    if ((db.prepare("select count(*) from sqlite_schema").pluck().get() as number) === 0) {
      throw new UserError(`${name} holds nothing`, "give a file that databuddy backup made")
    }
    contents = countContents(db)
  } catch (error) {
    db.close()
    throw databaseError(error, name)
  }
  closeAfterReading(db)
  return contents
}

/** A bare file without its -wal lacks what was stored last. */
function refuseOpenDatabase(path: string): void {
  const wal = `${path}-wal`
  if (!existsSync(wal) || statSync(wal).size === 0) return
  throw new UserError(
    `${path} is no backup but a database in use, or one whose server was killed: ${wal} holds a part of it`,
    `make a backup of it: databuddy backup FILE --db ${path}`,
  )
}

/** Errors about the copy in the words of the file that the person knows. */
function withFileName<Result>(name: string, path: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(error.message.replaceAll(path, name), error.hint)
  }
}

/** Puts a file on disk that SQLite has closed. */
export function syncFile(path: string): void {
  const file = openSync(path, "r")
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
