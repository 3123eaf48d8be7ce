import type { Reason } from "../errors.ts"
import { refuse } from "../health/route.ts"
import { refused, success, type Wording } from "./answers.ts"
import { exactly, type Json } from "./json.ts"

const reasons: Reason[] = ["store_locked", "store_failed", "disk_low", "file_replaced", "queue_full"]

const wording: Wording = {
  refuse,
  field: { field: "", message: "" },
  schema: () => exactly({ status: { type: "string", enum: reasons } }),
}

export async function healthPaths(): Promise<Json> {
  return {
    "/health": {
      get: {
        operationId: "health",
        tags: ["Server"],
        summary: "Is it alive?",
        description: "Answers while the process runs, whatever its disk does.",
        security: [{}],
        responses: {
          200: success("It is", exactly({ status: { const: "ok" } }), { example: { status: "ok" } }),
        },
      },
    },
    "/ready": {
      get: {
        operationId: "ready",
        tags: ["Server"],
        summary: "Can it store an event?",
        description: "Tries the database's lock; the status is the reason when it cannot.",
        security: [{}],
        responses: {
          200: success("It can", exactly({ status: { const: "ready" } }), { example: { status: "ready" } }),
          ...(await refused(reasons, wording)),
        },
      },
    },
  }
}
