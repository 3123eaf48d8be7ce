import { existsSync, realpathSync, statSync } from "node:fs"
import { readdir, rm, statfs } from "node:fs/promises"
import { basename, dirname, join, resolve } from "node:path"
import { UserError } from "../errors.ts"
import { removePartials } from "../store/db/files.ts"
import { size } from "../terminal/print.ts"

/** A backup that the schedule made: finished, for only what is checked gets such a name. */
export interface Backup {
  file: string
  /** When it was begun, Unix ms. */
  at: number
}

/** `databuddy-20261124T003800Z.db`: names of one database sort by time. */
export function backupName(db: string, at: number): string {
  return `${stemOf(db)}-${fileTime(at)}.db`
}

/** The backups of `db` in `folder` by the schedule's naming, the oldest first. Nothing else there is ever touched. */
export async function listBackups(folder: string, db: string): Promise<Backup[]> {
  const names = await explainFolderErrors(folder, () => readdir(folder))
  return names
    .flatMap((name) => {
      const at = parseBackupTime(name, db)
      return at === undefined ? [] : [{ file: join(folder, name), at }]
    })
    .sort((one, other) => one.at - other.at)
}

/** Suffixes of what this program keeps beside the database, before a time: what was there before a restore. */
const asideSuffix = ".before-"

/**
 * All copies of `db` that are known: what was kept beside it, and the backups in `folder`. `failure`: why that could not be looked
 * into.
 */
export async function listCopies(
  db: string,
  folder: string | undefined,
): Promise<{ files: string[]; failure: unknown }> {
  const aside = (await readdir(dirname(db)))
    .filter((name) => name.startsWith(basename(db) + asideSuffix) && !/-(wal|shm|journal)$/.test(name))
    .map((name) => join(dirname(db), name))
    .sort()
  if (folder === undefined) return { files: aside, failure: undefined }
  try {
    const backups = await listBackups(resolve(folder), db)
    return { files: [...aside, ...backups.map(({ file }) => file)], failure: undefined }
  } catch (failure) {
    return { files: aside, failure }
  }
}

/**
 * Takes away the oldest of `backups` but `keep`, and never `newest`. Those from a clock that was ahead (after `newest`) count as
 * the oldest: they were there before it. Gives what is gone.
 */
export async function pruneBackups(backups: Backup[], newest: Backup, keep: number): Promise<string[]> {
  const others = backups.filter(({ file }) => file !== newest.file)
  const ahead = others.filter(({ at }) => at > newest.at)
  const before = others.filter(({ at }) => at <= newest.at)
  const gone = [...ahead, ...before].slice(0, Math.max(0, others.length + 1 - keep)).map(({ file }) => file)
  for (const file of gone) await rm(file, { force: true })
  return gone
}

/** Removes what killed backups of the schedule left, whatever their time. */
export async function removePartialBackups(folder: string, db: string, ownPid: number): Promise<void> {
  await explainFolderErrors(folder, async () =>
    removePartials(folder, (place) => parseBackupTime(place, db) !== undefined, ownPid),
  )
}

/** Throws a Complaint where a copy of `bytes` would leave less than `minFree` on the disk of `folder`. */
export async function requireFreeSpaceBeside(folder: string, bytes: number, minFree: number): Promise<void> {
  const { bavail, bsize } = await explainFolderErrors(folder, () => statfs(folder))
  const free = bavail * bsize
  if (free >= bytes + minFree) return
  throw new UserError(
    `${folder} is on the database's disk, which has ${size(free)} free: a copy of ${size(bytes)} would leave less than the ${size(minFree)} of --min-free, and events would be refused`,
    "make room, keep fewer with --backup-keep, or name a folder on another disk with --backup-dir",
  )
}

function stemOf(db: string): string {
  return basename(db).replace(/\.db$/, "")
}

/** To the second, without what a file system may not like. */
function fileTime(at: number): string {
  return `${new Date(at).toISOString().slice(0, 19).replace(/[-:]/g, "")}Z`
}

/** Unix ms; undefined where the name is not the schedule's. */
function parseBackupTime(name: string, db: string): number | undefined {
  const prefix = `${stemOf(db)}-`
  if (!name.startsWith(prefix)) return undefined
  const parts = /^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z\.db$/.exec(name.slice(prefix.length))
  if (!parts) return undefined
  const [, year, month, day, hour, minute, second] = parts
  const at = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}Z`)
  return Number.isNaN(at) ? undefined : at
}

async function explainFolderErrors<Result>(folder: string, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === "ENOENT" || code === "ENOTDIR") {
      const is = code === "ENOENT" ? "does not exist" : "is not a folder"
      throw new UserError(
        `the folder for backups ${folder} ${is}`,
        "make it, or mount its disk; or name another one with --backup-dir",
      )
    }
    if (code !== "EACCES" && code !== "EPERM") throw error
    throw new UserError(
      `the folder for backups ${folder} cannot be read (${code})`,
      "give it to the user that databuddy runs as",
    )
  }
}

/** Whether two paths lead to one file. */
export function isSameFile(one: string, other: string): boolean {
  if (!existsSync(one) || !existsSync(other)) return false
  const [a, b] = [statSync(one), statSync(other)]
  return realpathSync(one) === realpathSync(other) || (a.ino === b.ino && a.dev === b.dev)
}

/** The most that a copy can become: the -wal holds pages that are not in the file yet. */
export function databaseBytes(path: string): number {
  const wal = `${path}-wal`
  return statSync(path).size + (existsSync(wal) ? statSync(wal).size : 0)
}
