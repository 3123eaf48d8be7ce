import type { RequestError } from "../errors.ts"

const requestIdPattern = /^[\w.-]{1,128}$/

/** The request id that the client sent, if it is well-formed; otherwise a new one. */
export function requestIdOf(headers: Headers, newId: () => string): string {
  const sent = headers.get("x-request-id")
  return sent && requestIdPattern.test(sent) ? sent : newId()
}

/** Headers of every JSON response. Returns a new object, to which routes add headers. */
export function jsonHeaders(requestId: string): Record<string, string> {
  return {
    "Content-Type": "application/json",
    "X-Content-Type-Options": "nosniff",
    "x-request-id": requestId,
  }
}

/** Headers of every error response: the reason, Retry-After and the headers of the error. */
export function errorHeaders(error: RequestError): Record<string, string> {
  const headers: Record<string, string> = { "x-databuddy-reason": error.reason, ...error.headers }
  if (error.retryAfter !== undefined) headers["Retry-After"] = String(error.retryAfter)
  return headers
}
