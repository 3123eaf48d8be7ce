import { Elysia } from "elysia"
import { type Arrival, arrivalOf, type ServerOf } from "../http/arrival.ts"
import { type BodyReading, readJson } from "../http/body.ts"
import { callerOf } from "../http/caller.ts"
import { refuseRejected } from "../http/rejected-bytes.ts"
import { type Admission, type Admitted, answered, queryOf } from "../http/v1.ts"
import type { Asker } from "../query/engine.ts"
import { allows } from "../store/keys.ts"
import { answerQuery, type QueryAnswer, roomOfRequest } from "./answer.ts"
import { readQueries } from "./read.ts"
import { readableWebsites, websitesOf } from "./scope.ts"
import type { Streams } from "./stream.ts"
import { configOf, types } from "./types.ts"

/** What the routes that read events work with. */
export interface Asking extends Admission, BodyReading {
  asker: Asker
  streams: Streams
  settings: Admission["settings"] & BodyReading["settings"]
}

/** The parts of Elysia's context that the routes look at. */
interface RouteContext {
  request: Request
  server: ServerOf
}

type Work = (asking: Asking, arrival: Arrival, admitted: Admitted) => Promise<object>

/** The query API: what was stored, for scripts and pages of the owner. */
export function askRoutes(asking: Asking) {
  const on =
    (work: Work) =>
    ({ request, server }: RouteContext) => {
      const arrival = arrivalOf(request, server)
      return answered(asking, arrival, "read:reports", async (admitted) => {
        const text = JSON.stringify({ success: true, ...(await work(asking, arrival, admitted)) })
        return new Response(text, { headers: admitted.headers })
      })
    }
  return new Elysia({ prefix: "/v1" })
    .post("/query", on(query), { parse: "none" })
    .get("/query/websites", on(showWebsites))
    .get("/query/types", on(showTypes))
    .get("/events/stream", ({ request, server }: RouteContext) =>
      answered(asking, arrivalOf(request, server), "read:data", async ({ caller, headers }) => {
        const asked = queryOf(request)
        const names = asked.getAll("name").filter((name) => name !== "")
        const websiteId = asked.get("website_id")
        // Throws now what would end the stream later.
        websitesOf(asking.registry, caller, websiteId)
        const wanted = {
          websites: () => stillReadable(asking, request, websiteId),
          names: names.length === 0 ? undefined : new Set(names),
          crawlers: asked.get("crawlers") === "true",
          after: request.headers.get("last-event-id"),
        }
        return asking.streams.open(wanted, request.signal, headers)
      }),
    )
}

async function query(asking: Asking, arrival: Arrival, { caller, now }: Admitted): Promise<object> {
  const { asker, registry } = asking
  const { request } = arrival
  const asked = queryOf(request)
  const websites = websitesOf(registry, caller, asked.get("website_id"))
  refuseRejected(asking, arrival)
  const { value } = await readJson(asking, arrival)
  const zone = asked.get("timezone") ?? "UTC"
  const { isBatch, queries } = readQueries(value, {
    websites,
    zone,
    now,
    withSingles: allows(caller.scopes, "read:data"),
  })
  const onFault = (error: unknown) => asking.logFault(error, { path: "/v1/query" })
  const answers: QueryAnswer[] = []
  const room = { ...roomOfRequest }
  for (const one of queries) answers.push(await answerQuery(one, asker, request.signal, onFault, room))
  return isBatch ? { batch: true, results: answers } : (answers[0] ?? {})
}

/** What the request's caller may read by now; undefined: nothing. */
function stillReadable(
  asking: Asking,
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

async function showWebsites({ registry }: Asking, _: Arrival, { caller }: Admitted): Promise<object> {
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
