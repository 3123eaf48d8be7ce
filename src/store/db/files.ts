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

// How this program makes files beside others': a folder such as /tmp belongs to other users too, who may have put a link or a file
// under any name that they can foresee.

/** Bytes of a temporary name's random part: nobody foresees 64 bits. */
const randomBytes = 8

/** Absent on Windows, where no other user's link is followed without privileges. */
const noFollow = constants.O_NOFOLLOW ?? 0

/**
 * Creates `path`, which only its owner may open, and gives its descriptor. Throws EEXIST where anything has that name, a link to
 * nowhere included.
 */
export function createPrivateFile(path: string): number {
  return openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | noFollow, 0o600)
}

/** A name beside `place` that nobody foresees, for what becomes `place` when it is complete. */
export function partialName(place: string, pid: number, random: (bytes: Uint8Array) => Uint8Array): string {
  return `${place}.partial-${pid}-${Buffer.from(random(new Uint8Array(randomBytes))).toString("hex")}`
}

/** Versions before 0.2 wrote no random part. */
const partialPattern = /^(.+)\.partial-(\d+)(?:-[0-9a-f]{16})?$/

/**
 * Removes from `folder` what killed processes left of the places that `isOurs` accepts (base names). Only what this user owns, and
 * what belongs to no running process: another user could otherwise have us remove files of theirs.
 */
export function removePartials(folder: string, isOurs: (place: string) => boolean, ownPid: number): void {
  for (const name of readdirSync(folder)) {
    const [, place = "", pid] = partialPattern.exec(name) ?? []
    if (pid === undefined || !isOurs(place)) continue
    // One of our own number is from before a restart of the machine, or from another container.
    if (Number(pid) !== ownPid && isAlive(Number(pid))) continue
    const path = join(folder, name)
    const found = lstatSync(path, { throwIfNoEntry: false })
    if (!found || (process.geteuid !== undefined && found.uid !== process.geteuid())) continue
    rmSync(path, { recursive: true, force: true })
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM"
  }
}

/**
 * Gives the complete file `partial` the name `place`. Without `replace` it throws EEXIST where anything has that name, however
 * lately: a check before would be too early. A link at `place` is replaced, not followed.
 */
export function publish(partial: string, place: string, replace: boolean): void {
  if (replace) renameSync(partial, place)
  else {
    try {
      linkSync(partial, place)
      rmSync(partial)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "EEXIST") throw error
      // A file system without hard links.
      if (lstatSync(place, { throwIfNoEntry: false })) {
        throw Object.assign(new Error(`EEXIST: ${place}`), { code: "EEXIST" })
      }
      renameSync(partial, place)
    }
  }
}

/** Puts new and changed names of a folder on disk. */
export function syncFolder(path: string): void {
  const folder = openSync(path, "r")
  try {
    fsyncSync(folder)
  } catch {
    // Some file systems cannot sync a folder, Windows neither; the file itself is synced.
  } finally {
    closeSync(folder)
  }
}

/** Gives `path` the owner of `reference` if this process is root: the server's own user must be able to open it. */
export function keepOwner(path: string, reference: string): void {
  const { uid, gid } = statSync(reference)
  if (process.getuid?.() === 0 && (uid !== 0 || gid !== 0)) lchownSync(path, uid, gid)
}
