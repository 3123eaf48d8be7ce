import { Elysia } from "elysia"
import { RequestError } from "../errors.ts"
import { errorHeaders, jsonHeaders, requestIdOf } from "../http/headers.ts"
import { rejections } from "../rejection-reasons.ts"
import type { ShutdownState } from "./shutdown-state.ts"

export interface HealthDeps {
  /** Resolves if an event could be stored now. Otherwise, rejects with the RequestError that a request would get. */
  ready: () => Promise<void>
  shutdownState: ShutdownState
  newId: () => string
}

/**
 * GET /health returns 200 while the process is alive, even if the disk is full. GET /ready returns 200 if events can be
 * stored, or 503 with the reason if not. Neither requires a key or reveals more than the reason.
 *
 * While the server is stopping, /health reports `stopping`, and /health?wait does not respond until the connection
 * closes. A proxy can call /health?wait before it forwards a request. The proxy then retries the call until the next
 * process responds, and only then reads the body of the request. /ready is unsuitable for this, because queries must be
 * forwarded even while the disk is full.
 */
export function healthRoutes({ ready, shutdownState, newId }: HealthDeps) {
  const headersOf = (request: Request) => ({
    ...jsonHeaders(requestIdOf(request.headers, newId)),
    "Cache-Control": "no-store",
  })
  return new Elysia()
    .get("/health", ({ request }) => {
      if (!shutdownState.active) return new Response('{"status":"ok"}', { headers: headersOf(request) })
      if (waitParameter.test(request.url)) return shutdownState.hold(request.signal)
      return new Response('{"status":"stopping"}', { headers: headersOf(request) })
    })
    .get("/ready", async ({ request }) => {
      const headers = headersOf(request)
      if (shutdownState.active) {
        return new Response('{"status":"stopping"}', {
          status: 503,
          headers: { ...headers, ...stoppingHeaders },
        })
      }
      try {
        await ready()
        return new Response('{"status":"ready"}', { headers })
      } catch (error) {
        return notReadyResponse(error, headers)
      }
    })
}

/**
 * Matched against the URL as a string, because the URL of an HTTP/1.0 health check without a Host header is only a
 * path, which `URL` cannot parse.
 */
const waitParameter = /\?(?:.*&)?wait(?:[=&]|$)/

/** Retry-After is one second, because a restart takes about that long. */
const stoppingHeaders = { "Retry-After": "1", "x-databuddy-reason": "stopping" }

/** Responds with the reason, such as `{"status":"disk_low"}`. Rethrows unexpected errors. */
export function notReadyResponse(error: unknown, headers: Record<string, string>): Response {
  if (!(error instanceof RequestError)) throw error
  return new Response(JSON.stringify({ status: error.reason }), {
    status: rejections[error.reason].status,
    headers: { ...headers, ...errorHeaders(error) },
  })
}
