import { Elysia } from "elysia"
import { type BodyReading, readJson } from "../http/body.ts"
import { type Caller, callerOf } from "../http/caller.ts"
import { refuseRejected } from "../http/rejected-bytes.ts"
import { addressOf, type RequestContext, requestContextOf, type ServerOf } from "../http/request-context.ts"
import { type Admitted, type AuthDeps, answered, queryOf } from "../http/v1.ts"
import type { QueryEngine } from "../query/engine/engine.ts"
import type { Client } from "../query/engine/queue.ts"
import { allows } from "../store/keys.ts"
import { type Executed, executeParsedQuery, type QueryAnswer } from "./execute.ts"
import { fullLimits, reportLimits } from "./limits.ts"
import { parseQueries } from "./parse.ts"
import type { QuerySpec } from "./query-spec.ts"
import { discard, type JsonRows, Outbox, queryResponse } from "./response.ts"
import { type Streams, streamHeaders } from "./stream.ts"
import { configOf, types } from "./types.ts"
import { readableWebsites, websitesOf } from "./websites.ts"

/** What the routes that read events work with. */
export interface QueryApiDeps extends AuthDeps, BodyReading {
  asker: QueryEngine<QuerySpec>
  streams: Streams
  settings: AuthDeps["settings"] & BodyReading["settings"]
}

/** The parts of Elysia's context that the routes look at. */
interface RouteContext {
  request: Request
  server: ServerOf
}

/** Answers, of those of the largest size, that may wait for slow clients before the oldest is cut. */
const outboxResponses = 2

type Work = (asking: QueryApiDeps, arrival: RequestContext, admitted: Admitted) => Promise<object>

/** The query API: what was stored, for scripts and pages of the owner. */
export function queryRoutes(asking: QueryApiDeps) {
  const on =
    (work: Work) =>
    ({ request, server }: RouteContext) => {
      const arrival = requestContextOf(request, server)
      return answered(asking, arrival, "read:reports", async (admitted) => {
        const text = JSON.stringify({ success: true, ...(await work(asking, arrival, admitted)) })
        return new Response(text, { headers: admitted.headers })
      })
    }
  const outbox = new Outbox(() => asking.asker.responseBytes * outboxResponses)
  return new Elysia({ prefix: "/v1" })
    .post(
      "/query",
      ({ request, server }: RouteContext) => {
        const arrival = requestContextOf(request, server)
        return answered(asking, arrival, "read:reports", (admitted) =>
          query(asking, arrival, outbox, admitted),
        )
      },
      { parse: "none" },
    )
    .get("/query/websites", on(showWebsites))
    .get("/query/types", on(showTypes))
    .get("/events/stream", ({ request, server }: RouteContext) => {
      const arrival = requestContextOf(request, server)
      return answered(asking, arrival, "read:data", async ({ caller, headers }) => {
        const asked = queryOf(request)
        const names = asked.getAll("name").filter((name) => name !== "")
        const websiteId = asked.get("website_id")
        // Throws now what would end the stream later.
        websitesOf(asking.registry, caller, websiteId)
        // Of a HEAD nobody reads what is streamed, and nobody would end it.
        if (request.method === "HEAD")
          return new Response(null, { headers: { ...headers, ...streamHeaders } })
        const wanted = {
          websites: () => stillReadable(asking, request, websiteId),
          names: names.length === 0 ? undefined : new Set(names),
          crawlers: asked.get("crawlers") === "true",
          after: request.headers.get("last-event-id"),
        }
        const owner = {
          caller: `${caller.kind} ${caller.id}`,
          address: addressOf(arrival, asking.settings.trustedProxies),
        }
        return asking.streams.open(wanted, owner, request.signal, headers)
      })
    })
}

/** Bytes of memory that a body of one byte becomes while it waits, and a parameter: strings, objects and lists of them. */
const bytesPerByte = 8
const bytesPerParameter = 2_048

async function query(
  asking: QueryApiDeps,
  arrival: RequestContext,
  outbox: Outbox,
  { caller, now, headers }: Admitted,
): Promise<Response> {
  const { asker, registry, settings } = asking
  const { request } = arrival
  const { signal } = request
  const asked = queryOf(request)
  const websites = websitesOf(registry, caller, asked.get("website_id"))
  refuseRejected(asking, arrival)
  const { value, size } = await readJson(asking, arrival)
  const zone = asked.get("timezone") ?? "UTC"
  const withSingles = allows(caller.scopes, "read:data")
  const limits = withSingles ? fullLimits : reportLimits
  const { isBatch, queries } = await inSteps(
    parseQueries(value, { websites, zone, now, withSingles, limits }),
  )
  const onFault = (error: unknown) => asking.logFault(error, { path: "/v1/query" })
  const { rows, cells, bytes = asker.responseBytes } = limits
  const room = { rows, cells, bytes: Math.min(bytes, asker.responseBytes) }
  const client = clientOf(caller, arrival, settings)
  const held: JsonRows[] = []
  const execute = async (ask: QuerySpec): Promise<Executed<JsonRows>> => {
    const rendered = await asker.render(ask, room, client.name, signal)
    held.push(rendered)
    return { ...rendered, data: rendered }
  }
  const count = queries.reduce((sum, { parameters }) => sum + parameters.length, 0)
  const weight = size * bytesPerByte + count * bytesPerParameter
  return asker.admit(client, weight, signal, async () => {
    const answers: QueryAnswer<JsonRows>[] = []
    try {
      for (const one of queries)
        answers.push(await executeParsedQuery(one, execute, signal, onFault, room, limits))
    } catch (error) {
      discard(held)
      throw error
    }
    return queryResponse(answers, isBatch, headers, outbox, signal)
  })
}

/** Parameters that are read before others have their turn: some 5 ms. */
const parametersPerStep = 8

async function inSteps<Result>(steps: Generator<void, Result>): Promise<Result> {
  for (let count = 1; ; count++) {
    const step = steps.next()
    if (step.done) return step.value
    if (count % parametersPerStep === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

/** Logins of one user are apart, and so is each address that has a share link. */
function clientOf(
  { kind, id, login, share }: Caller,
  arrival: RequestContext,
  settings: QueryApiDeps["settings"],
): Client {
  if (share) return { name: `share ${id} ${addressOf(arrival, settings.trustedProxies)}`, isShared: true }
  return { name: `${kind} ${login ? login.hash.toString("hex") : id}`, isShared: false }
}

/** What the request's caller may read by now; undefined: nothing. */
function stillReadable(
  asking: QueryApiDeps,
  request: Request,
  websiteId: string | null,
): readonly number[] | undefined {
  try {
    const caller = callerOf(asking, request, asking.now())
    if (allows(caller.scopes, "read:data")) return websitesOf(asking.registry, caller, websiteId)
  } catch {
    // It is no good any more, its websites changed, or the one is gone.
  }
  return undefined
}

async function showWebsites(
  { registry }: QueryApiDeps,
  _: RequestContext,
  { caller }: Admitted,
): Promise<object> {
  const websites = readableWebsites(registry, caller).map(({ id, name, domain, createdAt }) => ({
    id,
    name,
    domain,
    isPublic: false,
    createdAt: new Date(createdAt).toISOString(),
  }))
  return { websites, total: websites.length }
}

async function showTypes(): Promise<object> {
  const configs = Object.entries(types).map(([name, type]) => [name, configOf(type)])
  return { types: Object.keys(types), configs: Object.fromEntries(configs) }
}
