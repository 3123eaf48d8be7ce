import type { Random, Scope } from "../store/keys.ts"
import { type BodyReading, readJson } from "./body.ts"
import type { Caller } from "./caller.ts"
import { refuseRejected } from "./rejected-bytes.ts"
import { type RequestContext, requestContextOf, type ServerOf } from "./request-context.ts"
import { type AuthDeps, answered, answeredToAnybody, type Open, queryOf } from "./v1.ts"

/** What routes work with that take a body and may change something. */
export interface RouteDeps extends AuthDeps, BodyReading {
  random: Random
  settings: AuthDeps["settings"] & BodyReading["settings"]
}

/** Bytes of a body that anybody may send before it is known who they are: an email address and two passwords, all of it escaped. */
const maxOpenBody = 16_384

/** The parts of Elysia's context that the routes look at. */
export interface RouteContext {
  request: Request
  server: ServerOf
  /** Undefined for a route without parameters, whatever its type says. */
  params?: { id?: string; token?: string }
}

/** A request that anybody may make, as a route sees it. */
export interface PublicRequest extends Open {
  arrival: RequestContext
  /** The id or the token in the path; '' where it has none. */
  id: string
  query: () => URLSearchParams
  body: () => Promise<unknown>
}

/** A request whose caller may make it. */
export interface AuthenticatedRequest extends PublicRequest {
  caller: Caller
}

export interface Answer {
  /** Default: 200 */
  status?: number
  /** Beside `"success":true`. */
  body?: object
}

type Work<Deps, Asked> = (deps: Deps, call: Asked) => Answer | Promise<Answer>

/** Makes the handlers of routes that take a scope. */
export function authenticated<Deps extends RouteDeps>(deps: Deps) {
  return (scope: Scope, work: Work<Deps, AuthenticatedRequest>) => (context: RouteContext) => {
    const arrival = requestContextOf(context.request, context.server)
    return answered(deps, arrival, scope, async ({ caller, ...open }) =>
      reply(
        await work(deps, { ...callOf(arrival, context, open), body: () => bodyOf(deps, arrival), caller }),
        open,
      ),
    )
  }
}

/** Makes the handlers of routes that take no credential. */
export function publicRoute<Deps extends RouteDeps>(deps: Deps) {
  return (work: Work<Deps, PublicRequest>) => (context: RouteContext) => {
    const arrival = requestContextOf(context.request, context.server)
    return answeredToAnybody(deps, arrival, async (open) =>
      reply(
        await work(deps, { ...callOf(arrival, context, open), body: () => openBodyOf(deps, arrival) }),
        open,
      ),
    )
  }
}

/** Does `work` in a transaction; when this settles it is on disk and counts for the next request. */
export async function change<Result>(
  { batcher, registry }: Pick<AuthDeps, "batcher" | "registry">,
  work: () => Result,
): Promise<Result> {
  const result = await batcher.run(work)
  try {
    registry.refresh()
  } catch {
    // What is done must not be answered as if it were not. The store looks for changes every second, and logs if it cannot.
  }
  return result
}

function callOf(
  arrival: RequestContext,
  { request, params }: RouteContext,
  open: Open,
): Omit<PublicRequest, "body"> {
  return { ...open, arrival, id: params?.id ?? params?.token ?? "", query: () => queryOf(request) }
}

/** Of a caller. Throws `too_many_rejected_bytes`, and what `readJson` throws. */
async function bodyOf(deps: RouteDeps, arrival: RequestContext): Promise<unknown> {
  refuseRejected(deps, arrival)
  return (await readJson(deps, arrival)).value
}

/** Of anybody: so small that to refuse it costs nothing, and nobody is kept from logging in by what others of their address sent. */
async function openBodyOf({ bodyBudget, settings }: RouteDeps, arrival: RequestContext): Promise<unknown> {
  const maxBodyBytes = Math.min(maxOpenBody, settings.maxBodyBytes)
  return (await readJson({ bodyBudget, settings: { ...settings, maxBodyBytes } }, arrival)).value
}

function reply({ status = 200, body }: Answer, { headers }: Open): Response {
  return new Response(JSON.stringify({ success: true, ...body }), { status, headers })
}
