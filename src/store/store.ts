import { existsSync } from "node:fs"

import type { Reason } from "../errors.ts"
import { refuseDamaged } from "./db/damage.ts"
import type { Db } from "./db/driver.ts"
import { refuseOtherNames, removeNameOfRestore } from "./db/file-names.ts"
import { closeDatabase, cutWal, type Durability, openDatabase } from "./db/open.ts"
import { ServerLock } from "./db/server-lock.ts"
import { TrustedClock } from "./db/trusted-clock.ts"
import { DiskGuard } from "./disk-guard.ts"
import { deleteUnusedTypes, hasUncheckedTypes } from "./event-types.ts"
import { EventInserter, sweepDeleted, sweepPause } from "./events.ts"
import { Batcher, type BatcherOptions } from "./ingest/batcher.ts"
import { Registry } from "./ingest/registry.ts"
import { type Commit, StoreLocked, Writer } from "./ingest/writer.ts"
import { sweepInvites } from "./invites.ts"
import { type Random, writeLastUsed } from "./keys.ts"
import { sweepSessions } from "./login-sessions.ts"
import { NewNames } from "./new-names.ts"
import { Profiles } from "./profiles.ts"
import { giveBackRoom, holdsExpired, sweepExpired } from "./retention.ts"
import { DailyHash, forgetOldSalts } from "./salts.ts"

export interface StoreOptions extends BatcherOptions {
  path: string
  durability: Durability
  /** Bytes that must be left on the disk; with less, events are refused so that reading and deleting still work. 0: any. */
  minFree: number
  /** ms that events are kept where their website does not say; left out or 0: for ever. */
  retain?: number | undefined
}

/** What the store takes from the world. */
export interface Environment {
  /** Unix ms */
  now: () => number
  /** ms of a clock that is never set. */
  elapsed: () => number
  random: Random
  /** The process' number, for others to see who has the database. */
  pid: number
}

/** ms that the start waits for another process's lock. */
const startTimeout = 5_000
/** ms between two looks for what the command line changed; a second is promised. */
const registryPoll = 250
/** ms between two looks at the room on the disk: at 100 MB/s it takes the 256 MB of --min-free longer to fill. */
const roomPoll = 1_000
/** ms between two rounds of what is brought up to date behind the commits. */
const upkeepPoll = 10_000
/** ms between two checks for unused types, and the most that checking may take of all time: it can read every row. */
const typesEvery = 600_000
const typesShare = 1 / 100
const sql = {
  /** A page in the -wal for certain, where SQLite passes over what changes nothing. The server reads websites and keys anew for it. */
  touch: "update registry set version = version + 1",
}

/** The database of a running server: one connection, one writer, and the views in memory that requests consult. */
export class Store {
  readonly db: Db
  readonly registry: Registry
  readonly profiles: Profiles
  readonly batcher: Batcher
  readonly #lock: ServerLock
  readonly #guard: DiskGuard
  readonly #time: TrustedClock
  /** The leap of the clock that was told last. */
  #told: TrustedClock["doubted"]
  readonly #timers: Timer[] = []
  #closing = false
  /** The bytes of a deleted salt are still in the -wal. */
  #saltsInWal = false
  #sweeping = false
  #checkingTypes = false
  /** ms of the clock that is never set: when types are checked next. */
  #checkTypesAt = 0
  /** The disk failed, and nothing shows yet that it works again. */
  #failed = false
  readonly #onFault: (error: unknown) => void

  constructor(
    private readonly options: StoreOptions,
    private readonly world: Environment,
    onFault: (error: unknown) => void,
    private readonly onNotice: (message: string) => void,
    onCommit: (commit: Commit, seconds: number) => void = () => {},
  ) {
    // An empty file is what a start leaves that was killed over making it.
    const killedFirst = ServerLock.isLeft(options.path) && !existsSync(`${options.path}-wal`)
    this.#lock = new ServerLock(options.path, world.pid)
    try {
      removeNameOfRestore(options.path)
      refuseOtherNames(options.path, true)
      refuseDamaged(options.path, killedFirst)
      // Nothing else runs yet, so a lock is waited for here; from then on the batcher waits, and the event loop does not.
      this.db = openDatabase({ ...options, busyTimeout: startTimeout, now: world.now() })
      this.db.pragma("busy_timeout = 0")
      this.#lock.coverFile()
    } catch (error) {
      this.#lock.release()
      throw error
    }
    this.#time = new TrustedClock(this.db, world.now(), world.elapsed())
    const dailyHash = new DailyHash(this.db, world.random)
    this.registry = new Registry(this.db, world.elapsed)
    this.profiles = new Profiles(this.db, dailyHash)
    const inserter = new EventInserter(this.db, dailyHash, { newNames: new NewNames(this.db) })
    const writer = new Writer(this.db, inserter, dailyHash)
    this.#guard = new DiskGuard(options.path, options.minFree, world.pid, world.random)
    this.#onFault = (error) => onFault(this.#guard.explain(error))
    this.batcher = new Batcher(
      {
        commit: (writes) => {
          const before = world.elapsed()
          const errors = this.#watch(() => writer.commit(writes))
          this.#guard.confirm()
          onCommit(writer.last, (world.elapsed() - before) / 1_000)
          return errors
        },
        obstacle: () => this.#guard.obstacle(),
      },
      options,
      world.elapsed,
      this.#onFault,
    )
    this.#lookForRoom()
  }

  /** Tries whether an event could be stored now. Rejects with the Refusal that it would get. */
  async ready(): Promise<void> {
    if (!this.#failed) return this.batcher.submit({ rows: [], size: 1 })
    // An empty commit writes nothing and succeeds on any disk.
    await this.batcher.submit({ rows: [], size: 1, apply: () => this.db.exec(sql.touch) })
    this.#failed = false
  }

  /** Why no event is taken at present; undefined: they are. */
  obstacle(): Reason | undefined {
    return this.#guard.obstacle()
  }

  /** Starts what runs beside requests. */
  start(): void {
    this.#timers.push(
      setInterval(() => this.#quietly(() => this.registry.refresh()), registryPoll),
      setInterval(() => this.#quietly(() => this.#lookForRoom()), roomPoll),
      setInterval(() => this.#quietly(() => this.#upkeep()), upkeepPoll),
    )
    void this.#sweep()
  }

  /** Commits what waits and closes. True where the database is one file afterwards, with no -wal beside it. */
  async close(): Promise<boolean> {
    this.#closing = true
    for (const timer of this.#timers) clearInterval(timer)
    await this.#quietly(() => this.#upkeep())
    await this.batcher.drain()
    const whole = closeDatabase(this.db)
    this.#lock.release()
    return whole
  }

  /** Notes whether the disk does what it is asked. */
  #watch<Result>(commit: () => Result): Result {
    try {
      return commit()
    } catch (error) {
      this.#failed ||= !(error instanceof StoreLocked)
      throw error
    }
  }

  #lookForRoom(): void {
    if (!this.#guard.measure()) return
    const low = this.#guard.obstacle() === "disk_low"
    this.onNotice(
      low
        ? "events are refused: the disk has less room left than --min-free"
        : "events are taken again: the disk has room",
    )
  }

  async #upkeep(): Promise<void> {
    const uses = this.registry.uses()
    const forgot = await this.batcher.run(() => {
      writeLastUsed(this.db, uses)
      sweepSessions(this.db, this.world.now())
      sweepInvites(this.db, this.world.now())
      return forgetOldSalts(this.db, this.world.now())
    }, 0)
    this.registry.forgetUses(uses)
    this.#saltsInWal ||= forgot
    if (this.#saltsInWal) this.#saltsInWal = !cutWal(this.db)
    if (!this.#closing) void this.#sweep()
  }

  /** Deletes what is to go and then gives its room back, in small steps between the commits. Stopped, the next start goes on. */
  async #sweep(): Promise<void> {
    if (this.#sweeping) return
    this.#sweeping = true
    let shrunk = false
    while (!this.#closing) {
      const step = await this.#quietly(() => this.batcher.run(() => this.#sweepStep(), 0))
      if (!step) break
      shrunk = step === "room"
      await new Promise((resolve) => setTimeout(resolve, sweepPause))
    }
    // The file itself gets shorter only when the -wal has gone into it.
    if (shrunk && !this.#closing) cutWal(this.db)
    this.#sweeping = false
    if (!this.#closing) void this.#quietly(() => this.#checkTypes())
  }

  /** What events have in common goes with the last of them, in small steps between the commits. */
  async #checkTypes(): Promise<void> {
    const { elapsed } = this.world
    const begun = elapsed()
    if (this.#checkingTypes || begun < this.#checkTypesAt || !hasUncheckedTypes(this.db)) return
    this.#checkingTypes = true
    try {
      const deleted = await deleteUnusedTypes(this.db, {
        write: (work) => this.batcher.run(work, 0),
        rest: async () => {
          await new Promise((resolve) => setTimeout(resolve, sweepPause))
          return !this.#closing
        },
      })
      // Until then the -wal still holds the names.
      if (deleted > 0 && !this.#closing) cutWal(this.db)
    } finally {
      const now = elapsed()
      this.#checkTypesAt = now + Math.max(typesEvery, (now - begun) / typesShare)
      this.#checkingTypes = false
    }
  }

  #sweepStep(): "events" | "room" | undefined {
    const { retain = 0 } = this.options
    const now = this.world.now()
    const proven = this.#time.look(now, this.world.elapsed())
    if (sweepDeleted(this.db, now)) {
      // Whoever deletes a website wants to be rid of its names, too.
      this.#checkTypesAt = 0
      return "events"
    }
    if (sweepExpired(this.db, retain, proven)) return "events"
    if (proven < now && holdsExpired(this.db, retain, now)) this.#tellLeap()
    return giveBackRoom(this.db) ? "room" : undefined
  }

  /** Once for each leap. */
  #tellLeap(): void {
    const { doubted } = this.#time
    if (!doubted || doubted === this.#told) return
    this.#told = doubted
    const [from, to] = [doubted.expected, doubted.now].map((ms) => new Date(ms).toISOString())
    this.onNotice(
      `the clock says ${to}, after ${from}: it was set, or the server stood still. Events that only this makes too old stay until it has run on for a day; if it is wrong, set it`,
    )
  }

  /** Upkeep that fails is reported and tried again at its next turn. */
  async #quietly<Result>(work: () => Result | Promise<Result>): Promise<Result | undefined> {
    try {
      return await work()
    } catch (error) {
      this.#onFault(error)
      return undefined
    }
  }
}
