import { codeOf, isBusy, RequestError } from "../../errors.ts"
import type { DailyHash } from "../daily-hash.ts"
import type { Db, Statement } from "../db/driver.ts"
import type { EventInserter, EventRow } from "../events.ts"
import { registryError } from "../registry-copy.ts"

/** The changes of one request. Either all of them are stored or none. */
export interface Write {
  rows: readonly EventRow[]
  /** Approximate size in memory, in bytes. */
  size: number
  /** Makes additional changes in the same transaction. */
  apply?: () => void
}

/** The outcome of one commit. */
export interface CommitResult {
  /** Number of events inserted. */
  stored: number
  /** Number of events skipped because their `eventId` already exists. */
  duplicates: number
}

/** Thrown if another process holds the write lock. Nothing was written, and the same batch can be retried. */
export class StoreLockedError extends Error {}

/** Codes of errors that affect the whole store, so that every other write in the batch would fail too. */
const faultCodes = /^SQLITE_(FULL|IOERR|READONLY|CORRUPT|NOTADB|CANTOPEN|NOMEM|PERM|PROTOCOL|AUTH)/

/** Commits the writes of many requests together. All write transactions of a server begin and end here. */
export class Writer {
  readonly #begin: Statement
  readonly #commit: Statement
  readonly #rollback: Statement
  readonly #savepoint: Statement
  readonly #release: Statement
  readonly #rollbackToSavepoint: Statement
  #lastCommit: CommitResult = { stored: 0, duplicates: 0 }

  constructor(
    private readonly db: Db,
    private readonly inserter: EventInserter,
    private readonly dailyHash: DailyHash,
  ) {
    this.#begin = db.prepare("begin immediate")
    this.#commit = db.prepare("commit")
    this.#rollback = db.prepare("rollback")
    this.#savepoint = db.prepare("savepoint part")
    this.#release = db.prepare("release part")
    this.#rollbackToSavepoint = db.prepare("rollback to part")
  }

  /**
   * Commits a batch in one transaction. If `synchronous` is `full`, the transaction is on disk when the call returns.
   * Returns one entry per write: undefined if the write was stored, otherwise its error. If nothing was stored, throws
   * a StoreLockedError or the error that affects the whole store.
   */
  commit(writes: readonly Write[]): (unknown | undefined)[] {
    try {
      return this.#transaction(() => this.#applyAll(writes))
    } catch (error) {
      if (error instanceof StoreLockedError || isFault(error)) throw error
      // One write failed, so the whole batch was rolled back. Applies each write again in its own savepoint.
      return this.#transaction(() => writes.map((write) => this.#applyAlone(write)))
    }
  }

  /** The outcome of the last commit. */
  get lastCommit(): CommitResult {
    return this.#lastCommit
  }

  #transaction<Result>(work: () => Result): Result {
    try {
      this.#begin.run()
    } catch (error) {
      throw isBusy(error)
        ? new StoreLockedError("the database is locked by another process", { cause: error })
        : error
    }
    try {
      this.#lastCommit = { stored: 0, duplicates: 0 }
      const result = work()
      this.#commit.run()
      return result
    } catch (error) {
      if (this.db.inTransaction) this.#rollback.run()
      this.#resetCaches()
      throw error
    }
  }

  /** Applies writes without savepoints. Leaves out writes with too many new names, and returns their errors. */
  #applyAll(writes: readonly Write[]): (RequestError | undefined)[] {
    const errors = new Array<RequestError | undefined>(writes.length)
    const types: number[] = []
    // This is not repeated for each write: only `apply` can start a type check in this transaction, and it runs after
    // all inserts.
    this.inserter.revalidateCaches()
    const admitted = writes.filter((write, index) => {
      try {
        for (const type of this.inserter.typesOf(write.rows)) types.push(type)
        return true
      } catch (error) {
        if (!(error instanceof RequestError)) throw error
        errors[index] = error
        return false
      }
    })
    const rows = admitted.length === 1 ? (admitted[0] as Write).rows : admitted.flatMap((write) => write.rows)
    const inserted = this.inserter.insert(rows, types)
    this.#count(rows.length, inserted)
    for (const write of admitted) write.apply?.()
    return errors
  }

  /**
   * Applies one write in a savepoint. Returns the error of the write, or undefined if it succeeded. Throws errors that
   * affect the whole store.
   */
  #applyAlone(write: Write): unknown | undefined {
    this.#savepoint.run()
    try {
      const inserted = this.inserter.insert(write.rows)
      write.apply?.()
      this.#count(write.rows.length, inserted)
      return undefined
    } catch (error) {
      if (isFault(error) || !this.db.inTransaction) throw error
      this.#rollbackToSavepoint.run()
      this.#resetCaches()
      return registryError(this.db, error)
    } finally {
      if (this.db.inTransaction) this.#release.run()
    }
  }

  #count(rows: number, inserted: number): void {
    this.#lastCommit.stored += inserted
    this.#lastCommit.duplicates += rows - inserted
  }

  /** Clears caches that refer to rolled-back rows. */
  #resetCaches(): void {
    this.inserter.clearCaches()
    this.dailyHash.reset()
  }
}

function isFault(error: unknown): boolean {
  return faultCodes.test(codeOf(error))
}
