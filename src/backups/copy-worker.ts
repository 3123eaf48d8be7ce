import { setPriority } from "node:os"
import { UserError } from "../errors.ts"
import { type CopyResult, copyBackup, copyDatabase } from "./copy-database.ts"

declare const self: Worker

/** About a third of the time of a busy server. With the lowest, 19, on busy processors a backup hardly goes on, and the -wal grows. */
const workerNiceness = 5

export interface CopyTask {
  what: "database" | "backup"
  from: string
  /** A file that does not exist yet. */
  to: string
}

/** What the thread tells: some progress, then either of the others. */
export type CopyMessage =
  | { progress: { done: number; total: number } }
  | { copy: CopyResult }
  | { failure: { message: string; hint: string | undefined; code: string | undefined } }

// SQLite blocks its thread, for seconds where it checks a file of some GB. The main thread stays free for signals.
self.onmessage = async ({ data }: MessageEvent<CopyTask>) => {
  const tell = (news: CopyMessage) => self.postMessage(news)
  try {
    // On Linux of this thread alone. A server on the same machine comes first.
    setPriority(0, workerNiceness)
  } catch {
    // The system does not let us; then it takes its share like any other.
  }
  try {
    const onProgress = (done: number, total: number) => tell({ progress: { done, total } })
    const copying = data.what === "database" ? copyDatabase : copyBackup
    tell({ copy: await copying(data.from, data.to, onProgress) })
  } catch (error) {
    const { message, code } = error as { message: string; code?: string }
    tell({ failure: { message, code, hint: error instanceof UserError ? error.hint : undefined } })
  }
}
