import { existsSync, statSync } from "node:fs"
import { resolve } from "node:path"
import type { Command } from "commander"
import { UserError } from "../errors.ts"
import { Importer, type Report, type Tally } from "../import/import.ts"
import { readLines, type TextLine } from "../import/lines.ts"
import type { Db } from "../store/db/driver.ts"
import { readable } from "../store/db/open.ts"
import { ServerLock } from "../store/db/server-lock.ts"
import { sweepPause } from "../store/events.ts"
import { DailyHash } from "../store/salts.ts"
import type { Context } from "../terminal/context.ts"
import { addDataOptions, type DataOptions, inTransaction, withDatabase } from "../terminal/database.ts"
import { printFields, printJson, shown } from "../terminal/print.ts"
import { Progress } from "../terminal/progress.ts"

/** Lines in one transaction, some 10 µs each. Beside a server fewer: its events wait for as long. */
const rowsAlone = 2_000
const rowsBeside = 250
/** Characters of them, however few they are. */
const batchCharacters = 4_000_000
/** Times that a turn at writing is waited for, 5 s each. */
const turns = 12

export function addImportCommand(root: Command, context: Context): void {
  const command = root
    .command("import <file>")
    .description(
      "bring an ndjson export in, gzip or not, beside a running server too; what is here is passed over",
    )
  addDataOptions(command, "import all.ndjson.gz --db new.db").action((file: string, options: DataOptions) =>
    bringIn(resolve(file), options, context),
  )
}

async function bringIn(file: string, options: DataOptions, context: Context): Promise<void> {
  if (!existsSync(file))
    throw new UserError(`${file} does not exist`, "give a file that databuddy export made")
  const started = context.world.elapsed()
  const report = await withDatabase(options, context, (db) => takeFile(db, file, context), { make: true })
  const ms = Math.round(context.world.elapsed() - started)
  if (options.json) printJson({ file, ...report, ms }, context)
  else print(file, report, ms, context)
  if (report.incomplete !== null) {
    throw new UserError(
      `${file} is not whole: ${report.incomplete}`,
      "export it again; what it held is imported",
    )
  }
  if (report.refused.total > 0) {
    throw new UserError(
      `${report.refused.total} of ${report.lines} lines of ${file} were refused, and the rest is imported`,
      "mend those lines and import the file again: what is here is passed over",
    )
  }
}

async function takeFile(db: Db, file: string, context: Context): Promise<Report> {
  // Two at a time would each find that the other's events are missing.
  const lock = new ServerLock(
    `${db.name}-import`,
    context.world.pid,
    (_, holder) =>
      new UserError(`another import into ${db.name} is under way${holder}`, "wait until it is done"),
  )
  const progress = new Progress(context)
  const size = statSync(file).size
  let read = 0
  let broken: string | null = null
  try {
    const importer = new Importer(db, new DailyHash(db, context.world.random), context.world.now)
    const take = async (lines: TextLine[]) => {
      await inTurn(() => inTransaction(db, () => importer.take(lines)))
      progress.show(() => progressLine(importer.report(), read, size))
      if (ServerLock.isLeft(db.name)) await context.sleep(sweepPause)
    }
    const told = { onRead: (bytes: number) => (read = bytes), onBroken: (why: string) => (broken = why) }
    let lines: TextLine[] = []
    let characters = 0
    for await (const some of readLines(file, told)) {
      const rows = ServerLock.isLeft(db.name) ? rowsBeside : rowsAlone
      for (const line of some) {
        lines.push(line)
        characters += line.text?.length ?? 0
        if (lines.length < rows && characters < batchCharacters) continue
        await take(lines)
        lines = []
        characters = 0
      }
    }
    if (lines.length > 0) await take(lines)
    const report = importer.report()
    return { ...report, incomplete: broken ?? report.incomplete }
  } catch (error) {
    throw wordedFor(error, file, db.name)
  } finally {
    progress.end()
    lock.release()
  }
}

/** Waits for as long as another process writes: SQLite itself gives up after 5 s. */
async function inTurn(work: () => void): Promise<void> {
  for (let turn = 1; ; turn++) {
    try {
      work()
      return
    } catch (error) {
      if (turn === turns || !(error as { code?: string }).code?.startsWith("SQLITE_BUSY")) throw error
    }
  }
}

/** Whatever ends it half-way: what was imported stays, and the same file goes on from there. */
function wordedFor(error: unknown, file: string, db: string): unknown {
  if (error instanceof UserError) return error
  const { syscall, message } = error as NodeJS.ErrnoException
  if (syscall !== undefined) return new UserError(`${file} cannot be read: ${message}`)
  const known = readable(error, db)
  if (!(known instanceof UserError)) return error
  return new UserError(
    known.message,
    `${known.hint}; then import the file again, which goes on where it stopped`,
  )
}

function progressLine({ lines, refused }: Report, read: number, size: number): string {
  const share = size > 0 ? `${Math.floor((read / size) * 100)} %, ` : ""
  const left = refused.total > 0 ? `, ${refused.total.toLocaleString("en")} refused` : ""
  return `${share}${lines.toLocaleString("en")} lines${left}`
}

function print(file: string, report: Report, ms: number, context: Context): void {
  const tally = ({ added, present }: Tally) => `${added} added, ${present} here already`
  const { events, refused } = report
  const renumbered = events.renumbered > 0 ? `; ${events.renumbered} got another id` : ""
  const reasons = Object.entries(refused.reasons).map(([reason, count]) => `${count} ${reason}`)
  printFields(
    {
      imported: file,
      websites: tally(report.websites),
      profiles: tally(report.profiles),
      links: tally(report.links),
      events: tally(events) + renumbered,
      refused: refused.total === 0 ? "none" : `${refused.total}: ${reasons.join(", ")}`,
      took: `${(ms / 1_000).toFixed(1)} s`,
    },
    context,
  )
  for (const { line, reason, message } of refused.first) {
    context.out(`line ${line}: ${reason}: ${shown(message)}\n`)
  }
  const more = refused.total - refused.first.length
  if (more > 0) context.out(`and ${more} more: correct these, then import the file again to see them\n`)
}
