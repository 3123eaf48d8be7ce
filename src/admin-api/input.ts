import type { Static } from "@sinclair/typebox"
import { TypeCompiler } from "@sinclair/typebox/compiler"
import { durationText } from "../duration.ts"
import { type FieldError, type Reason, RequestError, rejections } from "../errors.ts"
import type { Format } from "../export/export.ts"
import { dateOf, readExpiry } from "../http/dates.ts"
import { keptRefusals, type RejectedRequest } from "../http/rejected-requests.ts"
import { checked, invalid, malformed } from "../http/validation.ts"
import { iso, isoOrNull } from "../iso.ts"
import type { Db } from "../store/db/driver.ts"
import type { Person } from "../store/forget.ts"
import { findKey, type Key, type KeyGrant, updateKey } from "../store/keys.ts"
import { type FoundProfile, mostFound } from "../store/profile-search.ts"
import { retentionOf } from "../store/retention.ts"
import {
  appOriginOf,
  canonicalWebsiteId,
  hostOf,
  pauseWebsite,
  updateWebsite,
  type Website,
  type WebsiteSettings,
} from "../store/websites.ts"
import { adviceOn } from "./advice.ts"
import {
  exportFilterSchema,
  type KeyJson,
  keyChangesSchema,
  newKeySchema,
  newWebsiteSchema,
  type ProfileJson,
  personSchema,
  profileFilterSchema,
  profileSearchSchema,
  profilesPerPage,
  type RefusalJson,
  refusalFilterSchema,
  type WebsiteJson,
  websiteChangesSchema,
} from "./schema.ts"

// What HTTP and the command line ask of a website or a key is checked here and nowhere else. Every reader takes a value
// that may be anything, and throws `invalid_shape` with each bad field named.

export type WebsiteChanges = Partial<WebsiteSettings> & { paused?: boolean }
export type KeyChanges = Partial<KeyGrant> & { disabled?: boolean }

const checkNewWebsite = TypeCompiler.Compile(newWebsiteSchema)
const checkWebsiteChanges = TypeCompiler.Compile(websiteChangesSchema)
const checkPerson = TypeCompiler.Compile(personSchema)
const checkNewKey = TypeCompiler.Compile(newKeySchema)
const checkKeyChanges = TypeCompiler.Compile(keyChangesSchema)
const checkRefusalFilter = TypeCompiler.Compile(refusalFilterSchema)
const checkProfileSearch = TypeCompiler.Compile(profileSearchSchema)
const checkProfileFilter = TypeCompiler.Compile(profileFilterSchema)
const checkExportFilter = TypeCompiler.Compile(exportFilterSchema)

/** Hosts that a browser can name in Origin; a wildcard would be stored and never match. */
const plainHost = /^(?:[a-z0-9_-]+(?:\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\])$/
const maxHostLength = 253

/** `id` is undefined where none was asked for. */
export function readNewWebsite(value: unknown): { id: string | undefined; settings: WebsiteSettings } {
  const input = checked(checkNewWebsite, value)
  const { domain = "", ...rest } = readSettings(input)
  return { id: input.id, settings: { domain, name: domain, allowedOrigins: [], anonymize: "off", ...rest } }
}

export function readWebsiteChanges(value: unknown): WebsiteChanges {
  const input = checked(checkWebsiteChanges, value)
  return input.paused === undefined ? readSettings(input) : { ...readSettings(input), paused: input.paused }
}

export function readPerson(value: unknown): Person["id"] {
  const { profileId, anonymousId } = checked(checkPerson, value, personWording)
  return profileId === undefined ? { anonymousId: anonymousId ?? "" } : { profileId }
}

/** What is not found of a person, in words; null where all of it is. */
export function forgetNote({ anonymize }: Website, id: Person["id"]): string | null {
  if (anonymize !== "daily" || "profileId" in id) return null
  return "the website stores visitors' ids as a hash that changes every day: only today's (UTC) could be matched, and nobody can tell any more whose the older ones are"
}

/** Default: may send events, to all websites, without limits and for ever. */
export function readNewKey(value: unknown, now: number): KeyGrant {
  const input = checked(checkNewKey, value)
  return {
    scopes: ["track:events"],
    websites: null,
    rateLimit: null,
    expiresAt: null,
    ...readGrant(input, now),
    name: input.name,
  }
}

export function readKeyChanges(value: unknown, now: number): KeyChanges {
  const input = checked(checkKeyChanges, value)
  return input.disabled === undefined
    ? readGrant(input, now)
    : { ...readGrant(input, now), disabled: input.disabled }
}

/** `limit`: how many to give, the newest first. */
export function readRefusalFilter(query: URLSearchParams): {
  websiteId: string | undefined
  reason: Reason | undefined
  limit: number
} {
  const filter = checked(checkRefusalFilter, Object.fromEntries(query))
  return {
    websiteId: filter.website_id === undefined ? undefined : canonicalWebsiteId(filter.website_id),
    reason: filter.reason as Reason | undefined,
    limit: Number(filter.limit ?? keptRefusals),
  }
}

/** `from` (included) and `to` (not included): Unix ms. */
export function readExportFilter(query: object): {
  websiteId: string | undefined
  from: number | undefined
  to: number | undefined
  /** All that the website has of one person. */
  person: Person["id"] | undefined
  format: Format
} {
  const filter = checked(checkExportFilter, query)
  const errors: FieldError[] = []
  const time = (field: "from" | "to") => {
    const text = filter[field]
    if (text === undefined) return undefined
    const ms = /^\d{1,15}$/.test(text) ? Number(text) : dateOf(text)
    if (!(ms >= 0)) errors.push({ field, message: exportFilterSchema.properties[field].expected })
    return ms
  }
  const [from, to] = [time("from"), time("to")]
  if (from !== undefined && to !== undefined && from >= to) {
    errors.push({ field: "to", message: "must be later than from" })
  }
  const person = personOf(filter, errors)
  if (errors.length > 0) throw invalid(errors)
  const websiteId = filter.website_id === undefined ? undefined : canonicalWebsiteId(filter.website_id)
  return { websiteId, from, to, person, format: filter.format ?? "ndjson" }
}

/** Adds to `errors` what does not go with a person. */
function personOf(filter: Static<typeof exportFilterSchema>, errors: FieldError[]): Person["id"] | undefined {
  const { profile_id: profileId, anonymous_id: anonymousId } = filter
  if (profileId === undefined && anonymousId === undefined) return undefined
  const field = profileId === undefined ? "anonymous_id" : "profile_id"
  const wrong = (message: string) => errors.push({ field, message })
  if (profileId !== undefined && anonymousId !== undefined) wrong("cannot be given beside anonymous_id")
  if (filter.website_id === undefined) wrong("takes website_id, which the person is of")
  if ((filter.from ?? filter.to) !== undefined) wrong("takes all that there is, without from and to")
  return profileId === undefined ? { anonymousId: anonymousId ?? "" } : { profileId }
}

/** `limit` and `offset`: of the list in its order. */
export function readProfileSearch(query: URLSearchParams): {
  websiteId: string
  search: string
  limit: number
  offset: number
} {
  const filter = checked(checkProfileSearch, Object.fromEntries(query))
  const { website_id: websiteId, search = "" } = filter
  const limit = Number(filter.limit ?? profilesPerPage)
  const offset = (Number(filter.page ?? 1) - 1) * limit
  if (search !== "" && offset + limit > mostFound) {
    const message = `must be within the first ${mostFound} profiles of a search: look for something rarer`
    throw invalid([{ field: "page", message }])
  }
  return { websiteId, search, limit, offset }
}

/** The website that a profile is of. */
export function readProfileFilter(query: URLSearchParams): string {
  return checked(checkProfileFilter, Object.fromEntries(query)).website_id
}

/** Works inside the caller's transaction. Throws `website_unknown`. */
export function changeWebsite(
  db: Db,
  id: string,
  { paused, ...settings }: WebsiteChanges,
  now: number,
): Website {
  const website = updateWebsite(db, id, settings)
  return paused === undefined ? website : pauseWebsite(db, id, paused, now)
}

/** Works inside the caller's transaction. Throws `key_not_found`, and `conflict` for a revoked key. */
export function changeKey(db: Db, id: string, { disabled, ...grant }: KeyChanges, now: number): Key {
  const key = findKey(db, id)
  if (key.revokedAt !== null) {
    throw new RequestError("conflict", { detail: `the key ${id} is revoked for good; create a new one` })
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
  }
}

export function profileJson({ createdAt, updatedAt, ...rest }: FoundProfile): ProfileJson {
  return { ...rest, createdAt: iso(createdAt), updatedAt: iso(updatedAt) }
}

export function refusalJson(refused: RejectedRequest): RefusalJson {
  const { at, path, websiteId, reason, fields: _, origin: __, ...rest } = refused
  const { status } = rejections[reason]
  return { time: iso(at), path, websiteId, status, reason, ...rest, advice: adviceOn(refused) }
}

/** One person is asked for, one way or the other. */
const personWording = {
  "Expected object to have at least 1 properties": "must have a profileId or an anonymousId",
  "Expected object to have no more than 1 properties": "must have either a profileId or an anonymousId",
}

function readSettings(input: Static<typeof websiteChangesSchema>): Partial<WebsiteSettings> {
  const errors = badName(input.name)
  const settings: Partial<WebsiteSettings> = {}
  if (input.domain !== undefined) {
    const domain = readHost(input.domain)
    if (domain) settings.domain = domain
    else errors.push({ field: "domain", message: newWebsiteSchema.properties.domain.expected })
  }
  if (input.allowedOrigins !== undefined) {
    const origins = input.allowedOrigins.map(readOrigin)
    origins.forEach((origin, index) => {
      if (origin) return
      const message = newWebsiteSchema.properties.allowedOrigins.items.expected
      errors.push({ field: `allowedOrigins.${index}`, message })
    })
    settings.allowedOrigins = [...new Set(origins.filter((origin) => origin !== undefined))]
  }
  if (input.retain !== undefined) {
    const retain = input.retain === "default" ? null : retentionOf(input.retain)
    if (retain !== undefined) settings.retain = retain
    else errors.push({ field: "retain", message: newWebsiteSchema.properties.retain.expected })
  }
  if (errors.length > 0) throw invalid(errors)
  if (input.name !== undefined) settings.name = input.name
  if (input.anonymize !== undefined) settings.anonymize = input.anonymize
  return settings
}

function readGrant(input: Static<typeof keyChangesSchema>, now: number): Partial<KeyGrant> {
  const errors = badName(input.name)
  const grant: Partial<KeyGrant> = {}
  if (input.expiresAt !== undefined) {
    const expiresAt = readExpiry(input.expiresAt, now)
    if (expiresAt !== undefined) grant.expiresAt = expiresAt
    else errors.push({ field: "expiresAt", message: newKeySchema.properties.expiresAt.expected })
  }
  if (errors.length > 0) throw invalid(errors)
  if (input.name !== undefined) grant.name = input.name
  if (input.scopes !== undefined) grant.scopes = [...new Set(input.scopes)]
  if (input.websites !== undefined) {
    grant.websites = input.websites && [...new Set(input.websites.map(canonicalWebsiteId))]
  }
  if (input.rateLimit !== undefined) grant.rateLimit = input.rateLimit
  return grant
}

/** What `readSettings` understands as the same. */
export function retainText(retain: number | null): string {
  if (retain === null) return "default"
  return retain === 0 ? "forever" : durationText(retain)
}

function badName(name: string | undefined): FieldError[] {
  return malformed("name", name, newKeySchema.properties.name.expected)
}

function readOrigin(text: string): string | undefined {
  return appOriginOf(text.trim()) ?? readHost(text)
}

function readHost(text: string): string | undefined {
  const host = hostOf(text.trim())
  return host && host.length <= maxHostLength && plainHost.test(host) ? host : undefined
}
