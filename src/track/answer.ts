import { Refusal, refusals } from "../errors.ts"
import { jsonHeaders, refusalHeaders } from "../http/headers.ts"

/** Headers that a page's script may send, and those that it may read. */
const allowedHeaders =
  "Content-Type, Content-Encoding, Authorization, x-api-key, X-Requested-With, x-request-id, databuddy-client-id, databuddy-sdk-name, databuddy-sdk-version"
const exposedHeaders =
  "x-request-id, x-databuddy-reason, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
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

export function preflight(request: Request, requestId: string): Response {
  const { "Content-Type": _, ...headers } = ingestHeaders(request, requestId)
  return new Response(null, {
    status: 204,
    headers: {
      ...headers,
      "Access-Control-Allow-Methods": "POST, OPTIONS",
      "Access-Control-Allow-Headers": allowedHeaders,
      "Access-Control-Max-Age": preflightAge,
    },
  })
}

/** The contract's error for a refusal; anything else that was thrown is a 500 that says nothing of the inside. */
export function refuse(error: unknown, headers: Record<string, string>): Response {
  const refusal = error instanceof Refusal ? error : new Refusal("internal", { cause: error })
  const { status, message } = refusals[refusal.reason]
  const body = refusal.fields
    ? { status: "error", message, errors: refusal.fields }
    : { status: "error", message }
  return new Response(JSON.stringify(body), { status, headers: { ...headers, ...refusalHeaders(refusal) } })
}
