import { existsSync, mkdirSync, rmSync, statfsSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { UserError } from "../errors.ts"
import { loadDriver } from "../store/db/driver.ts"
import { partialName, removePartials, syncFolder } from "../store/db/files.ts"
import type { Context } from "../terminal/context.ts"
import { size } from "../terminal/print.ts"
import type { CopyResult } from "./copy-database.ts"
import type { CopyMessage, CopyTask } from "./copy-worker.ts"

/** Bytes that must stay free beside a copy: for the server, and for journals. */
export const spareBytes = 33_554_432

/** Set by src/build.ts. */
declare const BUILD_COMMIT: string | undefined

/** In a binary all code is one file in the repository's root, and the Worker keeps the path that it was built from. */
const workerFile = typeof BUILD_COMMIT === "string" ? "./src/backups/copy-worker.ts" : "./copy-worker.ts"

/**
 * Copies beside `place`, in a folder that nobody else can look into, and gives the copy to `finish`, which moves it to where it
 * belongs. Whatever happens, a signal included, the folder is gone afterwards; one that a killed process left of the same place
 * is too.
 */
export async function stageCopy(
  place: string,
  task: Pick<CopyTask, "what" | "from">,
  context: Context,
  finish: (path: string, copy: CopyResult) => void,
): Promise<CopyResult> {
  const { pid, random } = context.environment
  explainFileErrors(place, () => removePartials(dirname(place), (name) => name === basename(place), pid))
  const folder = partialName(place, pid, random)
  const stopped = context.stopSignal().then(() => {
    throw new UserError("stopped by a signal; nothing was changed, and nothing is left of the copy")
  })
  try {
    explainFileErrors(place, () => mkdirSync(folder, { mode: 0o700 }))
    const to = join(folder, "copy.db")
    const copy = await Promise.race([copyInWorker({ ...task, to }, context), stopped])
    explainFileErrors(place, () => finish(to, copy))
    syncFolder(dirname(place))
    return copy
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/**
 * Removes what a restore or a backup before a migration left beside the database when it was killed. Only for whoever holds the
 * server's lock, without which neither runs.
 */
export function removeStaleStaging(path: string, { environment }: Context): void {
  const name = basename(path)
  const isOurs = (place: string) =>
    place === name ||
    (place.startsWith(name) && /^\.before-migration-\d{4}-\w+$/.test(place.slice(name.length)))
  removePartials(dirname(path), isOurs, environment.pid)
}

/** Throws a Complaint where the folder of `place` is missing or has no room for `bytes` more. */
export function requireFreeSpace(place: string, bytes: number): void {
  const folder = dirname(place)
  if (!existsSync(folder)) {
    throw new UserError(
      `${place} cannot be made: its folder does not exist`,
      "make the folder, or give another file",
    )
  }
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  if (free >= bytes + spareBytes) return
  throw new UserError(
    `${folder} has ${size(free)} free, and the copy needs ${size(bytes)} and ${size(spareBytes)} to spare`,
    "make room, or give a place on another disk",
  )
}

function copyInWorker(task: CopyTask, context: Context): Promise<CopyResult> {
  loadDriver()
  const worker = new Worker(new URL(workerFile, import.meta.url))
  let drawn = ""
  const draw = (line: string) => {
    if (!context.errIsTerminal || line === drawn) return
    context.err(`\r${line.padEnd(drawn.length)}`)
    drawn = line
  }
  return new Promise<CopyResult>((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message))
    worker.onmessage = ({ data }: MessageEvent<CopyMessage>) => {
      if ("copy" in data) resolve(data.copy)
      else if ("failure" in data) reject(copyError(data.failure, task))
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

function copyError(
  { message, hint, code }: { message: string; hint: string | undefined; code: string | undefined },
  { from, to }: CopyTask,
): Error {
  if (code === "SQLITE_FULL" || code === "ENOSPC") {
    return new UserError(
      `the disk of ${dirname(dirname(to))} became full; nothing is left of the copy`,
      "make room, or give a place on another disk",
    )
  }
  if (code?.startsWith("SQLITE_IOERR")) {
    return new UserError(
      `the copying failed (${code}); nothing is left of the copy`,
      "the log of the system says whether a disk fails; databuddy check looks for damage",
    )
  }
  // Counting what there is reads some of the pages before any is copied.
  if (code?.startsWith("SQLITE_CORRUPT")) {
    return new UserError(
      `${from} is damaged (${code})`,
      "databuddy check --db FILE tells more; keep the last good backup",
    )
  }
  return hint === undefined && code !== undefined
    ? Object.assign(new Error(message), { code })
    : new UserError(message, hint)
}

function explainFileErrors<Result>(place: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === "EEXIST") throw new UserError(`${place} exists`, "give another name")
    if (code !== "EACCES" && code !== "EPERM" && code !== "EROFS") throw error
    throw new UserError(
      `${place} cannot be written (${code})`,
      "check the rights of its folder, and that the disk is not mounted read-only",
    )
  }
}
