import { stat } from "node:fs/promises"
import { join, resolve } from "node:path"
import { UserError } from "../errors.ts"
import type { Log } from "../log.ts"
import type { BackupState } from "../metrics/metrics.ts"
import type { Context } from "../terminal/context.ts"
import {
  type Backup,
  backupName,
  databaseBytes,
  listBackups,
  pruneBackups,
  removePartialBackups,
  requireFreeSpaceBeside,
} from "./files.ts"

export interface ScheduleOptions {
  db: string
  folder: string
  /** ms from the beginning of one to the next. */
  every: number
  /** Finished backups that stay. */
  keep: number
  /** Bytes that a backup leaves on the database's own disk. */
  minFree: number
}

/** ms after a failure until the next try: doubled by each further one, for what is full or not mounted takes a person. */
const firstRetry = 60_000
const longestRetry = 3_600_000
/** Most ms of one sleep: a timer of more than 24.8 days would fire at once. */
const longestSleep = 3_600_000
/** ms that a backup has to clean up when the server stops; a tenth of a second is usual. */
const stopTimeout = 5_000

/**
 * Backs the database up in time, each by a process of its own: `databuddy backup`. Were it done here, closing the database after the
 * copy would drop the server's locks on it.
 */
export class BackupSchedule {
  readonly state: BackupState
  readonly #folder: string
  readonly #stopRequested = Promise.withResolvers<void>()
  #stopping = false
  #consecutiveFailures = 0
  #child: Bun.Subprocess | undefined
  #running: Promise<void> | undefined

  constructor(
    private readonly options: ScheduleOptions,
    private readonly context: Context,
    private readonly log: Log,
  ) {
    this.#folder = resolve(options.folder)
    this.state = { lastSuccess: 0, lastFailure: 0, bytes: 0, failures: 0 }
  }

  start(): void {
    this.#running = this.#run()
  }

  /** Ends a backup that is being made; nothing is left of it. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#stopRequested.resolve()
    this.#child?.kill("SIGTERM")
    await Promise.race([this.#running, this.context.sleep(stopTimeout)])
    // On a disk that no longer answers even that may take for ever; it is not waited for.
    this.#child?.kill("SIGKILL")
  }

  async #run(): Promise<void> {
    let due = await this.#firstDue()
    while (await this.#waitUntil(due)) due = this.context.environment.elapsed() + (await this.#attempt())
  }

  /** The time that was missed while no server ran counts: where the newest is too old, or from a clock that was ahead, at once. */
  async #firstDue(): Promise<number> {
    const { now, elapsed } = this.context.environment
    try {
      const newest = (await listBackups(this.#folder, this.options.db)).at(-1)
      if (!newest || newest.at > now()) return elapsed()
      this.state.lastSuccess = newest.at
      this.state.bytes = (await stat(newest.file)).size
      return elapsed() + newest.at + this.options.every - now()
    } catch {
      return elapsed() // The attempt says what is wrong.
    }
  }

  /** False: the server stops. */
  async #waitUntil(due: number): Promise<boolean> {
    const { environment: world, sleep } = this.context
    while (!this.#stopping && world.elapsed() < due) {
      await Promise.race([sleep(Math.min(due - world.elapsed(), longestSleep)), this.#stopRequested.promise])
    }
    return !this.#stopping
  }

  /** Gives the ms until the next. */
  async #attempt(): Promise<number> {
    const { now, elapsed } = this.context.environment
    const [began, at] = [elapsed(), now()]
    try {
      const { bytes, events, ms } = await this.#runBackup(at)
      const backup: Backup = { file: join(this.#folder, backupName(this.options.db, at)), at }
      Object.assign(this.state, { lastSuccess: at, bytes })
      this.#consecutiveFailures = 0
      this.log("info", "made a backup", { file: backup.file, bytes, events, ms })
      await this.#prune(backup)
      return this.options.every - (elapsed() - began)
    } catch (error) {
      if (this.#stopping) return 0
      const wait = retryDelay(this.#consecutiveFailures++, this.options.every)
      this.state.failures++
      this.state.lastFailure = now()
      const { message } = error as Error
      const hint = error instanceof UserError ? error.hint : undefined
      this.log("error", "the backup failed", {
        error: message,
        hint,
        retryInSeconds: Math.ceil(wait / 1_000),
      })
      return wait
    }
  }

  async #runBackup(at: number): Promise<{ bytes: number; events: number; ms: number }> {
    const { db, minFree } = this.options
    await removePartialBackups(this.#folder, db, this.context.environment.pid)
    const [folder, database] = await Promise.all([stat(this.#folder), stat(db)])
    if (folder.dev === database.dev) await requireFreeSpaceBeside(this.#folder, databaseBytes(db), minFree)
    const file = join(this.#folder, backupName(db, at))
    const { program, env } = this.context
    const child = Bun.spawn([...program, "backup", file, "--db", db, "--json"], {
      env,
      stdin: "ignore",
      stdout: "pipe",
      stderr: "pipe",
    })
    this.#child = child
    try {
      if (this.#stopping) child.kill("SIGTERM")
      const [out, err, code] = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited])
      if (code === 0) return JSON.parse(out)
      throw parseCommandError(err, `${child.signalCode ?? `exit code ${code}`}`)
    } finally {
      this.#child = undefined
    }
  }

  /** Only once a new one is there; that an old one stays is no failure of the new one. */
  async #prune(newest: Backup): Promise<void> {
    try {
      const backups = await listBackups(this.#folder, this.options.db)
      for (const file of await pruneBackups(backups, newest, this.options.keep)) {
        this.log("info", "removed an old backup", { file })
      }
    } catch (error) {
      this.log("warn", "an old backup could not be removed", { error: (error as Error).message })
    }
  }
}

/** ms until the next try after `before` failures in a row and this one. */
export function retryDelay(before: number, every: number): number {
  return Math.min(every, longestRetry, firstRetry * 2 ** before)
}

/** What the command printed as `error:` and `hint:`. */
function parseCommandError(printed: string, ended: string): UserError {
  const [, message] = /^error: (.+)$/m.exec(printed) ?? []
  const [, hint] = /^hint: (.+)$/m.exec(printed) ?? []
  return new UserError(message ?? `databuddy backup ended with ${ended}: ${printed.trim()}`, hint)
}
