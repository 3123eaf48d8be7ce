import {
  closeSync,
  constants,
  fsyncSync,
  lchownSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs"
import { join } from "node:path"
import { codeOf } from "../../errors.ts"

// Safely creates files in folders that other users can write to, such as /tmp. Those users could create a link or file
// under any name that they can predict.

/** Number of random bytes in a temporary name. 64 bits cannot be guessed. */
const randomBytes = 8

/** O_NOFOLLOW is not defined on Windows, where creating a link requires privileges. */
const noFollow = constants.O_NOFOLLOW ?? 0

/**
 * Creates `path` with mode 600 and returns its descriptor. Throws EEXIST if the name exists, even if it is a dangling
 * link.
 */
export function createPrivateFile(path: string): number {
  return openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | noFollow, 0o600)
}

/** Returns an unpredictable name in the same folder, for a file that is renamed to `path` once it is complete. */
export function partialName(path: string, pid: number, random: (bytes: Uint8Array) => Uint8Array): string {
  return `${path}.partial-${pid}-${Buffer.from(random(new Uint8Array(randomBytes))).toString("hex")}`
}

/** Matches the names that `partialName` returns. Names from versions before 0.2 have no random part. */
const partialPattern = /^(.+)\.partial-(\d+)(?:-[0-9a-f]{16})?$/

/**
 * Removes the partial files and folders left in `folder` by processes that were killed, if `isOurs` accepts the base
 * name that they would have been renamed to. Skips files of running processes. Also skips files of other users, who
 * must not be able to make this process delete files by creating a link or a name.
 */
export function removePartials(folder: string, isOurs: (name: string) => boolean, ownPid: number): void {
  for (const name of readdirSync(folder)) {
    const [, target = "", pid] = partialPattern.exec(name) ?? []
    if (pid === undefined || !isOurs(target)) continue
    // A file with our own pid was created before a reboot, or by another container.
    if (Number(pid) !== ownPid && isAlive(Number(pid))) continue
    const path = join(folder, name)
    const entry = lstatSync(path, { throwIfNoEntry: false })
    if (!entry || (process.geteuid !== undefined && entry.uid !== process.geteuid())) continue
    rmSync(path, { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return codeOf(error) === "EPERM"
  }
}

/**
 * Renames the complete file `partial` to `path`. If `replace` is false, throws EEXIST if `path` exists. The check is
 * atomic on file systems with hard links. If `path` is a link, it is replaced, not followed.
 */
export function publish(partial: string, path: string, replace: boolean): void {
  if (replace) renameSync(partial, path)
  else {
    try {
      linkSync(partial, path)
      rmSync(partial)
    } catch (error) {
      if (codeOf(error) === "EEXIST") throw error
      // This file system has no hard links.
      if (lstatSync(path, { throwIfNoEntry: false })) {
        throw Object.assign(new Error(`EEXIST: ${path}`), { code: "EEXIST" })
      }
      renameSync(partial, path)
    }
  }
}

/** Syncs the entries of a folder to disk. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r")
  try {
    fsyncSync(folder)
  } catch {
    // Windows and some file systems cannot sync a folder. The file itself has been synced.
  } finally {
    closeSync(folder)
  }
}

/**
 * Gives `path` the same owner as `reference` if this process runs as root, because the server's user must be able to
 * open it.
 */
export function keepOwner(path: string, reference: string): void {
  const { uid, gid } = statSync(reference)
  if (process.getuid?.() === 0 && (uid !== 0 || gid !== 0)) lchownSync(path, uid, gid)
}
