import { toRequestError } from "../errors.ts"
import { type RejectionReason, rejections } from "../rejection-reasons.ts"
import type { Batcher } from "../store/ingest/batcher.ts"
import type { Scope } from "../store/keys.ts"
import { isRenewalDue, type LoginSession, renewLoginSession } from "../store/login-sessions.ts"
import { isUseRecorded, recordShareUse, type Share } from "../store/shares.ts"
import { type AuthFailureDeps, limitAuthFailures } from "./auth-failures.ts"
import { type Caller, type CallerDeps, callerOf } from "./caller.ts"
import { errorHeaders, jsonHeaders, requestIdOf } from "./headers.ts"
import { requireScope } from "./key.ts"
import { requireEndpoint } from "./permissions.ts"
import { enforceRateLimit, type RateLimiter } from "./rate-limits.ts"
import { countRejectedBytes, type RejectedBytesDeps } from "./rejected-bytes.ts"
import { addressOf, type RequestContext } from "./request-context.ts"
import { disconnectedResponse, isClientDisconnect, type ServerErrorLog } from "./server-errors.ts"
import { type CookieDeps, setSessionCookie } from "./session-cookie.ts"

/** Dependencies of every route under /v1. */
export interface AuthDeps extends AuthFailureDeps, CallerDeps, CookieDeps, RejectedBytesDeps {
  batcher: Pick<Batcher, "run">
  /** Counts requests by caller. */
  limiter: RateLimiter
  logError: ServerErrorLog
  now: () => number
  newId: () => string
  settings: AuthFailureDeps["settings"] &
    CookieDeps["settings"] & {
      /** Maximum number of requests per minute with one share link from one address. 0 means unlimited. */
      rateLimit: number
    }
}

/** The input of a handler of a public route. */
export interface ResponseContext {
  /** Time of the request, in Unix ms. */
  now: number
  /** Headers of the response, including x-request-id. Handlers can add more. */
  headers: Record<string, string>
}

/** The input of a handler of an authenticated route. */
export interface AuthenticatedContext extends ResponseContext {
  caller: Caller
}

/** The permissions that a route requires. */
export interface RouteAccess {
  scope: Scope
  /** Method and path of the route, such as `GET /v1/profiles/:id`. */
  endpoint: string
}

/** Authorizes the caller of a route and runs the route's handler. Errors become responses. */
export function handleAuthenticated(
  deps: AuthDeps,
  context: RequestContext,
  access: RouteAccess,
  handler: (authenticated: AuthenticatedContext) => Promise<Response>,
): Promise<Response> {
  return handlePublic(deps, context, (response) =>
    handler({ ...response, caller: authorize(deps, context, access, response) }),
  )
}

/**
 * Runs the handler of a route without authentication. Errors become responses and count against the sender's limits.
 */
export async function handlePublic(
  deps: AuthDeps,
  context: RequestContext,
  handler: (response: ResponseContext) => Promise<Response>,
): Promise<Response> {
  const headers = v1Headers(requestIdOf(context.request.headers, deps.newId))
  try {
    return await handler({ now: deps.now(), headers })
  } catch (thrown) {
    const error = limitAuthFailures(deps, context, thrown)
    deps.logError(error, { request_id: headers["x-request-id"] })
    countRejectedBytes(deps, context, error)
    return isClientDisconnect(error) ? disconnectedResponse() : errorResponse(error, headers)
  }
}

/**
 * Checks the caller's credential, scope, pages and rate limit, and returns the caller. Throws a RequestError if a check
 * fails.
 */
function authorize(
  deps: AuthDeps,
  context: RequestContext,
  { scope, endpoint }: RouteAccess,
  { now, headers }: ResponseContext,
): Caller {
  const caller = callerOf(deps, context.request, now)
  // A share link is public, so its requests are limited by address and not by account.
  if (caller.kind !== "share link") context.account = `${caller.kind} ${caller.id}`
  requireScope(caller, scope, caller.kind)
  requireEndpoint(caller, endpoint)
  if (caller.kind === "key") deps.registry.recordUse(caller, now)
  if (caller.login) renewLogin(deps, context, caller.login, { now, headers })
  if (caller.share) limitShare(deps, context, caller.share, { now, headers })
  if (caller.rateLimit !== null) {
    enforceRateLimit(deps.limiter.take(`${caller.kind} ${caller.id}`, caller.rateLimit), headers)
  }
  return caller
}

/** Extends an active login session. Does not wait for the write, because a full disk must not make the request fail. */
function renewLogin(
  deps: AuthDeps,
  context: RequestContext,
  login: LoginSession,
  { now, headers }: ResponseContext,
): void {
  if (!isRenewalDue(login, now)) return
  setSessionCookie(headers, context, deps, login.token)
  commitInBackground(deps, headers, () => renewLoginSession(deps.db, login, now))
}

/**
 * Limits the requests with a share link by address, because the link is as public as a website id. Records that the
 * link was used, without waiting for the write.
 */
function limitShare(
  deps: AuthDeps,
  context: RequestContext,
  share: Share,
  { now, headers }: ResponseContext,
): void {
  const { limiter, settings, db } = deps
  if (settings.rateLimit > 0) {
    const name = `share ${share.id} ${addressOf(context, settings.trustedProxies)}`
    enforceRateLimit(limiter.take(name, settings.rateLimit), headers)
  }
  if (!isUseRecorded(share, now)) commitInBackground(deps, headers, () => recordShareUse(db, share, now))
}

/**
 * Commits `work` without waiting for it. If that fails, the error is only logged, because the request must not fail.
 */
function commitInBackground(
  { batcher, logError }: AuthDeps,
  headers: ResponseContext["headers"],
  work: () => void,
): void {
  batcher.run(work).catch((error) => logError(error, { request_id: headers["x-request-id"] }))
}

/** Returns the query parameters of a request. */
export function searchParamsOf({ url }: Request): URLSearchParams {
  return new URLSearchParams(/\?(.*)/.exec(url)?.[1])
}

/** The error codes of Databuddy's API, by status. */
const codes: Record<(typeof rejections)[RejectionReason]["status"], string> = {
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

/** Error codes that depend on the reason. */
const reasonCodes: Partial<Record<RejectionReason, string>> = { website_id_missing: "MISSING_PROJECT_ID" }

/**
 * Returns the headers of every response under /v1. Responses can contain a key, so they are never cached. There are no
 * CORS headers, so that pages of other origins cannot read the responses.
 */
export function v1Headers(requestId: string): Record<string, string> {
  return { ...jsonHeaders(requestId), "Cache-Control": "no-store" }
}

/**
 * Returns an error response of /v1 in Databuddy's format. A 5xx response without a detail contains only the message of
 * its reason.
 */
export function errorResponse(error: unknown, headers: Record<string, string>): Response {
  const rejection = toRequestError(error)
  const { status, message, meaning, advice } = rejections[rejection.reason]
  const body = {
    success: false,
    error: rejection.detail ?? (status >= 500 ? message : `${meaning}. ${advice}`),
    code: reasonCodes[rejection.reason] ?? codes[status],
    requestId: headers["x-request-id"],
    errors: rejection.fields,
  }
  return new Response(JSON.stringify(body), {
    status,
    headers: { ...headers, ...errorHeaders(rejection) },
  })
}
