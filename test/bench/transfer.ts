import { mkdtempSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { DailyHash } from "../../src/store/daily-hash.ts"
import { closeDatabase, openDatabase } from "../../src/store/db/open.ts"
import { EventInserter } from "../../src/store/events.ts"
import { binary } from "../support/binary.ts"
import { eventRow } from "../support/event.ts"
import { standardEvents } from "./dataset.ts"

/** Rows per commit of the raw insert: as many as an import writes at a time. */
const rowsPerCommit = 2_000

/** Exports the standard data set in each format and imports it, compared with a raw insert of the same rows. */
export async function benchTransfer({ events }: { events: number }): Promise<void> {
  const out = (line: string) => process.stdout.write(`${line}\n`)
  const folder = mkdtempSync(join(tmpdir(), "databuddy-bench-"))
  try {
    const raw = insertAll(join(folder, "a.db"), events)
    out("| what | seconds | events/s | of raw insert | memory MB | file MB |")
    out("|---|---:|---:|---:|---:|---:|")
    const row = (what: string, seconds: number, memory: string, file: string) => {
      const cells = [
        seconds.toFixed(1),
        Math.round(events / seconds),
        (raw / seconds).toFixed(2),
        memory,
        file,
      ]
      out(`| ${[what, ...cells].join(" | ")} |`)
    }
    row("raw insert", raw, "", "")
    const run = async (what: string, args: string[], file: string) => {
      const begin = performance.now()
      const child = Bun.spawn([binary, ...args], { cwd: folder, stdout: "ignore", stderr: "inherit" })
      if ((await child.exited) !== 0) throw new Error(`${what} failed`)
      const seconds = (performance.now() - begin) / 1_000
      const memory = ((child.resourceUsage()?.maxRSS ?? 0) / 2 ** 20).toFixed(0)
      row(what, seconds, memory, (statSync(join(folder, file)).size / 1e6).toFixed(0))
    }
    const from = ["export", "--db", "a.db", "--out"]
    await run("export, ndjson", [...from, "a.ndjson"], "a.ndjson")
    await run("export, ndjson, gzip", [...from, "a.ndjson.gz", "--gzip"], "a.ndjson.gz")
    await run("export, csv", [...from, "a.csv", "--format", "csv"], "a.csv")
    await run("export, parquet", [...from, "a.parquet", "--format", "parquet"], "a.parquet")
    await run("import", ["import", "a.ndjson", "--db", "b.db"], "a.ndjson")
    await run("import, repeated", ["import", "a.ndjson", "--db", "b.db"], "a.ndjson")
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** Inserts all events. Returns the seconds that the inserts take, without the time to create the rows. */
function insertAll(path: string, events: number): number {
  const db = openDatabase({ path, durability: "fsync", busyTimeout: 0, now: Date.now() })
  const inserter = new EventInserter(db, new DailyHash(db, (bytes) => crypto.getRandomValues(bytes)))
  const end = Date.now()
  const insert = db.transaction((rows: ReturnType<typeof eventRow>[]) => inserter.insert(rows))
  let taken = 0
  let rows: ReturnType<typeof eventRow>[] = []
  const flush = () => {
    const begin = performance.now()
    insert.immediate(rows)
    taken += performance.now() - begin
    rows = []
  }
  for (const { name, timestamp, properties, anonymousId, sessionId } of standardEvents(events, end)) {
    const values = JSON.stringify(Object.values(properties)).slice(1, -1)
    const keys = JSON.stringify(Object.keys(properties))
    const row = {
      name,
      keys,
      properties: values,
      ts: timestamp,
      receivedAt: timestamp,
      anonymousId,
      sessionId,
    }
    rows.push(eventRow(row))
    if (rows.length === rowsPerCommit) flush()
  }
  if (rows.length > 0) flush()
  closeDatabase(db)
  return taken / 1_000
}
