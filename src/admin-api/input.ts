import type { Static } from "@sinclair/typebox"
import { formatDuration } from "../duration.ts"
import { type FieldError, RequestError } from "../errors.ts"
import type { Format } from "../export/formats.ts"
import { parseExpiry, parseIsoDate } from "../http/dates.ts"
import { maxRejectedRequests, type RejectedRequest } from "../http/rejected-requests.ts"
import { invalidShape, SchemaCheck, unicodeErrors, validate } from "../http/validation.ts"
import { iso, isoOrNull } from "../iso.ts"
import { type RejectionReason, rejections } from "../rejection-reasons.ts"
import { parseRetention } from "../retention-period.ts"
import type { Db } from "../store/db/driver.ts"
import type { Person } from "../store/forget.ts"
import { findKey, type Key, type KeyGrant, updateKey } from "../store/keys.ts"
import { type FoundProfile, maxSearchResults } from "../store/profile-search.ts"
import {
  appOriginOf,
  canonicalWebsiteId,
  hostOf,
  pauseWebsite,
  updateWebsite,
  type Website,
  type WebsiteSettings,
} from "../store/websites.ts"
import { adviceFor } from "./advice.ts"
import {
  type ProfileJson,
  profileFilterSchema,
  profileSearchSchema,
  profilesPerPage,
} from "./profile-schema.ts"
import { type RejectedRequestJson, rejectedRequestFilterSchema } from "./rejected-request-schema.ts"
import {
  exportFilterSchema,
  type KeyJson,
  keyChangesSchema,
  newKeySchema,
  newWebsiteSchema,
  personSchema,
  type WebsiteJson,
  websiteChangesSchema,
} from "./schema.ts"

// Validates input for websites, keys and profiles from HTTP and the command line. The parsers take unvalidated values.
// If a value is invalid, they throw `invalid_shape` with all invalid fields.

export type WebsiteChanges = Partial<WebsiteSettings> & { paused?: boolean }
export type KeyChanges = Partial<KeyGrant> & { disabled?: boolean }

const checkNewWebsite = new SchemaCheck(newWebsiteSchema)
const checkWebsiteChanges = new SchemaCheck(websiteChangesSchema)
const checkPerson = new SchemaCheck(personSchema)
const checkNewKey = new SchemaCheck(newKeySchema)
const checkKeyChanges = new SchemaCheck(keyChangesSchema)
const checkRejectedRequestFilter = new SchemaCheck(rejectedRequestFilterSchema)
const checkProfileSearch = new SchemaCheck(profileSearchSchema)
const checkProfileFilter = new SchemaCheck(profileFilterSchema)
const checkExportFilter = new SchemaCheck(exportFilterSchema)

/** Matches a host that can occur in an Origin header. Such a host has no wildcards. */
const plainHost = /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])$/
const maxHostLength = 253

/** Parses a new website. `id` is undefined unless the request sets it. */
export function parseNewWebsite(value: unknown): { id: string | undefined; settings: WebsiteSettings } {
  const input = validate(checkNewWebsite, value)
  const { domain = "", ...rest } = parseSettings(input)
  return { id: input.id, settings: { domain, name: domain, allowedOrigins: [], anonymize: "off", ...rest } }
}

export function parseWebsiteChanges(value: unknown): WebsiteChanges {
  const input = validate(checkWebsiteChanges, value)
  return input.paused === undefined ? parseSettings(input) : { ...parseSettings(input), paused: input.paused }
}

export function parsePerson(value: unknown): Person["id"] {
  const { profileId, anonymousId } = validate(checkPerson, value, personMessages)
  return profileId === undefined ? { anonymousId: anonymousId ?? "" } : { profileId }
}

/** Returns a note if some of the person's data cannot be found, or null if all of it can. */
export function forgetNote({ anonymize }: Website, id: Person["id"]): string | null {
  if (anonymize !== "daily" || "profileId" in id) return null
  return "the website anonymizes visitors daily, so only today's events (UTC) can be matched to this visitor"
}

/** Parses a new key. By default, it has the scope track:events for all websites, and no rate limit or expiry. */
export function parseNewKey(value: unknown, now: number): KeyGrant {
  const input = validate(checkNewKey, value)
  return {
    scopes: ["track:events"],
    websites: null,
    rateLimit: null,
    expiresAt: null,
    ...parseGrant(input, now),
    name: input.name,
  }
}

export function parseKeyChanges(value: unknown, now: number): KeyChanges {
  const input = validate(checkKeyChanges, value)
  return input.disabled === undefined
    ? parseGrant(input, now)
    : { ...parseGrant(input, now), disabled: input.disabled }
}

/** Parses a filter for rejected requests. `limit`: number of requests to return, newest first. */
export function parseRejectedRequestFilter(query: URLSearchParams): {
  websiteId: string | undefined
  reason: RejectionReason | undefined
  limit: number
} {
  const filter = validate(checkRejectedRequestFilter, Object.fromEntries(query))
  return {
    websiteId: filter.website_id === undefined ? undefined : canonicalWebsiteId(filter.website_id),
    reason: filter.reason,
    limit: Number(filter.limit ?? maxRejectedRequests),
  }
}

/** Parses an export filter. `from` (inclusive) and `to` (exclusive) are returned in Unix ms. */
export function parseExportFilter(query: object): {
  websiteId: string | undefined
  from: number | undefined
  to: number | undefined
  /** Limits the export to the data of this person. */
  person: Person["id"] | undefined
  format: Format
} {
  const filter = validate(checkExportFilter, query)
  const errors: FieldError[] = []
  const time = (field: "from" | "to") => {
    const text = filter[field]
    if (text === undefined) return undefined
    const ms = /^\d{1,15}$/.test(text) ? Number(text) : parseIsoDate(text)
    if (!(ms >= 0)) errors.push({ field, message: exportFilterSchema.properties[field].expected })
    return ms
  }
  const [from, to] = [time("from"), time("to")]
  if (from !== undefined && to !== undefined && from >= to) {
    errors.push({ field: "to", message: "must be later than the start of the range" })
  }
  const person = personOf(filter, errors)
  if (errors.length > 0) throw invalidShape(errors)
  const websiteId = filter.website_id === undefined ? undefined : canonicalWebsiteId(filter.website_id)
  return { websiteId, from, to, person, format: filter.format ?? "ndjson" }
}

/**
 * Returns the person in a filter, or undefined if there is none. If there is a person, adds an error for each parameter
 * that is missing or cannot be combined with it.
 */
function personOf(filter: Static<typeof exportFilterSchema>, errors: FieldError[]): Person["id"] | undefined {
  const { profile_id: profileId, anonymous_id: anonymousId } = filter
  if (profileId === undefined && anonymousId === undefined) return undefined
  const field = profileId === undefined ? "anonymous_id" : "profile_id"
  const addError = (message: string) => errors.push({ field, message })
  if (profileId !== undefined && anonymousId !== undefined) addError("cannot be combined with anonymous_id")
  if (filter.website_id === undefined) addError("requires website_id")
  if ((filter.from ?? filter.to) !== undefined)
    addError("exports all data about the person and cannot be combined with from or to")
  return profileId === undefined ? { anonymousId: anonymousId ?? "" } : { profileId }
}

/**
 * Parses a profile search. `limit` and `offset` select a page of the profiles that match `search`. If `ids` is not
 * empty, it selects the profiles instead.
 */
export function parseProfileSearch(query: URLSearchParams): {
  websiteId: string
  ids: readonly string[]
  search: string
  limit: number
  offset: number
} {
  const listed = query.getAll("id")
  const filter = validate(checkProfileSearch, {
    ...Object.fromEntries(query),
    ...(listed.length > 0 ? { id: listed } : {}),
  })
  const { website_id: websiteId, id: ids = [], search = "" } = filter
  if (ids.length > 0 && (filter.search ?? filter.limit ?? filter.page) !== undefined)
    throw invalidShape([{ field: "id", message: "cannot be combined with search, limit or page" }])
  const limit = Number(filter.limit ?? profilesPerPage)
  const offset = (Number(filter.page ?? 1) - 1) * limit
  if (search !== "" && offset + limit > maxSearchResults) {
    const message = `must be within the first ${maxSearchResults} profiles of a search: use a more specific search`
    throw invalidShape([{ field: "page", message }])
  }
  return { websiteId, ids, search, limit, offset }
}

/** Returns the website id in a request for one profile. */
export function parseProfileFilter(query: URLSearchParams): string {
  return validate(checkProfileFilter, Object.fromEntries(query)).website_id
}

/** Changes a website, inside the caller's transaction. Throws `website_unknown`. */
export function changeWebsite(
  db: Db,
  id: string,
  { paused, ...settings }: WebsiteChanges,
  now: number,
): Website {
  const website = updateWebsite(db, id, settings)
  return paused === undefined ? website : pauseWebsite(db, id, paused, now)
}

/** Changes a key, inside the caller's transaction. Throws `key_not_found`, or `conflict` for a revoked key. */
export function changeKey(db: Db, id: string, { disabled, ...grant }: KeyChanges, now: number): Key {
  const key = findKey(db, id)
  if (key.revokedAt !== null) {
    throw new RequestError("conflict", { detail: `the key ${id} is permanently revoked; create a new one` })
  }
  if (disabled === undefined) return updateKey(db, id, grant)
  return updateKey(db, id, { ...grant, disabledAt: disabled ? (key.disabledAt ?? now) : null })
}

export function websiteJson(website: Website): WebsiteJson {
  const { rid: _, retain, createdAt, pausedAt, ...rest } = website
  return { ...rest, retain: retainText(retain), createdAt: iso(createdAt), pausedAt: isoOrNull(pausedAt) }
}

export function keyJson(key: Key): KeyJson {
  return {
    ...key,
    createdAt: iso(key.createdAt),
    expiresAt: isoOrNull(key.expiresAt),
    disabledAt: isoOrNull(key.disabledAt),
    revokedAt: isoOrNull(key.revokedAt),
    lastUsedAt: isoOrNull(key.lastUsedAt),
    previousExpiresAt: isoOrNull(key.previousExpiresAt),
  }
}

export function profileJson({ createdAt, updatedAt, ...rest }: FoundProfile): ProfileJson {
  return { ...rest, createdAt: iso(createdAt), updatedAt: iso(updatedAt) }
}

export function rejectedRequestJson(request: RejectedRequest): RejectedRequestJson {
  const { at, path, websiteId, reason, fields: _, origin = null, ...rest } = request
  const { status } = rejections[reason]
  return { time: iso(at), path, websiteId, status, reason, ...rest, origin, advice: adviceFor(request) }
}

/** Messages for input that does not contain exactly one id of a person. */
const personMessages = {
  "Expected object to have at least 1 properties": "must have a profileId or an anonymousId",
  "Expected object to have no more than 1 properties": "must have either a profileId or an anonymousId",
}

function parseSettings(input: Static<typeof websiteChangesSchema>): Partial<WebsiteSettings> {
  const errors = nameErrors(input.name)
  const settings: Partial<WebsiteSettings> = {}
  if (input.domain !== undefined) {
    const domain = parseHost(input.domain)
    if (domain) settings.domain = domain
    else errors.push({ field: "domain", message: newWebsiteSchema.properties.domain.expected })
  }
  if (input.allowedOrigins !== undefined) {
    const origins = input.allowedOrigins.map(parseOrigin)
    origins.forEach((origin, index) => {
      if (origin) return
      const message = newWebsiteSchema.properties.allowedOrigins.items.expected
      errors.push({ field: `allowedOrigins.${index}`, message })
    })
    settings.allowedOrigins = [...new Set(origins.filter((origin) => origin !== undefined))]
  }
  if (input.retain !== undefined) {
    const retain = input.retain === "default" ? null : parseRetention(input.retain)
    if (retain !== undefined) settings.retain = retain
    else errors.push({ field: "retain", message: newWebsiteSchema.properties.retain.expected })
  }
  if (errors.length > 0) throw invalidShape(errors)
  if (input.name !== undefined) settings.name = input.name
  if (input.anonymize !== undefined) settings.anonymize = input.anonymize
  if (input.pageIdentify !== undefined) settings.pageIdentify = input.pageIdentify
  if (input.lowerIsBetter !== undefined) settings.lowerIsBetter = [...new Set(input.lowerIsBetter)]
  return settings
}

function parseGrant(input: Static<typeof keyChangesSchema>, now: number): Partial<KeyGrant> {
  const errors = nameErrors(input.name)
  const grant: Partial<KeyGrant> = {}
  if (input.expiresAt !== undefined) {
    const expiresAt = parseExpiry(input.expiresAt, now)
    if (expiresAt !== undefined) grant.expiresAt = expiresAt
    else errors.push({ field: "expiresAt", message: newKeySchema.properties.expiresAt.expected })
  }
  if (errors.length > 0) throw invalidShape(errors)
  if (input.name !== undefined) grant.name = input.name
  if (input.scopes !== undefined) grant.scopes = [...new Set(input.scopes)]
  if (input.websites !== undefined) {
    grant.websites = input.websites && [...new Set(input.websites.map(canonicalWebsiteId))]
  }
  if (input.rateLimit !== undefined) grant.rateLimit = input.rateLimit
  return grant
}

/** Formats a retention period in ms for the API, in the format that `parseSettings` accepts. */
export function retainText(retain: number | null): string {
  if (retain === null) return "default"
  return retain === 0 ? "forever" : formatDuration(retain)
}

function nameErrors(name: string | undefined): FieldError[] {
  return unicodeErrors("name", name, newKeySchema.properties.name.expected)
}

function parseOrigin(text: string): string | undefined {
  const origin = text.trim()
  // `capacitor:` is a scheme without a host, not the host `capacitor` with an empty port.
  if (origin.endsWith(":")) return undefined
  return appOriginOf(origin) ?? parseHost(origin)
}

function parseHost(text: string): string | undefined {
  const host = hostOf(text.trim())
  return host && host.length <= maxHostLength && plainHost.test(host) ? host : undefined
}
