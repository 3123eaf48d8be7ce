import { Elysia } from "elysia"
import { RequestError, rejections } from "../errors.ts"
import { jsonHeaders, refusalHeaders, requestIdOf } from "../http/headers.ts"
import type { Draining } from "./draining.ts"

export interface Health {
  /** Settles when an event could be stored now; rejects with the Refusal that it would get. */
  ready: () => Promise<void>
  draining: Draining
  newId: () => string
}

/**
 * GET /health: the process is alive, whatever its disk does. GET /ready: it can store; 503 with the reason when not. For a
 * proxy, a supervisor or a person; no key is asked for and nothing but the reason is told.
 *
 * While the server stops, /health says so, and /health?wait is not answered: its connection is closed at the end. A proxy that asks
 * that before each request then retries until the next process answers, before it reads a body. It is no matter of /ready: what only
 * reads goes on while the disk is full.
 */
export function healthRoutes({ ready, draining, newId }: Health) {
  const headersOf = (request: Request) => ({
    ...jsonHeaders(requestIdOf(request.headers, newId)),
    "Cache-Control": "no-store",
  })
  return new Elysia()
    .get("/health", ({ request }) => {
      if (!draining.active) return new Response('{"status":"ok"}', { headers: headersOf(request) })
      if (asksToWait.test(request.url)) return draining.hold(request.signal)
      return new Response('{"status":"stopping"}', { headers: headersOf(request) })
    })
    .get("/ready", async ({ request }) => {
      const headers = headersOf(request)
      if (draining.active) {
        return new Response('{"status":"stopping"}', {
          status: 503,
          headers: { ...headers, ...stoppingHeaders },
        })
      }
      try {
        await ready()
        return new Response('{"status":"ready"}', { headers })
      } catch (error) {
        return refuse(error, headers)
      }
    })
}

/** Without a Host, as health checks of HTTP/1.0 come, the URL is a path, which `URL` does not take. */
const asksToWait = /\?(?:.*&)?wait(?:[=&]|$)/

/** A restart takes about a second. */
const stoppingHeaders = { "Retry-After": "1", "x-databuddy-reason": "stopping" }

/** `{"status":"disk_low"}`; what is no refusal is rethrown. */
export function refuse(error: unknown, headers: Record<string, string>): Response {
  if (!(error instanceof RequestError)) throw error
  return new Response(JSON.stringify({ status: error.reason }), {
    status: rejections[error.reason].status,
    headers: { ...headers, ...refusalHeaders(error) },
  })
}
