import { existsSync, linkSync, renameSync, rmSync } from "node:fs"
import { UserError } from "../../errors.ts"
import { Database, type Db } from "./driver.ts"
import { databaseError } from "./open.ts"
import { ServerLock } from "./server-lock.ts"

/** A database that no other process has open, nor can open until it is released. */
export interface ExclusiveLock {
  /** To read what is there; undefined where there is nothing, or it is damaged. */
  readonly db: Db | undefined
  /** Puts the file `by` in its place and keeps what was there, whole, as `aside`. False: there was nothing. */
  replace(by: string, aside: string): boolean
  release(): void
}

/** Throws a Complaint where any process has the database at `path` open, an idle server included. */
export function lockExclusively(path: string, pid: number): ExclusiveLock {
  // Also where the file is missing or damaged, so that SQLite has nothing to lock: a server may still hold what was there.
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
    replace: (by, aside) => {
      const there = existsSync(path)
      if (db) {
        leaveWalMode(db, path)
        linkAside(path, aside)
      } else moveAside(path, aside)
      renameSync(by, path)
      return there
    },
    release: () => {
      db?.close()
      server.release()
    },
  }
}

/**
 * Every connection to a database in WAL mode keeps a shared lock on the file from its first read until it closes, so the exclusive
 * one is had only when there is none. Undefined where the file is too damaged for SQLite to lock.
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
    const { code = "" } = error as { code?: string }
    if (isBusy(error)) throw inUseError(path)
    if (code.startsWith("SQLITE_NOTADB") || code.startsWith("SQLITE_CORRUPT")) return undefined
    throw databaseError(error, path)
  }
}

/** Brings the content of the -wal into the file, which is then all there is, and still nobody else's. */
function leaveWalMode(db: Db, path: string): void {
  db.pragma("journal_mode = delete")
  // In the exclusive mode the journal of that change would stay until the end. Whoever comes in while the mode changes makes it WAL
  // again, or holds a lock.
  db.pragma("locking_mode = normal")
  db.exec("begin exclusive; commit")
  try {
    db.exec("begin exclusive")
  } catch (error) {
    throw isBusy(error) ? inUseError(path) : error
  }
  if (db.pragma("journal_mode", { simple: true }) !== "delete") throw inUseError(path)
  rmSync(`${path}-shm`, { force: true }) // of a server that was killed
}

/** A second name for the file, so that there is no moment without one, in which a server would make an empty database. */
function linkAside(path: string, aside: string): void {
  try {
    linkSync(path, aside)
  } catch (error) {
    if ((error as { code?: string }).code === "EEXIST") throw error
    renameSync(path, aside) // a file system without hard links
  }
}

/** What is left of it goes along: beside the new file SQLite would take it for the new one's. */
function moveAside(path: string, aside: string): void {
  for (const suffix of ["-wal", "-journal", ""]) {
    if (existsSync(path + suffix)) renameSync(path + suffix, aside + suffix)
  }
  rmSync(`${path}-shm`, { force: true })
}

function isBusy(error: unknown): boolean {
  return (error as { code?: string }).code?.startsWith("SQLITE_BUSY") ?? false
}

function inUseError(path: string): UserError {
  return new UserError(
    `${path} is in use: another program has it open`,
    "close it there, then restore; nothing was changed",
  )
}
