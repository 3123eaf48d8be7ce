import { itemErrors, listRoutes, maxBatchItems } from "../ingest/page-events.ts"
import { maxPageBodyBytes } from "../ingest/page-request.ts"
import {
  aiVisitSchema,
  customEventSchema,
  engagementSchema,
  errorSchema,
  outgoingLinkSchema,
  pageEventSchema,
  vitalSchema,
} from "../ingest/page-schema.ts"
import { pixelTypes } from "../ingest/pixel.ts"
import type { RejectionReason } from "../rejection-reasons.ts"
import {
  body,
  bodyReasons,
  errorFormat,
  type Limits,
  limitReasons,
  requestHeaders,
  storeReasons,
} from "./ingest.ts"
import { exactly, type Json, publicSchema, ref } from "./json-schema.ts"
import { errorResponses, reasonHeader, success } from "./responses.ts"

export const pageSchemas: Json = {
  PageEvent: publicSchema(pageEventSchema),
  OutgoingLink: publicSchema(outgoingLinkSchema),
  WebVital: publicSchema(vitalSchema),
  PageError: publicSchema(errorSchema),
  Engagement: publicSchema(engagementSchema),
  CustomEvent: publicSchema(customEventSchema),
  AiVisit: publicSchema(aiVisitSchema),
}

const websiteId = "550e8400-e29b-41d4-a716-446655440000"

const clientId = [
  {
    name: "client_id",
    in: "query",
    description:
      "Public id of the website. The header `databuddy-client-id` and `website_id` have the same meaning",
    example: websiteId,
    schema: { type: "string" },
  },
  {
    name: "website_id",
    in: "query",
    description: "Used instead of `client_id` if both are sent",
    schema: { type: "string" },
  },
  {
    name: "databuddy-client-id",
    in: "header",
    description: "Used if the query names no website",
    schema: { type: "string" },
  },
]

const websiteReasons = [
  "client_id_missing",
  "origin_not_allowed",
  "client_id_unknown",
  "client_id_paused",
] as const satisfies RejectionReason[]

const pageLimitReasons = limitReasons.filter((reason) => reason !== "too_many_failed_credentials")

/** An operation with a body. */
interface PageOperation {
  id: string
  summary: string
  text: string
  /** Schema of the body. */
  takes: Json
  example: unknown
  /** Maximum size of the body in bytes. */
  maxBytes: number
  /** Fields of the response. */
  gives: Json
  status?: number
  parameters?: Json[]
  reasons: readonly RejectionReason[]
  /** Example of an invalid field. */
  field: { field: string; message: string }
}

const names = "too_many_new_names" as const

const sharedText =
  "The website id is public, so the origin must be one of the website's, as for `/track`. All fields except the required ones can be null, and unknown fields are ignored. Timestamps are whole Unix ms. Visits by known crawlers are stored and marked."

function list(items: string, maxItems: number): Json {
  return { type: "array", items: ref(`schemas/${items}`), maxItems }
}

function countFields(type: string, maxItems: number): Json {
  return {
    status: { const: "success" },
    type: { const: type },
    count: { type: "integer", minimum: 0, maximum: maxItems, description: "Items in the request" },
  }
}

const { vitals, errors, engagement, events } = listRoutes

const lists = {
  [vitals.path]: {
    route: vitals,
    id: "vitals",
    summary: "Store web vitals",
    items: "WebVital",
    example: [{ metricName: "LCP", metricValue: 1_250, path: "/pricing", anonymousId: "anon_1" }],
    field: { field: "0.metricName", message: vitalSchema.properties.metricName.expected },
    reasons: [],
  },
  [errors.path]: {
    route: errors,
    id: "errors",
    summary: "Store script errors",
    items: "PageError",
    example: [
      { message: "x is not a function", path: "/cart", lineno: 3, colno: 14, errorType: "TypeError" },
    ],
    field: { field: "0.message", message: errorSchema.properties.message.expected },
    reasons: [],
  },
  [engagement.path]: {
    route: engagement,
    id: "engagement",
    summary: "Store engagement with pages",
    items: "Engagement",
    example: [{ path: "/pricing", exitType: "spa", timeOnPage: 41.5, activeTime: 30, maxScrollDepth: 80 }],
    field: { field: "0.path", message: engagementSchema.properties.path.expected },
    reasons: [],
  },
  [events.path]: {
    route: events,
    id: "events",
    summary: "Store custom events from a page, in the older format",
    items: "CustomEvent",
    example: [{ eventName: "signed_up", path: "/pricing", properties: { plan: "pro" } }],
    field: { field: "0.eventName", message: customEventSchema.properties.eventName.expected },
    reasons: [names],
  },
} as const

const pageItem = { anyOf: [ref("schemas/PageEvent"), ref("schemas/OutgoingLink")] }
const pageTypes = { type: "string", enum: ["track", "outgoing_link"] }
const view = {
  eventId: "7c0f3b9e-2f6a-4d7e-9d0b-0d2f3f1c5a11",
  name: "screen_view",
  path: "https://example.org/pricing?utm_source=newsletter",
  anonymousId: "anon_1",
  sessionId: "sess_1",
  title: "Pricing",
  referrer: "https://www.google.com/",
}
const eventIdField = { field: "eventId", message: pageEventSchema.properties.eventId.expected }

const operations: Record<string, PageOperation> = {
  "/": {
    id: "page",
    summary: "Store one page event or outgoing link",
    text: `${sharedText} A title, UTM value or query that is too long is cut, and a malformed referrer is dropped.`,
    takes: pageItem,
    example: view,
    maxBytes: maxPageBodyBytes,
    gives: { status: { const: "success" }, type: pageTypes },
    reasons: [names],
    field: eventIdField,
  },
  "/batch": {
    id: "batch",
    summary: "Store page events and outgoing links",
    text: `${sharedText} Items are accepted individually. The status is 200 even if every item is invalid, and \`results\` says which items are stored, in the order of the request. Invalid items are listed as rejected requests. If custom events exceed the website's quota for new names, those with a new name are not stored, but all others are.`,
    takes: { type: "array", items: pageItem, maxItems: maxBatchItems },
    example: [
      view,
      { type: "outgoing_link", eventId: "link-1", href: "https://example.net/", text: "Partner" },
    ],
    maxBytes: maxPageBodyBytes,
    gives: {
      status: {
        type: "string",
        enum: ["success", "partial", "error"],
        description: "success: all items are stored; partial: some are; error: none are",
      },
      batch: { const: true },
      processed: { type: "integer", minimum: 0, maximum: maxBatchItems, description: "Items in the request" },
      batched: exactly({
        track: { type: "integer", minimum: 0, description: "Stored page events" },
        outgoing_link: { type: "integer", minimum: 0, description: "Stored outgoing links" },
      }),
      results: {
        type: "array",
        items: {
          anyOf: [
            exactly({ status: { const: "success" }, type: pageTypes, eventId: { type: "string" } }),
            exactly({
              status: { const: "error" },
              message: { type: "string", enum: Object.keys(itemErrors) },
              code: { type: "string", enum: [...new Set(Object.values(itemErrors))] },
              errors: ref("schemas/FieldErrors"),
              eventType: { type: "string" },
              eventId: { type: ["string", "null"] },
            }),
          ],
        },
      },
    },
    reasons: ["batch_too_long"],
    field: eventIdField,
  },
  ...Object.fromEntries(
    Object.entries(lists).map(([path, { route, items, id, summary, example, field, reasons }]) => [
      path,
      {
        id,
        summary,
        text: `${sharedText} A request is atomic: one invalid item rejects it. It can have at most ${route.maxItems} items. An empty array is valid and counts as 0 items.`,
        takes: list(items, route.maxItems),
        example,
        maxBytes: route.maxBytes,
        gives: countFields(route.type, route.maxItems),
        reasons: ["batch_too_long", ...reasons],
        field,
      },
    ]),
  ),
}

const aiVisit: PageOperation = {
  id: "aiTraffic",
  summary: "Store a visit by an AI agent",
  text: "Sent by the website's server, without a key. The host must be the website's domain, a subdomain or an allowed host. Only the name of the agent is stored, not the user agent. The event is marked as a crawler's.",
  takes: ref("schemas/AiVisit"),
  example: {
    websiteId,
    host: "example.org",
    path: "/docs/start.md",
    format: "markdown",
    userAgent: "Mozilla/5.0 (compatible; GPTBot/1.1; +https://openai.com/gptbot)",
  },
  maxBytes: maxPageBodyBytes,
  status: 202,
  gives: { status: { const: "success" }, type: { const: "ai_visit" } },
  parameters: [],
  reasons: ["origin_not_allowed", "host_not_allowed", "client_id_unknown", "client_id_paused"],
  field: { field: "websiteId", message: aiVisitSchema.properties.websiteId.expected },
}

export async function pagePaths(limits: Limits): Promise<Json> {
  const paths: Json = {}
  for (const [path, operation] of Object.entries(operations)) {
    const reasons = [...websiteReasons, ...operation.reasons]
    paths[path] = { post: await describe({ parameters: clientId, ...operation, reasons }, limits) }
  }
  return {
    ...paths,
    "/ai-traffic": { post: await describe(aiVisit, limits) },
    "/px.jpg": { get: await pixel() },
    "/public/v1/flags/bulk": { get: flags },
  }
}

async function describe(operation: PageOperation, limits: Limits): Promise<Json> {
  const { id, summary, text, takes, example, gives, status = 200, parameters = [], field } = operation
  const maxBodyBytes = Math.min(operation.maxBytes, limits.maxBodyBytes)
  const reasons = [
    "invalid_shape" as const,
    ...bodyReasons,
    ...operation.reasons,
    ...pageLimitReasons,
    ...storeReasons,
  ]
  return {
    tags: ["Page script"],
    operationId: id,
    summary,
    description: text,
    security: [],
    parameters: [...parameters, ...requestHeaders],
    requestBody: body(takes, { example: { title: summary, body: example } }, { maxBodyBytes }),
    responses: {
      [status]: success("Stored", exactly(gives)),
      ...(await errorResponses(reasons, errorFormat(field))),
    },
  }
}

async function pixel(): Promise<Json> {
  const imageReasons: RejectionReason[] = ["invalid_shape", ...websiteReasons]
  return {
    tags: ["Page script"],
    operationId: "pixel",
    summary: "Store one item, as an image",
    description: `The query contains the fields of an item. \`type\` is ${Object.keys(pixelTypes)
      .map((type) => `\`${type}\``)
      .join(
        ", ",
      )} or absent. Numbers and booleans are sent as text. \`properties\` is JSON, or nested fields such as \`properties[plan]=pro\`. The image is returned even if the item is rejected. The reason is then in \`x-databuddy-reason\`, and the item is listed as a rejected request. A 429, 500 or 503 has no image, because a retry can succeed.`,
    security: [],
    parameters: [
      ...clientId,
      {
        name: "type",
        in: "query",
        description: "Type of the item",
        schema: { type: "string", enum: Object.keys(pixelTypes) },
      },
      {
        name: "item",
        in: "query",
        description: "The fields of the item, each as one parameter",
        style: "form",
        explode: true,
        schema: { type: "object", additionalProperties: { type: "string" } },
      },
    ],
    responses: {
      200: {
        ...success(
          "A transparent image of one pixel",
          {},
          {
            headers: reasonHeader("Why the item was rejected, if applicable", imageReasons),
          },
        ),
        content: { "image/gif": { schema: { type: "string", format: "binary" } } },
      },
      ...(await errorResponses([names, ...pageLimitReasons, ...storeReasons], errorFormat(eventIdField))),
    },
  }
}

const flags: Json = {
  tags: ["Page script"],
  operationId: "flags",
  summary: "Feature flags",
  description:
    "This server has no feature flags. The response contains none, so that clients use their defaults immediately.",
  security: [],
  parameters: [
    { name: "clientId", in: "query", description: "Ignored", schema: { type: "string" } },
    { name: "keys", in: "query", description: "Ignored", schema: { type: "string" } },
  ],
  responses: { 200: success("No flags", exactly({ flags: exactly({}) })) },
}
