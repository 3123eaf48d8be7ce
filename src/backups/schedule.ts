import { messageOf, UserError } from "../errors.ts"
import type { Log } from "../log.ts"
import type { BackupState } from "../metrics/metrics.ts"
import type { Context } from "../terminal/context.ts"
import type { BackupReport, Destination } from "./destinations.ts"
import { expiredBackups } from "./expired-backups.ts"
import type { Backup } from "./files.ts"
import { sendPing } from "./ping.ts"

export interface ScheduleOptions {
  /** Time from the start of one backup to the start of the next, in ms. */
  every: number
  /** Number of backups to keep in each destination. */
  keep: number
  /** URL of a monitor, to which a request is sent after successful backups. */
  ping: string | undefined
}

/**
 * Delay in ms before the first retry. It doubles with each consecutive failure, because frequent retries do not help if
 * a disk is full or unmounted.
 */
const firstRetry = 60_000
const longestRetry = 3_600_000
/** Maximum duration of one sleep in ms. A timer of more than 24.8 days would fire immediately. */
const longestSleep = 3_600_000
/**
 * Jobs that are due within this many ms of the first one run in the same round. The time of an uploaded backup is read
 * from its name, which has whole seconds, so the next upload can be due up to a second before the next local backup.
 * The other second allows for clock corrections.
 */
const roundTolerance = 2_000
/** When the server stops, a running backup has this many ms to remove its files, which usually takes 100 ms. */
const stopTimeout = 5_000

/** The schedule of one destination. */
interface Job {
  destination: Destination
  state: BackupState
  /** When the next backup is due: a time on the monotonic clock, in ms. */
  due: number
  consecutiveFailures: number
}

/**
 * Runs backups on a schedule, one after another. Each one runs in a separate process (`databuddy backup`), because
 * closing the copied database in the server's own process would release the server's file locks.
 */
export class BackupSchedule {
  readonly #jobs: Job[]
  readonly #stopRequested = Promise.withResolvers<void>()
  #stopping = false
  #child: Bun.Subprocess | undefined
  #running: Promise<void> | undefined

  /**
   * Each destination has its own schedule and retries. If several backups are due, they run in the order of
   * `destinations`.
   */
  constructor(
    destinations: readonly Destination[],
    private readonly options: ScheduleOptions,
    private readonly context: Context,
    private readonly log: Log,
  ) {
    this.#jobs = destinations.map((destination) => ({
      destination,
      state: { lastSuccess: 0, lastFailure: 0, bytes: 0, failures: 0 },
      due: 0,
      consecutiveFailures: 0,
    }))
  }

  stateOf(destination: Destination | undefined): BackupState | undefined {
    return this.#jobs.find((job) => job.destination === destination)?.state
  }

  start(): void {
    for (const { destination } of this.#jobs) destination.prepare(this.log)
    this.#running = this.#run()
  }

  /** Stops the schedule. Cancels a running backup and removes its files. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#stopRequested.resolve()
    this.#child?.kill("SIGTERM")
    await Promise.race([this.#running, this.context.sleep(stopTimeout)])
    // If the disk hangs, even SIGKILL can take forever, so this method does not wait for the process to end.
    this.#child?.kill("SIGKILL")
  }

  async #run(): Promise<void> {
    const { elapsed } = this.context.environment
    await Promise.all(
      this.#jobs.map(async (job) => {
        job.due = await this.#firstDue(job)
      }),
    )
    while (await this.#waitUntil(this.#nextRound())) {
      let succeeded = false
      for (const job of this.#jobs) {
        if (this.#stopping || elapsed() < job.due) continue
        job.due = elapsed() + (await this.#attempt(job))
        succeeded ||= job.consecutiveFailures === 0
      }
      const isFailing = this.#jobs.some(({ consecutiveFailures }) => consecutiveFailures > 0)
      // A ping while a destination is failing would hide that failure.
      if (succeeded && !isFailing && !this.#stopping) this.#ping()
    }
  }

  /**
   * Returns when the next round starts. A round includes the first job that is due, and the jobs that are due shortly
   * after it.
   */
  #nextRound(): number {
    const times = this.#jobs.map(({ due }) => due)
    const first = Math.min(...times)
    return Math.max(...times.filter((due) => due <= first + roundTolerance))
  }

  /** Notifies the monitor without waiting for its response. */
  #ping(): void {
    const { ping } = this.options
    if (ping !== undefined) void sendPing(ping, this.log, this.context.sleep)
  }

  /**
   * Returns when the first backup is due: one interval after the newest existing backup, even if the server was not
   * running in the meantime. If there is no backup, or the newest is dated in the future, it is due immediately.
   */
  async #firstDue({ destination, state }: Job): Promise<number> {
    const { now, elapsed } = this.context.environment
    try {
      const newest = (await destination.list()).at(-1)
      if (!newest || newest.at > now()) return elapsed()
      state.lastSuccess = newest.at
      state.bytes = await destination.bytesOf(newest)
      return elapsed() + newest.at + this.options.every - now()
    } catch {
      return elapsed() // The first backup fails with the same error, and reports it.
    }
  }

  /** Waits until `due`. Returns false if the server stops in the meantime. */
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

  /** Runs a backup and returns the number of ms until the next one. */
  async #attempt(job: Job): Promise<number> {
    const { now, elapsed } = this.context.environment
    const [startedAt, at] = [elapsed(), now()]
    const { destination, state } = job
    try {
      const { backup, report } = await destination.create(at, (args) => this.#runBackup(args))
      const { bytes, events, ms } = report
      Object.assign(state, { lastSuccess: backup.at, bytes })
      job.consecutiveFailures = 0
      this.log("info", "backup created", { file: backup.file, bytes, events, ms })
      await this.#prune(destination, backup)
      // If an older local backup was uploaded, the interval starts when that backup was created.
      return this.options.every - (at - backup.at) - (elapsed() - startedAt)
    } catch (error) {
      if (this.#stopping) return 0
      const wait = retryDelay(job.consecutiveFailures++, this.options.every)
      state.failures++
      state.lastFailure = now()
      const { message } = error as Error
      const hint = error instanceof UserError ? error.hint : undefined
      this.log("error", "backup failed", {
        to: destination.name,
        error: message,
        hint,
        retryInSeconds: Math.ceil(wait / 1_000),
      })
      return wait
    }
  }

  async #runBackup(args: readonly string[]): Promise<BackupReport> {
    const { program, env } = this.context
    const child = Bun.spawn([...program, "backup", ...args, "--json"], {
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

  /** Deletes old backups after a new one is complete. If this fails, the new backup still counts as successful. */
  async #prune(destination: Destination, newest: Backup): Promise<void> {
    try {
      for (const file of expiredBackups(await destination.list(), newest, this.options.keep)) {
        await destination.remove(file)
        this.log("info", "old backup removed", { file })
      }
    } catch (error) {
      this.log("warn", "cannot remove an old backup", { error: messageOf(error) })
    }
  }
}

/**
 * Returns the delay in ms from a failure to the next attempt. `previousFailures`: consecutive failures before this one.
 */
export function retryDelay(previousFailures: number, every: number): number {
  return Math.min(every, longestRetry, firstRetry * 2 ** previousFailures)
}

/** Parses the `error:` and `hint:` lines that the command printed. */
function parseCommandError(output: string, exit: string): UserError {
  const [, message] = /^error: (.+)$/m.exec(output) ?? []
  const [, hint] = /^hint: (.+)$/m.exec(output) ?? []
  return new UserError(message ?? `databuddy backup ended with ${exit}: ${output.trim()}`, hint)
}
