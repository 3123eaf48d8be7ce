import { type Static, Type } from "@sinclair/typebox"
import { formats } from "../export/formats.ts"
import {
  expiresAt,
  grantedWebsites,
  maxListEntries,
  name,
  strict,
  time,
  timeOrNull,
  websiteId,
} from "../http/schema.ts"
import { retentionFormat } from "../retention-period.ts"
import { scopes } from "../store/keys.ts"
import { anonymizeSettings } from "../store/websites.ts"

// `expected` is the error message for a value that does not match the schema.

const host = "must be a host or an origin without wildcards, such as example.com or https://example.com"

const domain = Type.String({
  maxLength: 2048,
  description:
    "Host of the website. Pages on this host and its subdomains can send events. A URL is reduced to its host",
  expected: host,
})

const origin =
  "must be a host or an origin without wildcards, such as example.com, https://example.com or capacitor://localhost"

const allowedOrigins = Type.Array(Type.String({ maxLength: 2048, expected: origin }), {
  maxItems: maxListEntries,
  description:
    "Other hosts that can send events, and origins of apps and extensions, such as capacitor://localhost. A URL is reduced to its host",
  expected: `must be a list of at most ${maxListEntries} hosts or origins`,
})

const anonymize = Type.Union(
  anonymizeSettings.map((setting) => Type.Literal(setting)),
  {
    description: "daily: visitors' ids are stored only as a hash that changes daily",
    expected: `must be ${anonymizeSettings.map((setting) => `"${setting}"`).join(" or ")}`,
  },
)

const retain = Type.String({
  pattern: "^(default|forever|[0-9]{1,9}[smhdw])$",
  description:
    'How long events are kept: a duration such as "90d", "forever", or "default" (the server\'s --retain). Older events are deleted',
  expected: `must be "default", ${retentionFormat}`,
})

const pageIdentify = Type.Boolean({
  description:
    "Lets pages identify visitors with POST /identify. Data from pages is stored as unverified claims and never overwrites data sent with a key",
  expected: "must be true or false",
})

const lowerIsBetter = Type.Array(
  Type.String({ minLength: 1, maxLength: 256, expected: "must be a string of 1 to 256 characters" }),
  {
    maxItems: maxListEntries,
    description:
      "Names of events that should decrease, such as errors. The dashboard shows a decrease as good and an increase as bad; changes in all other events are neutral",
    expected: `must be a list of at most ${maxListEntries} event names`,
  },
)

const oneScope = Type.Union(
  scopes.map((scope) => Type.Literal(scope)),
  { expected: `must be one of ${scopes.join(", ")}` },
)

const keyScopes = Type.Array(oneScope, {
  minItems: 1,
  maxItems: scopes.length,
  description: "Permissions of the key",
  expected: `must be a list of scopes: ${scopes.join(", ")}`,
})

/** Maximum rate limit of a key, in requests per minute. */
export const maxRateLimit = 1_000_000

const rateLimit = Type.Union([Type.Null(), Type.Integer({ minimum: 1, maximum: maxRateLimit })], {
  description: "Requests per minute; null: unlimited",
  expected: `must be null or a whole number from 1 to ${maxRateLimit}`,
})

/**
 * Excludes `.` and `..`, which browsers resolve in a URL, and `all` and `none`, which have special meanings in queries.
 * Websites that were created by older versions can still have such ids.
 */
const newWebsiteId = Type.String({
  pattern: "^(?!(?:\\.{1,2}|all|none)$)[A-Za-z0-9._-]{1,255}$",
  description: "Id of the website, used by pages and events",
  expected: "must be 1 to 255 characters A-Z, a-z, 0-9, '.', '_' or '-', but not '.', '..', 'all' or 'none'",
})

const websiteSettings = { name, allowedOrigins, anonymize, retain, pageIdentify, lowerIsBetter }
const optionalWebsiteSettings = Type.Partial(Type.Object(websiteSettings)).properties

export const newWebsiteSchema = Type.Object(
  {
    domain,
    id: Type.Optional(newWebsiteId),
    ...optionalWebsiteSettings,
  },
  strict,
)

export const websiteChangesSchema = Type.Object(
  {
    domain: Type.Optional(domain),
    ...optionalWebsiteSettings,
    paused: Type.Optional(
      Type.Boolean({
        description: "true: the website rejects new events and keeps its stored events",
        expected: "must be true or false",
      }),
    ),
  },
  strict,
)

const keyGrant = { scopes: keyScopes, websites: grantedWebsites, rateLimit, expiresAt }
const optionalKeyGrant = Type.Partial(Type.Object(keyGrant)).properties

export const newKeySchema = Type.Object(
  {
    name,
    ...optionalKeyGrant,
  },
  strict,
)

export const keyChangesSchema = Type.Object(
  {
    name: Type.Optional(name),
    ...optionalKeyGrant,
    disabled: Type.Optional(
      Type.Boolean({
        description: "true: the key is rejected until it is enabled again",
        expected: "must be true or false",
      }),
    ),
  },
  strict,
)

const personId = (description: string) =>
  Type.String({
    minLength: 1,
    maxLength: 256,
    description,
    expected: "must be a string of 1 to 256 characters",
  })

/** Requires exactly one of the two ids. */
export const personSchema = Type.Object(
  {
    profileId: Type.Optional(
      personId(
        "Deletes this profile, its links, its events, and those events of its linked anonymous ids that do not have a different profile",
      ),
    ),
    anonymousId: Type.Optional(
      personId("Deletes this visitor's events and its links to profiles, but not the profiles"),
    ),
  },
  { ...strict, minProperties: 1, maxProperties: 1 },
)

export const forgottenSchema = Type.Object({
  events: Type.Integer({ minimum: 0, description: "Deleted events" }),
  profiles: Type.Integer({ minimum: 0, description: "Deleted profiles" }),
  links: Type.Integer({ minimum: 0, description: "Deleted links of anonymous ids to profiles" }),
  removedEvents: Type.Integer({
    minimum: 0,
    description:
      "Events that only the ClickHouse cluster had (--keep-local): queries leave them out, and the cluster deletes them within minutes",
  }),
  overwritten: Type.Boolean({
    description:
      "false: another process was using the database, so the file or its -wal can still contain deleted data",
  }),
  note: Type.Union([Type.Null(), Type.String()], { description: "Note about data that could not be found" }),
})

/** A website in the API and in `--json` output. */
export const websiteSchema = Type.Object({
  id: websiteId,
  domain,
  ...websiteSettings,
  createdAt: time("Creation time"),
  pausedAt: timeOrNull("Time when the website was paused; null: not paused"),
})

/** A key in the API and in `--json` output. */
export const keySchema = Type.Object({
  id: Type.String({ description: "Id of the key; not secret" }),
  name,
  start: Type.String({ description: "The first characters of the secret" }),
  scopes: keyScopes,
  websites: grantedWebsites,
  rateLimit,
  createdAt: time("Creation time"),
  expiresAt: timeOrNull("Expiry time; null: never"),
  disabledAt: timeOrNull("Time when the key was disabled; null: not disabled"),
  revokedAt: timeOrNull("Time when the key was revoked; null: not revoked"),
  lastUsedAt: timeOrNull("Time of the last use, updated every few seconds; null: never"),
  previousStart: Type.Union([Type.Null(), Type.String()], {
    description: "The first characters of the secret before the last rotation; null: there is none",
  }),
  previousExpiresAt: timeOrNull(
    "Time until which the secret before the last rotation still works; null: there is none",
  ),
})

/** A key with its secret, returned only on creation and rotation. */
export const keyWithSecretSchema = Type.Composite([
  keySchema,
  Type.Object({ key: Type.String({ description: "The secret key, shown once" }) }),
])

const bound = (description: string) =>
  Type.Optional(
    Type.String({
      maxLength: 64,
      description,
      expected:
        "must be a date such as 2026-11-01 or 2026-11-01T12:00:00Z, in UTC unless it has an offset, or Unix ms",
    }),
  )

/** The parameter `website_id` of lists and exports. */
export const websiteFilter = Type.Optional(
  Type.String({
    minLength: 1,
    maxLength: 255,
    description: "Filter by website",
    expected: "must be the ID of a website",
  }),
)

/** Query string of GET /v1/export. */
export const exportFilterSchema = Type.Object(
  {
    website_id: websiteFilter,
    from: bound("Events at or after this time: ISO 8601 or Unix ms"),
    to: bound("Events before this time"),
    profile_id: Type.Optional(
      personId("Exports all data about this profile: the profile, its links and its events"),
    ),
    anonymous_id: Type.Optional(personId("Exports all data about this visitor: its links and its events")),
    format: Type.Optional(
      Type.Union(
        formats.map((format) => Type.Literal(format)),
        { description: "Default: ndjson", expected: `must be one of ${formats.join(", ")}` },
      ),
    ),
  },
  strict,
)

export type WebsiteJson = Static<typeof websiteSchema>
export type KeyJson = Static<typeof keySchema>
