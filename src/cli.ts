import { Command, CommanderError } from "commander"
import { addBackupCommand } from "./commands/backup.ts"
import { addCheckCommand } from "./commands/check.ts"
import { addClickHouseCommands } from "./commands/clickhouse.ts"
import { addCompletionsCommands } from "./commands/completions.ts"
import { addDemoCommand } from "./commands/demo.ts"
import { addDoctorCommand } from "./commands/doctor.ts"
import { addEventsCommands } from "./commands/events.ts"
import { addExportCommand } from "./commands/export.ts"
import { addForgetCommand } from "./commands/forget.ts"
import { addHealthCommand } from "./commands/health.ts"
import { addImportCommand } from "./commands/import.ts"
import { addKeyCommands } from "./commands/key.ts"
import { addLicensesCommand } from "./commands/licenses.ts"
import { addMigrateCommand } from "./commands/migrate.ts"
import { addQueryCommand } from "./commands/query.ts"
import { addRebuildCommand } from "./commands/rebuild.ts"
import { addRefusalsCommand } from "./commands/refusals.ts"
import { addRestoreCommand } from "./commands/restore.ts"
import { serve } from "./commands/serve.ts"
import { addStatsCommand } from "./commands/stats.ts"
import { addUpdateCommand } from "./commands/update.ts"
import { addUserCommands } from "./commands/user.ts"
import { printVersion, versionLine } from "./commands/version.ts"
import { addWebsiteCommands } from "./commands/website.ts"
import { OutputError, RequestError, UserError } from "./errors.ts"
import { addServeOptions, databaseOption, type ServeOptions } from "./serve-options.ts"
import { isBusy } from "./store/db/driver.ts"
import type { Context } from "./terminal/context.ts"
import { toUserError } from "./terminal/errors.ts"
import { shown } from "./terminal/print.ts"

/** Exit codes. `closedPipe` is what a shell reports for a program that SIGPIPE ended (128 + 13). */
const exitCodes = { success: 0, failure: 1, usageError: 2, closedPipe: 141 } as const

const exitCodeMeanings = {
  [exitCodes.success]: "Success.",
  [exitCodes.failure]: "A failure, or there is something to do.",
  [exitCodes.usageError]: "The command line is wrong.",
  [exitCodes.closedPipe]: "The reader of the output closed it.",
}

/** Runs one command line, without the program's name, and returns the exit code. */
export async function run(args: string[], context: Context): Promise<number> {
  try {
    await program(context).parseAsync(args, { from: "user" })
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

function program(context: Context): Command {
  const root = new Command("databuddy")
    .description(
      "Accepts page views and custom events over Databuddy's API and stores them in one SQLite file.",
    )
    .exitOverride()
    .configureOutput({ writeOut: context.out, writeErr: context.err })
    .showHelpAfterError("(see --help)")
    .option("-V, --version", "print the versions on one line")
    // Commander's version() needs its text at startup; this opens SQLite only when the flag is given.
    .on("option:version", () => {
      context.out(versionLine())
      throw new CommanderError(exitCodes.success, "commander.version", "")
    })
  addServeOptions(root.command("serve").description("run the server (SIGTERM or SIGINT stops it)"))
    .addOption(databaseOption())
    .action((options: ServeOptions) => serve(options, context))
  addDemoCommand(root, context)
  addWebsiteCommands(root, context)
  addKeyCommands(root, context)
  addUserCommands(root, context)
  addForgetCommand(root, context)
  addExportCommand(root, context)
  addImportCommand(root, context)
  addBackupCommand(root, context)
  addRestoreCommand(root, context)
  addCheckCommand(root, context)
  addDoctorCommand(root, context)
  addHealthCommand(root, context)
  addClickHouseCommands(root, context)
  addUpdateCommand(root, context)
  addMigrateCommand(root, context)
  addRebuildCommand(root, context)
  addRefusalsCommand(root, context)
  addQueryCommand(root, context)
  addEventsCommands(root, context)
  addStatsCommand(root, context)
  root
    .command("version")
    .description("print the versions of databuddy, Bun and SQLite")
    .option("--json", "print one JSON object")
    .action((options: { json?: boolean }) => printVersion(options, context))
  addLicensesCommand(root, context)
  addCompletionsCommands(root, exitCodeMeanings, context)
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
