import { Command, CommanderError } from "commander"
import { addCompletionsCommands } from "./commands/completions.ts"
import { isBusy, OutputError, RequestError, UserError } from "./errors.ts"
import type { Context } from "./terminal/context.ts"
import { toUserError } from "./terminal/errors.ts"
import { shown } from "./terminal/print.ts"

/** Exit codes. `closedPipe` is the code that a shell reports for a program killed by SIGPIPE (128 + 13). */
const exitCodes = { success: 0, failure: 1, usageError: 2, closedPipe: 141 } as const

const exitCodeMeanings = {
  [exitCodes.success]: "Success.",
  [exitCodes.failure]: "The command failed or found something that needs attention.",
  [exitCodes.usageError]: "The command line is invalid.",
  [exitCodes.closedPipe]: "The process reading the output closed the pipe.",
}

type AddCommand = (root: Command, context: Context) => void

/**
 * The commands, in the order in which --help lists them. Only the module of the command to run is loaded, because
 * loading all modules takes longer than most commands.
 */
const commands = new Map<string, () => Promise<AddCommand>>(
  Object.entries({
    serve: async () => (await import("./commands/serve.ts")).addServeCommand,
    demo: async () => (await import("./commands/demo.ts")).addDemoCommand,
    website: async () => (await import("./commands/website.ts")).addWebsiteCommands,
    key: async () => (await import("./commands/key.ts")).addKeyCommands,
    user: async () => (await import("./commands/user.ts")).addUserCommands,
    forget: async () => (await import("./commands/forget.ts")).addForgetCommand,
    export: async () => (await import("./commands/export.ts")).addExportCommand,
    import: async () => (await import("./commands/import.ts")).addImportCommand,
    backup: async () => (await import("./commands/backup.ts")).addBackupCommand,
    restore: async () => (await import("./commands/restore.ts")).addRestoreCommand,
    check: async () => (await import("./commands/check.ts")).addCheckCommand,
    doctor: async () => (await import("./commands/doctor.ts")).addDoctorCommand,
    health: async () => (await import("./commands/health.ts")).addHealthCommand,
    clickhouse: async () => (await import("./commands/clickhouse.ts")).addClickHouseCommands,
    update: async () => (await import("./commands/update.ts")).addUpdateCommand,
    migrate: async () => (await import("./commands/migrate.ts")).addMigrateCommand,
    rebuild: async () => (await import("./commands/rebuild.ts")).addRebuildCommand,
    refusals: async () => (await import("./commands/rejected-requests.ts")).addRejectedRequestsCommand,
    query: async () => (await import("./commands/query.ts")).addQueryCommand,
    events: async () => (await import("./commands/events.ts")).addEventsCommands,
    stats: async () => (await import("./commands/stats.ts")).addStatsCommand,
    version: async () => (await import("./commands/version.ts")).addVersionCommand,
    licenses: async () => (await import("./commands/licenses.ts")).addLicensesCommand,
  }),
)

/** Runs a command line and returns the exit code. `args`: the arguments without the program name. */
export async function run(args: string[], context: Context): Promise<number> {
  try {
    await execute(args, context)
    return exitCodes.success
  } catch (error) {
    // Commander has already printed the help or the usage error.
    if (error instanceof CommanderError)
      return error.exitCode === 0 ? exitCodes.success : exitCodes.usageError
    if (error instanceof OutputError && error.isClosedPipe) return exitCodes.closedPipe
    context.err(errorText(error))
    return exitCodes.failure
  }
}

async function execute(args: string[], context: Context): Promise<void> {
  try {
    await (await program(args, context)).parseAsync(args, { from: "user" })
  } catch (error) {
    if (!(error instanceof CommanderError) || error.code !== versionCode) throw error
    context.out((await import("./commands/version.ts")).versionLine())
  }
}

/** Code of the CommanderError that ends parsing at `--version`. */
const versionCode = "commander.version"
const versionFlags = ["-V", "--version"]

/**
 * Builds the program with the command named in `args`. If `args` names no command, adds all commands, so that --help
 * lists them.
 */
async function program(args: string[], context: Context): Promise<Command> {
  const root = new Command("databuddy")
    .description(
      "Accepts page views and custom events over Databuddy's API and stores them in one SQLite file.",
    )
    .exitOverride()
    .configureOutput({ writeOut: context.out, writeErr: context.err })
    .showHelpAfterError("(see --help)")
    .option(versionFlags.join(", "), "print the versions on one line")
    // Replaces Commander's own version option, which would need the text at every start. The text contains SQLite's
    // version, so SQLite would have to be loaded each time.
    .on("option:version", () => {
      throw new CommanderError(exitCodes.success, versionCode, "")
    })
  const [name = ""] = args
  const load = commands.get(name)
  if (load) (await load())(root, context)
  else if (!versionFlags.includes(name)) {
    for (const add of await Promise.all([...commands.values()].map((load) => load()))) add(root, context)
    addCompletionsCommands(root, exitCodeMeanings, context)
  }
  return root
}

function errorText(error: unknown): string {
  if (error instanceof UserError) {
    return `error: ${shown(error.message)}\n${error.hint ? `hint: ${shown(error.hint)}\n` : ""}`
  }
  if (error instanceof RequestError) return errorText(toUserError(error))
  if (isBusy(error)) {
    return "error: the database is locked by another process\nhint: try again when it has finished\n"
  }
  return `error: ${shown(error instanceof Error ? error.message : String(error))}\n`
}
