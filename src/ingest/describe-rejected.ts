import type { RequestError } from "../errors.ts"
import type { RejectedRequest } from "../http/rejected-requests.ts"
import type { RequestContext } from "../http/request-context.ts"
import { allowedOriginOf, canonicalWebsiteId } from "../store/websites.ts"
import { queryWebsiteId } from "./credential.ts"

// A refused request is anybody's: what is kept of it is bounded, whatever was sent.

/** Events of a request that are looked at: a mistake of one is mostly the mistake of all. */
const lookedAt = 100
const maxNames = 10
const maxKeys = 30
/** UTF-16 units of a name or key. */
const maxLength = 64
const maxIdLength = 255
/** Bad fields: whoever has mended those sends it again. */
const maxFields = 3

/** What is kept of a refused request. Names and keys alone: a value may be anybody's address, or password. */
export function describeRefused(
  arrival: RequestContext,
  path: string,
  { reason, fields = [] }: Pick<RequestError, "reason" | "fields">,
  at: number,
): RejectedRequest {
  const { request, body } = arrival
  const events = path === "/track" && body !== undefined ? (Array.isArray(body) ? body : [body]) : undefined
  const sent = events?.slice(0, lookedAt) ?? [body]
  const names = new Set<string>()
  const keys = new Set<string>()
  const websites = new Set<string | undefined>()
  const queryId = queryWebsiteId(request.url)
  for (const one of sent) {
    const { name, properties, traits, websiteId } = fieldsOf(one)
    websites.add((typeof websiteId === "string" && websiteId) || queryId)
    if (events && typeof name === "string" && names.size < maxNames) names.add(shortened(name, maxLength))
    for (const key of Object.keys(fieldsOf(events ? properties : traits))) {
      if (keys.size >= maxKeys) break
      keys.add(shortened(key, maxLength))
    }
  }
  return {
    at,
    path,
    // A key that is limited to one website sees what was for it: the names of several must not be among that.
    websiteId: websites.size === 1 ? idOf([...websites][0]) : null,
    reason,
    events: events?.length ?? null,
    names: [...names],
    keys: [...keys],
    fields: fields
      .slice(0, maxFields)
      .map(({ field, message }) => ({ field: shortened(field, maxLength), message })),
    ...(reason === "origin_not_allowed" && { origin: originOf(request) }),
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : {}
}

function idOf(websiteId: string | undefined): string | null {
  return websiteId === undefined ? null : canonicalWebsiteId(shortened(websiteId, maxIdLength))
}

function originOf({ headers }: Request): string | null {
  const origin = headers.get("origin")
  // "null" is what a sandboxed frame says, and a file.
  if (origin === null || origin === "null") return null
  const allowed = allowedOriginOf(origin)
  return allowed === undefined ? null : shortened(allowed, maxIdLength)
}

/** A copy, cut and well-formed. A mere slice would keep all of a megabyte's string in memory. */
function shortened(text: string, limit: number): string {
  const copy = Buffer.from(text.slice(0, limit)).toString()
  return text.length > limit ? `${copy}…` : copy
}
