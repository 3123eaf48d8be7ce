import { Elysia } from "elysia"
import { docsRoutes } from "./docs/route.ts"
import { Refusal } from "./errors.ts"
import { type Manage, manageRoutes } from "./manage/route.ts"
import { ingestHeaders, preflight, refuse, requestIdOf } from "./track/answer.ts"
import { type Ingest, identify, track } from "./track/route.ts"

/** What the routes work with; `Ingest` and `Manage` overlap in the store's parts. */
export type Deps = Ingest & Manage

/**
 * All routes in one app that never listens. The ingestion routes read their bodies themselves (`parse: "none"`):
 * Elysia's parsers answer before the contract's order of checks could be kept. `onError` comes first, because Elysia
 * applies it to the routes after it alone: an error of an earlier one would be answered with its text.
 */
export function createApp(deps: Deps) {
  return new Elysia()
    .onError(({ error, code, request }) => {
      const { pathname } = new URL(request.url)
      const headers = ingestHeaders(request, requestIdOf(request.headers, deps.newId))
      if (code === "NOT_FOUND") return refuse(new Refusal("route_unknown"), headers)
      deps.log("error", "a request failed", { path: pathname, error: String(error) })
      return refuse(error, headers)
    })
    .post("/track", ({ request, server }) => track(deps, { request, peer: peerOf(server, request) }), {
      parse: "none",
    })
    .post("/identify", ({ request, server }) => identify(deps, { request, peer: peerOf(server, request) }), {
      parse: "none",
    })
    .options("/track", ({ request }) => preflight(request, requestIdOf(request.headers, deps.newId)))
    .options("/identify", ({ request }) => preflight(request, requestIdOf(request.headers, deps.newId)))
    .use(manageRoutes(deps))
    .use(docsRoutes(deps.settings))
}

type ServerOf = { requestIP(request: Request): { address: string } | null } | null

/** Asked only where a limit needs it: it costs more than most checks. */
function peerOf(server: ServerOf, request: Request): () => string {
  return () => server?.requestIP(request)?.address ?? ""
}
