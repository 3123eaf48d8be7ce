import { RequestError } from "../errors.ts"
import { createThrottle, type Log, type LogFields } from "../log.ts"

export type ServerErrorLog = (error: unknown, where: LogFields) => void

/**
 * Logs unexpected errors of requests, which clients see only as `internal`. Ignores a RequestError. The same message is
 * logged at most once a second, with the number of omitted lines.
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
 * Response to a closed connection, which no client receives. Its status is 499, as in nginx, and does not count as a
 * server error.
 */
export function disconnectedResponse(): Response {
  return new Response(null, { status: 499 })
}

/**
 * True for the error of a read or query that ended because the connection was closed, by the client or by a
 * stopping server.
 */
export function isClientDisconnect(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError"
}
