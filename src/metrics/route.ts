import { Elysia } from "elysia"
import { jsonHeaders, requestIdOf } from "../http/headers.ts"
import { requestContextOf } from "../http/request-context.ts"
import { type MetricsAccessDeps, requireMetricsAccess } from "./access.ts"
import type { Metrics } from "./metrics.ts"

export interface MetricsDeps extends MetricsAccessDeps {
  metrics: Pick<Metrics, "text" | "contentType">
  newId: () => string
}

/**
 * GET /metrics in Prometheus's text format. Responds with 404 if no token is configured and the client has no local
 * access.
 */
export function metricsRoutes(deps: MetricsDeps) {
  return new Elysia().get("/metrics", async ({ request, server }) => {
    requireMetricsAccess(deps, requestContextOf(request, server))
    return new Response(await deps.metrics.text(), {
      headers: {
        ...jsonHeaders(requestIdOf(request.headers, deps.newId)),
        "Content-Type": deps.metrics.contentType,
        "Cache-Control": "no-store",
      },
    })
  })
}
