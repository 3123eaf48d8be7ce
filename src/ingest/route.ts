import { RequestError } from "../errors.ts"
import { readJson } from "../http/body.ts"
import { readKey } from "../http/key.ts"
import type { EventRow } from "../store/events.ts"
import { aiVisitRoute } from "./ai-visit.ts"
import { credentialOf, queryWebsiteId, targetWebsites } from "./credential.ts"
import { parseWideEvent, readEvents, readEventsInSteps, shouldHashVisitor, toRow } from "./event.ts"
import { flagsRoute } from "./flags.ts"
import { enforceCredentialLimit, type IngestDeps, type IngestRequest, type IngestRoute } from "./handle.ts"
import { readIdentity } from "./identify.ts"
import { pageEventRoutes } from "./page-events.ts"
import { identifyFromPage, isFromPage } from "./page-identify.ts"
import { pixelRoute } from "./pixel.ts"
import { jsonResponse } from "./responses.ts"

/** All ingestion routes. Pages from any origin can call them. */
export const ingestRoutes: readonly IngestRoute[] = [
  { method: "POST", path: "/track", hasEvents: true, handle: track },
  { method: "POST", path: "/identify", handle: identify },
  ...pageEventRoutes,
  pixelRoute,
  aiVisitRoute,
  flagsRoute,
]

const successBody = (count: number) => `{"status":"success","type":"custom_event","count":${count}}`

/** POST /track. Validates, authorizes and stores events, with checks in the order of the contract. */
async function track(deps: IngestDeps, incoming: IngestRequest): Promise<Response> {
  const { registry, settings } = deps
  const { context, now, headers } = incoming
  const { request } = context
  const body = await readJson(deps, context, parseWideEvent)
  context.body = body.value
  const rules = {
    maxEvents: settings.maxEvents,
    now,
    isPlain: body.isPlain,
    isRegistered: (id: string) => registry.website(id) !== undefined,
  }
  const events = body.isLarge
    ? await deps.largeBodies.run(readEventsInSteps(body.value, rules), true)
    : readEvents(body.value, rules)
  const queryId = queryWebsiteId(request.url)
  const credential = credentialOf(
    readKey(request.headers, registry, now),
    queryId,
    events[0]?.input.websiteId,
  )
  enforceCredentialLimit(deps, incoming, credential, { events: events.length, bytes: body.size })
  const origin = request.headers.get("origin")
  const ids = events.map((event) => event.input.websiteId)
  const websites = targetWebsites(ids, queryId, credential, origin, registry)
  const viaKey = credential.kind === "key"
  const crawler = !viaKey && deps.crawlers.isCrawler(request.headers.get("user-agent"))
  const rows = events.map((event, index) =>
    toRow(event, websites[index], { viaKey, crawler, receivedAt: now }),
  )
  const prepared = body.isLarge ? await deps.largeBodies.run(preparedRows(deps, rows), true) : rows
  if (rows.length > 0) await deps.batcher.submit({ rows: prepared, size: body.size })
  return jsonResponse(successBody(rows.length), headers)
}

/** Prepares rows for the commit, in one step per row. */
function* preparedRows({ prepareRow }: IngestDeps, rows: readonly EventRow[]): Generator<void, EventRow[]> {
  const prepared: EventRow[] = []
  for (const row of rows) {
    prepared.push(prepareRow(row))
    yield
  }
  return prepared
}

/**
 * POST /identify. Stores a profile and links an anonymous id to it. If a page sends the request without an API key, the
 * traits and the link are stored as unverified claims.
 */
async function identify(deps: IngestDeps, incoming: IngestRequest): Promise<Response> {
  const { registry, profiles } = deps
  const { context, now, headers } = incoming
  const { request } = context
  if (isFromPage(request)) return identifyFromPage(deps, incoming)
  const body = await readJson(deps, context)
  context.body = body.value
  const identity = readIdentity(body.value)
  const websiteId = identity.websiteId || queryWebsiteId(request.url)
  if (!websiteId) throw new RequestError("website_id_missing")
  const credential = credentialOf(readKey(request.headers, registry, now), undefined, undefined)
  enforceCredentialLimit(deps, incoming, credential, { events: 0, bytes: body.size })
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
  return new Response('{"status":"success","type":"identify"}', { headers })
}
