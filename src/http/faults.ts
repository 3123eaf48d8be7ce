import { Refusal } from "../errors.ts"
import type { Fields, Log } from "../log.ts"

/** Logs what a request met that is no refusal: a fault of ours, of which the client learns nothing but that it was. */
export function logFault(log: Log, error: unknown, where: Fields): void {
  if (error instanceof Refusal) return
  log("error", "a request failed", {
    ...where,
    error: error instanceof Error ? (error.stack ?? error.message) : String(error),
  })
}
