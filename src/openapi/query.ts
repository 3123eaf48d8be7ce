import { Type } from "@sinclair/typebox"
import { idFields } from "../query/fields.ts"
import { columnMeanings, types } from "../query-api/query-types.ts"
import { metaSchema, typeSchema, websiteSchema } from "../query-api/response-schema.ts"
import { fullLimits, reportLimits } from "../query-api/result-limits.ts"
import {
  parameterSchema,
  type QueryBody,
  querySchema,
  queryStringSchema,
  streamStringSchema,
} from "../query-api/schema.ts"
import { bodyReasons } from "./ingest.ts"
import { exactly, type Json, publicSchema, ref } from "./json-schema.ts"
import { component, errorFormat, type Operations, paths } from "./operations.ts"

const exampleId = "550e8400-e29b-41d4-a716-446655440000"

const exampleQuery: QueryBody = {
  parameters: ["custom_events", { name: "custom_events_trends", granularity: "weekly" }],
  preset: "last_30d",
  timeZone: "Europe/Berlin",
  filters: [{ field: "property.plan", op: "eq", value: "pro" }],
}

export const querySchemas: Json = {
  Query: component(querySchema, exampleQuery),
  Parameter: publicSchema(parameterSchema),
  QueryType: publicSchema(typeSchema),
  QueryMeta: publicSchema(metaSchema),
}

const list = Object.entries(types).map(
  ([name, { description, takes }]) =>
    `- \`${name}\`: ${description}${takes.length > 0 ? ` (takes ${takes.map((option) => `\`${option}\``).join(", ")})` : ""}`,
)
const dataTypes = Object.entries(types).flatMap(([name, type]) => ("needsReadData" in type ? [name] : []))
const columns = Object.entries(columnMeanings).map(([name, meaning]) => `- \`${name}\`: ${meaning}`)

const entry = {
  anyOf: [
    exactly({
      parameter: { type: "string", description: "Id of the parameter; defaults to its type" },
      success: { const: true },
      data: { type: "array", items: { type: "object" } },
      meta: ref("schemas/QueryMeta"),
    }),
    exactly({
      parameter: { type: "string" },
      success: { const: false },
      error: { type: "string", description: "Error message" },
      data: { type: "array", maxItems: 0 },
    }),
  ],
}
/** The result of a query, without its id. */
export const queryResult = {
  data: { type: "array", items: entry, description: "In the order of the parameters" },
  meta: exactly({
    parameters: { type: "array", items: { type: "string" } },
    total_parameters: { type: "integer" },
    page: { type: "integer" },
    limit: { type: "integer" },
    filters_applied: { type: "integer" },
  }),
}
const result = {
  queryId: { type: "string", description: "Id of the query" },
  ...queryResult,
}
const success = { success: { const: true } }

const queries: Operations = {
  "/v1/query": {
    post: {
      id: "query",
      summary: "Query events",
      description: `One query, or an array of queries. If a parameter fails, its error replaces its data, and the others are not affected. Single events, sessions and people (${dataTypes.map((name) => `\`${name}\``).join(", ")}, and ${idFields.map((name) => `\`${name}\``).join(", ")} in \`by\` and filters) need the scope \`read:data\`, which includes \`read:reports\`. The default range is the last 30 days. A request can have at most ${fullLimits.parameters} parameters and ${fullLimits.cells} values (rows times columns) in its results. With only \`read:reports\`, the limits are ${reportLimits.parameters} and ${reportLimits.cells}. Types:\n\n${list.join("\n")}\n\nColumns:\n\n${columns.join("\n")}\n\n`,
      query: queryStringSchema,
      queryExample: { website_id: exampleId },
      takes: { anyOf: [ref("schemas/Query"), { type: "array", items: ref("schemas/Query") }] },
      examples: { one: { value: exampleQuery } },
      answer: {
        anyOf: [
          exactly({ ...success, ...result }, ["queryId"]),
          exactly({
            ...success,
            batch: { const: true },
            results: { type: "array", items: exactly(result, ["queryId"]) },
          }),
        ],
      },
      reasons: [
        "website_id_missing",
        "key_website_mismatch",
        "invalid_shape",
        "queries_full",
        "events_removed",
        ...bodyReasons,
      ],
    },
  },
  "/v1/query/websites": {
    get: {
      id: "listReadableWebsites",
      summary: "List websites that the caller can read",
      description:
        "With a share link to a board of all websites, the response lists the websites that tiles are limited to.",
      gives: {
        websites: { type: "array", items: publicSchema(websiteSchema) },
        total: { type: "integer", minimum: 0 },
      },
      reasons: [],
    },
  },
}

/** Operations that need no credential, as in Databuddy's API. */
const publicQueries: Operations = {
  "/v1/query/types": {
    get: {
      id: "listQueryTypes",
      summary: "List query types",
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
      summary: "Stream events as they are stored",
      description:
        "Server-sent events: one message per event, with a JSON object as data. `Last-Event-ID` resumes after that event. `event: skipped` reports that the stream was more than 100,000 events behind and continues with the newest ones. `event: end` contains the reason why the server ends the stream, for example because the client reads too slowly. A comment every 5 s keeps the connection alive.",
      query: streamStringSchema,
      queryExample: { website_id: exampleId },
      file: { "text/event-stream": { schema: publicSchema(Type.String()) } },
      reasons: ["website_id_missing", "key_website_mismatch", "streams_full"],
    },
  },
}

export async function queryPaths(): Promise<Json> {
  const message = querySchema.properties.parameters.expected
  const group = { tag: "Queries", errorFormat: errorFormat({ field: "parameters", message }) }
  return {
    ...(await paths(queries, { ...group, scope: "read:reports" })),
    ...(await paths(publicQueries, { ...group, scope: undefined })),
    ...(await paths(streams, { ...group, scope: "read:data" })),
  }
}
