import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statfsSync,
} from "node:fs"
import { basename, dirname, join } from "node:path"
import { Complaint } from "../errors.ts"
import type { Copy } from "../store/backup.ts"
import type { Context } from "./context.ts"
import type { CopyNews, CopyTask } from "./copy-worker.ts"
import { size } from "./print.ts"

/** Bytes that must stay free beside a copy: for the server, and for journals. */
export const spare = 33_554_432

/** Set by src/build.ts. */
declare const BUILD_COMMIT: string | undefined

/** In a binary all code is one file in the repository's root, and the Worker keeps the path that it was built from. */
const workerFile = typeof BUILD_COMMIT === "string" ? "./src/commands/copy-worker.ts" : "./copy-worker.ts"

/**
 * Copies beside `place`, in a folder that nobody else can look into, and gives the copy to `finish`, which moves it to where it
 * belongs. Whatever happens, a signal included, the folder is gone afterwards; one that a killed process left is too.
 */
export async function copyBeside(
  place: string,
  task: Pick<CopyTask, "what" | "from">,
  context: Context,
  finish: (path: string, copy: Copy) => void,
): Promise<Copy> {
  inWords(place, () => removeLeftovers(place, context))
  const folder = `${place}.partial-${context.world.pid}`
  const stopped = context.stopSignal().then(() => {
    throw new Complaint("stopped by a signal; nothing was changed, and nothing is left of the copy")
  })
  try {
    inWords(place, () => mkdirSync(folder, { mode: 0o700 }))
    const to = join(folder, "copy.db")
    const copy = await Promise.race([work({ ...task, to }, context), stopped])
    inWords(place, () => finish(to, copy))
    syncFolder(dirname(place))
    return copy
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Throws a Complaint where the folder of `place` is missing or has no room for `bytes` more. */
export function requireRoom(place: string, bytes: number): void {
  const folder = dirname(place)
  if (!existsSync(folder)) {
    throw new Complaint(
      `${place} cannot be made: its folder does not exist`,
      "make the folder, or give another file",
    )
  }
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  if (free >= bytes + spare) return
  throw new Complaint(
    `${folder} has ${size(free)} free, and the copy needs ${size(bytes)} and ${size(spare)} to spare`,
    "make room, or give a place on another disk",
  )
}

function work(task: CopyTask, context: Context): Promise<Copy> {
  const worker = new Worker(new URL(workerFile, import.meta.url))
  let drawn = ""
  const draw = (line: string) => {
    if (!context.errIsTerminal || line === drawn) return
    context.err(`\r${line.padEnd(drawn.length)}`)
    drawn = line
  }
  return new Promise<Copy>((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message))
    worker.onmessage = ({ data }: MessageEvent<CopyNews>) => {
      if ("copy" in data) resolve(data.copy)
      else if ("failure" in data) reject(failureOf(data.failure, task))
      else if (data.progress.done < data.progress.total) {
        draw(`copied ${size(data.progress.done)} of ${size(data.progress.total)}`)
      } else draw(`checking ${size(data.progress.total)}`)
    }
    worker.postMessage(task)
  }).finally(() => {
    draw("")
    if (drawn === "" && context.errIsTerminal) context.err("\r")
    worker.terminate()
  })
}

function failureOf(
  { message, hint, code }: { message: string; hint: string | undefined; code: string | undefined },
  { from, to }: CopyTask,
): Error {
  if (code === "SQLITE_FULL" || code === "ENOSPC") {
    return new Complaint(
      `the disk of ${dirname(dirname(to))} became full; nothing is left of the copy`,
      "make room, or give a place on another disk",
    )
  }
  if (code?.startsWith("SQLITE_IOERR")) {
    return new Complaint(
      `the copying failed (${code}); nothing is left of the copy`,
      "the log of the system says whether a disk fails; databuddy check looks for damage",
    )
  }
  // Counting what there is reads some of the pages before any is copied.
  if (code?.startsWith("SQLITE_CORRUPT")) {
    return new Complaint(
      `${from} is damaged (${code})`,
      "databuddy check --db FILE tells more; keep the last good backup",
    )
  }
  return hint === undefined && code !== undefined
    ? Object.assign(new Error(message), { code })
    : new Complaint(message, hint)
}

/** Folders of processes that are gone. One of our own number is from before, or from another container. */
function removeLeftovers(place: string, context: Context): void {
  for (const name of readdirSync(dirname(place))) {
    if (!isLeftover(name, basename(place), context.world.pid)) continue
    rmSync(join(dirname(place), name), { recursive: true, force: true })
  }
}

/** Whether `name` is what a process that is gone left of a copy named `copy`. */
export function isLeftover(name: string, copy: string, ownPid: number): boolean {
  const prefix = `${copy}.partial-`
  if (!name.startsWith(prefix) || !/^\d+$/.test(name.slice(prefix.length))) return false
  const pid = Number(name.slice(prefix.length))
  return pid === ownPid || !isAlive(pid)
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as { code?: string }).code === "EPERM"
  }
}

function inWords<Result>(place: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    const { code } = error as { code?: string }
    if (code !== "EACCES" && code !== "EPERM" && code !== "EROFS") throw error
    throw new Complaint(
      `${place} cannot be written (${code})`,
      "check the rights of its folder, and that the disk is not mounted read-only",
    )
  }
}

/** A rename is on disk when its folder is. */
function syncFolder(path: string): void {
  const folder = openSync(path, "r")
  try {
    fsyncSync(folder)
  } catch {
    // Some file systems cannot sync a folder, Windows neither; the file itself is synced.
  } finally {
    closeSync(folder)
  }
}
