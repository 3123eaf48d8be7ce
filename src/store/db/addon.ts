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

/** Linux: a file without a name. Nobody can open it, put another in its place, or find it left behind. */
const anonymousFileFlag = 0o20200000

/** The folder that addons are unpacked to. */
export const addonFolder = () => process.env.BUN_TMPDIR ?? tmpdir()

/** What this process has open, as Linux lists it. */
const descriptorFolder = "/proc/self/fd"

/**
 * Loads the addon whose bytes the binary holds at `embedded`; on Linux, where every program of a name could otherwise find and change
 * the file. `src/build.ts` has SQLite loaded by it. Throws what dlopen says, and a Complaint where the file cannot be made.
 */
export function loadAddon(embedded: string): unknown {
  const bytes = readFileSync(embedded)
  const file = findUnpacked(bytes) ?? unpack(bytes)
  const module = { exports: {} }
  // By the descriptor: a path could lead to another file by now.
  process.dlopen(module as NodeJS.Module, `${descriptorFolder}/${file}`)
  return module.exports
}

/** The descriptor stays open: another thread may load from it. */
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
      "set TMPDIR to a folder that exists, can be written to, has 3 MB free and is not mounted noexec",
    )
  }
}

function openAnonymousFile(folder: string): number {
  try {
    return openSync(folder, anonymousFileFlag | constants.O_RDWR, 0o600)
  } catch (error) {
    // What file systems and kernels say that have no such files.
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
 * What another thread of this process unpacked. SQLite's locks belong to a process, and each copy of its code counts them for
 * itself, so a process must load it once: a second copy that closes a database would drop the locks of the first.
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
    const found = new Uint8Array(size)
    for (let done = 0; done < size; ) {
      const read = readSync(file, found, done, size - done, done)
      if (read === 0) return false
      done += read
    }
    return Buffer.compare(found, bytes) === 0
  } catch {
    return false // closed meanwhile, or nothing that can be read from a place
  }
}
