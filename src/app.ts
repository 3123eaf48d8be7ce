import { Elysia } from "elysia"
import { type AdminApiDeps, adminRoutes } from "./admin-api/route.ts"
import { dashboardRoutes } from "./dashboard/route.ts"
import { docsRoutes } from "./docs/route.ts"
import { RequestError } from "./errors.ts"
import { type HealthDeps, healthRoutes } from "./health/route.ts"
import { HostCheck } from "./host.ts"
import { jsonHeaders, requestIdOf } from "./http/headers.ts"
import { requestContextOf } from "./http/request-context.ts"
import { errorResponse as refuseV1, v1Headers } from "./http/v1.ts"
import { errorResponse, ingestHeaders, preflight } from "./ingest/responses.ts"
import { type IngestDeps, identify, track } from "./ingest/route.ts"
import { metricsRoutes, type MetricsDeps } from "./metrics/route.ts"
import { type QueryApiDeps, queryRoutes } from "./query-api/route.ts"
import { savedRoutes } from "./saved/route.ts"
import { type PeopleDeps, userRoutes } from "./users/route.ts"

/** What the routes work with; `Ingest` and `Manage` overlap in the store's parts. */
export type AppDeps = IngestDeps & AdminApiDeps & PeopleDeps & QueryApiDeps & HealthDeps & MetricsDeps

/**
 * For a year, the most that is usual, a browser that came by HTTPS once sends nothing in the clear any more. Said only where
 * we speak TLS ourselves: behind a proxy it is the proxy's to say. Not for subdomains, which are none of ours.
 */
const strictTransportHeader = { "Strict-Transport-Security": "max-age=31536000" }

/**
 * All routes in one app that never listens. The ingestion routes read their bodies themselves (`parse: "none"`):
 * Elysia's parsers answer before the contract's order of checks could be kept. `onError` comes first, because Elysia
 * applies it to the routes after it alone: an error of an earlier one would be answered with its text.
 */
export function createApp(deps: AppDeps) {
  // Elysia else looks for the path behind the twelfth character of the URL, where a short host has left it behind.
  const app = new Elysia({ handler: { standardHostname: false } })
  const hosts = new HostCheck()
  // Around the router itself: in a hook it would be too late.
  app.wrap(
    (handle: (request: Request, ...more: unknown[]) => unknown) =>
      (request: Request, ...more: unknown[]) => {
        if (hosts.isValid(request)) return handle(request, ...more)
        deps.requests.add("other other", 400)
        return errorResponseAt(deps, request, new RequestError("invalid_host"))
      },
  )
  if (deps.https) app.headers(strictTransportHeader)
  return (
    app
      .onError(({ error, code, request, route }) => {
        const unknown = code === "NOT_FOUND"
        const answer = errorResponseAt(deps, request, unknown ? unknownRoute(request) : error)
        deps.requests.add(unknown || !route ? "other other" : `${request.method} ${route}`, answer.status)
        return answer
      })
      .post("/track", ({ request, server }) => track(deps, requestContextOf(request, server)), {
        parse: "none",
      })
      .post("/identify", ({ request, server }) => identify(deps, requestContextOf(request, server)), {
        parse: "none",
      })
      // Of the routes after it: those before count for themselves, where a hook would cost every event its call.
      .onAfterHandle(({ request, route, responseValue }) => {
        if (responseValue instanceof Response) {
          deps.requests.add(`${request.method} ${route}`, responseValue.status)
        }
      })
      .options("/track", ({ request }) => preflight(request, requestIdOf(request.headers, deps.newId)))
      .options("/identify", ({ request }) => preflight(request, requestIdOf(request.headers, deps.newId)))
      .use(healthRoutes(deps))
      .use(metricsRoutes(deps))
      .use(adminRoutes(deps))
      .use(userRoutes(deps))
      .use(savedRoutes(deps))
      .use(queryRoutes(deps))
      .use(docsRoutes(deps.settings))
      .use(dashboardRoutes())
  )
}

/** The paths that pages of any origin call, and so the only ones whose errors echo an origin. */
const ingestPaths: ReadonlySet<string> = new Set(["/track", "/identify"])

function unknownRoute({ method, url }: Request): RequestError {
  return new RequestError("route_unknown", { detail: `there is no ${method} ${pathOf(url)}` })
}

/** The answer where no route gave one, in the form of the path's other errors. */
function errorResponseAt({ logError: logFault, newId }: AppDeps, request: Request, error: unknown): Response {
  const pathname = pathOf(request.url)
  const requestId = requestIdOf(request.headers, newId)
  logFault(error, { request_id: requestId, path: pathname })
  if (pathname === "/v1" || pathname.startsWith("/v1/")) return refuseV1(error, v1Headers(requestId))
  return errorResponse(
    error,
    ingestPaths.has(pathname) ? ingestHeaders(request, requestId) : jsonHeaders(requestId),
  )
}

/** The path of a URL, which Bun gives without scheme and host where the Host header is invalid: `new URL` would throw. */
function pathOf(url: string): string {
  return /^(?:[a-z]+:\/\/[^/]*)?([^?#]*)/i.exec(url)?.[1] || "/"
}
