import { type FieldError, type RejectionReason, RequestError, rejections } from "../errors.ts"
import { type Json, ref } from "./json.ts"

/** Statuses after which the same request can be sent again. */
const retriable = new Set<number>([429, 503])

/** The `components.headers` that the responses refer to. */
export const headers: Json = {
  RequestId: {
    description: "The request's own x-request-id if it sent a sane one, else a new one",
    schema: { type: "string" },
    required: true,
  },
  RetryAfter: {
    description: "Seconds to wait before the same request is sent again",
    schema: { type: "integer", minimum: 0 },
    required: true,
  },
  RateLimitLimit: {
    description:
      "Requests a minute, of which a large one counts as several; the RateLimit headers are there where a request counts against a limit",
    schema: { type: "integer" },
  },
  RateLimitRemaining: { description: "Requests left", schema: { type: "integer" } },
  RateLimitReset: {
    description: "Seconds until one more is allowed, if none is left; else until all are",
    schema: { type: "integer" },
  },
}

const everyAnswer = {
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
    headers: { ...everyAnswer, ...headers },
    content: { "application/json": { schema, ...content } },
  }
}

export function reasonHeader(description: string, reasons: readonly RejectionReason[]): Json {
  return { "x-databuddy-reason": { description, schema: { type: "string", enum: reasons } } }
}

/** How some routes word a refusal. */
export interface Wording {
  /** The routes' own function: the examples are what it makes. */
  refuse: (error: unknown, headers: Record<string, string>) => Response
  /** Of the bodies that one status comes with. */
  schema: (bodies: readonly Json[]) => Json
  /** What `errors` may look like. */
  field: FieldError
}

/** One response for each status that the reasons have, with the reasons, bodies and headers of that status. */
export async function errorResponses(reasons: readonly RejectionReason[], wording: Wording): Promise<Json> {
  const responses: Json = {}
  for (const [status, ofStatus] of Map.groupBy(reasons, (reason) => rejections[reason].status)) {
    responses[status] = await errorResponseFor(status, ofStatus, wording)
  }
  return responses
}

async function errorResponseFor(status: number, reasons: readonly RejectionReason[], wording: Wording): Promise<Json> {
  const bodies = new Map<string, Json>()
  const examples: Json = {}
  for (const reason of reasons) {
    const text = await example(reason, wording)
    if (bodies.has(text)) continue
    bodies.set(text, JSON.parse(text))
    examples[reason] = { value: JSON.parse(text) }
  }
  const messages = new Set(reasons.map((reason) => rejections[reason].message))
  const list = reasons.map((reason) => `- \`${reason}\`: ${rejections[reason].meaning}`)
  return {
    description: `${[...messages].join(", or ")}\n\n${list.join("\n")}`,
    headers: {
      ...everyAnswer,
      ...reasonHeader("Why, in one stable word", reasons),
      ...(retriable.has(status) ? { "Retry-After": ref("headers/RetryAfter") } : {}),
    },
    content: { "application/json": { schema: wording.schema([...bodies.values()]), examples } },
  }
}

function example(reason: RejectionReason, { refuse, field }: Wording): Promise<string> {
  const more = { fields: [field], detail: `${field.field} ${field.message}` }
  const refusal = new RequestError(reason, reason === "invalid_shape" ? more : {})
  return refuse(refusal, { "x-request-id": "0c1f6a52-1f0e-4a0e-9d57-8a5c7a4f2b11" }).text()
}
