import { toRequestError } from "../errors.ts"
import { errorHeaders, jsonHeaders } from "../http/headers.ts"
import { rejections } from "../rejection-reasons.ts"

/** Request headers allowed by default, and response headers that a page can read. */
const defaultAllowedHeaders =
  "Content-Type, Content-Encoding, Authorization, x-api-key, X-Requested-With, x-request-id, databuddy-client-id, databuddy-sdk-name, databuddy-sdk-version"
const originHeader = "Access-Control-Allow-Origin"
const exposedHeaders =
  "x-request-id, x-databuddy-reason, Retry-After, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset"
/** Pattern and maximum length of the list of header names in a preflight. No page needs a longer list. */
const headerNamesPattern = /^[\w!#$%&'*+.^`|~-]+(?:[ \t]*,[ \t]*[\w!#$%&'*+.^`|~-]+)*$/
const maxHeaderNamesLength = 4_096
/** Seconds for which browsers cache a preflight. No browser accepts a longer time. */
const preflightMaxAge = "86400"

/**
 * Returns the headers of every response of an ingestion route. Echoes the origin, because beacons send credentials and
 * browsers then reject `*`.
 */
export function ingestHeaders(request: Request, requestId: string): Record<string, string> {
  return headersFor(request.headers.get("origin"), requestId)
}

function headersFor(origin: string | null, requestId: string): Record<string, string> {
  const headers = jsonHeaders(requestId)
  // Set even if the request has no Origin header. Otherwise, a cache could send this response, which has no CORS
  // headers, to a page.
  headers.Vary = "Origin"
  if (origin !== null) {
    headers[originHeader] = origin
    headers["Access-Control-Allow-Credentials"] = "true"
    headers["Access-Control-Expose-Headers"] = exposedHeaders
  }
  return headers
}

/** Returns the headers that are the same in all responses to pages, or in all other responses. */
function constantHeaders(origin: string | null): { names: Record<string, string>; headers: Headers } {
  const { "x-request-id": _, [originHeader]: __, ...names } = headersFor(origin, "")
  return { names, headers: new Headers(names) }
}

const constantForPages = constantHeaders("")
const constantForOthers = constantHeaders(null)

/**
 * Like `new Response(body, { headers })`, but takes half the time, because Bun copies a Headers object faster than it
 * creates one. `headers`: from `ingestHeaders`, plus any that a route has added.
 */
export function jsonResponse(body: string, headers: Record<string, string>): Response {
  const constant = originHeader in headers ? constantForPages : constantForOthers
  const response = new Response(body, { headers: constant.headers })
  for (const name in headers) {
    if (!(name in constant.names)) response.headers.set(name, headers[name] as string)
  }
  return response
}

/**
 * Returns the headers that the browser asks for, because tracing tools add their own headers to every request from a
 * page. Returns the default if the list is missing, malformed or too long.
 */
function allowedHeaders({ headers }: Request): string {
  const requested = headers.get("access-control-request-headers")
  return requested !== null && requested.length <= maxHeaderNamesLength && headerNamesPattern.test(requested)
    ? requested
    : defaultAllowedHeaders
}

/** Responds to a CORS preflight of a route with this method. */
export function preflight(request: Request, method: "GET" | "POST", requestId: string): Response {
  const { "Content-Type": _, ...headers } = ingestHeaders(request, requestId)
  return new Response(null, {
    status: 204,
    headers: {
      ...headers,
      "Access-Control-Allow-Methods": `${method}, OPTIONS`,
      "Access-Control-Allow-Headers": allowedHeaders(request),
      "Access-Control-Max-Age": preflightMaxAge,
    },
  })
}

/** Creates the error response that the contract specifies. Unexpected errors become a 500 without internal details. */
export function errorResponse(error: unknown, headers: Record<string, string>): Response {
  const rejection = toRequestError(error)
  const { status, message } = rejections[rejection.reason]
  const body = rejection.fields
    ? { status: "error", message, errors: rejection.fields }
    : { status: "error", message }
  return new Response(JSON.stringify(body), { status, headers: { ...headers, ...errorHeaders(rejection) } })
}
