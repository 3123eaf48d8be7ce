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

// SQLite keeps what was stored last in a -wal beside the name that a database was opened under. Opened under two names at once, it is
// damaged; opened under a second name later, what was stored last is missing.

/** Links that lead to one another; more the system does not follow either. */
const maxSymlinks = 40

/** The one path of the file that `path` leads to, as SQLite finds it, whether it is there yet or not. */
export function databasePath(path: string): string {
  let place = resolve(path)
  for (let links = 0; links < maxSymlinks; links++) {
    try {
      return realpathSync.native(place)
    } catch {
      if (!lstatSync(place, { throwIfNoEntry: false })?.isSymbolicLink()) break
      place = resolve(dirname(place), readlinkSync(place))
    }
  }
  try {
    return join(realpathSync.native(dirname(place)), basename(place))
  } catch {
    return place
  }
}

/**
 * Throws a Complaint where the database at `path` (of `databasePath`) may be in use under another name: a server has the file and not
 * this name, it has hard links, or it is mounted by itself. `writing`: also where it is a copy that nobody has open. Only while this process has no
 * connection to it.
 */
export function refuseAliases(path: string, writing: boolean): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (!found?.isFile()) return
  if (isFileLocked(path) && ServerLock.holder(path) === undefined) {
    throw new UserError(
      `${path} is served by another databuddy under another name: it was renamed, or has a second name`,
      "give the name that the server was started with; if the file was renamed, stop that server first",
    )
  }
  if (!writing && !isInWalMode(path)) return
  if (found.nlink > 1) {
    throw new UserError(
      `${path} has ${found.nlink} names (hard links): what was stored last lies beside the name that it was stored under, and two in use at once would damage it`,
      `find the others with: find / -xdev -samefile ${path}; remove them, or copy the database with databuddy backup`,
    )
  }
  if (isMountPoint(path)) {
    throw new UserError(
      `${path} is mounted by itself, so that its -wal would lie in another folder than the file`,
      "mount the folder that it is in, not the file",
    )
  }
}

/**
 * A restore that was killed at the wrong moment leaves the database a second name, `<path>.before-restore-<time>`. Only for whoever
 * holds the server's lock: a restore that runs holds it.
 */
export function removeRestoreLink(path: string): void {
  const found = statSync(path, { throwIfNoEntry: false })
  if (found?.nlink !== 2) return
  for (const name of readdirSync(dirname(path))) {
    if (!name.startsWith(`${basename(path)}.before-restore-`)) continue
    const other = join(dirname(path), name)
    const { ino, dev } = lstatSync(other)
    if (ino === found.ino && dev === found.dev) rmSync(other)
  }
}

/** By the header; a database that nobody has open may be in that mode too. */
function isInWalMode(path: string): boolean {
  const header = Buffer.alloc(20)
  let file: number
  try {
    file = openSync(path, "r")
  } catch {
    return false // whoever opens it next says why it cannot be opened
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
    const places = mounts.map((line) => line.split(" ")[4] ?? "")
    return places.some((place) => unescapeMountPath(place) === path)
  } catch {
    return false
  }
}

/** `\\040` is a space. */
function unescapeMountPath(place: string): string {
  return place.replace(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8)))
}
