import { existsSync } from "node:fs"
import type { Environment } from "../environment.ts"
import type { RejectionReason } from "../rejection-reasons.ts"
import { DailyHash, deleteOldSalts } from "./daily-hash.ts"
import { hasExpired, releaseFreePages, sweepExpired } from "./data-retention.ts"
import { rejectDamaged } from "./db/damage.ts"
import { rejectAliases, removeRestoreLink } from "./db/database-path.ts"
import { DiskGuard } from "./db/disk-guard.ts"
import type { Db } from "./db/driver.ts"
import { closeDatabase, type Durability, openDatabase, truncateWal } from "./db/open.ts"
import { ServerLock } from "./db/server-lock.ts"
import { TrustedClock } from "./db/trusted-clock.ts"
import { DatabaseFiles } from "./db/unallocated-space.ts"
import { sweepDeleted } from "./deleted-websites.ts"
import { NewNameQuota } from "./event-name-quota.ts"
import { EventInserter, sweepPause } from "./events.ts"
import { Batcher, type BatcherOptions } from "./ingest/batcher.ts"
import { Registry } from "./ingest/registry.ts"
import { SealingLag } from "./ingest/sealing-lag.ts"
import { type CommitResult, StoreLockedError, Writer } from "./ingest/writer.ts"
import { sweepInvites } from "./invites.ts"
import { writeLastUsed } from "./keys.ts"
import { sweepLoginSessions } from "./login-sessions.ts"
import { assignNode } from "./node-ids.ts"
import { Profiles } from "./profiles.ts"
import { followRegistry } from "./registry-copy.ts"
import { deleteUnusedTypes, hasUncheckedTypes } from "./unused-event-types.ts"

export interface StoreOptions extends BatcherOptions {
  path: string
  durability: Durability
  /** See `OpenOptions`. */
  pageCacheKiB?: number | undefined
  /**
   * Below this amount of free disk space (in bytes), events are rejected, but queries and deletion still work. 0: no
   * limit.
   */
  minFree: number
  /** Default retention of events in ms. Undefined or 0: forever. */
  retain?: number | undefined
  /** URL of the server from which this server copies its registry, or `none`. Undefined: see `followRegistry`. */
  registryUrl?: string | undefined
  /** The number of this node. Undefined: the server does not share a ClickHouse database with others. */
  node?: number | undefined
}

export interface StoreCallbacks {
  /** Called with SQLite and disk failures. */
  onFault: (error: unknown) => void
  /** Called with warnings for the operator, for example if events are rejected or the clock was set. */
  onWarning: (message: string) => void
  /** Called after each commit. `seconds` is its duration, including the sync. */
  onCommit?: (commit: CommitResult, seconds: number) => void
}

/** How long startup waits while another process holds a lock, in ms. */
const startTimeout = 5_000
/**
 * Time between checks for websites and keys that the command line has changed, in ms. The documentation promises at
 * most one second.
 */
const registryPoll = 250
/**
 * Time between checks of free disk space, in ms. Even at 100 MB/s, filling the 256 MiB that --min-free reserves by
 * default takes longer.
 */
const freeSpacePoll = 1_000
/** Time between maintenance runs, in ms. */
const maintenanceInterval = 10_000
/**
 * Minimum time between checks for unused types, in ms, and the maximum share of time that they can take up. A single
 * check might have to read every row.
 */
const typeCheckInterval = 600_000
const typeCheckShare = 1 / 100
const sql = {
  /**
   * Writes a page, because SQLite skips commits that change nothing. As a side effect, servers reload websites and
   * keys.
   */
  touch: "update registry set version = version + 1",
}

/**
 * The database of a running server, with one connection, one writer, and the in-memory registry that requests consult.
 */
export class Store {
  readonly db: Db
  readonly files = new DatabaseFiles()
  readonly registry: Registry
  readonly profiles: Profiles
  readonly batcher: Batcher
  readonly inserter: EventInserter
  readonly sealingLag: SealingLag
  readonly #lock: ServerLock
  readonly #diskGuard: DiskGuard
  readonly #trustedClock: TrustedClock
  /** The last clock jump that has been reported. */
  #reportedJump: TrustedClock["untrustedJump"]
  readonly #timers: Timer[] = []
  #closing = false
  /** True if the -wal still contains the bytes of a deleted salt. */
  #saltsInWal = false
  #sweeping = false
  #checkingTypes = false
  /** Earliest time of the next type check, in ms on the `elapsed` clock. */
  #nextTypeCheck = 0
  /** True if a commit has failed and `ready` has not written successfully since. */
  #failed = false
  readonly #onFault: (error: unknown) => void

  constructor(
    private readonly options: StoreOptions,
    private readonly environment: Environment,
    private readonly callbacks: StoreCallbacks,
  ) {
    // A startup that is killed while it creates the database leaves behind an empty file and the lock file.
    const isInterruptedStart = ServerLock.hasLockFile(options.path) && !existsSync(`${options.path}-wal`)
    this.#lock = new ServerLock(options.path, environment.pid)
    try {
      removeRestoreLink(options.path)
      rejectAliases(options.path, true)
      rejectDamaged(options.path, isInterruptedStart)
      // Nothing else is running yet, so SQLite can block here. Later, the batcher waits for locks without blocking the
      // event loop.
      this.db = openDatabase({ ...options, busyTimeout: startTimeout, now: environment.now() })
      // Both calls are in one transaction, so that the file does not change if one of them rejects its flag.
      this.db.transaction(() => {
        followRegistry(this.db, options.registryUrl)
        assignNode(this.db, options.node)
      })()
      this.db.pragma("busy_timeout = 0")
      this.#lock.lockDatabaseFile()
    } catch (error) {
      this.#lock.release()
      throw error
    }
    this.#trustedClock = new TrustedClock(this.db, environment.now(), environment.elapsed())
    const dailyHash = new DailyHash(this.db, environment.random)
    this.registry = new Registry(this.db, environment.elapsed)
    this.profiles = new Profiles(this.db, dailyHash)
    this.inserter = new EventInserter(this.db, dailyHash, { newNames: new NewNameQuota(this.db) })
    const writer = new Writer(this.db, this.inserter, dailyHash)
    this.#diskGuard = new DiskGuard(options.path, options.minFree, environment.pid, environment.random)
    this.#onFault = (error) => callbacks.onFault(this.#diskGuard.explain(error))
    this.sealingLag = new SealingLag(environment.elapsed)
    this.batcher = new Batcher(
      {
        commit: (writes) => {
          const before = environment.elapsed()
          const errors = this.#trackFailure(() => writer.commit(writes))
          this.#diskGuard.verifyFiles()
          this.sealingLag.stored(writer.lastCommit.stored)
          callbacks.onCommit?.(writer.lastCommit, (environment.elapsed() - before) / 1_000)
          return errors
        },
        unavailableReason: () => this.#diskGuard.unavailableReason(),
        delayAfter: (rows) => this.sealingLag.delayAfter(rows),
      },
      options,
      environment.elapsed,
      this.#onFault,
    )
    this.#checkFreeSpace()
  }

  /** Makes a commit to test whether events can be stored. Rejects with the RequestError that a request would get. */
  async ready(): Promise<void> {
    if (!this.#failed) return this.batcher.submit({ rows: [], size: 1 })
    // An empty commit writes nothing, so it would succeed even on a failed disk.
    await this.batcher.submit({ rows: [], size: 1, apply: () => this.db.exec(sql.touch) })
    this.#failed = false
  }

  /** Returns why events are currently rejected, or undefined if they are accepted. */
  unavailableReason(): RejectionReason | undefined {
    return this.#diskGuard.unavailableReason()
  }

  /** Starts background work: reloading the registry, monitoring the disk, and maintenance. */
  start(): void {
    this.#timers.push(
      setInterval(() => this.#reportFault(() => this.registry.refresh()), registryPoll),
      setInterval(() => this.#reportFault(() => this.#checkFreeSpace()), freeSpacePoll),
      setInterval(() => this.#reportFault(() => this.#maintain()), maintenanceInterval),
    )
    void this.#sweep()
  }

  /**
   * Commits queued writes and closes the database. Resolves to true if the database is then a single file without a
   * -wal.
   */
  async close(): Promise<boolean> {
    this.#closing = true
    for (const timer of this.#timers) clearInterval(timer)
    await this.#reportFault(() => this.#maintain())
    await this.batcher.drain()
    const isSingleFile = closeDatabase(this.db)
    this.#lock.release()
    return isSingleFile
  }

  /** Runs `commit`, and records a failure in `#failed`. Lock contention does not count as a failure. */
  #trackFailure<Result>(commit: () => Result): Result {
    try {
      return commit()
    } catch (error) {
      this.#failed ||= !(error instanceof StoreLockedError)
      throw error
    }
  }

  #checkFreeSpace(): void {
    if (!this.#diskGuard.checkFreeSpace()) return
    const isLow = this.#diskGuard.unavailableReason() === "disk_low"
    this.callbacks.onWarning(
      isLow
        ? "events are rejected: free disk space is below --min-free"
        : "events are accepted again: the disk has free space",
    )
  }

  async #maintain(): Promise<void> {
    const uses = this.registry.pendingUses()
    const deletedSalts = await this.batcher.run(() => {
      writeLastUsed(this.db, uses)
      sweepLoginSessions(this.db, this.environment.now())
      sweepInvites(this.db, this.environment.now())
      return deleteOldSalts(this.db, this.environment.now())
    }, 0)
    this.registry.clearUses(uses)
    this.#saltsInWal ||= deletedSalts
    if (this.#saltsInWal) this.#saltsInWal = !truncateWal(this.db)
    if (!this.#closing) void this.#sweep()
  }

  /**
   * Deletes expired events and deleted websites, then frees their pages, in small steps between commits. If
   * interrupted, continues after the next start.
   */
  async #sweep(): Promise<void> {
    if (this.#sweeping) return
    this.#sweeping = true
    let shrunk = false
    while (!this.#closing) {
      const step = await this.#reportFault(() => this.batcher.run(() => this.#sweepStep(), 0))
      if (!step) break
      shrunk = step === "pages"
      await new Promise((resolve) => setTimeout(resolve, sweepPause))
    }
    // The file itself only shrinks at a checkpoint.
    if (shrunk && !this.#closing) truncateWal(this.db)
    this.#sweeping = false
    if (!this.#closing) void this.#reportFault(() => this.#checkTypes())
  }

  /** Deletes event types without events, in small steps between commits. */
  async #checkTypes(): Promise<void> {
    const { elapsed } = this.environment
    const startedAt = elapsed()
    if (this.#checkingTypes || startedAt < this.#nextTypeCheck || !hasUncheckedTypes(this.db)) return
    this.#checkingTypes = true
    try {
      const deleted = await deleteUnusedTypes(this.db, {
        write: (work) => this.batcher.run(work, 0),
        pause: async () => {
          await new Promise((resolve) => setTimeout(resolve, sweepPause))
          return !this.#closing
        },
      })
      // Otherwise, the -wal would contain the deleted names until the next checkpoint.
      if (deleted > 0 && !this.#closing) truncateWal(this.db)
    } finally {
      const now = elapsed()
      this.#nextTypeCheck = now + Math.max(typeCheckInterval, (now - startedAt) / typeCheckShare)
      this.#checkingTypes = false
    }
  }

  #sweepStep(): "events" | "pages" | undefined {
    const { retain = 0 } = this.options
    const now = this.environment.now()
    const trusted = this.#trustedClock.observe(now, this.environment.elapsed())
    if (sweepDeleted(this.db, now)) {
      // When a website is deleted, its event names must be deleted too, so types are checked as soon as the sweep is
      // done.
      this.#nextTypeCheck = 0
      return "events"
    }
    if (sweepExpired(this.db, retain, trusted)) return "events"
    if (trusted < now && hasExpired(this.db, retain, now)) this.#reportClockJump()
    return releaseFreePages(this.db) ? "pages" : undefined
  }

  /** Warns once about each clock jump. */
  #reportClockJump(): void {
    const { untrustedJump } = this.#trustedClock
    if (!untrustedJump || untrustedJump === this.#reportedJump) return
    this.#reportedJump = untrustedJump
    const [from, to] = [untrustedJump.expected, untrustedJump.now].map((ms) => new Date(ms).toISOString())
    this.callbacks.onWarning(
      `the clock jumped from ${from} to ${to}: it was set, or the server was suspended. Events that have expired only because of the new time will be deleted after the clock has run for a day. If the time is wrong, correct it`,
    )
  }

  /**
   * Returns the result of `work`. If `work` throws, reports the error to `onFault` and returns undefined. The next
   * maintenance run tries again.
   */
  async #reportFault<Result>(work: () => Result | Promise<Result>): Promise<Result | undefined> {
    try {
      return await work()
    } catch (error) {
      this.#onFault(error)
      return undefined
    }
  }
}
