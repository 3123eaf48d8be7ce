import { Type } from "@sinclair/typebox"
import { personFields } from "../query/query.ts"
import { fullLimits, reportLimits } from "../query-api/limits.ts"
import {
  metaSchema,
  parameterSchema,
  querySchema,
  queryStringSchema,
  streamStringSchema,
  typeSchema,
  websiteSchema,
} from "../query-api/schema.ts"
import { columnMeanings, types } from "../query-api/types.ts"
import { bodyReasons } from "./ingest.ts"
import { exactly, type Json, published, ref } from "./json.ts"
import { type Operations, paths, wording } from "./operations.ts"

const exampleId = "550e8400-e29b-41d4-a716-446655440000"

export const askSchemas: Json = {
  Query: {
    ...published(querySchema),
    examples: [
      {
        parameters: ["custom_events", { name: "custom_events_trends", granularity: "weekly" }],
        preset: "last_30d",
        timeZone: "Europe/Berlin",
        filters: [{ field: "property.plan", op: "eq", value: "pro" }],
      },
    ],
  },
  Parameter: published(parameterSchema),
  QueryType: published(typeSchema),
  QueryMeta: published(metaSchema),
}

const list = Object.entries(types).map(
  ([name, { description, takes }]) =>
    `- \`${name}\`: ${description}${takes.length > 0 ? ` (takes ${takes.map((one) => `\`${one}\``).join(", ")})` : ""}`,
)
const single = Object.entries(types).flatMap(([name, type]) => ("singles" in type ? [name] : []))
const columns = Object.entries(columnMeanings).map(([name, meaning]) => `- \`${name}\`: ${meaning}`)

const entry = {
  anyOf: [
    exactly({
      parameter: { type: "string", description: "The id that was given, else the type" },
      success: { const: true },
      data: { type: "array", items: { type: "object" } },
      meta: ref("schemas/QueryMeta"),
    }),
    exactly({
      parameter: { type: "string" },
      success: { const: false },
      error: { type: "string", description: "What was wrong with it, for people" },
      data: { type: "array", maxItems: 0 },
    }),
  ],
}
const one = {
  queryId: { type: "string", description: "The id that was given" },
  data: { type: "array", items: entry, description: "In the order of the parameters" },
  meta: exactly({
    parameters: { type: "array", items: { type: "string" } },
    total_parameters: { type: "integer" },
    page: { type: "integer" },
    limit: { type: "integer" },
    filters_applied: { type: "integer" },
  }),
}
const success = { success: { const: true } }

const queries: Operations = {
  "/v1/query": {
    post: {
      id: "query",
      summary: "Ask about events",
      description: `One query, or an array of them. A parameter that fails says so in its place and fails no other: among others one that shows or names single events, sessions or people (${single.map((name) => `\`${name}\``).join(", ")}, and ${personFields.map((name) => `\`${name}\``).join(", ")} in \`by\` and filters) without \`read:data\`, of which \`read:reports\` is a part. Without a range: the last 30 days. At most ${fullLimits.parameters} parameters and ${fullLimits.cells} values (rows times columns) in a request, with \`read:reports\` alone ${reportLimits.parameters} and ${reportLimits.cells}. Types:\n\n${list.join("\n")}\n\nColumns:\n\n${columns.join("\n")}\n\n`,
      query: queryStringSchema,
      queryExample: { website_id: exampleId },
      takes: { anyOf: [ref("schemas/Query"), { type: "array", items: ref("schemas/Query") }] },
      examples: { one: { value: (askSchemas.Query as { examples: unknown[] }).examples[0] } },
      answer: {
        anyOf: [
          exactly({ ...success, ...one }, ["queryId"]),
          exactly({
            ...success,
            batch: { const: true },
            results: { type: "array", items: exactly(one, ["queryId"]) },
          }),
        ],
      },
      reasons: [
        "website_id_missing",
        "key_website_mismatch",
        "invalid_shape",
        "queries_full",
        ...bodyReasons,
      ],
    },
  },
  "/v1/query/websites": {
    get: {
      id: "listReadableWebsites",
      summary: "List the websites that the key may read",
      gives: {
        websites: { type: "array", items: published(websiteSchema) },
        total: { type: "integer", minimum: 0 },
      },
      reasons: [],
    },
  },
  "/v1/query/types": {
    get: {
      id: "listQueryTypes",
      summary: "List what can be asked",
      gives: {
        types: { type: "array", items: { type: "string" } },
        configs: { type: "object", additionalProperties: ref("schemas/QueryType") },
      },
      reasons: [],
    },
  },
}

const streams: Operations = {
  "/v1/events/stream": {
    get: {
      id: "streamEvents",
      summary: "Follow events as they are stored",
      description:
        "Server-sent events, one for each event, its data a JSON object. With `Last-Event-ID` it goes on after that one. `event: skipped` says that it was more than 100,000 events behind and went on with the newest, `event: end` why the server ends it: among others because events come faster than the client takes them. A comment every 5 s keeps the connection alive.",
      query: streamStringSchema,
      queryExample: { website_id: exampleId },
      file: { "text/event-stream": { schema: published(Type.String()) } },
      reasons: ["website_id_missing", "key_website_mismatch", "streams_full"],
    },
  },
}

export async function askPaths(): Promise<Json> {
  const must = querySchema.properties.parameters.expected
  const group = { tag: "Queries", wording: wording({ field: "parameters", message: must }) }
  return {
    ...(await paths(queries, { ...group, scope: "read:reports" })),
    ...(await paths(streams, { ...group, scope: "read:data" })),
  }
}
