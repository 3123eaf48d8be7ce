import { accessSync, closeSync, constants, existsSync, readFileSync, rmSync, statSync } from "node:fs"
import { dirname } from "node:path"
import { codeOf, isBusy, UserError } from "../../errors.ts"
import { Database, type Db } from "./driver.ts"
import { createPrivateFile } from "./files.ts"
import { type Migration, migrate, pendingMigrations } from "./migrate.ts"

export type Durability = "fsync" | "os"

export interface OpenOptions {
  path: string
  durability: Durability
  /**
   * Maximum ms for which a statement blocks the thread while another process holds a lock. 0 in a server, which retries
   * instead.
   */
  busyTimeout: number
  /** Unix ms */
  now: number
  /** Migrates a database of an older version. If false, rejects it: a server of that version might still be running. */
  upgrade?: boolean
}

/** Page cache in KiB. Inserts touch only the right edges of the table and two indexes. */
export const cacheKiB = 32_768
/**
 * WAL pages (4 KiB each) that trigger a checkpoint: 16 MiB. With more frequent checkpoints, a hot page would be written
 * ten times instead of once.
 */
const checkpointPages = 4_000
/** A checkpoint truncates a WAL file above this many bytes. */
const maxWalBytes = 67_108_864

/**
 * Opens the database for writing, and creates it if it is missing. Throws a UserError if the file belongs to another
 * program or version, or cannot be opened; in that case, the file is unchanged.
 */
export function openDatabase({ path, durability, busyTimeout, now, upgrade = false }: OpenOptions): Db {
  rejectOrphanedWal(path)
  const isCreated = createDatabaseFile(path)
  const db = connect(path, busyTimeout)
  try {
    const pending = pendingMigrations(db, path)
    const isNew = db.prepare("select count(*) from sqlite_schema").pluck().get() === 0
    if (!isNew && !upgrade) requireCurrentSchema(pending, path)
    if (isNew) {
      // Both take effect only if they are set before WAL mode and the first table.
      db.pragma("page_size = 4096")
      db.pragma("auto_vacuum = incremental")
    }
    db.pragma("journal_mode = wal")
    // The setting is per connection, and a database in WAL mode opens with NORMAL.
    db.pragma(`synchronous = ${durability === "fsync" ? "full" : "normal"}`)
    db.pragma(`cache_size = -${cacheKiB}`)
    db.pragma(`wal_autocheckpoint = ${checkpointPages}`)
    db.pragma(`journal_size_limit = ${maxWalBytes}`)
    // Overwrites deleted content, such as earlier traits of a profile. It would otherwise remain in free pages, where
    // it cannot be found when a person asks for deletion. This does not cover copies that SQLite leaves when it moves
    // cells: see unallocated-space.ts.
    db.pragma("secure_delete = on")
    if (pending.length > 0) migrate(db, path, now)
    // Keeps savepoint journals in memory: as files, they cost system calls in every commit. Set after the migrations:
    // those might sort all events, which takes temporary files.
    db.pragma("temp_store = memory")
    return db
  } catch (error) {
    db.close()
    if (isCreated) removeIfEmpty(path)
    throw databaseError(error, path)
  }
}

/** Throws a UserError if `pending` is not empty. */
export function requireCurrentSchema(pending: readonly Migration[], path: string): void {
  const [first] = pending
  if (!first) return
  throw new UserError(
    `${path} has the schema of an older databuddy: the migration ${first.name} has not been applied`,
    "stop the server of the older version and start this version, which migrates; or run databuddy migrate. Nothing was changed",
  )
}

/**
 * Checkpoints and closes. True if the database is a single file afterwards. The -wal remains if another process has the
 * database open or the disk is full; nothing is lost then, because the next process to open the database reads it.
 */
export function closeDatabase(db: Db): boolean {
  const wal = `${db.name}-wal`
  truncateWal(db)
  db.close()
  return !existsSync(wal)
}

/** Checkpoints the -wal and truncates it to 0 bytes. False if a reader prevents it. */
export function truncateWal(db: Db): boolean {
  try {
    const [result] = db.pragma("wal_checkpoint(truncate)") as { busy: number }[]
    return result?.busy === 0
  } catch {
    return false
  }
}

/**
 * ms that a reader waits for a lock: readers are blocked only by crash recovery and by the last connection
 * that closes.
 */
export const readerTimeout = 5_000

/** Maximum bytes of a database in WAL mode that is read into memory because its folder is not writable. */
const maxBytesInMemory = 268_435_456
/**
 * Offsets of the two journal mode bytes in the file header, for writing and for reading, and their value without WAL.
 */
const [writeVersion, readVersion, rollbackJournal] = [18, 19, 1]

/**
 * Opens a database read-only, without blocking a running server. The process needs write access to the -shm, so it
 * should run as the server's user; on a read-only disk, where no process can write, it needs none. Throws a UserError
 * if the file belongs to another program or a newer version, or cannot be opened.
 */
export function openForReading(path: string): Db {
  let db: Db | undefined
  try {
    db = new Database(path, { readonly: true, fileMustExist: true, timeout: readerTimeout })
    pendingMigrations(db, path)
    return db
  } catch (error) {
    db?.close()
    if (isUnwritable(path, error)) return openInMemory(path)
    throw databaseError(error, path)
  }
}

/** True if SQLite failed because it cannot create the -wal, and there is none that could hold recent events. */
function isUnwritable(path: string, error: unknown): boolean {
  if (!/^SQLITE_(CANTOPEN|READONLY)/.test(codeOf(error)) || existsSync(`${path}-wal`)) return false
  try {
    accessSync(path, constants.R_OK)
  } catch {
    return false
  }
  try {
    accessSync(dirname(path), constants.W_OK)
    return false
  } catch {
    return true
  }
}

/** SQLite's `immutable` would read the file in place, but the driver is compiled without URIs. */
function openInMemory(path: string): Db {
  if (statSync(path).size > maxBytesInMemory) {
    throw new UserError(
      `${path} is in WAL mode, and its folder is not writable`,
      "copy it to a writable folder, or read a file that databuddy backup made",
    )
  }
  const bytes = readFileSync(path)
  bytes[writeVersion] = rollbackJournal
  bytes[readVersion] = rollbackJournal
  const db = new Database(bytes, { readonly: true })
  try {
    pendingMigrations(db, path)
    return db
  } catch (error) {
    db.close()
    throw databaseError(error, path)
  }
}

/**
 * Closes a reader of an undamaged database and removes a leftover -wal. A read-only connection that closes last leaves
 * a -wal behind: an empty one that it created, or one from a server that has stopped since. A writer that closes last
 * removes it.
 */
export function closeAfterReading(db: Db): void {
  db.close()
  if (!existsSync(`${db.name}-wal`)) return
  try {
    const writer = new Database(db.name, { fileMustExist: true, timeout: 0 })
    try {
      // SQLite opens the -wal at the first read, not when it opens the database.
      writer.pragma("schema_version")
    } finally {
      writer.close()
    }
  } catch {
    // No permission, or the file is in use. Nothing is lost: the next process to open the database reads the
    // -wal.
  }
}

/**
 * Throws a UserError if there is a -wal without its database. SQLite deletes the -wal of a missing or empty file, and
 * the recent events in it.
 */
export function rejectOrphanedWal(path: string): void {
  const bytes = (file: string) => statSync(file, { throwIfNoEntry: false })?.size
  if (bytes(path) || !bytes(`${path}-wal`)) return
  throw new UserError(
    `${path} is ${bytes(path) === 0 ? "empty" : "missing"}, but its -wal exists and holds recent events`,
    "put the database file back beside it; if it is lost, move the -wal aside and restore a backup; nothing was changed",
  )
}

/** Removes a file that is still empty, unless another process has started to create the database in it. */
function removeIfEmpty(path: string): void {
  if (existsSync(`${path}-wal`) || existsSync(`${path}-journal`)) return
  if (statSync(path, { throwIfNoEntry: false })?.size === 0) rmSync(path)
}

/**
 * Creates the file with mode 600, because it holds visitor ids and hashes of keys. SQLite gives -wal and -shm the same
 * mode. True if the file is new.
 */
function createDatabaseFile(path: string): boolean {
  try {
    closeSync(createPrivateFile(path))
    return true
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw databaseError(error, path)
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

/**
 * Converts an SQLite or system error about a database file to a UserError, if the user can fix the cause. Returns any
 * other error unchanged.
 */
export function databaseError(error: unknown, path: string): unknown {
  const code = codeOf(error)
  if (code === "SQLITE_NOTADB") {
    return new UserError(
      `${path} is not an SQLite database`,
      "choose another file, or restore a backup if this was a databuddy database; it was not changed",
    )
  }
  if (isBusy(error)) {
    return new UserError(
      `${path} is locked by another process`,
      "wait until that process is done, or stop it, then try again",
    )
  }
  if (code === "ENOSPC" || code === "EDQUOT" || code === "SQLITE_FULL") {
    return new UserError(
      `${path} cannot be written: the disk is full (${code})`,
      "free disk space, or choose another --db",
    )
  }
  if (code === "ENOENT") {
    return new UserError(
      `${path} cannot be created: its folder does not exist`,
      "create the folder, or choose another --db",
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
      "check the permissions of the file and its folder, and that the disk is not mounted read-only",
    )
  }
  if (code.startsWith("SQLITE_CORRUPT")) {
    return new UserError(`${path} is damaged (${code})`, "restore a backup; keep the damaged file")
  }
  return error
}
