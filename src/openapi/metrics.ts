import type { RejectionReason } from "../rejection-reasons.ts"
import { errorFormat } from "./ingest.ts"
import type { Json } from "./json-schema.ts"
import { errorResponses, noField, success } from "./responses.ts"

const reasons: RejectionReason[] = ["metrics_token_wrong", "too_many_failed_credentials"]

export const metricsToken: Json = {
  type: "http",
  scheme: "bearer",
  description: "The token in the file that --metrics-token-file names",
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
          ...(await errorResponses(reasons, errorFormat(noField))),
        },
      },
    },
  }
}
