import type { RequestError } from "../errors.ts"

const requestIdPattern = /^[\w.-]{1,128}$/

/** Returns the request id that the client sent, or a new one if it is missing or malformed. */
export function requestIdOf(headers: Headers, newId: () => string): string {
  const sent = headers.get("x-request-id")
  return sent && requestIdPattern.test(sent) ? sent : newId()
}

/** Returns the headers of every JSON response. Each call creates a new object, to which routes can add headers. */
export function jsonHeaders(requestId: string): Record<string, string> {
  return {
    "Content-Type": "application/json",
    "X-Content-Type-Options": "nosniff",
    "x-request-id": requestId,
  }
}

/** Returns the headers of an error response: the reason, Retry-After, and the error's own headers. */
export function errorHeaders(error: RequestError): Record<string, string> {
  const headers: Record<string, string> = { "x-databuddy-reason": error.reason, ...error.headers }
  if (error.retryAfter !== undefined) headers["Retry-After"] = String(error.retryAfter)
  return headers
}
