import { chmodSync, renameSync, rmSync, writeFileSync } from "node:fs"
import { UserError } from "../errors.ts"
import type { Context } from "../terminal/context.ts"

/** What replaces the program and restarts the server. */
export interface Replacement {
  /** Path of the program that runs. */
  program: string
  /** Path of the new one, in the same folder. */
  newProgram: string
  version: string
  /** Path of the database. */
  db: string
  /** Stops and starts the server. */
  control: (action: "stop" | "start") => Promise<void>
  /** Resolves to undefined as soon as the server can store events, or to the reason why it cannot after a time. */
  waitUntilReady: () => Promise<string | undefined>
}

/** The output of `databuddy migrate --json`. */
interface Migration {
  applied: string[]
  backup: string | null
}

/** Writes the new program beside the old one and runs it once. Throws a UserError if it does not run, or is another version. */
export function writeProgram(path: string, content: Uint8Array, version: string): void {
  try {
    rmSync(path, { force: true })
    writeFileSync(path, content)
    // The user of the service must be able to run it, whatever the umask is.
    chmodSync(path, 0o755)
  } catch (error) {
    throw new UserError(
      `${path} cannot be written: ${(error as Error).message}`,
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
 * Stops the server, backs up and migrates the database if the new version needs it, exchanges the program and starts the
 * server. If that fails, or the server does not become ready, the previous program and, if it was migrated, the previous
 * database are put back; then it throws a UserError.
 */
export async function replaceProgram(replacement: Replacement, context: Context): Promise<Migration> {
  const { program, newProgram, version, db, control, waitUntilReady } = replacement
  const previous = `${program}.previous`
  let migration: Migration = { applied: [], backup: null }
  let isExchanged = false
  await control("stop")
  try {
    migration = JSON.parse(await runProgram(newProgram, ["migrate", "--db", db, "--json"], context))
    renameSync(program, previous)
    renameSync(newProgram, program)
    isExchanged = true
    await control("start")
    const problem = await waitUntilReady()
    if (problem !== undefined) throw new UserError(`it is not ready: ${problem}`)
    rmSync(previous)
    return migration
  } catch (error) {
    const reason = (error as Error).message
    await rollBack(replacement, { isExchanged, previous, migration }, context).catch((failure: Error) => {
      throw new UserError(
        `databuddy ${version} did not start (${reason}), and the previous version could not be put back: ${failure.message}`,
        `the previous program is ${isExchanged ? previous : program}${migration.backup ? `, and the database before the migration ${migration.backup}` : ""}`,
      )
    })
    throw new UserError(
      `databuddy ${version} did not start: ${reason}. The previous version runs again${migration.backup ? " with the database as it was before the migration" : ""}`,
      "see the log of the server; the update can be repeated",
    )
  }
}

async function rollBack(
  { program, newProgram, db, control, waitUntilReady }: Replacement,
  { isExchanged, previous, migration }: { isExchanged: boolean; previous: string; migration: Migration },
  context: Context,
): Promise<void> {
  await control("stop")
  // The new program reads both schemas. It keeps what it replaces as <db>.before-restore-<time>.
  if (migration.backup !== null)
    await runProgram(isExchanged ? program : newProgram, ["restore", migration.backup, "--db", db], context)
  if (isExchanged) renameSync(previous, program)
  else rmSync(newProgram, { force: true })
  await control("start")
  const problem = await waitUntilReady()
  if (problem !== undefined) throw new Error(`it is not ready: ${problem}`)
}

async function runProgram(program: string, args: readonly string[], { env }: Context): Promise<string> {
  const child = Bun.spawn([program, ...args], { env, stdin: "ignore", stdout: "pipe", stderr: "pipe" })
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ])
  if (code !== 0) throw new UserError(`databuddy ${args[0]} failed: ${err.trim()}`)
  return out
}
