import type { Static, TObject, TSchema } from "@sinclair/typebox"
import { errorResponse } from "../http/api-handler.ts"
import { rotationSchema } from "../http/rotation.ts"
import type { RejectionReason } from "../rejection-reasons.ts"
import type { Scope } from "../store/keys.ts"
import { bodyReasons, keyReasons, storeReasons } from "./ingest.ts"
import { exactly, type Json, publicSchema, publishedFields, ref } from "./json-schema.ts"
import { type ErrorFormat, errorResponses, success } from "./responses.ts"

/** Operations by path and method. */
export type Operations = Record<string, Record<string, Operation>>

export interface Operation {
  id: string
  summary: string
  description?: string
  /** Schema of the query string. */
  query?: TObject
  /** Example values of the query string. */
  queryExample?: Record<string, string>
  /** Schema of the request body. */
  takes?: Json
  /** Examples of the body if its schema has none. */
  examples?: Json
  /** Fields of the response in addition to `success`. */
  gives?: Json
  /** Schema of the response if it has several variants. */
  answer?: Json
  /** Schemas of a file response, by media type. */
  file?: Json
  /** HTTP status of a successful response. Default: 200 */
  status?: number
  /** Error reasons in addition to those that all operations share. */
  reasons: readonly RejectionReason[]
  /** Required scope, if it differs from the group's. */
  scope?: Scope
}

/** Error reasons of public operations with a body. */
export const takesPublicBody = ["invalid_shape", ...bodyReasons] as const
/** Error reasons of authenticated operations with a body. */
export const takesBody = [...takesPublicBody, "too_many_rejected_bytes"] as const
/** Error reasons of operations that write. */
export const writes = storeReasons.filter((reason) => reason !== "internal")
/** Error reasons of operations that change websites, keys or users. */
export const registryWrites = [...writes, "registry_elsewhere"] as const

/** Schema of the optional body of a rotation, and a description of the overlap. */
export const rotation = publicSchema(rotationSchema)
export const rotationText =
  "The current secret works until the end of the overlap. With the default, `none`, it stops working immediately. If an even older secret still works, that one also stops working immediately."

/** Returns a schema component with an example. */
export function component<Schema extends TSchema>(schema: Schema, example: Static<Schema>): Json {
  return { ...publicSchema(schema), examples: [example] }
}

/** Returns the response fields of an operation that lists items. `schema`: name of the items' schema. */
export function listOf(name: string, schema: string): Json {
  return {
    [name]: { type: "array", items: ref(`schemas/${schema}`) },
    total: { type: "integer", minimum: 0 },
  }
}

/** Error reasons of all authenticated operations. */
const sharedReasons: readonly RejectionReason[] = [
  "credential_missing",
  ...keyReasons,
  "login_ended",
  "share_ended",
  "csrf",
  "scope_missing",
  "section_missing",
  "rate_limited",
  "too_many_failed_credentials",
  "internal",
]
/** Error reasons of public operations. */
const publicReasons: readonly RejectionReason[] = ["internal"]

interface Group {
  tag: string
  /** Required scope. Undefined for public operations. */
  scope: Scope | undefined
  errorFormat: ErrorFormat
}

export async function paths(table: Operations, group: Group): Promise<Json> {
  const items: Json = {}
  for (const [path, methods] of Object.entries(table)) {
    const [, name] = /\{(\w+)\}/.exec(path) ?? []
    const item: Json = name
      ? { parameters: [{ name, in: "path", required: true, schema: { type: "string" } }] }
      : {}
    for (const [method, operation] of Object.entries(methods)) item[method] = await describe(operation, group)
    items[path] = item
  }
  return items
}

async function describe(operation: Operation, { tag, errorFormat, ...group }: Group): Promise<Json> {
  const { id, summary, description = "", query, takes, examples, gives, answer, file, reasons } = operation
  const { queryExample = {}, status = 200, scope = group.scope } = operation
  return {
    tags: [tag],
    operationId: id,
    summary,
    description:
      `${description} ${scope ? `Requires ${credentialsFor(scope)} with the scope \`${scope}\`.` : ""}`.trim(),
    security: scope ? securityOf(scope) : [],
    ...(query ? { parameters: parametersOf(query, queryExample) } : {}),
    ...(takes
      ? {
          requestBody: {
            required: true,
            content: {
              "application/json": {
                schema: takes,
                ...(examples ? { examples } : {}),
              },
            },
          },
        }
      : {}),
    responses: {
      [status]: file
        ? { ...success("The file", {}), content: file }
        : success("Success", answer ?? exactly({ success: { const: true }, ...gives })),
      ...(await errorResponses([...reasons, ...(scope ? sharedReasons : publicReasons)], errorFormat)),
    },
  }
}

/** The scope of share links. */
const shareScope: Scope = "read:reports"

function securityOf(scope: Scope): Json[] {
  return [{ bearer: [] }, { apiKey: [] }, { session: [] }, ...(scope === shareScope ? [{ share: [] }] : [])]
}

function credentialsFor(scope: Scope): string {
  return scope === shareScope ? "a key, a login session or a share link" : "a key or a login session"
}

function parametersOf(query: TObject, examples: Record<string, string>): Json[] {
  const { required = [] } = query
  return Object.entries(publishedFields(query)).map(([name, { description, ...schema }]) => {
    return {
      name,
      in: "query",
      description,
      ...(required.includes(name) ? { required: true } : {}),
      ...(examples[name] === undefined ? {} : { example: examples[name] }),
      schema,
    }
  })
}

export function errorFormat(field: ErrorFormat["field"]): ErrorFormat {
  return {
    response: errorResponse,
    field,
    schema: (bodies) =>
      exactly(
        {
          success: { const: false },
          error: { type: "string", description: "Error message" },
          code: { type: "string", enum: [...new Set(bodies.map(({ code }) => code))] },
          requestId: { type: "string" },
          ...(bodies.some(({ errors }) => errors) ? { errors: ref("schemas/FieldErrors") } : {}),
        },
        ["errors"],
      ),
  }
}
