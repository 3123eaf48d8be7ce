import { Elysia } from "elysia"
import { Refusal, refusals } from "../errors.ts"
import { jsonHeaders, refusalHeaders, requestIdOf } from "../http/headers.ts"

export interface Health {
  /** Settles when an event could be stored now; rejects with the Refusal that it would get. */
  ready: () => Promise<void>
  newId: () => string
}

/**
 * GET /health: the process is alive, whatever its disk does. GET /ready: it can store; 503 with the reason when not. For a
 * proxy, a supervisor or a person; no key is asked for and nothing but the reason is told.
 */
export function healthRoutes({ ready, newId }: Health) {
  const headersOf = (request: Request) => ({
    ...jsonHeaders(requestIdOf(request.headers, newId)),
    "Cache-Control": "no-store",
  })
  return new Elysia()
    .get("/health", ({ request }) => new Response('{"status":"ok"}', { headers: headersOf(request) }))
    .get("/ready", async ({ request }) => {
      const headers = headersOf(request)
      try {
        await ready()
        return new Response('{"status":"ready"}', { headers })
      } catch (error) {
        return refuse(error, headers)
      }
    })
}

/** `{"status":"disk_low"}`; what is no refusal is rethrown. */
export function refuse(error: unknown, headers: Record<string, string>): Response {
  if (!(error instanceof Refusal)) throw error
  return new Response(JSON.stringify({ status: error.reason }), {
    status: refusals[error.reason].status,
    headers: { ...headers, ...refusalHeaders(error) },
  })
}
