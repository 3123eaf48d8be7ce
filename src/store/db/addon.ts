import {
  closeSync,
  constants,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  writeSync,
} from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { UserError } from "../../errors.ts"
import { createPrivateFile } from "./files.ts"

/** Linux's O_TMPFILE, which creates an anonymous file that other processes cannot find, open or replace. */
const anonymousFileFlag = 0o20200000

/** The folder to which native addons are unpacked. */
export const addonFolder = () => process.env.BUN_TMPDIR ?? tmpdir()

/** The folder in which Linux lists this process's open descriptors. */
const descriptorFolder = "/proc/self/fd"

/**
 * Unpacks and loads the native addon embedded in the binary at the path `embedded`. Linux only. The unpacked file is
 * anonymous, so that other users cannot replace it. `src/build.ts` makes better-sqlite3 load its addon with this
 * function. Throws the error from dlopen, or a UserError if the file cannot be created.
 */
export function loadAddon(embedded: string): unknown {
  const bytes = readFileSync(embedded)
  const file = findUnpacked(bytes) ?? unpack(bytes)
  const module = { exports: {} }
  // Loads the file through its descriptor, because it has no path.
  process.dlopen(module as NodeJS.Module, `${descriptorFolder}/${file}`)
  return module.exports
}

/**
 * Writes the addon to an anonymous file. Returns its descriptor, which stays open so that other threads can load the
 * addon from it.
 */
function unpack(bytes: Uint8Array): number {
  const folder = addonFolder()
  try {
    const file = openAnonymousFile(folder)
    for (let done = 0; done < bytes.length; ) done += writeSync(file, bytes, done)
    return file
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    throw new UserError(
      `SQLite cannot be unpacked to the temporary folder ${folder} (${code ?? message})`,
      "set TMPDIR to a writable folder that is not mounted noexec and has 3 MB free",
    )
  }
}

function openAnonymousFile(folder: string): number {
  try {
    return openSync(folder, anonymousFileFlag | constants.O_RDWR, 0o600)
  } catch (error) {
    // Errors from file systems and kernels without O_TMPFILE.
    const { code = "" } = error as NodeJS.ErrnoException
    if (!["EOPNOTSUPP", "ENOTSUP", "EISDIR", "EINVAL"].includes(code)) throw error
    const path = join(folder, `.databuddy-${crypto.randomUUID()}.node`)
    const file = createPrivateFile(path)
    try {
      return openSync(path, "r+")
    } finally {
      closeSync(file)
      rmSync(path, { force: true })
    }
  }
}

/**
 * Returns the descriptor of the addon if another thread of this process has already unpacked it, or undefined. A
 * process must load SQLite only once: POSIX locks belong to the process, so if a second copy of SQLite closed a
 * database, it would drop the locks of the first copy.
 */
function findUnpacked(bytes: Uint8Array): number | undefined {
  return readdirSync(descriptorFolder)
    .map(Number)
    .find((file) => hasContents(file, bytes))
}

function hasContents(file: number, bytes: Uint8Array): boolean {
  try {
    const { nlink, size } = fstatSync(file)
    if (nlink !== 0 || size !== bytes.length) return false
    const contents = new Uint8Array(size)
    for (let done = 0; done < size; ) {
      const read = readSync(file, contents, done, size - done, done)
      if (read === 0) return false
      done += read
    }
    return Buffer.compare(contents, bytes) === 0
  } catch {
    return false // another thread has closed the file, or it is not seekable
  }
}
