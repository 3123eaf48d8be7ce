import { Elysia } from "elysia"
import { docsRoutes } from "./docs/route.ts"
import { Refusal } from "./errors.ts"
import { arrivalOf } from "./http/arrival.ts"
import { requestIdOf } from "./http/headers.ts"
import { type Manage, manageRoutes } from "./manage/route.ts"
import { ingestHeaders, preflight, refuse } from "./track/answer.ts"
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
    .post("/track", ({ request, server }) => track(deps, arrivalOf(request, server)), {
      parse: "none",
    })
    .post("/identify", ({ request, server }) => identify(deps, arrivalOf(request, server)), {
      parse: "none",
    })
    .options("/track", ({ request }) => preflight(request, requestIdOf(request.headers, deps.newId)))
    .options("/identify", ({ request }) => preflight(request, requestIdOf(request.headers, deps.newId)))
    .use(manageRoutes(deps))
    .use(docsRoutes(deps.settings))
}
