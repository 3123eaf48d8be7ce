import { RequestError } from "../errors.ts"
import { type Fields, type Log, makeThrottle } from "../log.ts"

export type RequestFaultLog = (error: unknown, where: Fields) => void

/**
 * Logs what a request met that is no refusal: a fault of ours, of which the client learns nothing but that it was. The same
 * one is logged once a second at most, with how many were not.
 */
export function requestFaultLog(log: Log, elapsed: () => number): RequestFaultLog {
  const throttled = makeThrottle(elapsed)
  return (error, where) => {
    if (error instanceof RequestError) return
    if (isClientDisconnect(error)) {
      log("debug", "a connection went before its request was answered", where)
      return
    }
    const { message, stack } = error instanceof Error ? error : { message: String(error) }
    throttled(message, (more) =>
      log("error", "a request failed", { ...where, error: stack ?? message, more }),
    )
  }
}

/** The answer where the connection is gone: nobody reads it, and it counts as no fault of ours. The status is nginx's. */
export function disconnectedResponse(): Response {
  return new Response(null, { status: 499 })
}

/** What reading a body, or a question, throws when its connection is gone: by the client's doing, or because the server stops. */
export function isClientDisconnect(error: unknown): boolean {
  return error instanceof DOMException && error.name === "AbortError"
}
