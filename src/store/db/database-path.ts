import {
  closeSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  readSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs"
import { basename, dirname, join, resolve } from "node:path"
import { UserError } from "../../errors.ts"
import { isFileLocked } from "./file-lock.ts"
import { ServerLock } from "./server-lock.ts"

// SQLite names the -wal after the path that the database was opened with. Using a database under two names at the same
// time corrupts it. Opening it later under a second name hides recent events.

/** Maximum symbolic links to follow, as in Linux (ELOOP). */
const maxSymlinks = 40

/** Resolves `path` to the canonical path that SQLite uses. The file does not have to exist. */
export function databasePath(path: string): string {
  let target = resolve(path)
  for (let links = 0; links < maxSymlinks; links++) {
    try {
      return realpathSync.native(target)
    } catch {
      if (!lstatSync(target, { throwIfNoEntry: false })?.isSymbolicLink()) break
      target = resolve(dirname(target), readlinkSync(target))
    }
  }
  try {
    return join(realpathSync.native(dirname(target)), basename(target))
  } catch {
    return target
  }
}

/**
 * Throws a UserError if the database at `path` (from `databasePath`) might be in use under another name: if a server
 * holds the file under another name, if the file has hard links, or if it is a mount point. If `writing` is false,
 * accepts hard links and mount points for a file outside WAL mode, such as a backup. Call it without an open connection
 * to the file.
 */
export function rejectAliases(path: string, writing: boolean): void {
  const file = statSync(path, { throwIfNoEntry: false })
  if (!file?.isFile()) return
  if (isFileLocked(path) && ServerLock.holder(path) === undefined) {
    throw new UserError(
      `${path} is in use by another databuddy under another name: it was renamed, or has a second name`,
      "use the name that the server was started with; if the file was renamed, stop that server first",
    )
  }
  if (!writing && !isInWalMode(path)) return
  if (file.nlink > 1) {
    throw new UserError(
      `${path} has ${file.nlink} names (hard links): recent events are in a -wal beside only one of them, and using two names at the same time would damage the database`,
      `find the other names with: find / -xdev -samefile ${path}; remove them, or copy the database with databuddy backup`,
    )
  }
  if (isMountPoint(path)) {
    throw new UserError(
      `${path} is a mount point, so its -wal would be in a different folder`,
      "mount the folder that contains it, not the file",
    )
  }
}

/**
 * Removes the second name `<path>.before-restore-<time>` that a killed restore can leave. The caller must hold the
 * server lock, which a running restore also holds.
 */
export function removeRestoreLink(path: string): void {
  const file = statSync(path, { throwIfNoEntry: false })
  if (file?.nlink !== 2) return
  for (const name of readdirSync(dirname(path))) {
    if (!name.startsWith(`${basename(path)}.before-restore-`)) continue
    const other = join(dirname(path), name)
    const { ino, dev } = lstatSync(other)
    if (ino === file.ino && dev === file.dev) rmSync(other)
  }
}

/** Reads the mode from the header. A database stays in WAL mode after it is closed. */
function isInWalMode(path: string): boolean {
  const header = Buffer.alloc(20)
  let file: number
  try {
    file = openSync(path, "r")
  } catch {
    return false // opening it as a database reports the reason
  }
  try {
    readSync(file, header, 0, header.length, 0)
  } finally {
    closeSync(file)
  }
  return header[18] === 2
}

function isMountPoint(path: string): boolean {
  if (process.platform !== "linux") return false
  try {
    const mounts = readFileSync("/proc/self/mountinfo", "utf8").split("\n")
    const mountPoints = mounts.map((line) => line.split(" ")[4] ?? "")
    return mountPoints.some((target) => unescapeMountPath(target) === path)
  } catch {
    return false
  }
}

/** mountinfo writes a space as `\\040`. */
function unescapeMountPath(target: string): string {
  return target.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
}
