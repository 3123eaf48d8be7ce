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

/** Size and row counts of a copy that is complete, verified and synced. */
export interface CopyResult extends Contents {
  bytes: number
}

/** Receives the number of bytes copied so far and in total. When the two are equal, verification starts. */
export type OnProgress = (done: number, total: number) => void

/**
 * Number of pages copied in one step (1 MiB), after which the copy is synced. Larger steps would delay the server's
 * syncs.
 */
const pagesPerStep = 256
/**
 * Maximum pause after a step, in ms. Each pause is as long as the step before it, so the server has the disk to itself
 * for half of the time.
 */
const longestPause = 50

/**
 * Copies the live database `from` to the new file `to`, without short-lived secrets. Compares the copy with the
 * original as it was when copying started. Blocks the thread for seconds. If this throws a UserError, the caller must
 * remove `to`.
 */
export async function copyDatabase(from: string, to: string, onProgress: OnProgress): Promise<CopyResult> {
  const original = openForReading(from)
  let state: SourceState
  try {
    state = await copyPages(original, to, onProgress)
  } finally {
    closeAfterReading(original)
  }
  const bytes = statSync(to).size
  onProgress(bytes, bytes)
  const copy = new Database(to, { fileMustExist: true })
  try {
    leaveWalMode(copy)
    deleteSecrets(copy)
    verify(copy, state, from)
  } finally {
    copy.close()
  }
  syncFile(to)
  return { ...state.contents, bytes }
}

interface SourceState {
  contents: Contents
  migrations: string[]
}

/**
 * Copies all pages within one read transaction, and therefore from a single snapshot. Without the transaction, SQLite's
 * backup API would restart after each commit by the server and never finish. The transaction does not block writes, but
 * the WAL grows until the transaction ends.
 */
async function copyPages(original: Db, to: string, onProgress: OnProgress): Promise<SourceState> {
  const pageSize = original.pragma("page_size", { simple: true }) as number
  const file = createPrivateFile(to)
  try {
    original.exec("begin")
    if ((original.prepare("select count(*) from sqlite_schema").pluck().get() as number) === 0) {
      throw new UserError(`${original.name} is still empty`, "start the server, which creates the tables")
    }
    const state = { contents: countContents(original), migrations: appliedMigrations(original) }
    let stepStart = performance.now()
    await original.backup(to, {
      progress: ({ totalPages, remainingPages }) => {
        fsyncSync(file)
        Bun.sleepSync(Math.min(performance.now() - stepStart, longestPause))
        stepStart = performance.now()
        onProgress((totalPages - remainingPages) * pageSize, totalPages * pageSize)
        return pagesPerStep
      },
    })
    original.exec("commit")
    return state
  } finally {
    closeSync(file)
  }
}

/** Turns off WAL mode, so that the copy can be read in a read-only folder. */
function leaveWalMode(copy: Db): void {
  copy.pragma("journal_mode = delete")
  // A journal on disk would contain the secrets that are deleted next.
  copy.pragma("journal_mode = memory")
}

/**
 * Tables whose rows a backup must not contain. With the salt of a day, the visitors of that day can be identified, and
 * a backup is kept for longer than a day. Login sessions that have ended, and one-time links that have been used,
 * would be valid again after a restore.
 */
const secretTables = ["salts", "sessions", "invites"]

function deleteSecrets(copy: Db): void {
  // Databases from earlier versions lack some of these tables.
  const tables = copy.prepare("select name from sqlite_schema where type = 'table'").pluck().all()
  copy.pragma("secure_delete = on")
  for (const table of secretTables) if (tables.includes(table)) copy.exec(`delete from ${table}`)
}

function verify(copy: Db, expected: SourceState, from: string): void {
  const problems = findDamage(copy)
  if (problems.length > 0) {
    throw new UserError(
      `the copy is damaged, and ${from} probably is too: ${problems[0]}`,
      "run `databuddy check --db FILE` for details; keep the last good backup",
    )
  }
  const copied = { contents: countContents(copy), migrations: appliedMigrations(copy) }
  if (!Bun.deepEquals(copied, expected)) {
    throw new UserError(
      `the copy differs from ${from}: ${JSON.stringify(copied)} instead of ${JSON.stringify(expected)}`,
      "the disk or its file system might be failing; try another one",
    )
  }
}

/**
 * Copies the backup `from` to the new file `to` and verifies the copy. Blocks the thread for seconds. If this throws a
 * UserError, the caller must remove `to`.
 */
export function copyBackup(from: string, to: string, onProgress: OnProgress): CopyResult {
  rejectOpenDatabase(from)
  const bytes = statSync(from).size
  onProgress(0, bytes)
  copyFileSync(from, to, constants.COPYFILE_EXCL)
  // copyFileSync also copies the file's mode, which can be anything if the backup was moved before.
  chmodSync(to, 0o600)
  onProgress(bytes, bytes)
  const contents = verifyBackup(to, from)
  syncFile(to)
  return { ...contents, bytes }
}

/** Verifies and syncs the file `to`, which was downloaded from `from`, as `copyBackup` does. */
export function verifyDownload(from: string, to: string, onProgress: OnProgress): CopyResult {
  const bytes = statSync(to).size
  onProgress(bytes, bytes)
  const contents = verifyBackup(to, from)
  syncFile(to)
  return { ...contents, bytes }
}

/**
 * Verifies the backup at `path` and returns its row counts. Throws a UserError if the backup is unusable. `name`: the
 * name of the backup in messages.
 */
export function verifyBackup(path: string, name = path): Contents {
  rejectOpenDatabase(path)
  const db = withFileName(name, path, () => openForReading(path))
  let contents: Contents
  try {
    const problems = findDamage(db)
    if (problems.length > 0) {
      throw new UserError(`${name} is damaged: ${problems[0]}`, "use another backup; nothing was changed")
    }
    if ((db.prepare("select count(*) from sqlite_schema").pluck().get() as number) === 0) {
      throw new UserError(`${name} is empty`, "choose a file that `databuddy backup` created")
    }
    contents = countContents(db)
  } catch (error) {
    db.close()
    throw databaseError(error, name)
  }
  closeAfterReading(db)
  return contents
}

/**
 * Throws a UserError if `path` has a -wal file with content, because then the database file alone lacks recent events.
 */
function rejectOpenDatabase(path: string): void {
  const wal = `${path}-wal`
  if (!existsSync(wal) || statSync(wal).size === 0) return
  throw new UserError(
    `${path} is not a backup, but a database that is in use or whose server was killed; its recent events are in ${wal}`,
    `create a backup of it with \`databuddy backup FILE --db ${path}\``,
  )
}

/** Runs `work`, and replaces the path of the copy in its error messages with the name that the user knows. */
function withFileName<Result>(name: string, path: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof UserError)) throw error
    throw new UserError(error.message.replaceAll(path, name), error.hint)
  }
}

/** Syncs a file to disk after SQLite has closed it. */
export function syncFile(path: string): void {
  const file = openSync(path, "r")
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
