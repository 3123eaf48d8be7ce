import { registrySchema } from "../registry/schema.ts"
import type { RejectionReason } from "../rejection-reasons.ts"
import { exactly, type Json, publishedFields } from "./json-schema.ts"
import { errorFormat } from "./operations.ts"
import { errorResponses, noField, success } from "./responses.ts"

const reasons: RejectionReason[] = ["registry_secret_wrong", "too_many_failed_credentials"]

export const registrySecret: Json = {
  type: "http",
  scheme: "bearer",
  description: "The secret of --registry-secret-file",
}

export async function registryPaths(): Promise<Json> {
  return {
    "/v1/registry": {
      get: {
        operationId: "registry",
        tags: ["Server"],
        summary: "Copy websites, keys and users",
        description:
          "For servers with `--registry`: the rows of the tables, with the hashes of keys and passwords. Disabled (404) unless the server runs with `--registry-secret-file`, and without `--registry`. With `If-None-Match`, responds with 304 if nothing has changed.",
        security: [{ registrySecret: [] }],
        responses: {
          200: success("The rows", exactly(publishedFields(registrySchema)), {
            example: {
              registry: "5d1f0a",
              revision: 3,
              websites: [],
              keys: [],
              users: [],
              deleted_websites: [],
            },
          }),
          ...(await errorResponses(reasons, errorFormat(noField))),
        },
      },
    },
  }
}
