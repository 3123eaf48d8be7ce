import { RequestError } from "../../errors.ts"
import type { DailyHash } from "../daily-hash.ts"
import type { Db, Statement } from "../db/driver.ts"
import type { EventInserter, EventRow } from "../events.ts"

/** What one request wants stored, all of it or nothing. */
export interface Write {
  rows: readonly EventRow[]
  /** Bytes that it holds in memory, roughly. */
  size: number
  /** Anything else to do in the same transaction. */
  apply?: () => void
}

/** What one commit did. */
export interface CommitResult {
  /** Events that are in the database with it. */
  stored: number
  /** Events that it passed over, because one with their `eventId` was there. */
  duplicates: number
}

/** Another process holds the lock; nothing was tried, and the same can be tried again. */
export class StoreLockedError extends Error {}

/** Errors of the store as a whole: no write of the batch can fare better than the one that met it. */
const faultCodes = /^SQLITE_(FULL|IOERR|READONLY|CORRUPT|NOTADB|CANTOPEN|NOMEM|PERM|PROTOCOL|AUTH)/

/** Commits the writes of many requests together. The only place where transactions of a server begin and end. */
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
   * One transaction, synced when this returns (with `synchronous = full`). Gives the error of each write that was left
   * out, undefined for each that is stored. Throws where nothing of the batch is stored: StoreLocked, or the fault.
   */
  commit(writes: readonly Write[]): (unknown | undefined)[] {
    try {
      return this.#transaction(() => this.#applyAll(writes))
    } catch (error) {
      if (error instanceof StoreLockedError || isFault(error)) throw error
      // One of them was refused, and with it the transaction is gone: once more, each behind a savepoint of its own.
      return this.#transaction(() => writes.map((write) => this.#applyAlone(write)))
    }
  }

  /** What the last one did that was carried out. */
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

  /** Gives the rejection of each write that has too many new names: found before anything is stored, it costs the others nothing. */
  #applyAll(writes: readonly Write[]): (RequestError | undefined)[] {
    const errors = new Array<RequestError | undefined>(writes.length)
    const types: number[] = []
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

  /** Does one write or leaves no trace of it. Gives its error, and throws one that is the store's own. */
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
      return error
    } finally {
      if (this.db.inTransaction) this.#release.run()
    }
  }

  #count(rows: number, inserted: number): void {
    this.#lastCommit.stored += inserted
    this.#lastCommit.duplicates += rows - inserted
  }

  /** What was learned from rows that are not in the database after all must be forgotten. */
  #resetCaches(): void {
    this.inserter.clearTypeCache()
    this.dailyHash.reset()
  }
}

function isFault(error: unknown): boolean {
  return faultCodes.test(codeOf(error))
}

function isBusy(error: unknown): boolean {
  return /^SQLITE_(BUSY|LOCKED)/.test(codeOf(error))
}

function codeOf(error: unknown): string {
  return (error as { code?: string } | undefined)?.code ?? ""
}
