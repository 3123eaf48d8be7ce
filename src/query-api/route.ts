import { Elysia } from "elysia"
import {
  type AuthenticatedRequest,
  authenticatedRoute,
  publicRoute,
  type RouteResult,
  readCallerBody,
} from "../http/authenticated-request.ts"
import { callerOf } from "../http/caller.ts"
import { requireEndpoint } from "../http/permissions.ts"
import { addressOf } from "../http/request-context.ts"
import { iso } from "../iso.ts"
import { hasScope } from "../store/keys.ts"
import { configOf, types } from "./query-types.ts"
import { maxQueryBytes, type QueryRunDeps, type RunQueries } from "./run.ts"
import { type Streams, streamHeaders } from "./stream.ts"
import { namedWebsites, websitesOf } from "./websites.ts"

/** What the query API depends on. */
export interface QueryApiDeps extends QueryRunDeps {
  streams: Streams
}

/** Routes of the query API, which returns reports and events to scripts and the dashboard. */
export function queryRoutes(deps: QueryApiDeps, runQueries: RunQueries) {
  const route = authenticatedRoute(deps)
  return new Elysia({ prefix: "/v1" })
    .post(
      "/query",
      route("read:reports", (_, request) => query(deps, request, runQueries)),
      { parse: "none" },
    )
    .get("/query/websites", route("read:reports", showWebsites))
    .get("/query/types", publicRoute(deps)(showTypes))
    .get("/events/stream", route("read:data", openStream))
}

const streamEndpoint = "GET /v1/events/stream"

/** Handles GET /v1/events/stream. */
function openStream(
  deps: QueryApiDeps,
  { caller, headers, context, searchParams }: AuthenticatedRequest,
): Response {
  const { request } = context
  const params = searchParams()
  const names = params.getAll("name").filter((name) => name !== "")
  const websiteId = params.get("website_id")
  // Throws if the caller has no access, because an error response is impossible once the stream is open.
  websitesOf(deps.registry, caller, websiteId)
  // A client that sends a HEAD request would never read or close the stream.
  if (request.method === "HEAD") return new Response(null, { headers: { ...headers, ...streamHeaders } })
  const options = {
    websites: () => readableNow(deps, request, websiteId),
    names: names.length === 0 ? undefined : new Set(names),
    crawlers: params.get("crawlers") === "true",
    after: request.headers.get("last-event-id"),
  }
  const owner = {
    caller: `${caller.kind} ${caller.id}`,
    address: addressOf(context, deps.settings.trustedProxies),
  }
  return deps.streams.open(options, owner, request.signal, headers)
}

/** Handles POST /v1/query. */
async function query(
  deps: QueryApiDeps,
  request: AuthenticatedRequest,
  runQueries: RunQueries,
): Promise<Response> {
  const { caller, context, searchParams } = request
  const params = searchParams()
  const websites = websitesOf(deps.registry, caller, params.get("website_id"))
  const zone = params.get("timezone") ?? "UTC"
  const { value: body, size } = await readCallerBody(deps, context, maxQueryBytes(caller))
  return runQueries(request, { body, size, websites, zone, limitedCaller: caller })
}

/** Returns the websites that the caller can read now, or undefined if the caller no longer has access. */
function readableNow(
  deps: QueryApiDeps,
  request: Request,
  websiteId: string | null,
): readonly number[] | undefined {
  try {
    const caller = callerOf(deps, request, deps.now())
    requireEndpoint(caller, streamEndpoint)
    if (hasScope(caller.scopes, "read:data")) return websitesOf(deps.registry, caller, websiteId)
  } catch {
    // The credential was revoked or its websites changed, or the website was deleted.
  }
  return undefined
}

function showWebsites(deps: QueryApiDeps, { caller }: AuthenticatedRequest): RouteResult {
  const websites = namedWebsites(deps, caller).map(({ id, name, domain, lowerIsBetter, createdAt }) => ({
    id,
    name,
    domain,
    isPublic: false,
    lowerIsBetter,
    createdAt: iso(createdAt),
  }))
  return { body: { websites, total: websites.length } }
}

function showTypes(): RouteResult {
  const configs = Object.entries(types).map(([name, type]) => [name, configOf(type)])
  return { body: { types: Object.keys(types), configs: Object.fromEntries(configs) } }
}
