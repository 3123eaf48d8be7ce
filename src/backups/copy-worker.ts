import { setPriority } from "node:os"
import { UserError } from "../errors.ts"
import { type CopyResult, copyBackup, copyDatabase, verifyDownload } from "./copy-database.ts"

declare const self: Worker

/**
 * Leaves a backup about a third of the CPU time of a busy server. At 19, the lowest priority, a backup starves and the
 * -wal grows.
 */
const workerNiceness = 5

export interface CopyTask {
  what: keyof typeof tasks
  /** For a download, its URL. */
  from: string
  /** Path of the new file, or of the downloaded one. */
  to: string
}

const tasks = { database: copyDatabase, backup: copyBackup, download: verifyDownload }

/** Messages of the worker: progress, then one result or failure. */
export type CopyMessage =
  | { progress: { done: number; total: number } }
  | { copy: CopyResult }
  | { failure: { message: string; hint: string | undefined; code: string | undefined } }

// SQLite blocks its thread, for seconds when it checks a file of a few GB. This worker keeps the main thread free for
// signals.
self.onmessage = async ({ data }: MessageEvent<CopyTask>) => {
  const send = (message: CopyMessage) => self.postMessage(message)
  try {
    // On Linux this affects only the current thread. A server on the same machine has priority.
    setPriority(0, workerNiceness)
  } catch {
    // Not permitted: run at normal priority.
  }
  try {
    const onProgress = (done: number, total: number) => send({ progress: { done, total } })
    send({ copy: await tasks[data.what](data.from, data.to, onProgress) })
  } catch (error) {
    const { message, code } = error as { message: string; code?: string }
    send({ failure: { message, code, hint: error instanceof UserError ? error.hint : undefined } })
  }
}
