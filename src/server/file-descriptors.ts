import { closeSync, openSync } from "node:fs"
import { devNull } from "node:os"
import { codeOf } from "../errors.ts"
import type { Log } from "../log.ts"

/** ms between two checks: the maximum time for which idle connections can block a new client. */
const pollInterval = 1_000

/**
 * Closes idle connections when no file descriptor is left for a new one: otherwise one client could lock out others for
 * the ten seconds of the idle timeout. Returns a function that stops the checks.
 */
export function watchDescriptors(closeIdle: () => number, log: Log): () => void {
  const timer = setInterval(() => {
    if (!areExhausted()) return
    const closed = closeIdle()
    log("warn", "no file descriptor left: raise the limit (LimitNOFILE, ulimit -n)", { closed })
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
