import { Elysia } from "elysia"
import { type AdminApiDeps, adminRoutes } from "./admin-api/route.ts"
import { removeBasePath } from "./base-path.ts"
import { boardRoutes } from "./boards/route.ts"
import { dashboardRoutes } from "./dashboard/route.ts"
import { RequestError } from "./errors.ts"
import { type HealthDeps, healthRoutes } from "./health/route.ts"
import { HostCheck } from "./host.ts"
import { errorResponse as v1ErrorResponse, v1Headers } from "./http/api-handler.ts"
import { jsonHeaders, requestIdOf } from "./http/headers.ts"
import { type RequestServer, requestContextOf } from "./http/request-context.ts"
import { handleIngest, type IngestDeps, type IngestRoute } from "./ingest/handle.ts"
import { errorResponse, ingestHeaders, preflight } from "./ingest/responses.ts"
import { ingestRoutes } from "./ingest/route.ts"
import { type MetricsDeps, metricsRoutes } from "./metrics/route.ts"
import { docsRoutes } from "./openapi/route.ts"
import { type QueryApiDeps, queryRoutes } from "./query-api/route.ts"
import { queryRunner } from "./query-api/run.ts"
import { type RegistryRouteDeps, registryRoutes } from "./registry/route.ts"
import { savedRoutes } from "./saved/route.ts"
import { scriptPaths, type TrackerSettings, trackerRoutes } from "./tracker/route.ts"
import { type UserRouteDeps, userRoutes } from "./users/route.ts"

export type AppDeps = IngestDeps &
  AdminApiDeps &
  UserRouteDeps &
  QueryApiDeps &
  HealthDeps &
  MetricsDeps &
  RegistryRouteDeps &
  TrackerSettings

/**
 * HSTS for one year. It does not include subdomains, because other servers may run there. The header is sent only if
 * this process terminates TLS. Otherwise, it is up to the proxy to send it.
 */
const strictTransportHeader = { "Strict-Transport-Security": "max-age=31536000" }

/**
 * Creates the app with all routes. The caller starts the listener. The ingestion routes read their bodies themselves
 * (`parse: "none"`), because Elysia's parsers would run before the checks that the contract requires. `onError` comes
 * first, because Elysia applies it only to routes that are added later. Errors thrown by earlier routes would reach the
 * client unchanged.
 */
export function createApp(deps: AppDeps) {
  // By default, Elysia looks for the path after the 12th character of the URL, and does not find it if the host is
  // short.
  const app = new Elysia({ handler: { standardHostname: false } })
  const hostCheck = new HostCheck()
  const runQueries = queryRunner(deps)
  const ingestHandlers = ingestHandlersByPath(deps)
  const { basePath } = deps.settings
  // Wraps the router, because hooks run too late to check the host. Ingestion requests skip the router, because its
  // context and promises would account for a tenth of the processing time of an event.
  app.wrap(
    (handle: (request: Request, ...rest: unknown[]) => unknown) =>
      (request: Request, ...rest: unknown[]) => {
        // Removes --base-path from the URL if the proxy has not done so, so that routes never see it.
        if (basePath !== "") removeBasePath(request, basePath)
        if (hostCheck.isValid(request)) {
          const ingest = ingestHandlers.get(exactPathOf(request.url))
          return ingest?.method === request.method
            ? ingest.handle(request, app.server)
            : handle(request, ...rest)
        }
        deps.requests.add("other other", 400)
        return errorResponseAt(deps, request, new RequestError("invalid_host"))
      },
  )
  if (deps.https) app.headers(strictTransportHeader)
  return (
    app
      .onError(({ error, code, request, route }) => {
        const isUnknown = code === "NOT_FOUND"
        const response = errorResponseAt(deps, request, isUnknown ? unknownRoute(request) : error)
        deps.requests.add(isUnknown || !route ? "other other" : `${request.method} ${route}`, response.status)
        return response
      })
      .use(ingestApp(ingestHandlers))
      // Counts requests for the routes below. The ingestion routes count their own requests, which is faster than a
      // hook.
      .onAfterHandle(({ request, route, responseValue }) => {
        if (responseValue instanceof Response) {
          deps.requests.add(`${request.method} ${route}`, responseValue.status)
        }
      })
      .use(preflightApp(deps))
      .use(healthRoutes(deps))
      .use(metricsRoutes(deps))
      .use(registryRoutes(deps))
      .use(adminRoutes(deps))
      .use(userRoutes(deps))
      .use(savedRoutes(deps))
      .use(boardRoutes(deps, runQueries))
      .use(queryRoutes(deps, runQueries))
      .use(docsRoutes(deps.settings, basePath))
      .use(trackerRoutes(deps))
      .use(dashboardRoutes(deps, basePath))
  )
}

/** Returns the path of a route and, if there is an --ingest-path, the same path under it. */
function pathsOf({ path }: Pick<IngestRoute, "path">, { ingestPath }: AppDeps["settings"]): string[] {
  return ingestPath === "" ? [path] : [path, path === "/" ? ingestPath : ingestPath + path]
}

interface IngestHandler {
  method: IngestRoute["method"]
  handle: (request: Request, server: RequestServer) => Response | Promise<Response>
}

type IngestHandlers = ReadonlyMap<string, IngestHandler>

/** Returns the handlers of the ingestion routes by path. */
function ingestHandlersByPath(deps: AppDeps): IngestHandlers {
  return new Map(
    ingestRoutes.flatMap((route) => {
      const handler = { method: route.method, handle: ingestHandler(deps, route) }
      return pathsOf(route, deps.settings).map((path) => [path, handler] as const)
    }),
  )
}

function ingestHandler(deps: AppDeps, route: IngestRoute): IngestHandler["handle"] {
  return (request, server) => {
    try {
      const response = handleIngest(deps, route, requestContextOf(request, server))
      return deps.https ? response.then(withStrictTransport) : response
    } catch (error) {
      const response = errorResponseAt(deps, request, error)
      deps.requests.add(`${route.method} ${route.path}`, response.status)
      return response
    }
  }
}

function withStrictTransport(response: Response): Response {
  for (const [name, value] of Object.entries(strictTransportHeader)) response.headers.set(name, value)
  return response
}

/**
 * Adds the ingestion routes to a router as well. Only the router matches HEAD requests, and paths with a trailing slash
 * or with escaped characters.
 */
function ingestApp(handlers: IngestHandlers): Elysia {
  const app = new Elysia()
  for (const [path, { method, handle }] of handlers) {
    const respond = ({ request, server }: { request: Request; server: RequestServer }) =>
      handle(request, server)
    app.route(method, path, respond, { parse: "none" })
  }
  return app
}

/** Answers CORS preflights for all routes that pages from any origin can call. */
function preflightApp(deps: AppDeps): Elysia {
  const app = new Elysia()
  const add = (method: IngestRoute["method"], path: string) =>
    app.options(path, ({ request }: { request: Request }) =>
      preflight(request, method, requestIdOf(request.headers, deps.newId)),
    )
  for (const route of ingestRoutes) {
    for (const path of pathsOf(route, deps.settings)) add(route.method, path)
  }
  for (const { path } of scriptPaths(deps)) add("GET", path)
  return app
}

/**
 * True for the routes that pages from any origin can call. Only error responses of these routes echo the origin. `GET
 * /` is not such a route, because it serves the dashboard.
 */
function isIngestPath({ settings }: AppDeps, method: string, pathname: string): boolean {
  if (pathname === "/" && (method === "GET" || method === "HEAD")) return false
  return ingestRoutes.some((route) => pathsOf(route, settings).includes(pathname))
}

function unknownRoute({ method, url }: Request): RequestError {
  return new RequestError("route_unknown", { detail: `there is no ${method} ${pathOf(url)}` })
}

/** Creates the response for an error thrown outside a handler, in the error format that the path uses. */
function errorResponseAt(deps: AppDeps, request: Request, error: unknown): Response {
  const { logError, newId } = deps
  const pathname = pathOf(request.url)
  const requestId = requestIdOf(request.headers, newId)
  logError(error, { request_id: requestId, path: pathname })
  if (pathname === "/v1" || pathname.startsWith("/v1/")) return v1ErrorResponse(error, v1Headers(requestId))
  return errorResponse(
    error,
    isIngestPath(deps, request.method, pathname) ? ingestHeaders(request, requestId) : jsonHeaders(requestId),
  )
}

/**
 * Returns the path of a valid URL, as it was sent. An invalid URL or an escaped path does not match any ingestion
 * route, so the router handles such a request.
 */
function exactPathOf(url: string): string {
  // Skips `http://` or `https://` and at least one character of the host.
  const start = url.indexOf("/", 8)
  const end = url.indexOf("?", start)
  return end < 0 ? url.slice(start) : url.slice(start, end)
}

/**
 * Returns the path of a URL. `new URL` would throw for an invalid Host header, because Bun then omits the scheme and
 * host.
 */
function pathOf(url: string): string {
  return /^(?:[a-z]+:\/\/[^/]*)?([^?#]*)/i.exec(url)?.[1] || "/"
}
