import { existsSync, linkSync, renameSync, rmSync } from "node:fs"
import { codeOf, isBusy, UserError } from "../../errors.ts"
import { Database, type Db } from "./driver.ts"
import { databaseError } from "./open.ts"
import { ServerLock } from "./server-lock.ts"

/** A lock on a database. While it is held, no other process has the database open or can open it. */
export interface ExclusiveLock {
  /** The locked database, for reading. Undefined if the file is missing or damaged. */
  readonly db: Db | undefined
  /**
   * Moves the file `replacement` to the path of the database, and keeps the old database at the path `aside`. Returns
   * false if there was no old database.
   */
  replace(replacement: string, aside: string): boolean
  release(): void
}

/** Locks the database at `path`. Throws a UserError if any process has it open, even an idle server. */
export function lockExclusively(path: string, pid: number): ExclusiveLock {
  // A lock through SQLite is not enough: a server might have a deleted or damaged file open, which SQLite cannot lock.
  const server = new ServerLock(path, pid)
  let db: Db | undefined
  try {
    db = existsSync(path) ? lockDatabase(path) : undefined
  } catch (error) {
    server.release()
    throw error
  }
  return {
    db,
    replace: (replacement, aside) => {
      const exists = existsSync(path)
      if (db) {
        leaveWalMode(db, path)
        linkAside(path, aside)
      } else moveAside(path, aside)
      renameSync(replacement, path)
      return exists
    },
    release: () => {
      db?.close()
      server.release()
    },
  }
}

/**
 * Locks a database through SQLite. In WAL mode, every connection holds a shared lock from its first read until it
 * closes, so the exclusive lock succeeds only if there are no other connections. Returns undefined if the file is too
 * damaged for SQLite to lock.
 */
function lockDatabase(path: string): Db | undefined {
  let db: Db | undefined
  try {
    db = new Database(path, { fileMustExist: true, timeout: 0 })
    db.pragma("locking_mode = exclusive")
    db.exec("begin exclusive; commit")
    return db
  } catch (error) {
    db?.close()
    if (isBusy(error)) throw inUseError(path)
    if (/^SQLITE_(NOTADB|CORRUPT)/.test(codeOf(error))) return undefined
    throw databaseError(error, path)
  }
}

/** Checkpoints the -wal into the file and leaves WAL mode, while keeping the exclusive lock. */
function leaveWalMode(db: Db, path: string): void {
  db.pragma("journal_mode = delete")
  // In exclusive locking mode, the rollback journal from this change would stay on disk. A process that opens the
  // database during the switch either sets WAL mode again or holds a lock. Both cases are detected below.
  db.pragma("locking_mode = normal")
  db.exec("begin exclusive; commit")
  try {
    db.exec("begin exclusive")
  } catch (error) {
    throw isBusy(error) ? inUseError(path) : error
  }
  if (db.pragma("journal_mode", { simple: true }) !== "delete") throw inUseError(path)
  rmSync(`${path}-shm`, { force: true }) // left by a killed server
}

/**
 * Adds the hard link `aside` to the database file. The database keeps its own name until the replacement takes over
 * that name. A server that starts in between therefore finds a database and does not create an empty one.
 */
function linkAside(path: string, aside: string): void {
  try {
    linkSync(path, aside)
  } catch (error) {
    if (codeOf(error) === "EEXIST") throw error
    renameSync(path, aside) // this file system has no hard links
  }
}

/** Moves the file together with its -wal and journal, which SQLite would otherwise apply to the new file. */
function moveAside(path: string, aside: string): void {
  for (const suffix of ["-wal", "-journal", ""]) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix)
  }
  rmSync(`${path}-shm`, { force: true })
}

function inUseError(path: string): UserError {
  return new UserError(
    `${path} is open in another program`,
    "close that program, then restore again; nothing was changed",
  )
}
