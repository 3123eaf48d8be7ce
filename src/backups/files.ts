import { existsSync, lstatSync, mkdirSync, readdirSync, statSync } from "node:fs"
import { readdir, statfs } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import { UserError } from "../errors.ts"
import { removePartials } from "../store/db/files.ts"
import { size } from "../terminal/print.ts"

/** A scheduled backup. It is complete, because a backup gets its name only after it is verified. */
export interface Backup {
  file: string
  /** When the backup started, in Unix ms. */
  at: number
}

/** Returns a name such as `databuddy-20261124T003800Z.db`. The names for one database sort by time. */
export function backupName(db: string, at: number): string {
  return `${stemOf(db)}-${fileTime(at)}.db`
}

/** Lists the scheduled backups of `db` in `folder`, oldest first. Ignores other files. */
export async function listBackups(folder: string, db: string): Promise<Backup[]> {
  const names = await explainFolderErrors(folder, () => readdir(folder))
  return names
    .flatMap((name) => {
      const at = parseBackupTime(name, db)
      return at === undefined ? [] : [{ file: join(folder, name), at }]
    })
    .sort((a, b) => a.at - b.at)
}

/**
 * A restore or migration leaves a copy of the old database beside the new one. The name of that copy is the name of the
 * database, followed by a suffix that starts with this string.
 */
const previousSuffix = ".before-"

/**
 * Lists all known copies of `db`: old databases beside it, and the scheduled backups in `folder`. If `folder` cannot be
 * read, lists only the former, and returns the error in `failure`.
 */
export async function listCopies(
  db: string,
  folder: string | undefined,
): Promise<{ files: string[]; failure: unknown }> {
  const previous = (await readdir(dirname(db)))
    .filter((name) => name.startsWith(basename(db) + previousSuffix) && !/-(wal|shm|journal)$/.test(name))
    .map((name) => join(dirname(db), name))
    .sort()
  if (folder === undefined) return { files: previous, failure: undefined }
  try {
    const backups = await listBackups(resolve(folder), db)
    return { files: [...previous, ...backups.map(({ file }) => file)], failure: undefined }
  } catch (failure) {
    return { files: previous, failure }
  }
}

/** Removes the partial files left behind by scheduled backups that were killed. */
export async function removePartialBackups(folder: string, db: string, ownPid: number): Promise<void> {
  await explainFolderErrors(folder, async () =>
    removePartials(folder, (place) => parseBackupTime(place, db) !== undefined, ownPid),
  )
}

/**
 * Throws a UserError if a copy of `bytes` bytes in `folder` would leave fewer than `minFree` bytes free. `folder` must
 * be on the disk that holds the database. `flag`: the flag that requests the copy.
 */
export async function requireFreeSpaceBeside(
  folder: string,
  bytes: number,
  minFree: number,
  flag: "--backup-dir" | "--backup-to",
): Promise<void> {
  const { bavail, bsize } = await explainFolderErrors(folder, () => statfs(folder))
  const free = bavail * bsize
  if (free >= bytes + minFree) return
  throw new UserError(
    `${folder} is on the same disk as the database, and that disk has ${size(free)} free; a copy of ${size(bytes)} would leave less than the ${size(minFree)} that --min-free reserves, so events would be rejected`,
    flag === "--backup-dir"
      ? "free disk space, keep fewer backups with --backup-keep, or set --backup-dir to a folder on another disk"
      : "free disk space, or set --backup-dir to a folder on another disk; the backups are then uploaded from there",
  )
}

function stemOf(db: string): string {
  return basename(db).replace(/\.db$/, "")
}

/** Formats a time, to the second, without characters that file systems reject. */
function fileTime(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`
}

/** Returns the time in a backup's name, in Unix ms. Undefined if `name` is not a scheduled backup of `db`. */
export function parseBackupTime(name: string, db: string): number | undefined {
  const prefix = `${stemOf(db)}-`
  if (!name.startsWith(prefix)) return undefined
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.db$/.exec(name.slice(prefix.length))
  if (!parts) return undefined
  const [, year, month, day, hour, minute, second] = parts
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(at) ? undefined : at
}

/**
 * Creates the backup folder if it is missing and its parent exists. Does not create it if the parent is empty and not a
 * mount point, because the disk that belongs there might be unmounted, and the backups would then silently fill another
 * disk. Returns true if it created the folder.
 */
export function createBackupFolder(folder: string): boolean {
  const parent = dirname(folder)
  const found = statSync(parent, { throwIfNoEntry: false })
  if (!found?.isDirectory() || lstatSync(folder, { throwIfNoEntry: false })) return false
  const isMountPoint = found.dev !== statSync(dirname(parent)).dev
  if (!isMountPoint && readdirSync(parent).length === 0) return false
  mkdirSync(folder, { mode: 0o700 })
  return true
}

/** Turns common errors that `work` throws into UserErrors about the backup folder. */
async function explainFolderErrors<Result>(folder: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === "ENOENT" || code === "ENOTDIR") {
      const problem = code === "ENOENT" ? "does not exist" : "is not a folder"
      throw new UserError(
        `the backup folder ${folder} ${problem}`,
        "create it, mount its disk, or choose another one with --backup-dir",
      )
    }
    if (code !== "EACCES" && code !== "EPERM") throw error
    throw new UserError(
      `the backup folder ${folder} cannot be read (${code})`,
      "give the system user that runs databuddy access to it",
    )
  }
}

/** Returns the maximum size of a copy of the database in bytes, including pages that are only in the -wal file. */
export function databaseBytes(path: string): number {
  const wal = `${path}-wal`
  return statSync(path).size + (existsSync(wal) ? statSync(wal).size : 0)
}
