import { type Reason, Refusal, refusals } from "../errors.ts"
import type { Key, Scope } from "../store/keys.ts"
import type { Registry } from "../store/registry.ts"
import { canonicalWebsiteId } from "../store/websites.ts"
import type { Arrival } from "./arrival.ts"
import type { RequestFaultLog } from "./faults.ts"
import { countFailure, type Guard, refuseGuessers } from "./guesses.ts"
import { jsonHeaders, refusalHeaders, requestIdOf } from "./headers.ts"
import { readKey, requireScope } from "./key.ts"
import { type Limiter, spend } from "./limits.ts"

/** What every route under /v1 works with. */
export interface Admission extends Guard {
  registry: Registry
  /** Requests by key. */
  limiter: Limiter
  logFault: RequestFaultLog
  now: () => number
  newId: () => string
}

/** A request whose key may make it. */
export interface Admitted {
  key: Key
  /** Unix ms */
  now: number
  /** Of the answer; the request's id is among them. */
  headers: Record<string, string>
}

/** What all routes share: failed credentials first, then the key, its scope and its rate, and one form of refusal. */
export async function answered(
  admission: Admission,
  arrival: Arrival,
  scope: Scope,
  work: (admitted: Admitted) => Promise<Response>,
): Promise<Response> {
  const headers = v1Headers(requestIdOf(arrival.request.headers, admission.newId))
  try {
    refuseGuessers(admission, arrival)
    const now = admission.now()
    return await work({ key: admit(admission, arrival.request, scope, now, headers), now, headers })
  } catch (error) {
    admission.logFault(error, { request_id: headers["x-request-id"] })
    countFailure(admission, arrival, error)
    return refuse(error, headers)
  }
}

/** The request's key, which has the scope and requests left. Throws what is wrong with it. */
function admit(
  { registry, limiter }: Admission,
  request: Request,
  scope: Scope,
  now: number,
  headers: Record<string, string>,
): Key {
  const { key, problem = "credential_missing" } = readKey(request.headers, registry, now)
  if (!key) throw new Refusal(problem)
  requireScope(key, scope)
  registry.used(key, now)
  if (key.rateLimit !== null) spend(limiter.take(`key ${key.id}`, key.rateLimit), headers)
  return key
}

/** True where a key may see and change the website with that id. */
export function reaches({ websites }: Pick<Key, "websites">, websiteId: string): boolean {
  return websites === null || websites.includes(canonicalWebsiteId(websiteId))
}

export function queryOf({ url }: Request): URLSearchParams {
  return new URLSearchParams(/\?(.*)/.exec(url)?.[1])
}

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

/** Words of a reason, where its status has another. */
const reasonCodes: Partial<Record<Reason, string>> = { website_id_missing: "MISSING_PROJECT_ID" }

/** What to do about a refusal that comes without words of its own. */
const advice: Partial<Record<Reason, string>> = {
  invalid_utf8: "the body is not UTF-8",
  invalid_json: "the body is not JSON",
  invalid_gzip: "the body is not gzip, though Content-Encoding says so",
  unsupported_content_type: "send the body as Content-Type: application/json",
  unsupported_content_encoding: "send the body as it is, or with Content-Encoding: gzip",
  website_id_missing: "say which website in the query: ?website_id=<id>",
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
export function v1Headers(requestId: string): Record<string, string> {
  return { ...jsonHeaders(requestId), "Cache-Control": "no-store" }
}

/** Databuddy's form of an error under /v1. Of a 5xx nothing is told but the status' message. */
export function refuse(error: unknown, headers: Record<string, string>): Response {
  const refusal = error instanceof Refusal ? error : new Refusal("internal", { cause: error })
  const { status, message } = refusals[refusal.reason]
  const body = {
    success: false,
    error: status >= 500 ? message : (refusal.detail ?? advice[refusal.reason] ?? message),
    code: reasonCodes[refusal.reason] ?? codes[status],
    requestId: headers["x-request-id"],
    errors: refusal.fields,
  }
  return new Response(JSON.stringify(body), { status, headers: { ...headers, ...refusalHeaders(refusal) } })
}
