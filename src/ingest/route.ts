import { RequestError } from "../errors.ts"
import type { TrustedNetworks } from "../http/address.ts"
import { type AuthFailures, limitGuesses } from "../http/auth-failures.ts"
import { type BodyReading, readJson } from "../http/body.ts"
import { requestIdOf } from "../http/headers.ts"
import { readKey } from "../http/key.ts"
import { enforceRateLimit, type RateLimiter } from "../http/rate-limits.ts"
import { countRejected, type RejectedBytesCheck, refuseRejected } from "../http/rejected-bytes.ts"
import type { RejectedRequests } from "../http/rejected-requests.ts"
import { addressOf, type RequestContext } from "../http/request-context.ts"
import { disconnectedResponse, isClientDisconnect, type RequestFaultLog } from "../http/server-errors.ts"
import type { Requests } from "../metrics/requests.ts"
import type { Batcher } from "../store/ingest/batcher.ts"
import type { Registry } from "../store/ingest/registry.ts"
import type { Profiles } from "../store/profiles.ts"
import type { CrawlerCheck } from "./crawler.ts"
import { type Credential, credentialOf, queryWebsiteId, targetWebsites } from "./credential.ts"
import { describeRefused } from "./describe-rejected.ts"
import { hashesVisitor, readEvents, toRow } from "./event.ts"
import { readIdentity } from "./identify.ts"
import { errorResponse, ingestHeaders } from "./responses.ts"

/** What the ingestion routes work with. */
export interface IngestDeps extends AuthFailures, BodyReading, RejectedBytesCheck {
  registry: Registry
  batcher: Pick<Batcher, "submit">
  profiles: Profiles
  /** Requests by key, and by website id and address. */
  limiter: RateLimiter
  crawlers: CrawlerCheck
  refusals: RejectedRequests
  requests: Requests
  logFault: RequestFaultLog
  now: () => number
  newId: () => string
  settings: IngestSettings
}

export interface IngestSettings {
  /** Events in a request. */
  maxEvents: number
  /** Bytes of a body, after decompression. */
  maxBodyBytes: number
  /** Requests a minute for one website id and one address; 0: not limited, nor are events and bytes. */
  rateLimit: number
  /** The same in events; 0: not limited. */
  rateLimitEvents: number
  /** The same in bytes of bodies, after decompression; 0: not limited. */
  rateLimitBytes: number
  trustedProxies: TrustedNetworks
}

const success = (count: number) => `{"status":"success","type":"custom_event","count":${count}}`

/** POST /track: everything between a request and its answer, in the contract's order. */
export function track(ingest: IngestDeps, arrival: RequestContext): Promise<Response> {
  return answered(ingest, arrival, "POST /track", async (now, headers) => {
    const { registry, settings } = ingest
    const { request } = arrival
    const body = await readJson(ingest, arrival)
    arrival.body = body.value
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
    admit(ingest, arrival, credential, { events: events.length, bytes: body.size }, now, headers)
    const origin = request.headers.get("origin")
    const ids = events.map((event) => event.input.websiteId)
    const websites = targetWebsites(ids, queryId, credential, origin, registry)
    const viaKey = credential.kind === "key"
    const crawler = !viaKey && ingest.crawlers.isCrawler(request.headers.get("user-agent"))
    const rows = events.map((event, index) =>
      toRow(event, websites[index], { viaKey, crawler, receivedAt: now }),
    )
    if (rows.length > 0) await ingest.batcher.submit({ rows, size: body.size })
    return success(rows.length)
  })
}

/** POST /identify: who an anonymous id is. A public website id does not suffice: it must not rewrite profiles. */
export function identify(ingest: IngestDeps, arrival: RequestContext): Promise<Response> {
  return answered(ingest, arrival, "POST /identify", async (now, headers) => {
    const { registry, profiles } = ingest
    const { request } = arrival
    const body = await readJson(ingest, arrival)
    arrival.body = body.value
    const identity = readIdentity(body.value)
    const websiteId = identity.websiteId || queryWebsiteId(request.url)
    if (!websiteId) throw new RequestError("website_id_missing")
    const credential = credentialOf(readKey(request.headers, registry, now), undefined, undefined)
    admit(ingest, arrival, credential, { events: 0, bytes: body.size }, now, headers)
    const [website] = targetWebsites([websiteId], undefined, credential, null, registry)
    if (!website) throw new RequestError("website_unknown")
    const known = {
      websiteRid: website.rid,
      profileId: identity.profileId,
      anonymousId: identity.anonymousId || null,
      hashVisitor: hashesVisitor("auto", website),
      traits: identity.traits ?? {},
    }
    await ingest.batcher.submit({
      rows: [],
      size: body.size,
      apply: () => profiles.identify(known, now),
    })
    return '{"status":"success","type":"identify"}'
  })
}

/** Runs a route's work between what all of them share: the budget of rejected bytes, headers, and one form of refusal. */
async function answered(
  ingest: IngestDeps,
  arrival: RequestContext,
  route: string,
  work: (now: number, headers: Record<string, string>) => Promise<string>,
): Promise<Response> {
  const headers = ingestHeaders(arrival.request, requestIdOf(arrival.request.headers, ingest.newId))
  try {
    if (ingest.rejectedBytes.isBlocking) {
      arrival.account = accountOf(ingest, arrival)
      refuseRejected(ingest, arrival)
    }
    const answer = new Response(await work(ingest.now(), headers), { headers })
    ingest.requests.add(route, 200)
    return answer
  } catch (thrown) {
    const error = limitGuesses(ingest, arrival, thrown)
    ingest.logFault(error, { request_id: headers["x-request-id"] })
    arrival.account = accountOf(ingest, arrival)
    countRejected(ingest, arrival, error)
    if (!isClientDisconnect(error)) remember(ingest, arrival, route, error, headers)
    const answer = isClientDisconnect(error) ? disconnectedResponse() : errorResponse(error, headers)
    ingest.requests.add(route, answer.status)
    return answer
  }
}

/** What the budget of rejected bytes counts by where the request has a valid key. */
function accountOf({ registry, now }: IngestDeps, { request }: RequestContext): string | undefined {
  const { key } = readKey(request.headers, registry, now())
  return key && `key ${key.id}`
}

/** Lets the owner see what was refused. The log names a website only where there is one: other ids are the sender's words. */
function remember(
  { refusals, registry, now }: IngestDeps,
  arrival: RequestContext,
  route: string,
  error: unknown,
  headers: Record<string, string>,
): void {
  const refusal = error instanceof RequestError ? error : new RequestError("internal")
  const refused = describeRefused(arrival, route.slice("POST ".length), refusal, now())
  const website = refused.websiteId === null ? undefined : registry.website(refused.websiteId)?.id
  refusals.add(refused, { request_id: headers["x-request-id"], website })
}

/** The limit of the credential: a key's own, or that of a website id and an address. */
function admit(
  ingest: IngestDeps,
  arrival: RequestContext,
  credential: Credential,
  size: RequestSize,
  now: number,
  headers: Record<string, string>,
): void {
  if (credential.kind === "key") {
    ingest.registry.used(credential.key, now)
    if (credential.key.rateLimit === null) return
    enforceRateLimit(ingest.limiter.take(`key ${credential.key.id}`, credential.key.rateLimit), headers)
    return
  }
  if (credential.keyProblem) headers["x-databuddy-reason"] = credential.keyProblem
  if (ingest.settings.rateLimit === 0) return
  // An id that nobody registered is the sender's invention: all of them together are one name.
  const rid = ingest.registry.website(credential.websiteId)?.rid ?? "unknown"
  const name = `website ${rid} ${addressOf(arrival, ingest.settings.trustedProxies)}`
  enforceRateLimit(
    ingest.limiter.take(name, ingest.settings.rateLimit, costOf(size, ingest.settings)),
    headers,
  )
}

interface RequestSize {
  events: number
  /** Of the body, after decompression. */
  bytes: number
}

/** Requests that one counts for: a large one takes as much of `rateLimit` as it does of the limits of events and bytes. */
function costOf(
  { events, bytes }: RequestSize,
  { rateLimit, rateLimitEvents, rateLimitBytes }: IngestSettings,
): number {
  const byEvents = rateLimitEvents === 0 ? 0 : (events * rateLimit) / rateLimitEvents
  const byBytes = rateLimitBytes === 0 ? 0 : (bytes * rateLimit) / rateLimitBytes
  return Math.max(1, byEvents, byBytes)
}
