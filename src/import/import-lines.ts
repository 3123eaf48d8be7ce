import { dayMs } from "../columns/batch.ts"
import { rowsPerPass, Sealer, sealAll, sealRows } from "../columns/sealer.ts"
import type { Environment } from "../environment.ts"
import { isBusy, UserError } from "../errors.ts"
import { DailyHash } from "../store/daily-hash.ts"
import type { Db } from "../store/db/driver.ts"
import { ServerLock } from "../store/db/server-lock.ts"
import { sweepPause } from "../store/events.ts"
import { Importer, type Report } from "./import.ts"
import type { TextLine } from "./lines.ts"

/**
 * Number of lines per transaction. Each line takes about 10 µs. A transaction has fewer lines while a server is
 * running, because the server's writes wait for it.
 */
const rowsExclusive = 2_000
const rowsShared = 250
/**
 * Rows are sealed after this many lines, which are enough for two passes of the sealer. Blocks are merged at the end,
 * when every day is complete.
 */
const linesPerSeal = rowsPerPass * 2
/** Number of characters after which a transaction ends. */
const batchCharacters = 4_000_000
/** Maximum number of attempts to take the write lock. Each takes up to 5 s. */
const maxAttempts = 12

export interface ImportSchedule {
  environment: Environment
  sleep: (ms: number) => Promise<void>
  onProgress: (report: Report) => void
}

/** Imports lines from export files, even while a server is running. Throws a UserError if another import is running. */
export async function importLines(
  db: Db,
  chunks: AsyncIterable<TextLine[]>,
  { environment, sleep, onProgress }: ImportSchedule,
): Promise<Report> {
  // Without this lock, concurrent imports would each treat the other's events as missing.
  const lock = new ServerLock(
    `${db.name}-import`,
    environment.pid,
    (_, holder) =>
      new UserError(`another import into ${db.name} is running${holder}`, "wait until it has finished"),
  )
  try {
    const importer = new Importer(db, new DailyHash(db, environment.random), environment.now)
    // A running server seals the imported rows itself.
    const isServed = () => ServerLock.hasLockFile(db.name)
    const sealer = new Sealer(db)
    let imported = 0
    const importBatch = async (lines: TextLine[]) => {
      await retryBusy(() => db.transaction(() => importer.add(lines)).immediate())
      imported += lines.length
      if (imported >= linesPerSeal) {
        await retryBusy(() => {
          if (!isServed()) sealRows(db, sealer, rowsPerPass)
        })
        imported = 0
      }
      onProgress(importer.report())
      if (isServed()) await sleep(sweepPause)
    }
    let lines: TextLine[] = []
    let characters = 0
    for await (const chunk of chunks) {
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
    const today = Math.floor(environment.now() / dayMs)
    await retryBusy(() => {
      if (!isServed()) sealAll(db, today, () => {}, sealer)
    })
    return importer.report()
  } finally {
    lock.release()
  }
}

/** Runs `work`, and retries it while another process is writing, because SQLite gives up after 5 s. */
export async function retryBusy(work: () => void): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      work()
      return
    } catch (error) {
      if (attempt === maxAttempts || !isBusy(error)) throw error
    }
  }
}
