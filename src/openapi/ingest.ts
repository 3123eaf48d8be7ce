import type { IngestSettings } from "../ingest/handle.ts"
import { pageIdentitySchema } from "../ingest/page-schema.ts"
import { errorResponse } from "../ingest/responses.ts"
import { eventSchema, identifySchema } from "../ingest/schema.ts"
import type { RejectionReason } from "../rejection-reasons.ts"
import { maxTraitBytes, maxTraits } from "../store/profiles.ts"
import { exactly, type Json, publicSchema, ref } from "./json-schema.ts"
import { type ErrorFormat, errorResponses, reasonHeader, success } from "./responses.ts"

/** Server settings that the document describes. */
export type Limits = Pick<
  IngestSettings,
  "maxEvents" | "maxBodyBytes" | "rateLimit" | "rateLimitEvents" | "rateLimitBytes"
>

export const bodyReasons = [
  "invalid_json",
  "invalid_utf8",
  "invalid_gzip",
  "unsupported_content_type",
  "unsupported_content_encoding",
  "payload_too_large",
  "nesting_too_deep",
  "too_many_values",
] as const satisfies RejectionReason[]

export const keyReasons = [
  "key_malformed",
  "key_unknown",
  "key_disabled",
  "key_revoked",
  "key_expired",
] as const satisfies RejectionReason[]

export const storeReasons = [
  "row_refused",
  "internal",
  "store_locked",
  "store_failed",
  "disk_low",
  "file_replaced",
  "queue_full",
] as const satisfies RejectionReason[]

export const limitReasons = [
  "rate_limited",
  "too_many_failed_credentials",
  "too_many_rejected_bytes",
] as const satisfies RejectionReason[]

const trackReasons: RejectionReason[] = [
  "invalid_shape",
  "batch_too_long",
  ...bodyReasons,
  "credential_missing",
  ...keyReasons,
  "scope_missing",
  "website_mismatch",
  "key_website_mismatch",
  "origin_not_allowed",
  "website_unknown",
  "website_paused",
  ...limitReasons,
  "too_many_new_names",
  ...storeReasons,
]

const identifyReasons: RejectionReason[] = [
  "invalid_shape",
  "website_id_missing",
  ...bodyReasons,
  "credential_missing",
  ...keyReasons,
  "scope_missing",
  "key_website_mismatch",
  "client_id_unknown",
  "client_id_paused",
  "origin_not_allowed",
  "page_identify_off",
  "website_unknown",
  "website_paused",
  ...limitReasons,
  ...storeReasons,
]

/** An example request, shown as JSON and as a curl command. */
export interface Example {
  title: string
  /** Query string. */
  query?: string
  body: unknown
}

const trackExamples: Record<string, Example> = {
  one: {
    title: "One event, with an API key",
    body: {
      name: "button_clicked",
      namespace: "ui",
      properties: { button_id: "signup", page: "/pricing" },
      anonymousId: "user-123",
      sessionId: "session-456",
    },
  },
  several: {
    title: "Several events",
    body: [
      { name: "page_viewed", properties: { path: "/dashboard" } },
      { name: "feature_used", namespace: "product", properties: { feature: "export", format: "csv" } },
    ],
  },
  page: {
    title: "From a page, with a website id",
    query: "?website_id=550e8400-e29b-41d4-a716-446655440000",
    body: { name: "video_played", properties: { video_id: "intro-2024", duration: 120 } },
  },
}

const identifyExamples: Record<string, Example> = {
  traits: {
    title: "A visitor who signed up",
    body: {
      profileId: "customer-42",
      anonymousId: "user-123",
      traits: { email: "ada@example.com", name: "Ada", plan: "pro" },
      websiteId: "550e8400-e29b-41d4-a716-446655440000",
    },
  },
}

export const ingestSchemas: Json = {
  Event: publicSchema(eventSchema),
  Identity: publicSchema(identifySchema),
  PageIdentity: publicSchema(pageIdentitySchema),
}

export async function ingestPaths(limits: Limits): Promise<Json> {
  return { "/track": { post: await track(limits) }, "/identify": { post: await identify(limits) } }
}

async function track(limits: Limits): Promise<Json> {
  const { properties } = eventSchema
  const counted = success(
    "All events of the request are stored",
    exactly({
      status: { const: "success" },
      type: { const: "custom_event" },
      count: { type: "integer", minimum: 0, maximum: limits.maxEvents, description: "Events in the request" },
    }),
    {
      headers: reasonHeader(
        "Why the key was invalid, if the website id authorized the request instead",
        keyReasons,
      ),
      example: { status: "success", type: "custom_event", count: 1 },
    },
  )
  return {
    tags: ["Events"],
    operationId: "track",
    summary: "Store custom events",
    description: trackText,
    security: [{ bearer: [] }, { apiKey: [] }, { websiteId: [] }, { clientId: [] }, {}],
    parameters: requestHeaders,
    requestBody: body(
      {
        anyOf: [
          ref("schemas/Event"),
          { type: "array", items: ref("schemas/Event"), maxItems: limits.maxEvents },
        ],
      },
      trackExamples,
      limits,
    ),
    responses: {
      200: counted,
      ...(await errorResponses(
        trackReasons,
        errorFormat({ field: "1.name", message: properties.name.expected }),
      )),
    },
    "x-code-samples": samples("/track", trackExamples),
  }
}

const trackText = `One event, or an array of events. An empty array is valid and counts as 0 events. A request is atomic: one invalid event rejects it, and nothing is stored.

**Which website an event belongs to**: the event's own \`websiteId\`, otherwise \`website_id\` in the query, otherwise none. With a website id as the credential, every event must be for that website. With a key limited to some websites, every event must be for one of them. With any other key, an event can be stored without a website.

**Website ids are for pages.** They are public, so a request with an \`Origin\` header is accepted only from the website's domain, its subdomains, its allowed origins (hosts, and whole origins of apps such as \`capacitor://localhost\`) and the sender's own machine (\`localhost\`, \`*.localhost\`, \`127.0.0.0/8\`, \`[::1]\`). The id is \`website_id\` or \`client_id\` in the query, or \`websiteId\` in the first event. It is used if the request has no valid key.

**Retry** after a 429, a 503 or a missing response. An \`eventId\` makes retries idempotent: if an event with the same id is already stored for the same website and kind of credential, the new one is counted but not stored.`

async function identify(limits: Limits): Promise<Json> {
  const { properties } = identifySchema
  return {
    tags: ["Events"],
    operationId: "identify",
    summary: "Identify a visitor",
    description: identifyText,
    security: [{ bearer: [] }, { apiKey: [] }, { clientId: [] }],
    parameters: [
      ...requestHeaders,
      {
        name: "website_id",
        in: "query",
        description: "Used if the body has no `websiteId`",
        schema: { type: "string" },
      },
      {
        name: "client_id",
        in: "query",
        description: "Used if there is no `website_id`. Without a key: the website of the page",
        schema: { type: "string" },
      },
    ],
    requestBody: body(
      { anyOf: [ref("schemas/Identity"), ref("schemas/PageIdentity")] },
      identifyExamples,
      limits,
    ),
    responses: {
      200: success("Stored", exactly({ status: { const: "success" }, type: { const: "identify" } }), {
        example: { status: "success", type: "identify" },
      }),
      ...(await errorResponses(
        identifyReasons,
        errorFormat({ field: "profileId", message: properties.profileId.expected }),
      )),
    },
    "x-code-samples": samples("/identify", identifyExamples),
  }
}

const identifyText = `Merges the traits into the profile and links the anonymous id to it. A profile has at most ${maxTraits} traits and ${maxTraitBytes.toLocaleString("en")} bytes of traits. A request that exceeds this is rejected. \`null\` removes a trait. \`email\` is stored in lower case. With a key, the request needs \`track:events\` for the website.

**From a page**, without a key and with \`client_id\`, the traits and the link are stored and marked as claims, because anyone can send them. A claimed link does not assign events to a profile. A claim never replaces a trait that was set with a key, and a page cannot link a visitor who was linked with a key. A link created with a key replaces the claims about the visitor. Pages can send 60 of these requests per minute for one website from one address, and a website can turn them off (\`pageIdentify\`).`

export const requestHeaders = [
  {
    name: "Content-Encoding",
    in: "header",
    description: "Compression of the body",
    schema: { type: "string", enum: ["gzip", "identity"] },
  },
  {
    name: "x-request-id",
    in: "header",
    description: "Request id chosen by the client, for logs",
    schema: { type: "string" },
  },
]

export function body(
  schema: Json,
  examples: Record<string, Example>,
  { maxBodyBytes }: Pick<Limits, "maxBodyBytes">,
): Json {
  return {
    required: true,
    description: `At most ${maxBodyBytes.toLocaleString("en")} bytes, before and after decompression. A body without a content type, or with curl's default form type, is parsed as JSON.`,
    content: {
      "application/json": {
        schema,
        examples: Object.fromEntries(
          Object.entries(examples).map(([name, { title, body }]) => [name, { summary: title, value: body }]),
        ),
      },
      "text/plain": {
        schema: {
          type: "string",
          contentMediaType: "application/json",
          contentSchema: schema,
          description:
            "The same JSON as text, which beacons send on unload because it needs no CORS preflight",
        },
      },
    },
  }
}

function samples(path: string, examples: Record<string, Example>): Json[] {
  return Object.values(examples).map(({ title, query, body }) => {
    const command = query
      ? [`curl -X POST "$URL${path}${query}"`]
      : [`curl -X POST $URL${path}`, `-H "Authorization: Bearer $KEY"`]
    const lines = [...command, `-H "Content-Type: application/json"`, `-d '${JSON.stringify(body)}'`]
    return {
      lang: "shell",
      label: title,
      source: lines.join(" \\\n  "),
    }
  })
}

/** Returns the error format of the contract, which /metrics also uses. */
export function errorFormat(field: ErrorFormat["field"]): ErrorFormat {
  return {
    response: errorResponse,
    field,
    schema: (bodies) =>
      exactly(
        {
          status: { const: "error" },
          message: { type: "string", enum: [...new Set(bodies.map(({ message }) => message))] },
          ...(bodies.some(({ errors }) => errors) ? { errors: ref("schemas/FieldErrors") } : {}),
        },
        ["errors"],
      ),
  }
}
