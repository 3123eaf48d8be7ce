import type { Random } from "../environment.ts"
import type { Scope } from "../store/keys.ts"
import {
  type AuthDeps,
  handleAuthenticated,
  handlePublic,
  type ResponseContext,
  searchParamsOf,
} from "./api-handler.ts"
import { type BodyDeps, type JsonBody, readJson } from "./body.ts"
import type { Caller } from "./caller.ts"
import { enforceRejectedBytes, type RejectedBytesDeps } from "./rejected-bytes.ts"
import { type RequestContext, type RequestServer, requestContextOf } from "./request-context.ts"

/** Dependencies of the routes under /v1. */
export interface RouteDeps extends AuthDeps, BodyDeps {
  random: Random
  settings: AuthDeps["settings"] & BodyDeps["settings"]
}

/**
 * Maximum size of a body on a public route, in bytes. An email address and two passwords fit, even with every character
 * escaped.
 */
const maxPublicBodyBytes = 16_384

/** The part of Elysia's context that routes use. */
export interface RouteContext {
  request: Request
  server: RequestServer
  /** Undefined if the path has no parameters, although Elysia's type says otherwise. */
  params?: { id?: string; token?: string }
  /** Path of the route, such as `/v1/keys/:id`. */
  route: string
}

/** A request to a public route. */
export interface PublicRequest extends ResponseContext {
  context: RequestContext
  /** The id or token in the path, or '' if the path has neither. */
  id: string
  searchParams: () => URLSearchParams
  /** Reads the body as JSON. Throws like `readJson`. */
  body: () => Promise<unknown>
}

/** A request to an authenticated route. `caller` has the scope of the route. */
export interface AuthenticatedRequest extends PublicRequest {
  caller: Caller
}

/** The JSON response of a route. */
export interface RouteResult {
  /** Default: 200. */
  status?: number
  /** Fields of the body, after `"success": true`. */
  body?: object
}

/**
 * Handles a request. Returns a result, which is sent as JSON, or a complete Response. Thrown errors become responses.
 */
type RouteHandler<Deps, RouteRequest> = (
  deps: Deps,
  request: RouteRequest,
) => RouteResult | Response | Promise<RouteResult | Response>

/**
 * Creates Elysia handlers for routes that require a scope. The handlers authenticate the caller, check its scope and
 * rate limit, and turn errors into responses.
 *
 * @example
 * const route = authenticatedRoute(deps)
 * app.get("/websites/:id", route("manage:websites", ({ db }, { caller, id }) => {
 *   requireWebsiteAccess(caller, id)
 *   return { body: { website: findWebsite(db, id) } }
 * }))
 */
export function authenticatedRoute<Deps extends RouteDeps>(deps: Deps) {
  return (scope: Scope, handler: RouteHandler<Deps, AuthenticatedRequest>) =>
    (routeContext: RouteContext) => {
      const context = requestContextOf(routeContext.request, routeContext.server)
      const access = { scope, endpoint: endpointOf(routeContext) }
      return handleAuthenticated(deps, context, access, async ({ caller, ...response }) => {
        const body = async () => (await readCallerBody(deps, context)).value
        const request = { ...publicRequestOf(context, routeContext, response), body, caller }
        return responseOf(await handler(deps, request), response)
      })
    }
}

/** Returns the method and path of a route. HEAD counts as GET. */
export function endpointOf({ request: { method }, route }: Pick<RouteContext, "request" | "route">): string {
  return `${method === "HEAD" ? "GET" : method} ${route}`
}

/**
 * Creates Elysia handlers for routes without authentication. The handlers turn errors into responses.
 *
 * @example
 * const route = publicRoute(deps)
 * app.post("/login", route(async (deps, { body }) => logIn(deps, parseLogin(await body()))), { parse: "none" })
 */
export function publicRoute<Deps extends RouteDeps>(deps: Deps) {
  return (handler: RouteHandler<Deps, PublicRequest>) => (routeContext: RouteContext) => {
    const context = requestContextOf(routeContext.request, routeContext.server)
    return handlePublic(deps, context, async (response) => {
      const body = () => readPublicBody(deps, context)
      const request = { ...publicRequestOf(context, routeContext, response), body }
      return responseOf(await handler(deps, request), response)
    })
  }
}

/** Runs `work` in a transaction. Once the promise resolves, the change is on disk and applies to the next request. */
export async function commitChange<Result>(
  { batcher, registry }: Pick<AuthDeps, "batcher" | "registry">,
  work: () => Result,
): Promise<Result> {
  const result = await batcher.run(work)
  try {
    registry.refresh()
  } catch {
    // The change has been committed, so the request must not fail. The store also refreshes the registry on a timer,
    // and logs any error.
  }
  return result
}

/**
 * Reads the body of an authenticated request, limited to `maxBytes` if given. Throws `too_many_rejected_bytes` or any
 * error of `readJson`.
 */
export async function readCallerBody(
  deps: BodyDeps & RejectedBytesDeps,
  context: RequestContext,
  maxBytes?: number,
): Promise<JsonBody> {
  enforceRejectedBytes(deps, context)
  return await readJson(maxBytes === undefined ? deps : withMaxBody(deps, maxBytes), context)
}

function withMaxBody({ bodyBudget, largeBodies, settings }: BodyDeps, maxBytes: number): BodyDeps {
  const maxBodyBytes = Math.min(maxBytes, settings.maxBodyBytes)
  return { bodyBudget, largeBodies, settings: { ...settings, maxBodyBytes } }
}

/**
 * Reads a small body. The limit on rejected bytes does not apply, because it would lock out other users at the same
 * address, and a small body is cheap to reject.
 */
async function readPublicBody(deps: RouteDeps, context: RequestContext): Promise<unknown> {
  return (await readJson(withMaxBody(deps, maxPublicBodyBytes), context)).value
}

function publicRequestOf(
  context: RequestContext,
  { request, params }: RouteContext,
  response: ResponseContext,
): Omit<PublicRequest, "body"> {
  const id = params?.id ?? params?.token ?? ""
  return { ...response, context, id, searchParams: () => searchParamsOf(request) }
}

function responseOf(result: RouteResult | Response, { headers }: ResponseContext): Response {
  if (result instanceof Response) return result
  const { status = 200, body } = result
  return new Response(JSON.stringify({ success: true, ...body }), { status, headers })
}
