import type { RequestError } from "../errors.ts"
import type { RejectedRequest } from "../http/rejected-requests.ts"
import type { RequestContext } from "../http/request-context.ts"
import { allowedOriginOf, canonicalWebsiteId } from "../store/websites.ts"
import { pageWebsiteId } from "./credential.ts"
import { maxListedKeys, SerializedProperties } from "./event.ts"

// Anyone can send requests that are rejected, so the size of a description is limited.

/** Maximum number of events to inspect. A mistake in one event is usually in all of them. */
const maxInspectedEvents = 100
const maxNames = 10
/** Maximum number of UTF-16 code units of a name or key. */
const maxLength = 64
const maxIdLength = 255
/**
 * Maximum number of invalid fields to list. Once these fields are fixed, the next rejected request lists the others.
 */
const maxFields = 3

/** Describes a rejected request by its names and keys. Omits values, because they can be personal data or passwords. */
export function describeRejected(
  context: RequestContext,
  { path, hasEvents = false }: { path: string; hasEvents?: boolean },
  { reason, fields = [] }: Pick<RequestError, "reason" | "fields">,
  at: number,
): RejectedRequest {
  const { request, body } = context
  const events = hasEvents && body !== undefined ? (Array.isArray(body) ? body : [body]) : undefined
  const inspected = events?.slice(0, maxInspectedEvents) ?? [body]
  const names = new Set<string>()
  const keys = new Set<string>()
  const websites = new Set<string | undefined>()
  const queryId = pageWebsiteId(request)
  if (inspected.length === 0) websites.add(queryId)
  for (const value of inspected) {
    const { properties, traits, websiteId, ...rest } = asObject(value)
    // The list routes of the page script, such as /vitals, use other names for this field.
    const name = rest.name ?? rest.eventName ?? rest.metricName
    websites.add((typeof websiteId === "string" && websiteId) || queryId)
    if (events && typeof name === "string" && names.size < maxNames) names.add(truncate(name, maxLength))
    for (const key of keysOf(events ? properties : traits)) {
      if (keys.size >= maxListedKeys) break
      keys.add(truncate(key, maxLength))
    }
  }
  return {
    at,
    path,
    // A caller that is limited to one website sees that website's rejected requests, which must not include names from
    // other websites.
    websiteId: websites.size === 1 ? idOf([...websites][0]) : null,
    reason,
    events: events?.length ?? null,
    names: [...names],
    keys: [...keys],
    fields: fields
      .slice(0, maxFields)
      .map(({ field, message }) => ({ field: truncate(field, maxLength), message })),
    ...(reason === "origin_not_allowed" && { origin: originOf(request) }),
  }
}

/** Returns `value`, or an empty object if it is not an object. The assertion only says that any key can be read. */
function asObject(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}

function keysOf(value: unknown): Iterable<string> {
  return value instanceof SerializedProperties ? value.keys : Object.keys(asObject(value))
}

function idOf(websiteId: string | undefined): string | null {
  return websiteId === undefined ? null : canonicalWebsiteId(truncate(websiteId, maxIdLength))
}

function originOf({ headers }: Request): string | null {
  const origin = headers.get("origin")
  // Sandboxed frames and local files send the origin "null".
  if (origin === null || origin === "null") return null
  const allowed = allowedOriginOf(origin)
  return allowed === undefined ? null : truncate(allowed, maxIdLength)
}

/**
 * Copies the start of a string without splitting a surrogate pair. A slice would keep the whole string in memory, which
 * can take several MB.
 */
function truncate(text: string, limit: number): string {
  const copy = Buffer.from(text.slice(0, limit)).toString()
  return text.length > limit ? `${copy}…` : copy
}
