import type { Reason } from "../errors.ts"
import { refuse } from "../health/route.ts"
import { refused, success, type Wording } from "./answers.ts"
import { exactly, type Json } from "./json.ts"

const reasons: Reason[] = ["store_locked", "store_failed", "disk_low", "file_replaced", "queue_full"]

const wording: Wording = {
  refuse,
  field: { field: "", message: "" },
  schema: () => exactly({ status: { type: "string", enum: [...reasons, "stopping"] } }),
}

export async function healthPaths(): Promise<Json> {
  return {
    "/health": {
      get: {
        operationId: "health",
        tags: ["Server"],
        summary: "Is it alive?",
        description:
          "Answers while the process runs, whatever its disk does. While the server stops, the status is `stopping`; with `wait`, the request is not answered then and its connection is closed at the end, so that a proxy that retries gets the answer of the next process.",
        security: [{}],
        parameters: [
          {
            name: "wait",
            in: "query",
            description: "Do not answer while the server stops",
            allowEmptyValue: true,
            schema: { type: "string" },
          },
        ],
        responses: {
          200: success("It is", exactly({ status: { type: "string", enum: ["ok", "stopping"] } }), {
            example: { status: "ok" },
          }),
        },
      },
    },
    "/ready": {
      get: {
        operationId: "ready",
        tags: ["Server"],
        summary: "Can it store an event?",
        description:
          "Tries the database's lock; the status is the reason when it cannot, or `stopping` while the server stops.",
        security: [{}],
        responses: {
          200: success("It can", exactly({ status: { const: "ready" } }), { example: { status: "ready" } }),
          ...(await refused(reasons, wording)),
        },
      },
    },
  }
}
