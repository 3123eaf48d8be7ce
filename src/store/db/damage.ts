import { closeSync, existsSync, openSync, readSync, statSync } from "node:fs"
import { UserError } from "../../errors.ts"
import { Database, type Db } from "./driver.ts"
import { pendingMigrations } from "./migrate.ts"
import { databaseError, readerTimeout, refuseOrphanedWal } from "./open.ts"

/**
 * Bytes of a file that is looked through in whole at each start: 0.8 s where it is in memory, while `pragma quick_check`
 * takes 3 s a GB. A start is a time in which no event is taken.
 */
const fullCheckBytes = 268_435_456
/** Places in a larger table that are looked at. Cold, each is some reads of a page: half a second on a slow disk. */
const samplePoints = 500
/** Rows that are read at each of them: about what a page holds. */
const rowsPerSample = 20
/** Lines of SQLite's report: the first is shown. */
const reportedLines = 1
/** Bytes read at once; in the order of the file, since a check that reads it in the order of its trees takes ten times as long. */
const readBytes = 1_048_576
/** Bytes: the header of a -wal, and what stands before each page in it. */
const walHeader = 32
const frameHeader = 24

const sql = {
  // Each alone is looked up; both in one go look through an index, 0.2 s a million events.
  bounds: "select (select min(id) from event_rows) as least, (select max(id) from event_rows) as most",
  place: "select * from event_rows where id >= :id order by id limit :limit",
  edges: [
    "select * from event_types order by id desc limit 1",
    "select * from profiles order by website_rid desc, profile_id desc limit 1",
    "select * from profile_links order by website_rid desc, anonymous_id desc, profile_id desc limit 1",
    "select website_rid, ts from event_rows indexed by event_rows_time order by website_rid, ts limit 1",
    "select website_rid, ts from event_rows indexed by event_rows_time order by website_rid desc, ts desc limit 1",
    `select event_id from event_rows indexed by event_rows_event_id where event_id is not null
     order by website_rid, via_key, event_id limit 1`,
    `select event_id from event_rows indexed by event_rows_event_id where event_id is not null
     order by website_rid desc, via_key desc, event_id desc limit 1`,
  ],
}

/**
 * Throws a Complaint where the database at `path` is damaged, as far as can be told before a start: a file that was cut short
 * always, any damaged page up to `limit` bytes of file, and beyond it one that a sample meets. Only reads; to be called while this
 * process has no connection to it. `mayBeEmpty`: an empty file is one that a start was killed over.
 */
export function refuseDamaged(path: string, mayBeEmpty: boolean, limit = fullCheckBytes): void {
  refuseOrphanedWal(path)
  if (!existsSync(path)) return
  const bytes = statSync(path).size
  if (bytes === 0) {
    if (mayBeEmpty) return
    throw new UserError(
      `${path} is empty: it was cut to nothing, or made by another program`,
      "restore a backup; to begin anew, remove the empty file",
    )
  }
  const frames = walFrames(path)
  if (frames === 0) refuseTruncated(path, bytes)
  if (bytes <= limit) warmPageCache(path)
  let db: Db | undefined
  try {
    // Of a journal SQLite makes nothing where it may only read; it is rolled back, as the start does.
    db = new Database(path, {
      readonly: !existsSync(`${path}-journal`),
      fileMustExist: true,
      timeout: readerTimeout,
    })
    pendingMigrations(db, path)
    refuseTruncatedWithWal(db, path, bytes, frames)
    const found = bytes <= limit ? quickCheck(db) : sample(db)
    if (found !== undefined) throw damageError(path, found)
  } catch (error) {
    throw error instanceof UserError ? error : explainFailure(error, path)
  } finally {
    db?.close()
  }
}

/** How many pages the -wal has room for; 0: nothing is in it. */
function walFrames(path: string): number {
  const size = statSync(`${path}-wal`, { throwIfNoEntry: false })?.size ?? 0
  return Math.max(0, Math.floor((size - walHeader) / (frameHeader + 4_096)))
}

/** SQLite's header says how many pages there are; where it is no such header, SQLite tells. */
function refuseTruncated(path: string, bytes: number): void {
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

/** A killed server may leave a short file, but then its -wal has the pages that are missing. */
function refuseTruncatedWithWal(db: Db, path: string, bytes: number, frames: number): void {
  if (frames === 0) return
  const pages = db.pragma("page_count", { simple: true }) as number
  const pageSize = db.pragma("page_size", { simple: true }) as number
  if (pages * pageSize - bytes > frames * pageSize) requireBytes(path, bytes, pages * pageSize)
}

function requireBytes(path: string, bytes: number, expected: number): void {
  if (bytes < expected) throw damageError(path, `it was cut short, ${bytes} of ${expected} bytes are there`)
}

/** Brings the file into the system's memory. */
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

/** The ends of what is large, and places spread evenly over the events. Throws where SQLite meets damage. */
function sample(db: Db): undefined {
  for (const edge of sql.edges) db.prepare(edge).get()
  const { least, most } = db.prepare(sql.bounds).get() as { least: number | null; most: number | null }
  if (least === null || most === null) return
  const look = db.prepare(sql.place)
  for (let place = 0; place <= samplePoints; place++) {
    const id = Math.floor(least + ((most - least) * place) / samplePoints)
    look.all({ id, limit: rowsPerSample })
  }
}

/** A statement that fails on a file of ours fails because something is not there or not readable. */
function explainFailure(error: unknown, path: string): unknown {
  const { code, message } = error as { code?: string; message: string }
  if (code === "SQLITE_ERROR" || code?.startsWith("SQLITE_CORRUPT")) return damageError(path, message)
  return databaseError(error, path)
}

function damageError(path: string, what: string): UserError {
  return new UserError(
    `${path} is damaged: ${what}`,
    "keep the file and its -wal aside and restore a backup; databuddy check says more; nothing was touched",
  )
}
