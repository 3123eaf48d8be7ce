import { RequestError, toRequestError } from "../errors.ts"
import type { TrustedNetworks } from "../http/address.ts"
import { type AuthFailureDeps, limitAuthFailures } from "../http/auth-failures.ts"
import { type BodyDeps, readJson } from "../http/body.ts"
import { requestIdOf } from "../http/headers.ts"
import { readKey } from "../http/key.ts"
import { enforceRateLimit, type RateLimiter } from "../http/rate-limits.ts"
import { countRejectedBytes, enforceRejectedBytes, type RejectedBytesDeps } from "../http/rejected-bytes.ts"
import type { RejectedRequests } from "../http/rejected-requests.ts"
import { addressOf, type RequestContext } from "../http/request-context.ts"
import { disconnectedResponse, isClientDisconnect, type ServerErrorLog } from "../http/server-errors.ts"
import type { RequestCounts } from "../metrics/requests.ts"
import type { Batcher } from "../store/ingest/batcher.ts"
import type { Registry } from "../store/ingest/registry.ts"
import type { Profiles } from "../store/profiles.ts"
import type { AcquisitionContexts } from "./acquisition.ts"
import type { ClientContexts } from "./client-context.ts"
import type { CrawlerCheck } from "./crawler.ts"
import { type Credential, credentialOf, queryWebsiteId, targetWebsites } from "./credential.ts"
import { describeRejected } from "./describe-rejected.ts"
import { readEvents, shouldHashVisitor, toRow } from "./event.ts"
import { readIdentity } from "./identify.ts"
import { errorResponse, ingestHeaders } from "./responses.ts"

/** Dependencies of the ingestion routes. */
export interface IngestDeps extends AuthFailureDeps, BodyDeps, RejectedBytesDeps {
  registry: Registry
  batcher: Pick<Batcher, "submit">
  profiles: Profiles
  /** Counts requests by key, and by website id and address. */
  limiter: RateLimiter
  crawlers: CrawlerCheck
  /** Describes the clients of pages: browser, country, language. */
  clients: ClientContexts
  /** Says where the visitors of pages come from. */
  acquisitions: AcquisitionContexts
  rejectedRequests: RejectedRequests
  requests: RequestCounts
  logError: ServerErrorLog
  now: () => number
  newId: () => string
  settings: IngestSettings
}

export interface IngestSettings {
  /** Maximum events in a request. */
  maxEvents: number
  /** Maximum bytes of a body after decompression. */
  maxBodyBytes: number
  /** Requests a minute for one website id from one address; 0: unlimited, including events and bytes. */
  rateLimit: number
  /** Events a minute for one website id from one address; 0: unlimited. */
  rateLimitEvents: number
  /** Bytes of bodies a minute after decompression, for one website id from one address; 0: unlimited. */
  rateLimitBytes: number
  trustedProxies: TrustedNetworks
}

const successBody = (count: number) => `{"status":"success","type":"custom_event","count":${count}}`

/** POST /track: validates, authorizes and stores events, in the contract's order of checks. */
export function track(deps: IngestDeps, context: RequestContext): Promise<Response> {
  return handleIngest(deps, context, "POST /track", async (now, headers) => {
    const { registry, settings } = deps
    const { request } = context
    const body = await readJson(deps, context)
    context.body = body.value
    const events = readEvents(body.value, {
      maxEvents: settings.maxEvents,
      now,
      isPlain: body.isPlain,
      isRegistered: (id) => registry.website(id) !== undefined,
    })
    const queryId = queryWebsiteId(request.url)
    const credential = credentialOf(
      readKey(request.headers, registry, now),
      queryId,
      events[0]?.input.websiteId,
    )
    enforceCredentialLimit(
      deps,
      context,
      credential,
      { events: events.length, bytes: body.size },
      now,
      headers,
    )
    const origin = request.headers.get("origin")
    const ids = events.map((event) => event.input.websiteId)
    const websites = targetWebsites(ids, queryId, credential, origin, registry)
    const viaKey = credential.kind === "key"
    const crawler = !viaKey && deps.crawlers.isCrawler(request.headers.get("user-agent"))
    const rows = events.map((event, index) =>
      toRow(event, websites[index], { viaKey, crawler, receivedAt: now }),
    )
    if (rows.length > 0) await deps.batcher.submit({ rows, size: body.size })
    return successBody(rows.length)
  })
}

/** POST /identify: stores a profile and links an anonymous id to it. Requires a key: a public website id must not change profiles. */
export function identify(deps: IngestDeps, context: RequestContext): Promise<Response> {
  return handleIngest(deps, context, "POST /identify", async (now, headers) => {
    const { registry, profiles } = deps
    const { request } = context
    const body = await readJson(deps, context)
    context.body = body.value
    const identity = readIdentity(body.value)
    const websiteId = identity.websiteId || queryWebsiteId(request.url)
    if (!websiteId) throw new RequestError("website_id_missing")
    const credential = credentialOf(readKey(request.headers, registry, now), undefined, undefined)
    enforceCredentialLimit(deps, context, credential, { events: 0, bytes: body.size }, now, headers)
    const [website] = targetWebsites([websiteId], undefined, credential, null, registry)
    if (!website) throw new RequestError("website_unknown")
    const identified = {
      websiteRid: website.rid,
      profileId: identity.profileId,
      anonymousId: identity.anonymousId || null,
      hashVisitor: shouldHashVisitor("auto", website),
      traits: identity.traits ?? {},
    }
    await deps.batcher.submit({
      rows: [],
      size: body.size,
      apply: () => profiles.identify(identified, now),
    })
    return '{"status":"success","type":"identify"}'
  })
}

/** Runs the handler of an ingestion route. Checks the limit on rejected bytes first; errors become responses and are recorded. */
async function handleIngest(
  deps: IngestDeps,
  context: RequestContext,
  route: string,
  handler: (now: number, headers: Record<string, string>) => Promise<string>,
): Promise<Response> {
  const headers = ingestHeaders(context.request, requestIdOf(context.request.headers, deps.newId))
  try {
    if (deps.rejectedBytes.isBlocking) {
      context.account = keyAccountOf(deps, context)
      enforceRejectedBytes(deps, context)
    }
    const response = new Response(await handler(deps.now(), headers), { headers })
    deps.requests.add(route, 200)
    return response
  } catch (thrown) {
    const error = limitAuthFailures(deps, context, thrown)
    deps.logError(error, { request_id: headers["x-request-id"] })
    context.account ??= keyAccountOf(deps, context)
    countRejectedBytes(deps, context, error)
    if (!isClientDisconnect(error)) recordRejected(deps, context, route, error, headers)
    const response = isClientDisconnect(error) ? disconnectedResponse() : errorResponse(error, headers)
    deps.requests.add(route, response.status)
    return response
  }
}

/** The account that rejected bytes count against; undefined without a valid key. */
function keyAccountOf({ registry, now }: IngestDeps, { request }: RequestContext): string | undefined {
  const { key } = readKey(request.headers, registry, now())
  return key && `key ${key.id}`
}

/** Records a rejected request for the owner. Logs the website only if it exists: other ids are untrusted input. */
function recordRejected(
  { rejectedRequests, registry, now }: IngestDeps,
  context: RequestContext,
  route: string,
  error: unknown,
  headers: Record<string, string>,
): void {
  const rejected = describeRejected(context, route.slice("POST ".length), toRequestError(error), now())
  const website = rejected.websiteId === null ? undefined : registry.website(rejected.websiteId)?.id
  rejectedRequests.add(rejected, { request_id: headers["x-request-id"], website })
}

/** Applies the rate limit of the credential: the key's own, or that of a website id and address. */
function enforceCredentialLimit(
  deps: IngestDeps,
  context: RequestContext,
  credential: Credential,
  size: RequestSize,
  now: number,
  headers: Record<string, string>,
): void {
  if (credential.kind === "key") {
    deps.registry.recordUse(credential.key, now)
    if (credential.key.rateLimit === null) return
    enforceRateLimit(deps.limiter.take(`key ${credential.key.id}`, credential.key.rateLimit), headers)
    return
  }
  if (credential.keyProblem) headers["x-databuddy-reason"] = credential.keyProblem
  if (deps.settings.rateLimit === 0) return
  // All unregistered ids share one bucket, because a sender can invent any number of them.
  const rid = deps.registry.website(credential.websiteId)?.rid ?? "unknown"
  const name = `website ${rid} ${addressOf(context, deps.settings.trustedProxies)}`
  enforceRateLimit(
    deps.limiter.take(name, deps.settings.rateLimit, requestCost(size, deps.settings)),
    headers,
  )
}

interface RequestSize {
  events: number
  /** Bytes of the body after decompression. */
  bytes: number
}

/** Number of requests that one request counts as: its largest share of the limits on events and bytes, and at least 1. */
function requestCost(
  { events, bytes }: RequestSize,
  { rateLimit, rateLimitEvents, rateLimitBytes }: IngestSettings,
): number {
  const byEvents = rateLimitEvents === 0 ? 0 : (events * rateLimit) / rateLimitEvents
  const byBytes = rateLimitBytes === 0 ? 0 : (bytes * rateLimit) / rateLimitBytes
  return Math.max(1, byEvents, byBytes)
}
