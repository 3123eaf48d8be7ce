import { setPriority } from "node:os"
import { UserError } from "../errors.ts"
import { type CopyResult, copyBackup, copyDatabase, verifyDownload } from "./copy-database.ts"

declare const self: Worker

/**
 * Gives a backup about a third as much CPU time as a busy server gets. At 19, the lowest priority, the backup would
 * hardly make progress, and the -wal file would grow until the backup ends.
 */
const workerNiceness = 5

export interface CopyTask {
  what: keyof typeof tasks
  /** Path of the original, or the URL of a download. */
  from: string
  /** Path of the copy to create, or of the downloaded file to verify. */
  to: string
}

const tasks = { database: copyDatabase, backup: copyBackup, download: verifyDownload }

/** Messages from the worker, which reports progress any number of times, and then one result or failure. */
export type CopyMessage =
  | { progress: { done: number; total: number } }
  | { copy: CopyResult }
  | { failure: { message: string; hint: string | undefined; code: string | undefined } }

// SQLite blocks the thread in which it runs, for example for several seconds when it checks a file of a few GB. It runs
// in a worker, so that the main thread can handle signals in the meantime.
self.onmessage = async ({ data }: MessageEvent<CopyTask>) => {
  const send = (message: CopyMessage) => self.postMessage(message)
  try {
    // Lets a server on the same machine go first. On Linux, this call affects only the current thread.
    setPriority(0, workerNiceness)
  } catch {
    // If changing the priority is not permitted, the worker runs at normal priority.
  }
  try {
    const onProgress = (done: number, total: number) => send({ progress: { done, total } })
    send({ copy: await tasks[data.what](data.from, data.to, onProgress) })
  } catch (error) {
    const { message, code } = error as { message: string; code?: string }
    send({ failure: { message, code, hint: error instanceof UserError ? error.hint : undefined } })
  }
}
