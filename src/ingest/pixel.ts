import type { TSchema } from "@sinclair/typebox"
import { type FieldError, toRequestError } from "../errors.ts"
import { rejections } from "../rejection-reasons.ts"
import { invalidBody } from "./event.ts"
import type { IngestDeps, IngestRequest, IngestRoute } from "./handle.ts"
import { store } from "./page-events.ts"
import { errors, type ItemType, pageItemTypes, vitals } from "./page-items.ts"
import { errorResponse } from "./responses.ts"

/** Item types by the value of the query parameter `type`, which defaults to `track`. */
export const pixelTypes: Readonly<Record<string, ItemType>> = {
  ...pageItemTypes,
  web_vitals: vitals,
  error: errors,
}

/**
 * GET /px.jpg accepts one item in the query string. The page script uses it in pixel mode, and pages without scripts
 * can use it as an image.
 */
export const pixelRoute: IngestRoute = {
  method: "GET",
  path: "/px.jpg",
  hasEvents: true,
  handle: receivePixel,
  respondToError: pixelErrorResponse,
}

/** A transparent GIF of one pixel. Clients ignore the .jpg in the path. */
const gif = Buffer.from("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7", "base64")

/** Seconds for Retry-After. Browsers do not retry images, so only the page script reads it. */
const retryAfter = "5"

async function receivePixel(deps: IngestDeps, request: IngestRequest): Promise<Response> {
  const { context, now } = request
  const { url, method } = context.request
  // A HEAD request stores nothing.
  if (method === "HEAD") return pixel(request.headers)
  context.bytes = url.length
  const query = nestedQuery(new URLSearchParams(/\?[^#]*/.exec(url)?.[0] ?? ""))
  context.body = query
  const { type = "track" } = query
  const itemType = typeof type === "string" && Object.hasOwn(pixelTypes, type) ? pixelTypes[type] : undefined
  if (!itemType) throw invalidBody([unknownType])
  const item = itemType.read(coerceFields(query, itemType), {
    now,
    isPlain: false,
    pageAddresses: deps.pageAddresses,
  })
  if (Array.isArray(item)) throw invalidBody(item)
  await store(deps, request, [item], { size: url.length, isLarge: false })
  return pixel(request.headers)
}

const unknownType: FieldError = {
  field: "type",
  message: `must be ${Object.keys(pixelTypes)
    .map((type) => `"${type}"`)
    .join(", ")} or absent`,
}

function pixel(headers: Record<string, string>): Response {
  return new Response(gif, {
    headers: { ...headers, "Content-Type": "image/gif", "Cache-Control": "no-cache" },
  })
}

/**
 * Responds with the image even if the item is rejected, because the page would otherwise show a broken image. Errors
 * that are worth retrying keep their status (429 or above).
 */
function pixelErrorResponse(error: unknown, headers: Record<string, string>): Response {
  const rejection = toRequestError(error)
  const { status } = rejections[rejection.reason]
  if (status < 429) return pixel({ ...headers, "x-databuddy-reason": rejection.reason })
  const response = errorResponse(error, headers)
  if (status === 429 || status === 503) response.headers.set("Retry-After", retryAfter)
  return response
}

/** Objects without a prototype, so that a key such as __proto__ is treated like any other. */
type Nested = { [key: string]: string | Nested }

/** Parses a query in which `a[b]=c` sets the field `b` of `a`. If a field has several values, the last one wins. */
function nestedQuery(parameters: URLSearchParams): Nested {
  const query: Nested = Object.create(null)
  for (const [name, value] of parameters) {
    const [, first = name, rest = ""] = /^([^[\]]+)((?:\[[^[\]]*\])+)$/.exec(name) ?? []
    const keys = [first, ...[...rest.matchAll(/\[([^[\]]*)\]/g)].map((match) => match[1] ?? "")]
    const last = keys.pop() ?? ""
    let inner = query
    for (const key of keys) {
      const existing = inner[key]
      const next: Nested = typeof existing === "object" ? existing : Object.create(null)
      inner[key] = next
      inner = next
    }
    inner[last] = value
  }
  return query
}

/**
 * Converts the values of a query to the types in the schema. Leaves out empty values and fields that are not in the
 * schema.
 */
function coerceFields(query: Nested, { schema }: ItemType): Record<string, unknown> {
  const fields: Record<string, unknown> = Object.create(null)
  for (const [name, value] of Object.entries(query)) {
    const field: TSchema | undefined = Object.hasOwn(schema.properties, name)
      ? schema.properties[name]
      : undefined
    if (!field || value === "") continue
    fields[name] = name === "properties" ? propertiesOf(value) : coerceTo(typesOf(field), value)
  }
  return fields
}

/** Returns the JSON Schema types of a field. */
function typesOf({ type, anyOf = [] }: TSchema): unknown[] {
  return [type, ...anyOf.flatMap(typesOf)].filter(Boolean)
}

function coerceTo(types: readonly unknown[], value: string | Nested): unknown {
  if (typeof value !== "string") return value
  if (types.includes("number") || types.includes("integer")) return numberOf(value) ?? value
  if (types.includes("boolean")) return booleanOf(value) ?? value
  return value
}

/**
 * Returns the properties, which are sent as JSON or as nested fields. In nested fields, text that looks like a number
 * or boolean is converted. A string that is not JSON is returned unchanged, so that validation rejects it.
 */
function propertiesOf(value: string | Nested): unknown {
  if (typeof value !== "string") return coerceValues(value)
  try {
    return JSON.parse(value)
  } catch {
    return value
  }
}

function coerceValues(value: string | Nested): unknown {
  if (typeof value === "string") return numberOf(value) ?? booleanOf(value) ?? value
  const values: Record<string, unknown> = Object.create(null)
  for (const [key, inner] of Object.entries(value)) values[key] = coerceValues(inner)
  return values
}

/**
 * Converts a string to a number only if it is a decimal number of at most 15 digits without leading zeros, so that ids
 * with more digits or leading zeros stay strings.
 */
function numberOf(text: string): number | undefined {
  return /^-?(?:0|[1-9]\d{0,14})(?:\.\d+)?$/.test(text) && text.length <= 16 ? Number(text) : undefined
}

function booleanOf(text: string): boolean | undefined {
  return text === "true" || (text === "false" ? false : undefined)
}
