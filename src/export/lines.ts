import type { StoredEvent, StoredLink, StoredProfile } from "../store/event-reader.ts"
import type { Website } from "../store/websites.ts"

// The lines of an ndjson export, a JSON object each: the first says what it is, then come websites, profiles, links and
// events, and the last says how many of each there are, so that a file that ends early is known for it. The fields have
// the names of the tables and of the `events` view; times are Unix ms.

/** What the first line says. A later version of the format that an older program would misread gets another number. */
export const formatVersion = 1

/** Lines of each kind. */
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

export function websiteLine(website: Website): string {
  return JSON.stringify({
    type: "website",
    id: website.id,
    domain: website.domain,
    name: website.name,
    allowed_origins: website.allowedOrigins,
    anonymize: website.anonymize,
    retain_ms: website.retain,
    created_at: website.createdAt,
    paused_at: website.pausedAt,
  })
}

export function profileLine(websiteId: string, { traits, ...profile }: StoredProfile): string {
  return withText({ type: "profile", website_id: websiteId, ...profile }, "traits", traits)
}

export function linkLine(websiteId: string, link: StoredLink): string {
  return JSON.stringify({ type: "link", website_id: websiteId, ...link })
}

export function eventLine({ properties, ...event }: StoredEvent): string {
  return withText({ type: "event", ...event }, "properties", properties)
}

/** With one field more, which is JSON text already. */
function withText(object: object, field: string, text: string | null): string {
  return `${JSON.stringify(object).slice(0, -1)},"${field}":${text ?? "null"}}`
}
