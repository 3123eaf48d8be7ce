import { stat } from "node:fs/promises"
import { join, resolve } from "node:path"
import { UserError } from "../errors.ts"
import type { Log } from "../log.ts"
import type { BackupState } from "../metrics/metrics.ts"
import type { Context } from "../terminal/context.ts"
import {
  type Backup,
  backupName,
  createBackupFolder,
  databaseBytes,
  listBackups,
  pruneBackups,
  removePartialBackups,
  requireFreeSpaceBeside,
} from "./files.ts"

export interface ScheduleOptions {
  db: string
  folder: string
  /** ms from the start of one backup to the start of the next. */
  every: number
  /** Number of backups to keep. */
  keep: number
  /** Bytes that must stay free if the folder is on the database's disk. */
  minFree: number
}

/** The fields of the output of `databuddy backup --json` that the log shows. */
interface BackupReport {
  bytes: number
  events: number
  ms: number
}

/** ms until the retry after a failure, doubled after each consecutive failure: a full or unmounted disk needs an operator. */
const firstRetry = 60_000
const longestRetry = 3_600_000
/** Maximum ms of one sleep: a timer above 24.8 days would fire immediately. */
const longestSleep = 3_600_000
/** ms that a backup has to clean up when the server stops; 100 ms is typical. */
const stopTimeout = 5_000

/**
 * Runs backups on a schedule. Each is a separate process, `databuddy backup`: in this process, closing the database after
 * the copy would drop the server's locks.
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

  /**
   * Creates a missing folder now and never later: if a folder disappears while the server runs, its disk was
   * unmounted.
   */
  start(): void {
    this.#createFolder()
    this.#running = this.#run()
  }

  /** Stops the schedule. Cancels a running backup and removes its files. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#stopRequested.resolve()
    this.#child?.kill("SIGTERM")
    await Promise.race([this.#running, this.context.sleep(stopTimeout)])
    // On a hung disk even SIGKILL can take forever, so do not wait for it.
    this.#child?.kill("SIGKILL")
  }

  #createFolder(): void {
    try {
      if (createBackupFolder(this.#folder))
        this.log("info", "created the backup folder", { folder: this.#folder })
    } catch {
      // The first backup reports the error.
    }
  }

  async #run(): Promise<void> {
    let due = await this.#firstDue()
    while (await this.#waitUntil(due)) due = this.context.environment.elapsed() + (await this.#attempt())
  }

  /**
   * Returns when the first backup is due: one interval after the newest existing one, even if no server was
   * running in the meantime; immediately if that one is dated in the future.
   */
  async #firstDue(): Promise<number> {
    const { now, elapsed } = this.context.environment
    try {
      const newest = (await listBackups(this.#folder, this.options.db)).at(-1)
      if (!newest || newest.at > now()) return elapsed()
      this.state.lastSuccess = newest.at
      this.state.bytes = (await stat(newest.file)).size
      return elapsed() + newest.at + this.options.every - now()
    } catch {
      return elapsed() // The attempt reports the error.
    }
  }

  /** Returns false if the server stops. */
  async #waitUntil(due: number): Promise<boolean> {
    const { environment, sleep } = this.context
    while (!this.#stopping && environment.elapsed() < due) {
      await Promise.race([
        sleep(Math.min(due - environment.elapsed(), longestSleep)),
        this.#stopRequested.promise,
      ])
    }
    return !this.#stopping
  }

  /** Runs a backup and returns the ms until the next one. */
  async #attempt(): Promise<number> {
    const { now, elapsed } = this.context.environment
    const [startedAt, at] = [elapsed(), now()]
    try {
      const { bytes, events, ms } = await this.#runBackup(at)
      const backup: Backup = { file: join(this.#folder, backupName(this.options.db, at)), at }
      Object.assign(this.state, { lastSuccess: at, bytes })
      this.#consecutiveFailures = 0
      this.log("info", "backup created", { file: backup.file, bytes, events, ms })
      await this.#prune(backup)
      return this.options.every - (elapsed() - startedAt)
    } catch (error) {
      if (this.#stopping) return 0
      const wait = retryDelay(this.#consecutiveFailures++, this.options.every)
      this.state.failures++
      this.state.lastFailure = now()
      const { message } = error as Error
      const hint = error instanceof UserError ? error.hint : undefined
      this.log("error", "backup failed", {
        error: message,
        hint,
        retryInSeconds: Math.ceil(wait / 1_000),
      })
      return wait
    }
  }

  async #runBackup(at: number): Promise<BackupReport> {
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
      if (code === 0) return JSON.parse(out) as BackupReport // our own output
      throw parseCommandError(err, `${child.signalCode ?? `exit code ${code}`}`)
    } finally {
      this.#child = undefined
    }
  }

  /** Deletes old backups after a new one is complete. A failure here does not fail the new backup. */
  async #prune(newest: Backup): Promise<void> {
    try {
      const backups = await listBackups(this.#folder, this.options.db)
      for (const file of await pruneBackups(backups, newest, this.options.keep)) {
        this.log("info", "old backup removed", { file })
      }
    } catch (error) {
      this.log("warn", "cannot remove an old backup", { error: (error as Error).message })
    }
  }
}

/** ms until the next attempt after a failure that follows `previousFailures` consecutive ones. */
export function retryDelay(previousFailures: number, every: number): number {
  return Math.min(every, longestRetry, firstRetry * 2 ** previousFailures)
}

/** Parses the `error:` and `hint:` lines of the command. */
function parseCommandError(output: string, exit: string): UserError {
  const [, message] = /^error: (.+)$/m.exec(output) ?? []
  const [, hint] = /^hint: (.+)$/m.exec(output) ?? []
  return new UserError(message ?? `databuddy backup ended with ${exit}: ${output.trim()}`, hint)
}
