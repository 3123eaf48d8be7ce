import { setPriority } from "node:os"
import { UserError } from "../errors.ts"
import { type CopyResult, copyBackup, copyDatabase, verifyDownload } from "./copy-database.ts"

declare const self: Worker

/**
 * Gives a backup about a third as much CPU time as a busy server. At 19, the lowest priority, the backup would starve
 * and the -wal would grow.
 */
const workerNiceness = 5

export interface CopyTask {
  what: keyof typeof tasks
  /** Path of the original, or the URL of a download. */
  from: string
  /** Path of the new or downloaded file. */
  to: string
}

const tasks = { database: copyDatabase, backup: copyBackup, download: verifyDownload }

/** Messages from the worker. It reports progress, then one result or failure. */
export type CopyMessage =
  | { progress: { done: number; total: number } }
  | { copy: CopyResult }
  | { failure: { message: string; hint: string | undefined; code: string | undefined } }

// SQLite blocks its thread, for seconds when it checks a file of a few GB. Running in a worker keeps the main thread
// free for signals.
self.onmessage = async ({ data }: MessageEvent<CopyTask>) => {
  const send = (message: CopyMessage) => self.postMessage(message)
  try {
    // On Linux, this affects only the current thread. It gives priority to a server on the same machine.
    setPriority(0, workerNiceness)
  } catch {
    // Runs at normal priority if this is not permitted.
  }
  try {
    const onProgress = (done: number, total: number) => send({ progress: { done, total } })
    send({ copy: await tasks[data.what](data.from, data.to, onProgress) })
  } catch (error) {
    const { message, code } = error as { message: string; code?: string }
    send({ failure: { message, code, hint: error instanceof UserError ? error.hint : undefined } })
  }
}
