import { closeSync, constants, existsSync, openSync, rmSync } from "node:fs"
import { UserError } from "../../errors.ts"
import { Database, type Db } from "./driver.ts"
import { FileLock } from "./file-lock.ts"
import { databaseError } from "./open.ts"

/**
 * One server a database. The lock is SQLite's own on a small database beside it, `<path>-lock`: it ends with the process,
 * however that ends, and says which process it is. Besides, the database file itself is locked, which a server under another name
 * of it meets. Throws a Complaint where another server holds either.
 */
export class ServerLock {
  readonly #path: string
  readonly #db: Db
  readonly #file = new FileLock()

  constructor(
    private readonly database: string,
    pid: number,
    taken = servedError,
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
      // Held until the end, with nothing ever written: others can read who it is.
      this.#db.exec("begin immediate")
    } catch (error) {
      if (!(error as { code?: string }).code?.startsWith("SQLITE_BUSY")) {
        this.release()
        throw databaseError(error, path)
      }
      const holder = readHolder(this.#db)
      this.#db.close()
      throw taken(path, holder ? `, process ${holder}` : "")
    }
    this.lockDatabaseFile()
  }

  /** Locks the file itself; to be called again once it is made. Throws a Complaint where a server has it under another name. */
  lockDatabaseFile(): void {
    if (this.#file.acquire(this.database)) return
    this.release()
    throw servedError(this.database, " under another name")
  }

  /** There is the file of a lock: one is held, or whoever held it was killed. */
  static hasLockFile(path: string): boolean {
    return existsSync(`${path}-lock`)
  }

  /**
   * The process that serves the database; undefined where none does. Takes a free lock for a moment, for it alone tells: the file
   * may be one that a killed server left.
   */
  static holder(path: string): number | undefined {
    if (!ServerLock.hasLockFile(path)) return undefined
    let db: Db | undefined
    try {
      db = new Database(`${path}-lock`, { fileMustExist: true, timeout: 0 })
      db.exec("begin immediate; rollback")
      return undefined
    } catch (error) {
      if (!db || !(error as { code?: string }).code?.startsWith("SQLITE_BUSY"))
        throw databaseError(error, path)
      return readHolder(db)
    } finally {
      db?.close()
    }
  }

  /** Only when this process has no connection to the database any more: see `FileLock`. */
  release(): void {
    this.#file.release()
    try {
      rmSync(this.#path, { force: true })
    } catch {
      // A disk that takes nothing any more. What stays is what a killed process leaves, and the lock itself goes.
    }
    this.#db.close()
  }
}

function readHolder(db: Db): number | undefined {
  try {
    return db.prepare("select pid from holder").pluck().get() as number | undefined
  } catch {
    return undefined // it is being written just now
  }
}

function servedError(path: string, holder: string): UserError {
  return new UserError(
    `${path} is served by another databuddy${holder}`,
    "stop that one first, or give another --db",
  )
}
