import { Elysia } from "elysia"
import {
  type AuthenticatedRequest,
  authenticatedRoute,
  publicRoute,
  type RouteDeps,
  type RouteResult,
  readCallerBody,
} from "../http/authenticated-request.ts"
import { type Caller, callerOf } from "../http/caller.ts"
import { requireEndpoint } from "../http/permissions.ts"
import { addressOf, type RequestContext } from "../http/request-context.ts"
import { iso } from "../iso.ts"
import type { QueryEngine } from "../query/engine/engine.ts"
import type { Client } from "../query/engine/queue.ts"
import { hasScope } from "../store/keys.ts"
import { executeParsedQuery, type ParameterResult, type QueryAnswer } from "./execute.ts"
import { fullLimits, reportLimits } from "./limits.ts"
import { parseQueries } from "./parse.ts"
import type { QuerySpec } from "./query-spec.ts"
import { configOf, types } from "./query-types.ts"
import { discard, type JsonRows, Outbox, queryResponse } from "./response.ts"
import { type Streams, streamHeaders } from "./stream.ts"
import { readableWebsites, websitesOf } from "./websites.ts"

/** Dependencies of the query API. */
export interface QueryApiDeps extends RouteDeps {
  queryEngine: QueryEngine<QuerySpec>
  streams: Streams
}

/** Responses of the maximum size that can wait for slow clients before the oldest is cut off. */
const outboxResponses = 2

/** The query API: reports and events for scripts and the dashboard. */
export function queryRoutes(deps: QueryApiDeps) {
  const route = authenticatedRoute(deps)
  const outbox = new Outbox(() => deps.queryEngine.responseBytes * outboxResponses)
  return new Elysia({ prefix: "/v1" })
    .post(
      "/query",
      route("read:reports", (_, request) => query(deps, request, outbox)),
      { parse: "none" },
    )
    .get("/query/websites", route("read:reports", showWebsites))
    .get("/query/types", publicRoute(deps)(showTypes))
    .get("/events/stream", route("read:data", openStream))
}

const streamEndpoint = "GET /v1/events/stream"

/** GET /v1/events/stream. */
function openStream(
  deps: QueryApiDeps,
  { caller, headers, context, searchParams }: AuthenticatedRequest,
): Response {
  const { request } = context
  const params = searchParams()
  const names = params.getAll("name").filter((name) => name !== "")
  const websiteId = params.get("website_id")
  // Rejects the request now; later it could only end the stream.
  websitesOf(deps.registry, caller, websiteId)
  // The client of a HEAD request would never read or close the stream.
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

/**
 * Bytes of a body of callers with read:reports only, such as share links: anyone can send 600 of these a minute. 50 parameters of 1 KB;
 * the dashboard sends 10 KB at most.
 */
const maxReportBodyBytes = 65_536
/** Memory of a waiting query, per byte of its body and per parameter, in bytes. */
const bytesPerByte = 8
const bytesPerParameter = 2_048

async function query(
  deps: QueryApiDeps,
  { caller, now, headers, context, searchParams }: AuthenticatedRequest,
  outbox: Outbox,
): Promise<Response> {
  const { queryEngine, registry, settings } = deps
  const { signal } = context.request
  const params = searchParams()
  const websites = websitesOf(registry, caller, params.get("website_id"))
  const zone = params.get("timezone") ?? "UTC"
  const canReadData = hasScope(caller.scopes, "read:data")
  const { value, size } = await readCallerBody(deps, context, canReadData ? undefined : maxReportBodyBytes)
  const limits = canReadData ? fullLimits : reportLimits
  const { isBatch, queries } = await runSteps(
    parseQueries(value, { websites, zone, now, canReadData, caller, limits }),
  )
  const onFault = (error: unknown) => deps.logError(error, { path: "/v1/query" })
  const { rows, cells, bytes = queryEngine.responseBytes } = limits
  const remaining = { rows, cells, bytes: Math.min(bytes, queryEngine.responseBytes) }
  const client = clientOf(caller, context, settings)
  const results: JsonRows[] = []
  const execute = async (spec: QuerySpec): Promise<ParameterResult<JsonRows>> => {
    const rendered = await queryEngine.render(spec, remaining, timeshareOf(client), signal)
    results.push(rendered)
    return { ...rendered, data: rendered }
  }
  const options = { execute, signal, onFault, remaining, maxRows: limits.rows }
  const count = queries.reduce((sum, { parameters }) => sum + parameters.length, 0)
  const weight = size * bytesPerByte + count * bytesPerParameter
  return queryEngine.admit(client, weight, signal, async () => {
    const answers: QueryAnswer<JsonRows>[] = []
    try {
      for (const query of queries) answers.push(await executeParsedQuery(query, options))
    } catch (error) {
      discard(results)
      throw error
    }
    return queryResponse(answers, isBatch, headers, outbox, signal)
  })
}

/** Parameters parsed before yielding to the event loop, about 5 ms. */
const parametersPerStep = 8

async function runSteps<Result>(steps: Generator<void, Result>): Promise<Result> {
  for (let count = 1; ; count++) {
    const step = steps.next()
    if (step.done) return step.value
    if (count % parametersPerStep === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Identity for fair scheduling: each login session, each key, and each address of a share link. */
function clientOf(
  { kind, id, login, share }: Caller,
  context: RequestContext,
  settings: QueryApiDeps["settings"],
): Client {
  if (share) return { name: `share ${id} ${addressOf(context, settings.trustedProxies)}`, isShared: true }
  return { name: `${kind} ${login ? login.hash.toString("hex") : id}`, isShared: false }
}

/** Callers get equal time in the query thread. All share links are one caller: anyone can have one, from any number of addresses. */
function timeshareOf({ name, isShared }: Client): string {
  return isShared ? "share links" : name
}

/** Websites that the caller can read now; undefined if access has ended. */
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
    // The credential was revoked, its websites changed, or the website was deleted.
  }
  return undefined
}

function showWebsites({ registry }: QueryApiDeps, { caller }: AuthenticatedRequest): RouteResult {
  const websites = readableWebsites(registry, caller).map(
    ({ id, name, domain, lowerIsBetter, createdAt }) => ({
      id,
      name,
      domain,
      isPublic: false,
      lowerIsBetter,
      createdAt: iso(createdAt),
    }),
  )
  return { body: { websites, total: websites.length } }
}

function showTypes(): RouteResult {
  const configs = Object.entries(types).map(([name, type]) => [name, configOf(type)])
  return { body: { types: Object.keys(types), configs: Object.fromEntries(configs) } }
}
