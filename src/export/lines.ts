import { splitContext } from "../store/contexts.ts"
import type { StoredEvent } from "../store/event-reader.ts"
import type { StoredLink, StoredProfile } from "../store/profile-reader.ts"
import type { Website } from "../store/websites.ts"

// Writes the lines of an ndjson export. Each line is a JSON object: first a header, then websites, profiles, links and
// events, and last the counts, which show whether the file is complete. Fields are named as in the tables and the
// `events` view. Times are in Unix ms.

/** Format version in the header. Incremented by each incompatible change. */
export const formatVersion = 1

/** Number of lines of each kind. */
export interface Counts {
  websites: number
  profiles: number
  links: number
  events: number
}

export function firstLine(): string {
  return JSON.stringify({ type: "databuddy-export", version: formatVersion })
}

export function endLine(counts: Counts): string {
  return JSON.stringify({ type: "end", ...counts })
}

/** Returns the line of a website. `lower_is_better` is left out if it is empty. */
export function websiteLine(website: Website): string {
  return JSON.stringify({
    type: "website",
    id: website.id,
    domain: website.domain,
    name: website.name,
    allowed_origins: website.allowedOrigins,
    anonymize: website.anonymize,
    retain_ms: website.retain,
    page_identify: website.pageIdentify,
    ...(website.lowerIsBetter.length === 0 ? {} : { lower_is_better: website.lowerIsBetter }),
    created_at: website.createdAt,
    paused_at: website.pausedAt,
  })
}

/** Returns the line of a profile. `claimed` is left out if it is empty. */
export function profileLine(websiteId: string, { traits, claimed, ...profile }: StoredProfile): string {
  const names: string[] = JSON.parse(claimed)
  const claims = names.length === 0 ? {} : { claimed: names }
  return withJsonField({ type: "profile", website_id: websiteId, ...profile, ...claims }, "traits", traits)
}

/** Returns the line of a link. `claimed` is left out if it is false. */
export function linkLine(websiteId: string, { claimed, ...link }: StoredLink): string {
  return JSON.stringify({
    type: "link",
    website_id: websiteId,
    ...link,
    ...(claimed === 1 && { claimed: true }),
  })
}

/**
 * Returns the line of an event. Leaves out the kind of custom events, and context fields without a value. The line of a
 * custom event without context fields is therefore the same as in earlier versions.
 */
export function eventLine(event: StoredEvent): string {
  const { rest, context } = splitContext(event)
  const { properties, kind, ...fields } = rest
  const optionalFields = kind === "custom" ? context : { kind, ...context }
  return withJsonField({ type: "event", ...fields, ...optionalFields }, "properties", properties)
}

/** Adds a field whose value is already serialized as JSON. */
function withJsonField(object: object, field: string, text: string | null): string {
  return `${JSON.stringify(object).slice(0, -1)},"${field}":${text ?? "null"}}`
}
