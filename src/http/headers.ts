import type { RequestError } from "../errors.ts"

const saneRequestId = /^[\w.-]{1,128}$/

/** The caller's request id if it sent a sane one, else a new one. */
export function requestIdOf(headers: Headers, newId: () => string): string {
  const sent = headers.get("x-request-id")
  return sent && saneRequestId.test(sent) ? sent : newId()
}

/** The headers of every answer in JSON; a fresh object, to which a route adds its own. */
export function jsonHeaders(requestId: string): Record<string, string> {
  return {
    "Content-Type": "application/json",
    "X-Content-Type-Options": "nosniff",
    "x-request-id": requestId,
  }
}

/** What every refusal says beside its body, whatever form that has. */
export function refusalHeaders(refusal: RequestError): Record<string, string> {
  const headers: Record<string, string> = { "x-databuddy-reason": refusal.reason, ...refusal.headers }
  if (refusal.retryAfter !== undefined) headers["Retry-After"] = String(refusal.retryAfter)
  return headers
}
