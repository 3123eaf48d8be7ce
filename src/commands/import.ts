import { existsSync, statSync } from "node:fs"
import { resolve } from "node:path"
import type { Command } from "commander"
import { UserError } from "../errors.ts"
import type { ImportCounts, Report } from "../import/import.ts"
import { importLines } from "../import/import-lines.ts"
import { readLines } from "../import/lines.ts"
import type { Db } from "../store/db/driver.ts"
import { databaseError } from "../store/db/open.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, withDatabase } from "../terminal/database.ts"
import { countText, printFields, printJson, shown } from "../terminal/print.ts"
import { Progress } from "../terminal/progress.ts"

export function addImportCommand(root: Command, context: Context): void {
  const command = root
    .command("import <file>")
    .description("import an ndjson export, gzipped or not (safe while the server runs); skips existing data")
  addDataOptions(command, "import all.ndjson.gz --db new.db").action((file: string, options: DataOptions) =>
    importFile(resolve(file), options, context),
  )
}

async function importFile(file: string, options: DataOptions, context: Context): Promise<void> {
  if (!existsSync(file))
    throw new UserError(`${file} does not exist`, "choose a file created by `databuddy export`")
  const startedAt = context.environment.elapsed()
  const report = await withDatabase(options, context, (db) => importLinesOf(db, file, context), {
    createIfMissing: true,
  })
  const ms = Math.round(context.environment.elapsed() - startedAt)
  if (options.json) printJson({ file, ...report, ms }, context)
  else print(file, report, ms, context)
  if (report.incomplete !== null) {
    throw new UserError(
      `${file} is incomplete: ${report.incomplete}`,
      "export it again; its complete lines are imported",
    )
  }
  if (report.refused.total > 0) {
    throw new UserError(
      `rejected ${report.refused.total} of ${countText(report.lines, "line")} in ${file}; the rest is imported`,
      "fix those lines and import the file again; existing data is skipped",
    )
  }
}

async function importLinesOf(db: Db, file: string, context: Context): Promise<Report> {
  const progress = new Progress(context)
  const size = statSync(file).size
  let bytesRead = 0
  let broken: string | null = null
  const callbacks = {
    onRead: (bytes: number) => (bytesRead = bytes),
    onBroken: (why: string) => (broken = why),
  }
  try {
    const report = await importLines(db, readLines(file, callbacks), {
      ...context,
      onProgress: (current) => progress.show(() => progressLine(current, bytesRead, size)),
    })
    return { ...report, incomplete: broken ?? report.incomplete }
  } catch (error) {
    throw importError(error, file, db.name)
  } finally {
    progress.end()
  }
}

/**
 * Returns the error for an aborted import. Lines that were already imported stay. Importing the file again skips them.
 */
function importError(error: unknown, file: string, db: string): unknown {
  if (error instanceof UserError) return error
  const { syscall, message } = error as NodeJS.ErrnoException
  if (syscall !== undefined) return new UserError(`${file} cannot be read: ${message}`)
  const known = databaseError(error, db)
  if (!(known instanceof UserError)) return error
  return new UserError(known.message, `${known.hint}; then import the file again to continue`)
}

function progressLine({ lines, refused }: Report, bytesRead: number, size: number): string {
  const share = size > 0 ? `${Math.floor((bytesRead / size) * 100)} %, ` : ""
  const rejected = refused.total > 0 ? `, ${refused.total.toLocaleString("en")} rejected` : ""
  return `${share}${lines.toLocaleString("en")} lines${rejected}`
}

function print(file: string, report: Report, ms: number, context: Context): void {
  const countsText = ({ added, present }: ImportCounts) => `${added} added, ${present} already present`
  const { events, refused } = report
  const renumbered = events.renumbered > 0 ? `; ${events.renumbered} got a new id` : ""
  const reasons = Object.entries(refused.reasons).map(([reason, count]) => `${count} ${reason}`)
  printFields(
    {
      imported: file,
      websites: countsText(report.websites),
      profiles: countsText(report.profiles),
      links: countsText(report.links),
      events: countsText(events) + renumbered,
      rejected: refused.total === 0 ? "none" : `${refused.total}: ${reasons.join(", ")}`,
      took: `${(ms / 1_000).toFixed(1)} s`,
    },
    context,
  )
  for (const { line, reason, message } of refused.first) {
    context.out(`line ${line}: ${reason}: ${shown(message)}\n`)
  }
  const more = refused.total - refused.first.length
  if (more > 0)
    context.out(`and ${more} more; fix the lines above, then import the file again to see the others\n`)
}
