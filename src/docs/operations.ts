import type { Static, TSchema } from "@sinclair/typebox"
import type { Reason } from "../errors.ts"
import { errorResponse } from "../http/v1.ts"
import type { Scope } from "../store/keys.ts"
import { refused, success, type Wording } from "./answers.ts"
import { bodyReasons, keyReasons, storeReasons } from "./ingest.ts"
import { exactly, type Json, published, ref } from "./json.ts"

/** Operations by path and method. */
export type Operations = Record<string, Record<string, Operation>>

export interface Operation {
  id: string
  summary: string
  description?: string
  /** The request's query. */
  query?: TSchema
  /** Values of it that a request can be tried with. */
  queryExample?: Record<string, string>
  /** The schema of the request's body. */
  takes?: Json
  /** Of the body, where its schema has none. */
  examples?: Json
  /** What the answer holds beside `success`. */
  gives?: Json
  /** The whole answer, where it has several forms. */
  answer?: Json
  /** What it is where it is a file, by its type. */
  file?: Json
  /** Default: 200 */
  status?: number
  /** Beside those that every operation has. */
  reasons: readonly Reason[]
  /** What the caller must have, where it is not what its group says. */
  scope?: Scope
}

/** Of an operation that takes a body from anybody, of one that takes it from a caller, and of one that writes. */
export const takesOpenBody = ["invalid_shape", ...bodyReasons] as const
export const takesBody = [...takesOpenBody, "too_many_rejected_bytes"] as const
export const writes = storeReasons.filter((reason) => reason !== "internal")

/** A schema with an example. */
export function component<Schema extends TSchema>(schema: Schema, example: Static<Schema>): Json {
  return { ...published(schema), examples: [example] }
}

/** What an operation gives that lists what has that schema. */
export function listOf(name: string, schema: string): Json {
  return {
    [name]: { type: "array", items: ref(`schemas/${schema}`) },
    total: { type: "integer", minimum: 0 },
  }
}

/** Of every operation that asks who makes the request. */
const sharedReasons: readonly Reason[] = [
  "credential_missing",
  ...keyReasons,
  "login_ended",
  "share_ended",
  "csrf",
  "scope_missing",
  "rate_limited",
  "too_many_failed_credentials",
  "internal",
]
/** Of the others. */
const openReasons: readonly Reason[] = ["internal"]

interface Group {
  tag: string
  /** What the caller must have; undefined: anybody may. */
  scope: Scope | undefined
  wording: Wording
}

export async function paths(table: Operations, group: Group): Promise<Json> {
  const described: Json = {}
  for (const [path, methods] of Object.entries(table)) {
    const [, name] = /\{(\w+)\}/.exec(path) ?? []
    const item: Json = name
      ? { parameters: [{ name, in: "path", required: true, schema: { type: "string" } }] }
      : {}
    for (const [method, operation] of Object.entries(methods)) item[method] = await describe(operation, group)
    described[path] = item
  }
  return described
}

async function describe(operation: Operation, { tag, wording, ...group }: Group): Promise<Json> {
  const { id, summary, description = "", query, takes, examples, gives, answer, file, reasons } = operation
  const { queryExample = {}, status = 200, scope = group.scope } = operation
  return {
    tags: [tag],
    operationId: id,
    summary,
    description:
      `${description} ${scope ? `Takes ${takersOf(scope)} with the scope \`${scope}\`.` : ""}`.trim(),
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
        : success("Done", answer ?? exactly({ success: { const: true }, ...gives })),
      ...(await refused([...reasons, ...(scope ? sharedReasons : openReasons)], wording)),
    },
  }
}

/** A share link has this one scope. */
const shared: Scope = "read:reports"

function securityOf(scope: Scope): Json[] {
  return [{ bearer: [] }, { apiKey: [] }, { session: [] }, ...(scope === shared ? [{ share: [] }] : [])]
}

function takersOf(scope: Scope): string {
  return scope === shared ? "a key, a login or a share link" : "a key or a login"
}

function parametersOf({ properties, required = [] }: TSchema, examples: Record<string, string>): Json[] {
  return Object.entries(properties as Record<string, TSchema>).map(([name, schema]) => {
    const { description, ...rest } = published(schema)
    const isRequired = (required as string[]).includes(name)
    return {
      name,
      in: "query",
      description,
      ...(isRequired ? { required: true } : {}),
      ...(examples[name] === undefined ? {} : { example: examples[name] }),
      schema: rest,
    }
  })
}

export function wording(field: Wording["field"]): Wording {
  return {
    refuse: errorResponse,
    field,
    schema: (bodies) =>
      exactly(
        {
          success: { const: false },
          error: { type: "string", description: "What was wrong, for people" },
          code: { type: "string", enum: [...new Set(bodies.map((one) => one.code))] },
          requestId: { type: "string" },
          ...(bodies.some((one) => one.errors) ? { errors: ref("schemas/FieldErrors") } : {}),
        },
        ["errors"],
      ),
  }
}
