import type { Random, Scope } from "../store/keys.ts"
import { type Arrival, arrivalOf, type ServerOf } from "./arrival.ts"
import { type BodyReading, readJson } from "./body.ts"
import type { Caller } from "./caller.ts"
import { refuseRejected } from "./rejected-bytes.ts"
import { type Admission, answered, answeredToAnybody, type Open, queryOf } from "./v1.ts"

/** What routes work with that take a body and may change something. */
export interface Managing extends Admission, BodyReading {
  random: Random
  settings: Admission["settings"] & BodyReading["settings"]
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
export interface OpenCall extends Open {
  arrival: Arrival
  /** The id or the token in the path; '' where it has none. */
  id: string
  query: () => URLSearchParams
  body: () => Promise<unknown>
}

/** A request whose caller may make it. */
export interface Call extends OpenCall {
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
export function forCallers<Deps extends Managing>(deps: Deps) {
  return (scope: Scope, work: Work<Deps, Call>) => (context: RouteContext) => {
    const arrival = arrivalOf(context.request, context.server)
    return answered(deps, arrival, scope, async ({ caller, ...open }) =>
      reply(
        await work(deps, { ...callOf(arrival, context, open), body: () => bodyOf(deps, arrival), caller }),
        open,
      ),
    )
  }
}

/** Makes the handlers of routes that take no credential. */
export function forAnybody<Deps extends Managing>(deps: Deps) {
  return (work: Work<Deps, OpenCall>) => (context: RouteContext) => {
    const arrival = arrivalOf(context.request, context.server)
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
  { batcher, registry }: Pick<Admission, "batcher" | "registry">,
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

function callOf(arrival: Arrival, { request, params }: RouteContext, open: Open): Omit<OpenCall, "body"> {
  return { ...open, arrival, id: params?.id ?? params?.token ?? "", query: () => queryOf(request) }
}

/** Of a caller. Throws `too_many_rejected_bytes`, and what `readJson` throws. */
async function bodyOf(deps: Managing, arrival: Arrival): Promise<unknown> {
  refuseRejected(deps, arrival)
  return (await readJson(deps, arrival)).value
}

/** Of anybody: so small that to refuse it costs nothing, and nobody is kept from logging in by what others of their address sent. */
async function openBodyOf({ bodyBudget, settings }: Managing, arrival: Arrival): Promise<unknown> {
  const maxBodyBytes = Math.min(maxOpenBody, settings.maxBodyBytes)
  return (await readJson({ bodyBudget, settings: { ...settings, maxBodyBytes } }, arrival)).value
}

function reply({ status = 200, body }: Answer, { headers }: Open): Response {
  return new Response(JSON.stringify({ success: true, ...body }), { status, headers })
}
