import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs"
import { UserError } from "../../errors.ts"
import { Database, type Db } from "./driver.ts"
import { pendingMigrations } from "./migrate.ts"
import { databaseError, readerTimeout, rejectOrphanedWal } from "./open.ts"

/**
 * Files up to this size in bytes are checked completely at startup. `pragma quick_check` takes 3 s per GB if the file
 * is in the page cache, so the check takes at most 0.8 s. No events are accepted during the check.
 */
const fullCheckBytes = 268_435_456
/**
 * Number of samples to take from the events of a larger file. If the file is not cached, each sample reads a few pages
 * from disk. On a slow disk, all samples together take half a second.
 */
const samplePoints = 500
/** Number of rows per sample. They fill about one page. */
const rowsPerSample = 20
/** Maximum number of problems that SQLite reports. One is enough, because only the first is shown. */
const reportedLines = 1
/**
 * Bytes per read when the file is loaded into the page cache. The file is loaded sequentially, because quick_check
 * reads pages in B-tree order, which takes ten times as long if they are not cached.
 */
const readBytes = 1_048_576
/** Sizes of the header of a -wal file and of the header of each frame in it, in bytes. */
const walHeader = 32
const frameHeader = 24

const sql = {
  // Uses subqueries, because SQLite answers each of them with a single lookup. `select min(id), max(id)` would scan an
  // index, which takes 0.2 s per million events.
  bounds: "select (select min(id) from event_rows) as least, (select max(id) from event_rows) as most",
  rowsFrom: "select * from event_rows where id >= :id order by id limit :limit",
  edges: [
    "select * from event_types order by id desc limit 1",
    "select * from profiles order by website_rid desc, profile_id desc limit 1",
    "select * from profile_links order by website_rid desc, anonymous_id desc, profile_id desc limit 1",
  ],
  indexes: "select name from sqlite_schema where tbl_name in ('event_rows', 'event_times')",
}

/**
 * Throws a UserError if the database at `path` is damaged. Detects truncation in files of any size. Checks all pages of
 * a file of up to `limit` bytes, but only a sample of the pages of a larger file. Does not write, except to roll back a
 * hot journal. Must be called while this process has no connection to the file. If `mayBeEmpty` is true, accepts an
 * empty file, because a first start that was interrupted can leave one behind.
 */
export function rejectDamaged(path: string, mayBeEmpty: boolean, limit = fullCheckBytes): void {
  rejectOrphanedWal(path)
  if (!existsSync(path)) return
  const bytes = statSync(path).size
  if (bytes === 0) {
    if (mayBeEmpty) return
    throw new UserError(
      `${path} is empty: it was truncated or created by another program`,
      "restore a backup, or delete the empty file to start with a new database",
    )
  }
  const frames = walFrames(path)
  if (frames === 0) rejectTruncated(path, bytes)
  if (bytes <= limit) warmPageCache(path)
  let db: Db | undefined
  try {
    // A read-only connection cannot roll back a hot journal.
    db = new Database(path, {
      readonly: !existsSync(`${path}-journal`),
      fileMustExist: true,
      timeout: readerTimeout,
    })
    pendingMigrations(db, path)
    rejectTruncatedWithWal(db, path, bytes, frames)
    const problem = bytes <= limit ? quickCheck(db) : sample(db)
    if (problem !== undefined) throw damageError(path, problem)
  } catch (error) {
    throw error instanceof UserError ? error : explainFailure(error, path)
  } finally {
    db?.close()
  }
}

/** Returns the maximum number of frames that the -wal can contain, given its size, or 0 if it is empty or missing. */
function walFrames(path: string): number {
  const size = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  return Math.max(0, Math.floor((size - walHeader) / (frameHeader + 4_096)))
}

/**
 * Throws a UserError if the file is smaller than the page count in its header requires. Accepts a file without an
 * SQLite header, because SQLite will report that error.
 */
function rejectTruncated(path: string, bytes: number): void {
  const header = Buffer.alloc(100)
  const file = openFile(path)
  try {
    readSync(file, header, 0, header.length, 0)
  } finally {
    closeSync(file)
  }
  if (header.toString("latin1", 0, 15) !== "SQLite format 3") return
  const pageSize = header.readUInt16BE(16) === 1 ? 65_536 : header.readUInt16BE(16)
  const isCounted = header.readUInt32BE(24) === header.readUInt32BE(92)
  if (isCounted) requireBytes(path, bytes, header.readUInt32BE(28) * pageSize)
}

/**
 * Like `rejectTruncated`, but accepts a file whose missing pages may still be in the -wal, which happens when a server
 * is killed.
 */
function rejectTruncatedWithWal(db: Db, path: string, bytes: number, frames: number): void {
  if (frames === 0) return
  const pages = db.pragma("page_count", { simple: true }) as number
  const pageSize = db.pragma("page_size", { simple: true }) as number
  if (pages * pageSize - bytes > frames * pageSize) requireBytes(path, bytes, pages * pageSize)
}

function requireBytes(path: string, bytes: number, expected: number): void {
  if (bytes < expected) throw damageError(path, `it was truncated to ${bytes} of ${expected} bytes`)
}

/** Reads the file sequentially, to load it into the page cache. */
function warmPageCache(path: string): void {
  const buffer = Buffer.allocUnsafe(readBytes)
  const file = openFile(path)
  try {
    while (readSync(file, buffer) > 0);
  } finally {
    closeSync(file)
  }
}

function openFile(path: string): number {
  try {
    return openSync(path, "r")
  } catch (error) {
    throw databaseError(error, path)
  }
}

function quickCheck(db: Db): string | undefined {
  const report = db.pragma(`quick_check(${reportedLines})`, { simple: true }) as string
  return report === "ok" ? undefined : report.replaceAll(/\s+/g, " ").trim()
}

/**
 * All indexes on events that exist in any schema version. `from` selects the rows that the index covers. `order` lists
 * the expressions by which the index is sorted.
 */
const indexes = [
  { name: "event_rows_time", from: "event_rows indexed by event_rows_time", order: ["website_rid", "ts"] },
  { name: "event_times", from: "event_times", order: ["website_rid", "period", "id_group"] },
  {
    name: "event_rows_event_id",
    from: "event_rows indexed by event_rows_event_id where event_id is not null",
    order: ["website_rid", "via_key", "event_id"],
  },
  {
    name: "event_rows_event_text",
    from: "event_rows indexed by event_rows_event_text where typeof(event_id) = 'text'",
    order: ["website_rid", "via_key", "event_id"],
  },
  {
    name: "event_rows_event_key",
    from: "event_rows indexed by event_rows_event_key where typeof(event_id) = 'blob'",
    order: ["cast(substr(event_id, 1, 4) || substr(event_id, 13) as blob)"],
  },
]

/**
 * Reads the first and last entries of indexes, the last rows of large tables, and samples spread evenly over the
 * events. Throws if SQLite detects damage.
 */
function sample(db: Db): undefined {
  for (const edge of sql.edges) db.prepare(edge).get()
  const existing = new Set(db.prepare(sql.indexes).pluck().all())
  for (const { from, order } of indexes.filter(({ name }) => existing.has(name))) {
    db.prepare(`select ${order.join(", ")} from ${from} order by ${order.join(", ")} limit 1`).get()
    const newest = order.map((term) => `${term} desc`).join(", ")
    db.prepare(`select ${order.join(", ")} from ${from} order by ${newest} limit 1`).get()
  }
  const { least, most } = db.prepare(sql.bounds).get() as { least: number | null; most: number | null }
  if (least === null || most === null) return
  const rowsFrom = db.prepare(sql.rowsFrom)
  for (let point = 0; point <= samplePoints; point++) {
    const id = Math.floor(least + ((most - least) * point) / samplePoints)
    rowsFrom.all({ id, limit: rowsPerSample })
  }
}

/**
 * Converts an error from the checks to a UserError if its cause is known. All statements are valid in every schema
 * version, so SQLITE_ERROR means that pages are missing or unreadable.
 */
function explainFailure(error: unknown, path: string): unknown {
  const { code, message } = error as { code?: string; message: string }
  if (code === "SQLITE_ERROR" || code?.startsWith("SQLITE_CORRUPT")) return damageError(path, message)
  return databaseError(error, path)
}

function damageError(path: string, what: string): UserError {
  return new UserError(
    `${path} is damaged: ${what}`,
    "nothing was changed; run `databuddy check` for details, then move the file and its -wal aside and restore a backup",
  )
}
