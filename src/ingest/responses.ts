import { RequestError, rejections } from "../errors.ts"
import { jsonHeaders, refusalHeaders } from "../http/headers.ts"

/** Headers that a page's script may send where its preflight asks for none, and those that it may read. */
const usualHeaders =
  "Content-Type, Content-Encoding, Authorization, x-api-key, X-Requested-With, x-request-id, databuddy-client-id, databuddy-sdk-name, databuddy-sdk-version"
const exposedHeaders =
  "x-request-id, x-databuddy-reason, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
/** Names of headers, as a preflight asks for them: no more of them than a page would ever need. */
const headerNames = /^[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*$/
const maxHeaderNames = 4_096
/** Seconds for which a browser remembers a preflight: the most that any of them honours. */
const preflightAge = "86400"

/**
 * The headers of every answer of an ingestion route. The origin is echoed, never `*`: beacons send credentials, and
 * browsers refuse `*` then.
 */
export function ingestHeaders(request: Request, requestId: string): Record<string, string> {
  const headers = jsonHeaders(requestId)
  const origin = request.headers.get("origin")
  if (origin !== null) {
    headers["Access-Control-Allow-Origin"] = origin
    headers["Access-Control-Allow-Credentials"] = "true"
    headers["Access-Control-Expose-Headers"] = exposedHeaders
    headers.Vary = "Origin"
  }
  return headers
}

/** Allows what the browser asks for: tracing tools of a page add headers of their own to each of its requests. */
function allowedHeaders({ headers }: Request): string {
  const asked = headers.get("access-control-request-headers")
  return asked !== null && asked.length <= maxHeaderNames && headerNames.test(asked) ? asked : usualHeaders
}

export function preflight(request: Request, requestId: string): Response {
  const { "Content-Type": _, ...headers } = ingestHeaders(request, requestId)
  return new Response(null, {
    status: 204,
    headers: {
      ...headers,
      "Access-Control-Allow-Methods": "POST, OPTIONS",
      "Access-Control-Allow-Headers": allowedHeaders(request),
      "Access-Control-Max-Age": preflightAge,
    },
  })
}

/** The contract's error for a refusal; anything else that was thrown is a 500 that says nothing of the inside. */
export function errorResponse(error: unknown, headers: Record<string, string>): Response {
  const refusal = error instanceof RequestError ? error : new RequestError("internal", { cause: error })
  const { status, message } = rejections[refusal.reason]
  const body = refusal.fields
    ? { status: "error", message, errors: refusal.fields }
    : { status: "error", message }
  return new Response(JSON.stringify(body), { status, headers: { ...headers, ...refusalHeaders(refusal) } })
}
