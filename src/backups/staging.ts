import { existsSync, mkdirSync, rmSync, statfsSync } from "node:fs"
import { basename, dirname, join } from "node:path"
import { codeOf, UserError } from "../errors.ts"
import { loadDriver } from "../store/db/driver.ts"
import { partialName, removePartials, syncFolder } from "../store/db/files.ts"
import type { Context } from "../terminal/context.ts"
import { size } from "../terminal/print.ts"
import type { CopyResult } from "./copy-database.ts"
import type { CopyMessage, CopyTask } from "./copy-worker.ts"

/** Bytes that must stay free after a copy, for the server and for SQLite's journal files. */
export const spareBytes = 33_554_432

/** Returns the path for a temporary copy of the database that will be uploaded. It is beside the database. */
export function uploadCopy(db: string): string {
  return `${db}.upload`
}

/** Set by src/build.ts. */
declare const BUILD_COMMIT: string | undefined

/**
 * The binary bundles all code into one file that resolves paths as if it were at the repository's root. A worker is
 * therefore found by the path of its source file.
 */
const workerFile = typeof BUILD_COMMIT === "string" ? "./src/backups/copy-worker.ts" : "./copy-worker.ts"

/** Writes a backup to the new file `to`. */
export type Download = (to: string, signal: AbortSignal) => Promise<void>

/** A copy to make. For a download, `from` is its URL. */
export type StagedTask =
  | { what: "database" | "backup"; from: string }
  | { what: "download"; from: string; download: Download }

/**
 * Creates a copy in a private staging folder beside `path` and passes the copy to `finish`, which moves it to its
 * destination. `finish` also receives a signal that is aborted when the process has to stop. Always removes the staging
 * folder, even after a signal. Also removes staging folders for the same `path` that were left behind by killed
 * processes.
 */
export async function stageCopy(
  path: string,
  task: StagedTask,
  context: Context,
  finish: (copyPath: string, copy: CopyResult, signal: AbortSignal) => void | Promise<void>,
): Promise<CopyResult> {
  const copy = await withStaging(path, context, async (to, signal) => {
    const { what, from } = task
    if ("download" in task) await task.download(to, signal)
    const stopped = new Promise<never>((_, reject) => {
      const stop = () =>
        reject(new UserError("stopped by a signal; nothing was changed, and the copy was removed"))
      if (signal.aborted) stop()
      signal.addEventListener("abort", stop)
    })
    const copy = await Promise.race([copyInWorker({ what, from, to }, context), stopped])
    await explainFileErrors(path, () => finish(to, copy, signal))
    return copy
  })
  syncFolder(dirname(path))
  return copy
}

/**
 * Calls `work` with the path of a new file in a private folder beside `path`, and with a signal that is aborted when
 * the process has to stop. Removes the folder afterwards.
 */
export async function withStaging<Result>(
  path: string,
  context: Context,
  work: (file: string, signal: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const { pid, random } = context.environment
  explainFileErrors(path, () => removePartials(dirname(path), (name) => name === basename(path), pid))
  const folder = partialName(path, pid, random)
  const signal = stopSignalOf(context)
  try {
    explainFileErrors(path, () => mkdirSync(folder, { mode: 0o700 }))
    return await work(join(folder, "copy.db"), signal)
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

/** Returns a signal that is aborted when the process has to stop. */
export function stopSignalOf(context: Context): AbortSignal {
  const controller = new AbortController()
  void context.stopSignal().then(() => controller.abort())
  return controller.signal
}

/**
 * Removes staging folders that a restore, an upload or a backup before a migration left beside the database when it was
 * killed. The caller must hold the server lock, which all three hold while they run.
 */
export function removeStaleStaging(path: string, { environment }: Context): void {
  const name = basename(path)
  const isOurs = (target: string) =>
    target === name ||
    target === uploadCopy(name) ||
    (target.startsWith(name) && /^\.before-migration-\d{4}-\w+$/.test(target.slice(name.length)))
  removePartials(dirname(path), isOurs, environment.pid)
}

/** Throws a UserError if the folder that contains `path` does not exist, or if its disk does not have `bytes` free. */
export function requireFreeSpace(path: string, bytes: number): void {
  const folder = dirname(path)
  if (!existsSync(folder)) {
    throw new UserError(
      `${path} cannot be created: its folder does not exist`,
      "create the folder, or choose another path",
    )
  }
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  if (free >= bytes + spareBytes) return
  throw new UserError(
    `${folder} has ${size(free)} free, but the copy needs ${size(bytes)} plus ${size(spareBytes)} in reserve`,
    "free disk space, or choose a path on another disk",
  )
}

/**
 * Throws a UserError if fewer than `reserve` bytes are free on the disk that holds `path`. Called repeatedly while a
 * download is written to that disk.
 */
export function requireReserve(path: string, reserve: number): void {
  const folder = dirname(path)
  const { bavail, bsize } = statfsSync(folder)
  const free = bavail * bsize
  if (free >= reserve) return
  throw new UserError(
    `the download was stopped and removed: ${folder} had only ${size(free)} left, less than the reserve of ${size(reserve)}`,
    "free disk space, or choose a path on another disk",
  )
}

function copyInWorker(task: CopyTask, context: Context): Promise<CopyResult> {
  loadDriver()
  const worker = new Worker(new URL(workerFile, import.meta.url))
  let shownLine = ""
  const show = (line: string) => {
    if (!context.errIsTerminal || line === shownLine) return
    context.err(`\r${line.padEnd(shownLine.length)}`)
    shownLine = line
  }
  return new Promise<CopyResult>((resolve, reject) => {
    worker.onerror = ({ message }) => reject(new Error(message))
    worker.onmessage = ({ data }: MessageEvent<CopyMessage>) => {
      if ("copy" in data) resolve(data.copy)
      else if ("failure" in data) reject(copyError(data.failure, task))
      else if (data.progress.done < data.progress.total) {
        show(`copied ${size(data.progress.done)} of ${size(data.progress.total)}`)
      } else show(`checking ${size(data.progress.total)}`)
    }
    worker.postMessage(task)
  }).finally(() => {
    show("")
    if (context.errIsTerminal) context.err("\r")
    worker.terminate()
  })
}

function copyError(
  { message, hint, code }: { message: string; hint: string | undefined; code: string | undefined },
  { from, to }: CopyTask,
): Error {
  if (code === "SQLITE_FULL" || code === "ENOSPC") return diskFull(to)
  if (code?.startsWith("SQLITE_IOERR")) {
    return new UserError(
      `copying failed (${code}); the copy was removed`,
      "check the system log for disk errors, and run `databuddy check` on the database",
    )
  }
  // The original's rows are counted before any page is copied, so this error means that the original is damaged.
  if (code?.startsWith("SQLITE_CORRUPT")) {
    return new UserError(
      `${from} is damaged (${code})`,
      "run `databuddy check --db FILE` for details; keep the last good backup",
    )
  }
  return hint === undefined && code !== undefined
    ? Object.assign(new Error(message), { code })
    : new UserError(message, hint)
}

/** Turns disk errors from `download` into UserErrors. `to` is the file that `download` writes. */
export async function explainDiskErrors(to: string, download: () => Promise<void>): Promise<void> {
  try {
    await download()
  } catch (error) {
    if (codeOf(error) !== "ENOSPC") throw error
    throw diskFull(to)
  }
}

function diskFull(to: string): UserError {
  return new UserError(
    `the disk that holds ${dirname(dirname(to))} is full; the copy was removed`,
    "free disk space, or choose a path on another disk",
  )
}

/** Turns common file errors that `work` throws into UserErrors about `path`. */
function explainFileErrors<Result>(path: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    const { code } = error as { code?: string }
    if (code === "EEXIST") throw new UserError(`${path} already exists`, "choose another name")
    if (code !== "EACCES" && code !== "EPERM" && code !== "EROFS") throw error
    throw new UserError(
      `${path} cannot be written (${code})`,
      "check the permissions of its folder, and that the disk is not mounted read-only",
    )
  }
}
