import { errorResponse } from "../ingest/responses.ts"
import type { RejectionReason } from "../rejection-reasons.ts"
import { exactly, type Json } from "./json.ts"
import { type ErrorFormat, errorResponses, success } from "./responses.ts"

const reasons: RejectionReason[] = ["metrics_token_wrong", "too_many_failed_credentials"]

const errorFormat: ErrorFormat = {
  response: errorResponse,
  field: { field: "", message: "" },
  schema: (bodies) =>
    exactly({
      status: { const: "error" },
      message: { type: "string", enum: [...new Set(bodies.map(({ message }) => message))] },
    }),
}

export const metricsToken: Json = {
  type: "http",
  scheme: "bearer",
  description: "The token in the file of --metrics-token-file",
}

export async function metricsPaths(): Promise<Json> {
  return {
    "/metrics": {
      get: {
        operationId: "metrics",
        tags: ["Server"],
        summary: "Read metrics",
        description:
          "Metrics in the Prometheus text format. Disabled (404) unless the server runs with `--metrics-token-file`, or with `--metrics local` for access from its own machine.",
        security: [{ metricsToken: [] }, {}],
        responses: {
          200: {
            ...success("The metrics", {}),
            content: { "text/plain": { schema: { type: "string" } } },
          },
          ...(await errorResponses(reasons, errorFormat)),
        },
      },
    },
  }
}
