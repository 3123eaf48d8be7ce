import { closeSync, openSync } from "node:fs"
import { devNull } from "node:os"
import type { Log } from "../log.ts"

/** ms between two looks: as long as that may a new client wait for connections that nobody uses. */
const pollInterval = 1_000

/**
 * Closes connections that wait between two requests when there is no file descriptor left for a new one: no client may
 * lock others out for the ten seconds that it may keep one. Gives what ends it.
 */
export function watchDescriptors(closeIdle: () => number, log: Log): () => void {
  const timer = setInterval(() => {
    if (!areExhausted()) return
    const closed = closeIdle()
    log("warn", "no file descriptor is left: raise the limit (LimitNOFILE, ulimit -n)", { closed })
  }, pollInterval)
  return () => clearInterval(timer)
}

function areExhausted(): boolean {
  try {
    closeSync(openSync(devNull, "r"))
    return false
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === "EMFILE" || code === "ENFILE"
  }
}
