import { closeSync, openSync } from "node:fs"
import { devNull } from "node:os"
import { codeOf } from "../errors.ts"
import type { Log } from "../log.ts"

/** Time between checks, in ms. Idle connections can lock out a new client for at most this long. */
const pollInterval = 1_000

/**
 * Closes idle connections when no file descriptors are left for new ones. Otherwise, one client could lock out others
 * for the ten seconds of the idle timeout. Returns a function that stops the checks.
 */
export function watchDescriptors(closeIdle: () => number, log: Log): () => void {
  const timer = setInterval(() => {
    if (!areExhausted()) return
    const closed = closeIdle()
    log("warn", "out of file descriptors: raise the limit (LimitNOFILE, ulimit -n)", { closed })
  }, pollInterval)
  return () => clearInterval(timer)
}

function areExhausted(): boolean {
  try {
    closeSync(openSync(devNull, "r"))
    return false
  } catch (error) {
    return ["EMFILE", "ENFILE"].includes(codeOf(error))
  }
}
