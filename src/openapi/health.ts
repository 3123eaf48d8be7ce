import { notReadyResponse } from "../health/route.ts"
import type { RejectionReason } from "../rejection-reasons.ts"
import { exactly, type Json } from "./json-schema.ts"
import { type ErrorFormat, errorResponses, noField, success } from "./responses.ts"

const reasons: RejectionReason[] = ["store_locked", "store_failed", "disk_low", "file_replaced", "queue_full"]

const errorFormat: ErrorFormat = {
  response: notReadyResponse,
  field: noField,
  schema: () => exactly({ status: { type: "string", enum: [...reasons, "stopping"] } }),
}

export async function healthPaths(): Promise<Json> {
  return {
    "/health": {
      get: {
        operationId: "health",
        tags: ["Server"],
        summary: "Check liveness",
        description:
          "Responds while the process is running, regardless of the disk. While the server shuts down, the status is `stopping`. With `wait`, a request during the shutdown gets no response until the connection closes, so that a retrying proxy reaches the next process.",
        security: [{}],
        parameters: [
          {
            name: "wait",
            in: "query",
            description: "Wait instead of responding while the server shuts down",
            allowEmptyValue: true,
            schema: { type: "string" },
          },
        ],
        responses: {
          200: success(
            "The process is running",
            exactly({ status: { type: "string", enum: ["ok", "stopping"] } }),
            {
              example: { status: "ok" },
            },
          ),
        },
      },
    },
    "/ready": {
      get: {
        operationId: "ready",
        tags: ["Server"],
        summary: "Check readiness",
        description:
          "Takes the database lock to check that events can be stored. If they cannot, the status is the reason, or `stopping` while the server shuts down.",
        security: [{}],
        responses: {
          200: success("Ready to store events", exactly({ status: { const: "ready" } }), {
            example: { status: "ready" },
          }),
          ...(await errorResponses(reasons, errorFormat)),
        },
      },
    },
  }
}
