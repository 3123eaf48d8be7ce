import { fstatSync, fsync, openSync, read, readSync, statSync, writeSync } from "node:fs"
import { promisify } from "node:util"
import { isBusy } from "../../errors.ts"
import { Database, type Db } from "./driver.ts"
import { truncateWal } from "./open.ts"

/*
 * `secure_delete` zeroes deleted cells and pages that become free, but not the copies that SQLite leaves when it moves
 * cells. To balance a B-tree, SQLite moves cells to other pages, and can rewrite the remaining cells at the end of the
 * old page. It does not zero the region between the cell pointers and the cells: the *unallocated space* of section 1.6
 * of SQLite's "Database File Format". If a cell is deleted after such a move, even years later, its copy stays readable
 * until the old page fills up. SQL cannot zero that region, because a statement cannot choose the page that it writes.
 * This module zeroes it directly in the file.
 *
 * SQLite ignores the content of unallocated space. Zeroing it is safe while no other connection can write the page, and
 * permanent if no connection has an older copy of the page:
 *
 * - The write lock blocks other writers. It does not block checkpoints, but they have nothing to copy while the -wal is
 *   empty. An empty -wal also means that the file holds the newest version of every page.
 * - A commit under the same lock makes all connections drop their cached pages. The commit rewrites page 1 without
 *   changing it.
 * - Each step acquires and releases the lock, so that events can be stored between steps. A page that has been zeroed
 *   can receive new copies, but only of cells that were not deleted yet. Incremental vacuum moves pages together with
 *   their unallocated space, but only to lower page numbers, so the steps run in descending order.
 * - If the system fails during a write, each byte has its old value or is 0. Both are valid.
 */

/** Number of bytes to check each time the lock is held. This takes about 2 ms, or 10 ms if every page is written. */
const stepBytes = 2_097_152
/**
 * Overflow pages and freelist trunk pages start with a 4-byte page number. In a file with fewer pages than this (128
 * GiB with 4 KiB pages), the first of these bytes is 0 or 1, which is never the type of a B-tree page.
 */
const maxPages = 0x2000000
/** Offset of the byte that SQLite locks. The page that contains it stores no data. */
const lockByte = 0x40000000

/**
 * Opens database files and keeps them open until the process ends: when a process closes any descriptor of a file, POSIX
 * releases all locks of the process on that file, including those of SQLite's connections.
 */
export class DatabaseFiles {
  /** Open descriptors by path. */
  readonly #descriptors = new Map<string, number>()

  /** Returns a descriptor of the file that is at the path now. */
  open(path: string): number {
    const known = this.#descriptors.get(path)
    if (known !== undefined && fstatSync(known).ino === statSync(path).ino) return known
    const descriptor = openSync(path, "r+")
    this.#descriptors.set(path, descriptor)
    return descriptor
  }
}

/** How the caller retries steps and pauses between them. */
export interface OverwriteSchedule {
  /** Calls `step` until it returns true. Returns false after giving up. */
  retry: (step: () => boolean) => Promise<boolean>
  /** Called between steps. */
  pause: () => Promise<unknown>
}

/**
 * Zeroes the unallocated space of all B-tree pages. Reads the whole file, which takes 2 s per GB if it is in the page
 * cache. Returns false if a reader or another process blocked a step for too long, or if the file is larger than 128
 * GiB.
 */
export async function overwriteUnallocatedSpace(
  db: Db,
  files: DatabaseFiles,
  { retry, pause }: OverwriteSchedule,
): Promise<boolean> {
  // Uses a second connection, so that its commit also makes `db` drop cached pages. The connection does not wait for
  // locks: a checkpoint that waits for a reader holds the write lock while it waits.
  const writer = new Database(db.name, { fileMustExist: true, timeout: 0 })
  try {
    return await overwriteSteps(writer, files, { retry, pause })
  } finally {
    writer.close()
  }
}

async function overwriteSteps(
  writer: Db,
  files: DatabaseFiles,
  { retry, pause }: OverwriteSchedule,
): Promise<boolean> {
  // When the number of pages is read, earlier deletions must be in the file, not in the -wal.
  if (!(await retry(() => truncateWal(writer)))) return false
  const file = files.open(writer.name)
  const { pageSize, usableSize, hasPointerMap } = readFormat(file)
  const pages = Math.floor(fstatSync(file).size / pageSize)
  if (pages >= maxPages) return false
  const isBtreeCandidate = (page: number) =>
    page > 1 &&
    page !== lockByte / pageSize + 1 &&
    !(hasPointerMap && isPointerMap(page, usableSize, pageSize))
  const buffer = Buffer.alloc(stepBytes)
  const zeros = Buffer.alloc(pageSize)

  const overwrite = (from: number, to: number): boolean => {
    const bytes = readSync(file, buffer, 0, (to - from) * pageSize, (from - 1) * pageSize)
    let written = false
    for (let page = from; page < to && (page - from + 1) * pageSize <= bytes; page++) {
      if (!isBtreeCandidate(page)) continue
      const at = (page - from) * pageSize
      const space = unallocatedSpace(buffer.subarray(at, at + usableSize))
      if (!space) continue
      const length = space.end - space.start
      if (buffer.compare(zeros, 0, length, at + space.start, at + space.end) === 0) continue
      writeSync(file, zeros, 0, length, (page - 1) * pageSize + space.start)
      written = true
    }
    return written
  }

  const pagesPerStep = stepBytes / pageSize
  for (let to = pages + 1; to > 1; to = Math.max(1, to - pagesPerStep)) {
    const from = Math.max(1, to - pagesPerStep)
    // Loads the pages into the page cache of the system, so that nothing has to be read from disk under the lock.
    await readAsync(file, buffer, 0, (to - from) * pageSize, (from - 1) * pageSize)
    const step = () => truncateWal(writer) && withCurrentFile(writer, () => overwrite(from, to))
    if (!(await retry(step))) return false
    await pause()
  }
  await promisify(fsync)(file)
  return true
}

const readAsync = promisify(read)

/**
 * Runs `overwrite` under the write lock while the -wal is empty. Returns false without running it if another connection
 * holds the lock or has committed.
 */
function withCurrentFile(writer: Db, overwrite: () => boolean): boolean {
  try {
    writer.exec("begin immediate")
  } catch (error) {
    if (isBusy(error)) return false
    throw error
  }
  try {
    if ((statSync(`${writer.name}-wal`, { throwIfNoEntry: false })?.size ?? 0) > 0) return false
    if (overwrite()) {
      // Writes page 1 even if the value is unchanged.
      const version = writer.pragma("user_version", { simple: true }) as number
      writer.pragma(`user_version = ${version}`)
      writer.exec("commit")
    }
    return true
  } finally {
    if (writer.inTransaction) writer.exec("rollback")
  }
}

/** Reads the header of the file ("Database File Format", section 1.3). */
function readFormat(file: number): { pageSize: number; usableSize: number; hasPointerMap: boolean } {
  const header = Buffer.alloc(100)
  readSync(file, header, 0, header.length, 0)
  const stored = header.readUInt16BE(16)
  const pageSize = stored === 1 ? 65_536 : stored
  return { pageSize, usableSize: pageSize - header.readUInt8(20), hasPointerMap: header.readUInt32BE(52) > 0 }
}

/**
 * Returns true for pointer map pages of an auto_vacuum database, which record the parent of each page ("Database File
 * Format", section 1.8).
 */
function isPointerMap(page: number, usableSize: number, pageSize: number): boolean {
  const entries = Math.floor(usableSize / 5)
  const map = page - ((page - 2) % (entries + 1))
  return page === (map === lockByte / pageSize + 1 ? map + 1 : map)
}

/**
 * Returns the position of a B-tree page's unallocated space. Returns undefined for other pages, and for pages whose
 * header contradicts their cell pointers, so that damaged pages stay as they are.
 */
function unallocatedSpace(page: Buffer): { start: number; end: number } | undefined {
  const type = page.readUInt8(0)
  const isInterior = type === 2 || type === 5
  if (!isInterior && type !== 10 && type !== 13) return undefined
  const cells = page.readUInt16BE(3)
  const pointers = isInterior ? 12 : 8
  const start = pointers + 2 * cells
  const end = page.readUInt16BE(5) || 65_536
  const firstFreeblock = page.readUInt16BE(1)
  if (start > end || end > page.length || (firstFreeblock !== 0 && firstFreeblock < end)) return undefined
  for (let at = pointers; at < start; at += 2) if (page.readUInt16BE(at) < end) return undefined
  return { start, end }
}
