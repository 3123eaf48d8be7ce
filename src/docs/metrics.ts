import type { Reason } from "../errors.ts"
import { errorResponse } from "../ingest/responses.ts"
import { refused, success, type Wording } from "./answers.ts"
import { exactly, type Json } from "./json.ts"

const reasons: Reason[] = ["metrics_token_wrong", "too_many_failed_credentials"]

const wording: Wording = {
  refuse: errorResponse,
  field: { field: "", message: "" },
  schema: (bodies) =>
    exactly({
      status: { const: "error" },
      message: { type: "string", enum: [...new Set(bodies.map((one) => one.message))] },
    }),
}

export const metricsToken: Json = {
  type: "http",
  scheme: "bearer",
  description: "What the file of --metrics-token-file holds",
}

export async function metricsPaths(): Promise<Json> {
  return {
    "/metrics": {
      get: {
        operationId: "metrics",
        tags: ["Server"],
        summary: "How is it doing?",
        description:
          "Counts, sizes and times in Prometheus' text format. Off until the server has `--metrics-token-file`, or `--metrics local` for those on its own machine: until then there is nothing at this path.",
        security: [{ metricsToken: [] }, {}],
        responses: {
          200: {
            ...success("The metrics", {}),
            content: { "text/plain": { schema: { type: "string" } } },
          },
          ...(await refused(reasons, wording)),
        },
      },
    },
  }
}
