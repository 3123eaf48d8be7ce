import { type FieldError, RequestError } from "../errors.ts"
import { type RejectionReason, rejections } from "../rejection-reasons.ts"
import { type Json, ref } from "./json-schema.ts"

/** Statuses after which a client can retry. */
const retriable = new Set<number>([429, 503])

/** `components.headers` of the document. */
export const headers: Json = {
  RequestId: {
    description: "The x-request-id of the request if it is valid, otherwise a new one",
    schema: { type: "string" },
    required: true,
  },
  RetryAfter: {
    description: "Seconds to wait before a retry",
    schema: { type: "integer", minimum: 0 },
    required: true,
  },
  RateLimitLimit: {
    description:
      "Maximum number of requests per minute; a large request counts as several. Sent if the request counts against a limit",
    schema: { type: "integer" },
  },
  RateLimitRemaining: { description: "Remaining requests", schema: { type: "integer" } },
  RateLimitReset: {
    description:
      "Seconds until the next request is allowed if none remain; otherwise, seconds until the limit is fully restored",
    schema: { type: "integer" },
  },
}

const commonHeaders = {
  "x-request-id": ref("headers/RequestId"),
  "RateLimit-Limit": ref("headers/RateLimitLimit"),
  "RateLimit-Remaining": ref("headers/RateLimitRemaining"),
  "RateLimit-Reset": ref("headers/RateLimitReset"),
}

export function success(
  description: string,
  schema: Json,
  more: { headers?: Json; example?: Json } = {},
): Json {
  const { headers, ...content } = more
  return {
    description,
    headers: { ...commonHeaders, ...headers },
    content: { "application/json": { schema, ...content } },
  }
}

export function reasonHeader(description: string, reasons: readonly RejectionReason[]): Json {
  return { "x-databuddy-reason": { description, schema: { type: "string", enum: reasons } } }
}

/** How a group of routes reports errors. */
export interface ErrorFormat {
  /** Creates an error response, as the routes do. Used here to generate the examples. */
  response: (error: unknown, headers: Record<string, string>) => Response
  /** Returns the schema of error bodies that share a status. `bodies`: an example of each. */
  schema: (bodies: readonly Json[]) => Json
  /** Example of a field error. */
  field: FieldError
}

/** Used for groups of routes without field errors. */
export const noField: FieldError = { field: "", message: "" }

/** Returns the error responses by status, each with its reasons, example bodies and headers. */
export async function errorResponses(
  reasons: readonly RejectionReason[],
  errorFormat: ErrorFormat,
): Promise<Json> {
  const responses: Json = {}
  for (const [status, statusReasons] of Map.groupBy(reasons, (reason) => rejections[reason].status)) {
    responses[status] = await errorResponseFor(status, statusReasons, errorFormat)
  }
  return responses
}

async function errorResponseFor(
  status: number,
  reasons: readonly RejectionReason[],
  errorFormat: ErrorFormat,
): Promise<Json> {
  const bodies = new Map<string, Json>()
  const examples: Json = {}
  for (const reason of reasons) {
    const text = await example(reason, errorFormat)
    if (bodies.has(text)) continue
    bodies.set(text, JSON.parse(text))
    examples[reason] = { value: JSON.parse(text) }
  }
  const messages = new Set(reasons.map((reason) => rejections[reason].message))
  const list = reasons.map((reason) => `- \`${reason}\`: ${rejections[reason].meaning}`)
  return {
    description: `${[...messages].join(", or ")}\n\n${list.join("\n")}`,
    headers: {
      ...commonHeaders,
      ...reasonHeader(
        "Machine-readable reason for the error, which does not change between versions",
        reasons,
      ),
      ...(retriable.has(status) ? { "Retry-After": ref("headers/RetryAfter") } : {}),
    },
    content: { "application/json": { schema: errorFormat.schema([...bodies.values()]), examples } },
  }
}

function example(reason: RejectionReason, { response, field }: ErrorFormat): Promise<string> {
  const details = { fields: [field], detail: `${field.field} ${field.message}` }
  const error = new RequestError(reason, reason === "invalid_shape" ? details : {})
  return response(error, { "x-request-id": "0c1f6a52-1f0e-4a0e-9d57-8a5c7a4f2b11" }).text()
}
