import { closeSync, constants, existsSync, openSync, rmSync } from "node:fs"
import { isBusy, UserError } from "../../errors.ts"
import { Database, type Db } from "./driver.ts"
import { FileLock } from "./file-lock.ts"
import { databaseError } from "./open.ts"

/**
 * Ensures that only one server uses a database. The lock is an SQLite lock on `<path>-lock`, a small database that
 * stores the pid of the holder. The system releases the lock when the process ends for any reason. A second lock, on
 * the database file itself, rejects a server that opens the file under another name.
 */
export class ServerLock {
  readonly #path: string
  readonly #db: Db
  readonly #file = new FileLock()

  /** Throws a UserError if another server holds either lock. */
  constructor(
    private readonly database: string,
    pid: number,
    inUseError = servedError,
  ) {
    const path = database
    this.#path = `${path}-lock`
    try {
      closeSync(
        openSync(this.#path, constants.O_CREAT | constants.O_WRONLY | (constants.O_NOFOLLOW ?? 0), 0o600),
      )
      this.#db = new Database(this.#path, { timeout: 0 })
    } catch (error) {
      throw databaseError(error, path)
    }
    try {
      this.#db.pragma("journal_mode = memory")
      this.#db.exec("create table if not exists holder (pid integer not null)")
      this.#db.exec("delete from holder")
      this.#db.prepare("insert into holder (pid) values (:pid)").run({ pid })
      // Holds the write lock until `release` is called. Other processes can still read the pid.
      this.#db.exec("begin immediate")
    } catch (error) {
      if (!isBusy(error)) {
        this.release()
        throw databaseError(error, path)
      }
      const holder = readHolder(this.#db)
      this.#db.close()
      throw inUseError(path, holder ? `, process ${holder}` : "")
    }
    this.lockDatabaseFile()
  }

  /**
   * Locks the database file. Must be called again after the file has been created. Throws a UserError if a server holds
   * the file under another name.
   */
  lockDatabaseFile(): void {
    if (this.#file.acquire(this.database)) return
    this.release()
    throw servedError(this.database, " under another name")
  }

  /** Returns true if the lock file exists, which means that the lock is held or its holder was killed. */
  static hasLockFile(path: string): boolean {
    return existsSync(`${path}-lock`)
  }

  /**
   * Returns the pid of the server that uses the database, or undefined if there is none. If the lock is free, this
   * function briefly acquires it, because the lock file alone proves nothing: a killed server leaves it behind.
   */
  static holder(path: string): number | undefined {
    if (!ServerLock.hasLockFile(path)) return undefined
    let db: Db | undefined
    try {
      db = new Database(`${path}-lock`, { fileMustExist: true, timeout: 0 })
      db.exec("begin immediate; rollback")
      return undefined
    } catch (error) {
      if (!db || !isBusy(error)) throw databaseError(error, path)
      return readHolder(db)
    } finally {
      db?.close()
    }
  }

  /**
   * Releases both locks. Must be called after this process has closed its connections to the database (see `FileLock`).
   */
  release(): void {
    this.#file.release()
    try {
      rmSync(this.#path, { force: true })
    } catch {
      // The lock file cannot be removed, for example because the disk is failing. It stays behind, as it does if the
      // process is killed, but closing it releases the lock.
    }
    this.#db.close()
  }
}

function readHolder(db: Db): number | undefined {
  try {
    return db.prepare("select pid from holder").pluck().get() as number | undefined
  } catch {
    return undefined // the holder is writing its pid right now
  }
}

function servedError(path: string, holder: string): UserError {
  return new UserError(
    `${path} is in use by another databuddy${holder}`,
    "stop that process first, or choose another --db",
  )
}
