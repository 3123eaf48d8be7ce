import { closeSync, existsSync, rmSync, statSync } from "node:fs"
import { UserError } from "../../errors.ts"
import { Database, type Db } from "./driver.ts"
import { createPrivateFile } from "./files.ts"
import { type Migration, migrate, pendingMigrations } from "./migrate.ts"

export type Durability = "fsync" | "os"

export interface OpenOptions {
  path: string
  durability: Durability
  /** ms that a statement waits for another process's lock. It blocks the thread: 0 in a server, which waits itself. */
  busyTimeout: number
  /** Unix ms */
  now: number
  /** Bring the database of an older version up to this one's. Otherwise it is refused, for a server of that version may be running. */
  upgrade?: boolean
}

/** Page cache, in KiB. The right edges of two indexes and the table fit many times over. */
const cacheKiB = 32_768
/** Pages of WAL (4 KiB each) before a commit also checkpoints: 16 MiB, so that a checkpoint writes a hot page once, not ten times. */
const checkpointPages = 4_000
/** Bytes of WAL file that are kept for reuse after a checkpoint; above it the file is cut back. */
const maxWalBytes = 67_108_864

/**
 * Opens the database for writing, made where there is none.
 * Throws a Complaint where the file is not ours, is not of this version or cannot be opened; it is then untouched.
 */
export function openDatabase({ path, durability, busyTimeout, now, upgrade = false }: OpenOptions): Db {
  refuseOrphanedWal(path)
  const made = createDatabaseFile(path)
  const db = connect(path, busyTimeout)
  try {
    const pending = pendingMigrations(db, path)
    const isNew = db.prepare("select count(*) from sqlite_schema").pluck().get() === 0
    if (!isNew && !upgrade) refuseOlderSchema(pending, path)
    if (isNew) {
      // Both hold only if they are set before WAL mode and the first table.
      db.pragma("page_size = 4096")
      db.pragma("auto_vacuum = incremental")
    }
    db.pragma("journal_mode = wal")
    // A WAL file that is opened again starts at NORMAL, so every connection says FULL for itself.
    db.pragma(`synchronous = ${durability === "fsync" ? "full" : "normal"}`)
    db.pragma(`cache_size = -${cacheKiB}`)
    db.pragma(`wal_autocheckpoint = ${checkpointPages}`)
    db.pragma(`journal_size_limit = ${maxWalBytes}`)
    // The journals of savepoints: as files they cost system calls in the middle of a commit.
    db.pragma("temp_store = memory")
    // Whatever goes is overwritten at once, a profile's earlier traits too: left in the unused part of the file, they could not be
    // found any more when the person asks to be forgotten. It does not reach what SQLite moved when it split a page: see forget.
    db.pragma("secure_delete = on")
    if (pending.length > 0) migrate(db, path, now)
    return db
  } catch (error) {
    db.close()
    if (made) removeIfEmpty(path)
    throw databaseError(error, path)
  }
}

/** Throws a Complaint where `pending` holds a migration. */
export function refuseOlderSchema(pending: readonly Migration[], path: string): void {
  const [first] = pending
  if (!first) return
  throw new UserError(
    `${path} is of an older version of databuddy: the migration ${first.name} has not been applied`,
    "stop the server of the older version and start this one's, which migrates; or run databuddy migrate. Nothing was changed",
  )
}

/**
 * Closes with everything in the one file. True where no -wal stays beside it; it stays while another process has the
 * database open, and where the disk is full. Nothing is lost then: the next to open the file reads it.
 */
export function closeDatabase(db: Db): boolean {
  const wal = `${db.name}-wal`
  truncateWal(db)
  db.close()
  return !existsSync(wal)
}

/** Brings everything into the database file and cuts the -wal to nothing. False where somebody reads it just now. */
export function truncateWal(db: Db): boolean {
  try {
    const [result] = db.pragma("wal_checkpoint(truncate)") as { busy: number }[]
    return result?.busy === 0
  } catch {
    return false
  }
}

/** ms that a reader waits; only the recovery after a crash and the last one to close ever hold a reader up. */
export const readerTimeout = 5_000

/**
 * Opens a database for reading only; beside a server this blocks no write. The -shm is needed, so the rights of the server's
 * user are. Throws a Complaint where the file is not ours, is newer than this program or cannot be opened.
 */
export function openForReading(path: string): Db {
  let db: Db | undefined
  try {
    db = new Database(path, { readonly: true, fileMustExist: true, timeout: readerTimeout })
    pendingMigrations(db, path)
    return db
  } catch (error) {
    db?.close()
    throw databaseError(error, path)
  }
}

/**
 * Closes a reader of a sound database. Without a server beside it a reader leaves a -wal: its own empty one, or that of a server
 * which stopped meanwhile. A writer that closes last puts everything in the one file.
 */
export function closeAfterReading(db: Db): void {
  db.close()
  if (!existsSync(`${db.name}-wal`)) return
  try {
    const writer = new Database(db.name, { fileMustExist: true, timeout: 0 })
    try {
      // SQLite looks for a -wal at the first read, not when it opens.
      writer.pragma("schema_version")
    } finally {
      writer.close()
    }
  } catch {
    // Not ours to write, or taken: nothing is lost, the next to open the file reads the -wal.
  }
}

/**
 * Throws a Complaint where a -wal stands alone: beside a missing or empty file SQLite would delete it, and with it what was
 * stored last.
 */
export function refuseOrphanedWal(path: string): void {
  const bytes = (file: string) => statSync(file, { throwIfNoEntry: false })?.size
  if (bytes(path) || !bytes(`${path}-wal`)) return
  throw new UserError(
    `${path} is ${bytes(path) === 0 ? "empty" : "missing"}, but its -wal is there and holds what was stored last`,
    "put the file back beside it; if it is lost, move the -wal away and restore a backup; nothing was touched",
  )
}

/** Takes away a file that never became a database, unless another process has begun to make it one. */
function removeIfEmpty(path: string): void {
  if (existsSync(`${path}-wal`) || existsSync(`${path}-journal`)) return
  if (statSync(path, { throwIfNoEntry: false })?.size === 0) rmSync(path)
}

/** The file holds visitors' ids and hashes of keys: nobody but its owner reads it. SQLite gives -wal and -shm the same mode. True where it is new. */
function createDatabaseFile(path: string): boolean {
  try {
    closeSync(createPrivateFile(path))
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw databaseError(error, path)
    return false
  }
}

function connect(path: string, busyTimeout: number): Db {
  try {
    return new Database(path, { timeout: busyTimeout })
  } catch (error) {
    throw databaseError(error, path)
  }
}

/** An error of SQLite or the system about a database file as a Complaint, where there is something to do about it. */
export function databaseError(error: unknown, path: string): unknown {
  const code = (error as { code?: string }).code ?? ""
  if (code === "SQLITE_NOTADB") {
    return new UserError(
      `${path} is not an SQLite database`,
      "give another file, or restore a backup if this was one; it was not touched",
    )
  }
  if (code.startsWith("SQLITE_BUSY")) {
    return new UserError(
      `${path} is locked by another process`,
      "wait until it is done, or stop it, and try again",
    )
  }
  if (code === "ENOSPC" || code === "EDQUOT" || code === "SQLITE_FULL") {
    return new UserError(
      `${path} cannot be written: the disk is full (${code})`,
      "make room on that disk, or give another --db",
    )
  }
  if (code === "ENOENT") {
    return new UserError(
      `${path} cannot be made: its folder does not exist`,
      "make the folder, or give another --db",
    )
  }
  if (
    code === "EACCES" ||
    code === "EPERM" ||
    code === "EROFS" ||
    code.startsWith("SQLITE_READONLY") ||
    code.startsWith("SQLITE_CANTOPEN")
  ) {
    return new UserError(
      `${path} cannot be opened for writing (${code})`,
      "check the rights of the file and its folder, and that the disk is not mounted read-only",
    )
  }
  if (code.startsWith("SQLITE_CORRUPT")) {
    return new UserError(`${path} is damaged (${code})`, "restore a backup; keep the damaged file aside")
  }
  return error
}
