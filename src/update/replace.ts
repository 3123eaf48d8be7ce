import { chmodSync, linkSync, realpathSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { messageOf, UserError } from "../errors.ts"
import type { Context } from "../terminal/context.ts"

/** The program to replace, and how to restart the server. */
export interface Replacement {
  /** Path of the running program. */
  program: string
  /** Path of the new program, in the same folder. */
  newProgram: string
  version: string
  /** Path of the database. */
  db: string
  /** Stops and starts the server. */
  control: (action: "stop" | "start") => Promise<void>
  /**
   * Resolves to undefined as soon as the server can store events. After a timeout, resolves to the reason why it
   * cannot.
   */
  waitUntilReady: () => Promise<string | undefined>
}

/** The output of `databuddy migrate --json`. */
interface Migration {
  applied: string[]
  backup: string | null
}

/** The output of `databuddy restore --json`. */
interface Restored {
  /** New path of the database that the backup replaced. */
  before: string | null
}

/** The steps that a replacement has completed. */
interface Progress {
  migration: Migration
  /** True if the new program is at the path of the previous one. */
  isExchanged: boolean
  /** New path of the database that the new version used, if the rollback replaced it. */
  replacedDb: string | null
}

/** Returns the path of this executable. Throws a UserError if an update cannot replace it. */
export function ownProgram({ program: [executable = "", ...script] }: Context): string {
  if (script.length > 0)
    throw new UserError("this is not a built executable", "update the sources with git and build again")
  const program = realpathSync(executable)
  if (process.platform === "win32")
    throw new UserError(
      "Windows cannot replace a running program",
      "stop the server, and unpack the new zip file over the old files",
    )
  if (program.startsWith("/usr/bin/"))
    throw new UserError(
      `${program} was installed by a package`,
      "install the new package with `dpkg -i` or `rpm -U`",
    )
  return program
}

/**
 * Writes the new program next to the old one and runs it once. Throws a UserError if it does not run or has a different
 * version.
 */
export function writeProgram(path: string, content: Uint8Array, version: string): void {
  try {
    rmSync(path, { force: true })
    writeFileSync(path, content)
    // The service's user must be able to run the program, regardless of the umask.
    chmodSync(path, 0o755)
  } catch (error) {
    throw new UserError(
      `${path} cannot be written: ${messageOf(error)}`,
      "run the command as the user that installed databuddy, such as root",
    )
  }
  const { stdout, stderr, success } = Bun.spawnSync([path, "--version"])
  if (success && stdout.toString().startsWith(`databuddy ${version} `)) return
  rmSync(path, { force: true })
  throw new UserError(
    `databuddy ${version} does not run on this machine: ${(stderr.toString() || stdout.toString()).trim()}; nothing was changed`,
  )
}

/**
 * Stops the server, backs up and migrates the database if the new version requires it, swaps the programs and starts
 * the server. If any of this fails, or if the server does not become ready, restores the previous program (and the
 * previous database if it was migrated) and throws a UserError. After this call, signals no longer end the process.
 */
export async function replaceProgram(replacement: Replacement, context: Context): Promise<Migration> {
  const { program, newProgram, version, db, control, waitUntilReady } = replacement
  const previous = `${program}.previous`
  const progress: Progress = {
    migration: { applied: [], backup: null },
    isExchanged: false,
    replacedDb: null,
  }
  // If the update were interrupted, the server would not be started again.
  context.ignoreSignals()
  await control("stop")
  try {
    progress.migration = JSON.parse(await runProgram(newProgram, ["migrate", "--db", db, "--json"], context))
    rmSync(previous, { force: true })
    // Adds a hard link to the previous program. The rename then replaces the program in one step, so that there is
    // always a program at its path.
    linkSync(program, previous)
    renameSync(newProgram, program)
    progress.isExchanged = true
    await control("start")
    const problem = await waitUntilReady()
    if (problem !== undefined) throw new UserError(`the server is not ready: ${problem}`)
    rmSync(previous)
    return progress.migration
  } catch (error) {
    const what = `databuddy ${version} ${progress.isExchanged ? "did not start" : "was not installed"}`
    const reason = messageOf(error)
    await rollBack(replacement, progress, previous, context).catch((failure: Error) => {
      const { isExchanged, migration } = progress
      throw new UserError(
        `${what} (${reason}), and the previous version could not be put back: ${failure.message}${replacedText(progress)}`,
        `the previous program is ${isExchanged ? previous : program}${migration.backup ? `, and the database before the migration is ${migration.backup}` : ""}`,
      )
    })
    const { backup } = progress.migration
    throw new UserError(
      `${what}: ${reason}. The previous version is running again${backup ? " with the database as it was before the migration" : ""}${replacedText(progress)}`,
      "see the server's log; you can repeat the update",
    )
  }
}

const replacedText = ({ replacedDb }: Progress) =>
  replacedDb === null
    ? ""
    : `; ${replacedDb} contains the events that arrived while the new version was running`

/** Restores the previous program, and also the database if it was migrated. Sets `progress.replacedDb`. */
async function rollBack(
  { program, newProgram, db, control, waitUntilReady }: Replacement,
  progress: Progress,
  previous: string,
  context: Context,
): Promise<void> {
  const { isExchanged, migration } = progress
  await control("stop")
  // Uses the new program, because it can read both schemas.
  if (migration.backup !== null) {
    const restore = ["restore", migration.backup, "--db", db, "--json"]
    const restored: Restored = JSON.parse(
      await runProgram(isExchanged ? program : newProgram, restore, context),
    )
    progress.replacedDb = restored.before
  }
  if (isExchanged) renameSync(previous, program)
  else for (const path of [newProgram, previous]) rmSync(path, { force: true })
  await control("start")
  const problem = await waitUntilReady()
  if (problem !== undefined) throw new Error(`the server is not ready: ${problem}`)
}

async function runProgram(program: string, args: readonly string[], { env }: Context): Promise<string> {
  // Detached, because Ctrl+C in the terminal must not interrupt the child process.
  const child = Bun.spawn([program, ...args], {
    env,
    stdin: "ignore",
    stdout: "pipe",
    stderr: "pipe",
    detached: true,
  })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  if (code !== 0) throw new UserError(`databuddy ${args[0]} failed: ${err.trim()}`)
  return out
}
