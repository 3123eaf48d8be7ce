import { type Reason, Refusal, refusals } from "../errors.ts"
import { jsonHeaders, refusalHeaders } from "../http/headers.ts"

/** The words of Databuddy's API for a status. */
const codes: Record<(typeof refusals)[Reason]["status"], string> = {
  400: "VALIDATION_ERROR",
  401: "AUTH_REQUIRED",
  403: "ACCESS_DENIED",
  404: "NOT_FOUND",
  409: "CONFLICT",
  413: "PAYLOAD_TOO_LARGE",
  429: "RATE_LIMITED",
  500: "INTERNAL_SERVER_ERROR",
  503: "UNAVAILABLE",
}

/** What to do about a refusal that comes without words of its own. */
const advice: Partial<Record<Reason, string>> = {
  invalid_utf8: "the body is not UTF-8",
  invalid_json: "the body is not JSON",
  invalid_gzip: "the body is not gzip, though Content-Encoding says so",
  unsupported_content_type: "send the body as Content-Type: application/json",
  unsupported_content_encoding: "send the body as it is, or with Content-Encoding: gzip",
  credential_missing: "send an API key as Authorization: Bearer <key>, or as x-api-key",
  key_malformed: "this is not an API key: one begins with dbdy_ and has 37 characters",
  key_unknown: "no key like this exists",
  key_disabled: "this API key is disabled",
  key_revoked: "this API key was revoked",
  key_expired: "this API key has expired",
}

/**
 * The headers of every answer under /v1. An answer may hold a key, so that nobody keeps it; and no page of another origin
 * may read it, so that there are no CORS headers.
 */
export function manageHeaders(requestId: string): Record<string, string> {
  return { ...jsonHeaders(requestId), "Cache-Control": "no-store" }
}

/** Databuddy's form of an error under /v1. Of a 5xx nothing is told but the status' message. */
export function refuse(error: unknown, headers: Record<string, string>): Response {
  const refusal = error instanceof Refusal ? error : new Refusal("internal", { cause: error })
  const { status, message } = refusals[refusal.reason]
  const body = {
    success: false,
    error: status >= 500 ? message : (refusal.detail ?? advice[refusal.reason] ?? message),
    code: codes[status],
    requestId: headers["x-request-id"],
    errors: refusal.fields,
  }
  return new Response(JSON.stringify(body), { status, headers: { ...headers, ...refusalHeaders(refusal) } })
}
