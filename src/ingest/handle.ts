import { toRequestError } from "../errors.ts"
import type { TrustedNetworks } from "../http/address.ts"
import { type AuthFailureDeps, limitAuthFailures } from "../http/auth-failures.ts"
import type { BodyDeps } from "../http/body.ts"
import { requestIdOf } from "../http/headers.ts"
import { readKey } from "../http/key.ts"
import { enforceRateLimit, type RateLimiter } from "../http/rate-limits.ts"
import { countRejectedBytes, enforceRejectedBytes, type RejectedBytesDeps } from "../http/rejected-bytes.ts"
import type { RejectedRequests } from "../http/rejected-requests.ts"
import { addressOf, type RequestContext } from "../http/request-context.ts"
import { disconnectedResponse, isClientDisconnect, type ServerErrorLog } from "../http/server-errors.ts"
import type { RequestCounts } from "../metrics/requests.ts"
import type { EventRow } from "../store/events.ts"
import type { Batcher } from "../store/ingest/batcher.ts"
import type { Registry } from "../store/ingest/registry.ts"
import type { Profiles } from "../store/profiles.ts"
import type { AcquisitionContexts } from "./acquisition.ts"
import type { ClientContexts } from "./client-context.ts"
import type { CrawlerCheck } from "./crawler.ts"
import type { Credential } from "./credential.ts"
import { describeRejected } from "./describe-rejected.ts"
import type { PageAddresses } from "./page-text.ts"
import { errorResponse, ingestHeaders } from "./responses.ts"

export interface IngestDeps extends AuthFailureDeps, BodyDeps, RejectedBytesDeps {
  registry: Registry
  batcher: Pick<Batcher, "submit">
  /** See `EventInserter.withObject`. */
  prepareRow: (row: EventRow) => EventRow
  /** Returns false if the row would count against the quota for new names. */
  isKnownName: (row: EventRow) => boolean
  profiles: Profiles
  /** Counts requests by key, and by website id and address. */
  limiter: RateLimiter
  crawlers: CrawlerCheck
  /** Determines the browser, country and language of the visitors of pages. */
  clients: ClientContexts
  /** Determines where the visitors of pages came from. */
  acquisitions: AcquisitionContexts
  /** Parses the addresses of pages. */
  pageAddresses: PageAddresses
  rejectedRequests: RejectedRequests
  requests: RequestCounts
  logError: ServerErrorLog
  now: () => number
  newId: () => string
  settings: IngestSettings
}

export interface IngestSettings {
  /** Maximum number of events in a request. */
  maxEvents: number
  /** Maximum size of a body after decompression, in bytes. */
  maxBodyBytes: number
  /**
   * Maximum number of requests per minute for one website id from one address. 0 means that requests, events and bytes
   * are unlimited.
   */
  rateLimit: number
  /** Maximum number of events per minute for one website id from one address. 0 means unlimited. */
  rateLimitEvents: number
  /**
   * Maximum number of body bytes per minute, after decompression, for one website id from one address. 0 means
   * unlimited.
   */
  rateLimitBytes: number
  trustedProxies: TrustedNetworks
  /** Prefix under which all ingestion routes are also served, such as /e. Empty for none. */
  ingestPath: string
}

/** A request to an ingestion route while it is being handled. */
export interface IngestRequest {
  route: IngestRoute
  context: RequestContext
  /** Time of receipt, in Unix ms. */
  now: number
  /** Headers of the response. The handler can add more. */
  headers: Record<string, string>
}

/** One ingestion route. */
export interface IngestRoute {
  method: "GET" | "POST"
  /** Also served under --ingest-path. */
  path: string
  /** True if the body is an event or a list of events. */
  hasEvents?: boolean
  /** Responds after everything is stored. Throws a RequestError if nothing is stored. */
  handle: (deps: IngestDeps, request: IngestRequest) => Response | Promise<Response>
  /** Creates the response for an error. Default: `errorResponse`. */
  respondToError?: typeof errorResponse
}

/**
 * Runs the handler of an ingestion route after checking the limit on rejected bytes. Errors become responses and are
 * recorded. Throws only if no request id can be created.
 */
export function handleIngest(
  deps: IngestDeps,
  route: IngestRoute,
  context: RequestContext,
): Promise<Response> {
  const headers = ingestHeaders(context.request, requestIdOf(context.request.headers, deps.newId))
  return respond(deps, route, context, headers)
}

async function respond(
  deps: IngestDeps,
  route: IngestRoute,
  context: RequestContext,
  headers: Record<string, string>,
): Promise<Response> {
  const name = `${route.method} ${route.path}`
  try {
    if (deps.rejectedBytes.isBlocking) {
      context.account = keyAccountOf(deps, context)
      enforceRejectedBytes(deps, context)
    }
    const response = await route.handle(deps, { route, context, now: deps.now(), headers })
    deps.requests.add(name, response.status)
    return response
  } catch (thrown) {
    const error = limitAuthFailures(deps, context, thrown)
    deps.logError(error, { request_id: headers["x-request-id"] })
    context.account ??= keyAccountOf(deps, context)
    countRejectedBytes(deps, context, error)
    const { respondToError = errorResponse } = route
    if (!isClientDisconnect(error)) recordRejected(deps, context, route, error, headers)
    const response = isClientDisconnect(error) ? disconnectedResponse() : respondToError(error, headers)
    deps.requests.add(name, response.status)
    return response
  }
}

/** Returns the account that rejected bytes count against, or undefined if there is no valid key. */
function keyAccountOf({ registry, now }: IngestDeps, { request }: RequestContext): string | undefined {
  const { key } = readKey(request.headers, registry, now())
  return key && `key ${key.id}`
}

/**
 * Records a rejected request for the website's owner. Logs the website id only if the website exists, because any other
 * id is untrusted input.
 */
export function recordRejected(
  { rejectedRequests, registry, now }: IngestDeps,
  context: RequestContext,
  route: IngestRoute,
  error: unknown,
  headers: Record<string, string>,
): void {
  const rejected = describeRejected(context, route, toRequestError(error), now())
  const website = rejected.websiteId === null ? undefined : registry.website(rejected.websiteId)?.id
  rejectedRequests.add(rejected, { request_id: headers["x-request-id"], website })
}

/** Applies the rate limit of the key, or of the website id and address. */
export function enforceCredentialLimit(
  deps: IngestDeps,
  { context, now, headers }: IngestRequest,
  credential: Credential,
  size: RequestSize,
): void {
  if (credential.kind === "key") {
    deps.registry.recordUse(credential.key, now)
    if (credential.key.rateLimit === null) return
    enforceRateLimit(deps.limiter.take(`key ${credential.key.id}`, credential.key.rateLimit), headers)
    return
  }
  if (credential.keyProblem) headers["x-databuddy-reason"] = credential.keyProblem
  if (deps.settings.rateLimit === 0) return
  // All unregistered ids share one bucket, because a sender can invent any number of ids.
  const rid = deps.registry.website(credential.websiteId)?.rid ?? "unknown"
  const name = `website ${rid} ${addressOf(context, deps.settings.trustedProxies)}`
  enforceRateLimit(
    deps.limiter.take(name, deps.settings.rateLimit, requestCost(size, deps.settings)),
    headers,
  )
}

export interface RequestSize {
  events: number
  /** Bytes of the body after decompression. */
  bytes: number
}

/**
 * Returns the number of requests that a request counts as. This is at least 1, and more if the request uses up a larger
 * share of the limit on events or bytes than of the limit on requests.
 */
function requestCost(
  { events, bytes }: RequestSize,
  { rateLimit, rateLimitEvents, rateLimitBytes }: IngestSettings,
): number {
  const byEvents = rateLimitEvents === 0 ? 0 : (events * rateLimit) / rateLimitEvents
  const byBytes = rateLimitBytes === 0 ? 0 : (bytes * rateLimit) / rateLimitBytes
  return Math.max(1, byEvents, byBytes)
}
