import { type JsonBody, readJson } from "../http/body.ts"
import type { ClientContext } from "../store/contexts.ts"
import type { EventRow } from "../store/events.ts"
import type { Website } from "../store/websites.ts"
import type { ClientInput } from "./client-context.ts"
import { pageCredential, pageWebsite } from "./credential.ts"
import { shouldHashVisitor } from "./event.ts"
import { enforceCredentialLimit, type IngestDeps, type IngestRequest, type RequestSize } from "./handle.ts"
import type { PageItem } from "./page-items.ts"

/** Maximum size of a body from a page after decompression, in bytes. */
export const maxPageBodyBytes = 1_048_576

/** Reads the body of a request from a page. `maxBytes`: the limit of the route, which --max-body can lower. */
export async function readPageBody(
  { bodyBudget, largeBodies, settings }: IngestDeps,
  { context }: IngestRequest,
  maxBytes = maxPageBodyBytes,
): Promise<JsonBody> {
  const { maxBodyBytes, trustedProxies } = settings
  const limited = { maxBodyBytes: Math.min(maxBytes, maxBodyBytes), trustedProxies }
  const body = await readJson({ bodyBudget, largeBodies, settings: limited }, context)
  context.body = body.value
  return body
}

/**
 * Applies the rate limit to a request from a page, checks its origin, and returns the website. Throws
 * `client_id_missing`, `rate_limited`, `origin_not_allowed`, `client_id_unknown` or `client_id_paused`, in this order.
 */
export function authorizePage(deps: IngestDeps, request: IngestRequest, size: RequestSize): Website {
  const credential = pageCredential(request.context.request)
  enforceCredentialLimit(deps, request, credential, size)
  return pageWebsite(credential.websiteId, originOf(request.context.request), deps.registry)
}

/**
 * Returns the origin of the page. Browsers do not send an Origin header when they request an image such as the pixel,
 * but they send a Referer header that contains at least the origin.
 */
function originOf({ method, headers }: Request): string | null {
  const origin = headers.get("origin")
  const referer = headers.get("referer")
  if (origin !== null || method !== "GET" || referer === null) return origin
  return URL.parse(referer)?.origin ?? null
}

/** The part of a body that decides whether it is processed in steps. */
type BodySize = Pick<JsonBody, "isLarge">

/** Converts the items of a request. If the body is large, other requests are served between the items. */
export function mapItems<Item, Result>(
  { largeBodies }: Pick<IngestDeps, "largeBodies">,
  { isLarge }: BodySize,
  items: readonly Item[],
  convert: (item: Item) => Result,
): Result[] | Promise<Result[]> {
  return isLarge ? largeBodies.run(mapInSteps(items, convert), true) : items.map(convert)
}

function* mapInSteps<Item, Result>(
  items: readonly Item[],
  convert: (item: Item) => Result,
): Generator<void, Result[]> {
  const results: Result[] = []
  for (const item of items) {
    if (results.length > 0) yield
    results.push(convert(item))
  }
  return results
}

/** Converts the items of one request to rows. Prepares the rows of a large body for the commit. */
export function pageRows(
  deps: IngestDeps,
  { context, now }: IngestRequest,
  website: Website,
  items: readonly PageItem[],
  body: BodySize,
): EventRow[] | Promise<EventRow[]> {
  const { clients, acquisitions, crawlers, prepareRow } = deps
  const sender = clients.sender(context)
  const crawler = crawlers.isCrawler(context.request.headers.get("user-agent")) ? 1 : 0
  const clientOf = cacheLastContext((input: ClientInput) => clients.clientContext(sender, input))
  const rowOf = ({ kind, name, path, ts, keys, properties, common, visit }: PageItem): EventRow => ({
    websiteRid: website.rid,
    name,
    namespace: "",
    source: "",
    keys,
    ts,
    receivedAt: now,
    anonymousId: common.anonymousId || null,
    hashVisitor: shouldHashVisitor(common.anonymizeVisitorIds ?? "auto", website),
    sessionId: common.sessionId || null,
    // A profile ID in an item identifies the visitor. If the website forbids that, the event is stored without the ID.
    profileId: website.pageIdentify ? common.profileId || null : null,
    path,
    viaKey: 0,
    crawler,
    eventId: common.eventId || null,
    properties,
    kind,
    client: clientOf(visit?.item ?? {}),
    acquisition: visit ? acquisitions.acquisitionContext(visit.item, visit.page, website.domain) : null,
  })
  return mapItems(deps, body, items, (item) => (body.isLarge ? prepareRow(rowOf(item)) : rowOf(item)))
}

/**
 * Returns a function that reuses the last context while the fields are the same, because nearly all requests have items
 * from a single browser.
 */
function cacheLastContext(
  contextOf: (input: ClientInput) => ClientContext,
): (input: ClientInput) => ClientContext {
  let last: { input: ClientInput; context: ClientContext } | undefined
  return (input) => {
    const isSame =
      last !== undefined &&
      input.language === last.input.language &&
      input.timezone === last.input.timezone &&
      input.screen_resolution === last.input.screen_resolution
    if (last && isSame) return last.context
    const context = contextOf(input)
    last = { input, context }
    return context
  }
}
