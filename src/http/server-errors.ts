import { RequestError } from "../errors.ts"
import { createThrottle, type Log, type LogFields } from "../log.ts"

export type ServerErrorLog = (error: unknown, where: LogFields) => void

/**
 * Returns a function that logs unexpected errors of requests, which clients see only as `internal`. It ignores a
 * RequestError, and logs the same message at most once a second, with the number of omitted lines.
 */
export function serverErrorLog(log: Log, elapsed: () => number): ServerErrorLog {
  const throttled = createThrottle(elapsed)
  return (error, where) => {
    if (error instanceof RequestError) return
    if (isClientDisconnect(error)) {
      log("debug", "client disconnected before the response", where)
      return
    }
    const { message, stack } = error instanceof Error ? error : { message: String(error) }
    throttled(message, (more) => log("error", "request failed", { ...where, error: stack ?? message, more }))
  }
}

/**
 * Returns a response for a closed connection, which no client receives. Its status is 499, as in nginx, so it does not
 * count as a server error.
 */
export function disconnectedResponse(): Response {
  return new Response(null, { status: 499 })
}

/** True if a read or query failed because the client or the stopping server closed the connection. */
export function isClientDisconnect(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError"
}
