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
   * How long a statement can block the thread while another process holds a lock, in ms. 0 in a server, which retries
   * instead.
   */
  busyTimeout: number
  /** In Unix ms. */
  now: number
  /**
   * If true, migrates a database that an older version created. If false, rejects it, because a server of that version
   * might still be running.
   */
  upgrade?: boolean
  /** Size of the page cache in KiB. Default: `cacheKiB`. */
  pageCacheKiB?: number | undefined
}

/**
 * Default size of the page cache in KiB. This is enough for inserts, which only touch the right edges of the table and
 * of two indexes.
 */
export const cacheKiB = 32_768
/**
 * Number of WAL pages (4 KiB each) that triggers a checkpoint: 16 MiB. With more frequent checkpoints, a page that
 * changes often would be written to the file ten times instead of once.
 */
const checkpointPages = 4_000
/** Size in bytes to which a checkpoint truncates a larger -wal. */
const maxWalBytes = 67_108_864

/**
 * Opens the database for writing, creating it if it is missing. Throws a UserError if the file belongs to another
 * program or version, or cannot be opened. In that case, the file is unchanged.
 */
export function openDatabase({
  path,
  durability,
  busyTimeout,
  now,
  upgrade = false,
  pageCacheKiB = cacheKiB,
}: OpenOptions): Db {
  rejectOrphanedWal(path)
  const isCreated = createDatabaseFile(path)
  const db = connect(path, busyTimeout)
  try {
    const pending = pendingMigrations(db, path)
    const isNew = db.prepare("select count(*) from sqlite_schema").pluck().get() === 0
    if (!isNew && !upgrade) requireCurrentSchema(pending, path)
    if (isNew) {
      // These pragmas only take effect if they are set before WAL mode and the first table.
      db.pragma("page_size = 4096")
      db.pragma("auto_vacuum = incremental")
    }
    db.pragma("journal_mode = wal")
    // This setting is not stored in the file, and its default in better-sqlite3 is NORMAL for databases in WAL mode.
    db.pragma(`synchronous = ${durability === "fsync" ? "full" : "normal"}`)
    db.pragma(`cache_size = -${pageCacheKiB}`)
    db.pragma(`wal_autocheckpoint = ${checkpointPages}`)
    db.pragma(`journal_size_limit = ${maxWalBytes}`)
    // Overwrites deleted content, such as earlier traits of a profile. Otherwise, the content would remain in free
    // pages, where SQL cannot find it when a person asks for deletion. This setting does not cover the copies that
    // SQLite leaves behind when it moves cells (see unallocated-space.ts).
    db.pragma("secure_delete = on")
    if (pending.length > 0) migrate(db, path, now)
    // Keeps savepoint journals in memory, because files would add system calls to every commit. Set after the
    // migrations, which might have to sort all events and therefore need temporary files.
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
    `${path} has the schema of an older version of databuddy: the migration ${first.name} has not been applied`,
    "nothing was changed; stop the server of the older version, then start this version or run `databuddy migrate`",
  )
}

/**
 * Checkpoints and closes the database. Returns true if the database is then a single file. The -wal remains if another
 * process has the database open or the disk is full. Nothing is lost in that case, because the next process that opens
 * the database reads the -wal.
 */
export function closeDatabase(db: Db): boolean {
  const wal = `${db.name}-wal`
  truncateWal(db)
  db.close()
  return !existsSync(wal)
}

/** Checkpoints the -wal and truncates it to 0 bytes. Returns false if a reader prevents this. */
export function truncateWal(db: Db): boolean {
  try {
    const [result] = db.pragma("wal_checkpoint(truncate)") as { busy: number }[]
    return result?.busy === 0
  } catch {
    return false
  }
}

/**
 * How long a reader waits for a lock, in ms. Only crash recovery and the closing of the last connection block readers.
 */
export const readerTimeout = 5_000

/**
 * Maximum size in bytes of a database that is read into memory because it is in WAL mode and its folder is not
 * writable.
 */
const maxBytesInMemory = 268_435_456
/** Offsets of the two journal mode bytes in the file header (for writing and reading), and their value without WAL. */
const [writeVersion, readVersion, rollbackJournal] = [18, 19, 1]

/**
 * Opens a database read-only, without blocking a running server. The process needs write access to the -shm, so it
 * should run as the server's user. On a read-only disk, where no process can write, read access is enough. Throws a
 * UserError if the file belongs to another program or to a newer version, or cannot be opened.
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

/**
 * Returns true if SQLite failed because it cannot create the -wal, and no -wal exists that could hold recent events.
 */
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

/**
 * Reads the database into memory. SQLite's `immutable` flag could read the file in place, but the driver is compiled
 * without URI support.
 */
function openInMemory(path: string): Db {
  if (statSync(path).size > maxBytesInMemory) {
    throw new UserError(
      `${path} is in WAL mode, and its folder is not writable`,
      "copy the database to a writable folder, or read a backup made with `databuddy backup`",
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
 * Closes a reader of an undamaged database, and removes a leftover -wal. If the last connection to close is read-only,
 * it leaves a -wal behind: an empty one that it created, or one from a server that has since stopped. If the last
 * connection to close can write, it removes the -wal. Therefore, this function briefly opens a connection that can
 * write.
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
    // This process has no write permission, or the file is in use. Nothing is lost: the next process that opens the
    // database reads the -wal.
  }
}

/**
 * Throws a UserError if there is a -wal without its database. If the database file is missing or empty, SQLite would
 * delete the -wal, including the recent events in it.
 */
export function rejectOrphanedWal(path: string): void {
  const bytes = (file: string) => statSync(file, { throwIfNoEntry: false })?.size
  if (bytes(path) || !bytes(`${path}-wal`)) return
  throw new UserError(
    `${path} is ${bytes(path) === 0 ? "empty" : "missing"}, but its -wal exists and holds recent events`,
    "nothing was changed; put the database file back next to the -wal, or if the file is lost, move the -wal aside and restore a backup",
  )
}

/** Removes a file if it is still empty, unless another process has started to create the database in it. */
function removeIfEmpty(path: string): void {
  if (existsSync(`${path}-wal`) || existsSync(`${path}-journal`)) return
  if (statSync(path, { throwIfNoEntry: false })?.size === 0) rmSync(path)
}

/**
 * Creates the file with mode 600, because it contains visitor IDs and hashes of keys. SQLite gives the -wal and -shm
 * the same mode. Returns true if the file is new.
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
 * Converts an SQLite or system error about a database file to a UserError if the user can fix the cause. Returns other
 * errors unchanged.
 */
export function databaseError(error: unknown, path: string): unknown {
  const code = codeOf(error)
  if (code === "SQLITE_NOTADB") {
    return new UserError(
      `${path} is not an SQLite database`,
      "the file was not changed; choose another file, or restore a backup if this was a databuddy database",
    )
  }
  if (isBusy(error)) {
    return new UserError(
      `${path} is locked by another process`,
      "wait until that process is done or stop it, then try again",
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
    return new UserError(`${path} is damaged (${code})`, "restore a backup, and keep the damaged file")
  }
  return error
}
