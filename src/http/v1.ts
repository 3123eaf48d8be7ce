import { type Reason, RequestError, rejections } from "../errors.ts"
import type { Batcher } from "../store/ingest/batcher.ts"
import type { Scope } from "../store/keys.ts"
import { isRenewable, type Login, renewSession } from "../store/login-sessions.ts"
import { isUseNoted, noteShareUse, type Share } from "../store/shares.ts"
import { type AuthFailures, limitGuesses } from "./auth-failures.ts"
import { type Caller, type Callers, callerOf } from "./caller.ts"
import { jsonHeaders, refusalHeaders, requestIdOf } from "./headers.ts"
import { requireScope } from "./key.ts"
import { type Reached, setCookie } from "./login-session.ts"
import { enforceRateLimit, type RateLimiter } from "./rate-limits.ts"
import { countRejected, type RejectedBytesCheck } from "./rejected-bytes.ts"
import { addressOf, type RequestContext } from "./request-context.ts"
import { disconnectedResponse, isClientDisconnect, type RequestFaultLog } from "./server-errors.ts"

/** What every route under /v1 works with. */
export interface AuthDeps extends AuthFailures, Callers, Reached, RejectedBytesCheck {
  batcher: Pick<Batcher, "run">
  /** Requests by caller. */
  limiter: RateLimiter
  logFault: RequestFaultLog
  now: () => number
  newId: () => string
  settings: AuthFailures["settings"] & {
    /** Requests a minute with one share link from one address; 0: not limited. */
    rateLimit: number
  }
}

/** A request that anybody may make. */
export interface Open {
  /** Unix ms */
  now: number
  /** Of the answer; the request's id is among them. */
  headers: Record<string, string>
}

/** A request whose caller may make it. */
export interface Admitted extends Open {
  caller: Caller
}

/** What all routes share: the caller, its scope and its rate, and one form of refusal. */
export function answered(
  admission: AuthDeps,
  arrival: RequestContext,
  scope: Scope,
  work: (admitted: Admitted) => Promise<Response>,
): Promise<Response> {
  return answeredToAnybody(admission, arrival, (open) =>
    work({ ...open, caller: admit(admission, arrival, scope, open) }),
  )
}

/** The same of a route that asks for no credential. */
export async function answeredToAnybody(
  admission: AuthDeps,
  arrival: RequestContext,
  work: (open: Open) => Promise<Response>,
): Promise<Response> {
  const headers = v1Headers(requestIdOf(arrival.request.headers, admission.newId))
  try {
    return await work({ now: admission.now(), headers })
  } catch (thrown) {
    const error = limitGuesses(admission, arrival, thrown)
    admission.logFault(error, { request_id: headers["x-request-id"] })
    countRejected(admission, arrival, error)
    return isClientDisconnect(error) ? disconnectedResponse() : errorResponse(error, headers)
  }
}

/** The request's caller, who has the scope and requests left. Throws what is wrong with it. */
function admit(admission: AuthDeps, arrival: RequestContext, scope: Scope, { now, headers }: Open): Caller {
  const caller = callerOf(admission, arrival.request, now)
  // A share link is public: what comes with it is its address's.
  if (caller.kind !== "share link") arrival.account = `${caller.kind} ${caller.id}`
  requireScope(caller, scope, caller.kind)
  if (caller.kind === "key") admission.registry.used(caller, now)
  if (caller.login) keepLogin(admission, arrival, caller.login, { now, headers })
  if (caller.share) useShare(admission, arrival, caller.share, { now, headers })
  if (caller.rateLimit !== null) {
    enforceRateLimit(admission.limiter.take(`${caller.kind} ${caller.id}`, caller.rateLimit), headers)
  }
  return caller
}

/** A login that is used goes on. It is noted behind the answer, for it must not fail where the disk is full. */
function keepLogin(admission: AuthDeps, arrival: RequestContext, login: Login, { now, headers }: Open): void {
  if (!isRenewable(login, now)) return
  setCookie(headers, arrival, admission, login.token)
  admission.batcher
    .run(() => renewSession(admission.db, login, now))
    .catch((error) => admission.logFault(error, { request_id: headers["x-request-id"] }))
}

/** A link is public, as a website's id is, and limited as that. Its use is noted behind the answer too. */
function useShare(admission: AuthDeps, arrival: RequestContext, share: Share, { now, headers }: Open): void {
  const { limiter, settings, batcher, db, logFault } = admission
  if (settings.rateLimit > 0) {
    const name = `share ${share.id} ${addressOf(arrival, settings.trustedProxies)}`
    enforceRateLimit(limiter.take(name, settings.rateLimit), headers)
  }
  if (isUseNoted(share, now)) return
  batcher
    .run(() => noteShareUse(db, share, now))
    .catch((error) => logFault(error, { request_id: headers["x-request-id"] }))
}

export function queryOf({ url }: Request): URLSearchParams {
  return new URLSearchParams(/\?(.*)/.exec(url)?.[1])
}

/** The words of Databuddy's API for a status. */
const codes: Record<(typeof rejections)[Reason]["status"], string> = {
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
  nesting_too_deep: "the body nests objects and arrays too deep",
  too_many_rejected_bytes:
    "too much that had to be rejected came from here lately: wait, and correct what is sent",
  unsupported_content_type: "send the body as Content-Type: application/json",
  unsupported_content_encoding: "send the body as it is, or with Content-Encoding: gzip",
  website_id_missing: "say which website in the query: ?website_id=<id>",
  credential_missing: "send an API key as Authorization: Bearer <key>, or as x-api-key",
  key_malformed: "this is not an API key: one begins with dbdy_ and has 37 characters",
  key_unknown: "no key like this exists",
  key_disabled: "this API key is disabled",
  key_revoked: "this API key was revoked",
  key_expired: "this API key has expired",
  login_ended: "this login has ended: log in again",
  share_ended: "this share link has ended, or never was one: ask whoever sent it for another",
  csrf: "a page of another origin made this request, or it lacks the header x-databuddy-page: 1",
}

/**
 * The headers of every answer under /v1. An answer may hold a key, so that nobody keeps it; and no page of another origin
 * may read it, so that there are no CORS headers.
 */
export function v1Headers(requestId: string): Record<string, string> {
  return { ...jsonHeaders(requestId), "Cache-Control": "no-store" }
}

/** Databuddy's form of an error under /v1. Of a 5xx nothing is told but the status' message. */
export function errorResponse(error: unknown, headers: Record<string, string>): Response {
  const refusal = error instanceof RequestError ? error : new RequestError("internal", { cause: error })
  const { status, message } = rejections[refusal.reason]
  const body = {
    success: false,
    error: status >= 500 ? message : (refusal.detail ?? advice[refusal.reason] ?? message),
    code: reasonCodes[refusal.reason] ?? codes[status],
    requestId: headers["x-request-id"],
    errors: refusal.fields,
  }
  return new Response(JSON.stringify(body), { status, headers: { ...headers, ...refusalHeaders(refusal) } })
}
