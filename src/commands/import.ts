import { existsSync, statSync } from "node:fs"
import { resolve } from "node:path"
import type { Command } from "commander"
import { dayMs } from "../columns/batch.ts"
import { rowsPerPass, Sealer, sealAll, sealRows } from "../columns/sealer.ts"
import { UserError } from "../errors.ts"
import { type ImportCounts, Importer, type Report } from "../import/import.ts"
import { readLines, type TextLine } from "../import/lines.ts"
import { DailyHash } from "../store/daily-hash.ts"
import type { Db } from "../store/db/driver.ts"
import { databaseError } from "../store/db/open.ts"
import { ServerLock } from "../store/db/server-lock.ts"
import { sweepPause } from "../store/events.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, inTransaction, withDatabase } from "../terminal/database.ts"
import { countText, printFields, printJson, shown } from "../terminal/print.ts"
import { Progress } from "../terminal/progress.ts"

/**
 * Lines per transaction, about 10 µs each. Fewer while a server runs, because its writes wait for the
 * transaction.
 */
const rowsExclusive = 2_000
const rowsShared = 250
/**
 * Lines after which rows are sealed: enough for two passes. Blocks are merged at the end, when every day is
 * complete.
 */
const linesPerSeal = rowsPerPass * 2
/** Maximum characters per transaction. */
const batchCharacters = 4_000_000
/** Attempts to take the write lock, 5 s each. */
const maxAttempts = 12

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
    throw new UserError(`${file} does not exist`, "choose a file created by databuddy export")
  const startedAt = context.environment.elapsed()
  const report = await withDatabase(options, context, (db) => importLines(db, file, context), {
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
      `rejected ${report.refused.total} of ${countText(report.lines, "line")} of ${file}; the rest is imported`,
      "fix those lines and import the file again; existing data is skipped",
    )
  }
}

async function importLines(db: Db, file: string, context: Context): Promise<Report> {
  // Concurrent imports would each treat the other's events as missing.
  const lock = new ServerLock(
    `${db.name}-import`,
    context.environment.pid,
    (_, holder) =>
      new UserError(`another import into ${db.name} is running${holder}`, "wait until it has finished"),
  )
  const progress = new Progress(context)
  const size = statSync(file).size
  let bytesRead = 0
  let broken: string | null = null
  try {
    const importer = new Importer(db, new DailyHash(db, context.environment.random), context.environment.now)
    // A running server seals by itself.
    const isServed = () => ServerLock.hasLockFile(db.name)
    const sealer = new Sealer(db)
    let imported = 0
    const importBatch = async (lines: TextLine[]) => {
      await retryBusy(() => inTransaction(db, () => importer.add(lines)))
      imported += lines.length
      if (imported >= linesPerSeal) {
        await retryBusy(() => {
          if (!isServed()) sealRows(db, sealer, rowsPerPass)
        })
        imported = 0
      }
      progress.show(() => progressLine(importer.report(), bytesRead, size))
      if (isServed()) await context.sleep(sweepPause)
    }
    const callbacks = {
      onRead: (bytes: number) => (bytesRead = bytes),
      onBroken: (why: string) => (broken = why),
    }
    let lines: TextLine[] = []
    let characters = 0
    for await (const chunk of readLines(file, callbacks)) {
      const rows = isServed() ? rowsShared : rowsExclusive
      for (const line of chunk) {
        lines.push(line)
        characters += line.text?.length ?? 0
        if (lines.length < rows && characters < batchCharacters) continue
        await importBatch(lines)
        lines = []
        characters = 0
      }
    }
    if (lines.length > 0) await importBatch(lines)
    const today = Math.floor(context.environment.now() / dayMs)
    await retryBusy(() => {
      if (!isServed()) sealAll(db, today, () => {}, sealer)
    })
    const report = importer.report()
    return { ...report, incomplete: broken ?? report.incomplete }
  } catch (error) {
    throw importError(error, file, db.name)
  } finally {
    progress.end()
    lock.release()
  }
}

/** Retries while another process writes: SQLite itself gives up after 5 s. */
async function retryBusy(work: () => void): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      work()
      return
    } catch (error) {
      if (attempt === maxAttempts || !(error as { code?: string }).code?.startsWith("SQLITE_BUSY"))
        throw error
    }
  }
}

/** Describes an aborted import. The imported part stays, and importing the file again continues from there. */
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
  if (more > 0) context.out(`and ${more} more: fix these, then import the file again to see them\n`)
}
