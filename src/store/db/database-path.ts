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
import { codeOf, UserError } from "../../errors.ts"
import { isFileLocked } from "./file-lock.ts"
import { ServerLock } from "./server-lock.ts"

// SQLite derives the name of the -wal from the path with which the database was opened. If a database is used under two
// names at the same time, it is corrupted. If it is later opened under a different name, events that are only in the
// -wal are missing.

/** Maximum number of symbolic links to follow. Linux has the same limit (ELOOP). */
const maxSymlinks = 40

/**
 * Resolves `path` to the canonical path that SQLite uses. The file does not have to exist. Throws a UserError if the
 * path names something other than a file.
 */
export function databasePath(path: string): string {
  const resolved = resolvePath(path)
  requireFile(resolved)
  return resolved
}

/**
 * Throws a UserError if the path names something other than a file. Opening a named pipe would block forever, and the
 * system's error for a folder does not name the path.
 */
function requireFile(path: string): void {
  const problem = pathProblem(path)
  if (problem === undefined) return
  throw new UserError(`${path} ${problem}`, "set --db or DATABUDDY_DB to a file, such as ./databuddy.db")
}

/** Returns why a path cannot be a file, or undefined if it can or if opening the file will report the reason. */
function pathProblem(path: string): string | undefined {
  try {
    const found = statSync(path, { throwIfNoEntry: false })
    if (!found || found.isFile()) return undefined
    return found.isDirectory() ? "is a folder" : "is not a file"
  } catch (error) {
    return codeOf(error) === "ENOTDIR" ? "is below a file instead of a folder" : undefined
  }
}

function resolvePath(path: string): string {
  let target = resolve(path)
  for (let links = 0; links < maxSymlinks; links++) {
    try {
      return realpathSync.native(target)
    } catch {
      const linked = linkedPath(target)
      if (linked === undefined) break
      target = linked
    }
  }
  try {
    return join(realpathSync.native(dirname(target)), basename(target))
  } catch {
    return target
  }
}

/** Returns the path that a symbolic link contains. Undefined if `path` is not a link or cannot be read. */
function linkedPath(path: string): string | undefined {
  try {
    return resolve(dirname(path), readlinkSync(path))
  } catch {
    return undefined
  }
}

/**
 * Throws a UserError if the database at `path` (from `databasePath`) might be in use under another name: if a server
 * holds the file under another name, if the file has hard links, or if it is a mount point. If `writing` is false and
 * the file is not in WAL mode (for example a backup), hard links and mount points are accepted. Must be called while
 * this process has no connection to the file.
 */
export function rejectAliases(path: string, writing: boolean): void {
  const file = statSync(path, { throwIfNoEntry: false })
  if (!file?.isFile()) return
  if (isFileLocked(path) && ServerLock.holder(path) === undefined) {
    throw new UserError(
      `${path} is in use by another databuddy process under another name: it was renamed or has a second name`,
      "use the path with which that process was started; if the file was renamed, stop that process first",
    )
  }
  if (!writing && !isInWalMode(path)) return
  if (file.nlink > 1) {
    throw new UserError(
      `${path} has ${file.nlink} names (hard links): recent events are in a -wal next to only one of them, and using two names at the same time would damage the database`,
      `list all names with \`find / -xdev -samefile ${path}\`, then remove the other ones, or copy the database with \`databuddy backup\``,
    )
  }
  if (isMountPoint(path)) {
    throw new UserError(
      `${path} is a mount point, so its -wal would be in a different folder`,
      "mount the folder that contains the file, not the file itself",
    )
  }
}

/**
 * Removes the hard link `<path>.before-restore-<time>` that a restore leaves behind if it is killed. The caller must
 * hold the server lock, which a running restore also holds.
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

/**
 * Returns true if the header says that the database is in WAL mode. The mode is stored in the file, so it does not end
 * when the database is closed.
 */
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

/** Decodes octal escapes. For example, a space in a path is written as `\040` in mountinfo. */
function unescapeMountPath(target: string): string {
  return target.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
}
