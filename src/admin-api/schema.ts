import { type Static, Type } from "@sinclair/typebox"
import { rejections } from "../errors.ts"
import { formats } from "../export/export.ts"
import { keptRefusals } from "../http/rejected-requests.ts"
import {
  expiresAt,
  grantedWebsites,
  maxListed,
  name,
  noControls,
  strict,
  time,
  timeOrNull,
  websiteId,
} from "../http/schema.ts"
import { scopes } from "../store/keys.ts"
import { mostFound } from "../store/profile-search.ts"
import { retentionForm } from "../store/retention.ts"
import { anonymizeSettings } from "../store/websites.ts"

// In each schema, `expected` is what the error says the field must be.

const host = "must be a host or an origin, such as example.com or https://example.com, without wildcards"

const domain = Type.String({
  maxLength: 2048,
  description: "Its host; pages of it and of its subdomains may send. An address is cut down to its host",
  expected: host,
})

const origin =
  "must be a host or an origin, such as example.com, https://example.com or capacitor://localhost, without wildcards"

const allowedOrigins = Type.Array(Type.String({ maxLength: 2048, expected: origin }), {
  maxItems: maxListed,
  description:
    "Further hosts whose pages may send, and whole origins of apps and extensions, such as capacitor://localhost. An address is cut down to its host",
  expected: `must be a list of at most ${maxListed} hosts or origins`,
})

const anonymize = Type.Union(
  anonymizeSettings.map((setting) => Type.Literal(setting)),
  {
    description: "daily: visitors' ids are stored as a hash that changes every day",
    expected: `must be ${anonymizeSettings.map((setting) => `"${setting}"`).join(" or ")}`,
  },
)

const retain = Type.String({
  pattern: "^(default|forever|[0-9]{1,9}[smhdw])$",
  description:
    "How long its events are kept, such as 90d; forever; or default: as the server's --retain says. Older ones are deleted",
  expected: `must be default, ${retentionForm}`,
})

const oneScope = Type.Union(
  scopes.map((scope) => Type.Literal(scope)),
  { expected: `must be one of ${scopes.join(", ")}` },
)

const keyScopes = Type.Array(oneScope, {
  minItems: 1,
  maxItems: scopes.length,
  description: "What the key may do",
  expected: `must be a list of scopes: ${scopes.join(", ")}`,
})

/** The highest limit that a request can ask for; null is none at all. */
export const maxRateLimit = 1_000_000

const rateLimit = Type.Union([Type.Null(), Type.Integer({ minimum: 1, maximum: maxRateLimit })], {
  description: "Requests a minute; null: any number",
  expected: `must be null or a whole number from 1 to ${maxRateLimit}`,
})

/**
 * Browsers take `.` and `..` in an address for folders, and `all` and `none` mean websites together and events without one. Of
 * versions that allowed these, such websites keep their ids.
 */
const newWebsiteId = Type.String({
  pattern: "^(?!(?:\\.{1,2}|all|none)$)[A-Za-z0-9._-]{1,255}$",
  description: "The id that pages and events carry",
  expected: "must be 1 to 255 of A-Z, a-z, 0-9, '.', '_' and '-', and not '.', '..', 'all' or 'none'",
})

export const newWebsiteSchema = Type.Object(
  {
    domain,
    id: Type.Optional(newWebsiteId),
    name: Type.Optional(name),
    allowedOrigins: Type.Optional(allowedOrigins),
    anonymize: Type.Optional(anonymize),
    retain: Type.Optional(retain),
  },
  strict,
)

export const websiteChangesSchema = Type.Object(
  {
    domain: Type.Optional(domain),
    name: Type.Optional(name),
    allowedOrigins: Type.Optional(allowedOrigins),
    anonymize: Type.Optional(anonymize),
    retain: Type.Optional(retain),
    paused: Type.Optional(
      Type.Boolean({
        description: "A paused website is answered as if it were unknown, and keeps its events",
        expected: "must be true or false",
      }),
    ),
  },
  strict,
)

export const newKeySchema = Type.Object(
  {
    name,
    scopes: Type.Optional(keyScopes),
    websites: Type.Optional(grantedWebsites),
    rateLimit: Type.Optional(rateLimit),
    expiresAt: Type.Optional(expiresAt),
  },
  strict,
)

export const keyChangesSchema = Type.Object(
  {
    name: Type.Optional(name),
    scopes: Type.Optional(keyScopes),
    websites: Type.Optional(grantedWebsites),
    rateLimit: Type.Optional(rateLimit),
    expiresAt: Type.Optional(expiresAt),
    disabled: Type.Optional(
      Type.Boolean({
        description: "A disabled key is refused until it is enabled again",
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

/** One of the two; `readPerson` checks that. */
export const personSchema = Type.Object(
  {
    profileId: Type.Optional(
      personId(
        "The profile, its links, the events that name it, and those of anonymous ids linked to it that name no other profile",
      ),
    ),
    anonymousId: Type.Optional(personId("The events of this visitor and its links; profiles stay")),
  },
  { ...strict, minProperties: 1, maxProperties: 1 },
)

export const forgottenSchema = Type.Object({
  events: Type.Integer({ minimum: 0, description: "Events that were deleted" }),
  profiles: Type.Integer({ minimum: 0, description: "Profiles that were deleted" }),
  links: Type.Integer({ minimum: 0, description: "Links of anonymous ids to profiles that were deleted" }),
  overwritten: Type.Boolean({
    description: "false: a reader keeps the deleted bytes in the -wal until it is done",
  }),
  note: Type.Union([Type.Null(), Type.String()], { description: "What could not be found, for people" }),
})

/** A website as the API and `--json` show it. */
export const websiteSchema = Type.Object({
  id: websiteId,
  domain,
  name,
  allowedOrigins,
  anonymize,
  retain,
  createdAt: time("When it was made"),
  pausedAt: timeOrNull("Since when it is paused; null: it is not"),
})

/** A key as the API and `--json` show it. */
export const keySchema = Type.Object({
  id: Type.String({ description: "Names the key; it is no secret" }),
  name,
  start: Type.String({ description: "The first characters of the secret" }),
  scopes: keyScopes,
  websites: grantedWebsites,
  rateLimit,
  createdAt: time("When it was made"),
  expiresAt: timeOrNull("When it stops working; null: never"),
  disabledAt: timeOrNull("Since when it is disabled; null: it is not"),
  revokedAt: timeOrNull("When it was revoked, for good; null: it is not"),
  lastUsedAt: timeOrNull("When it was last used, some seconds late; null: never"),
})

/** A key at the one moment when its secret is shown. */
export const keyWithSecretSchema = Type.Composite([
  keySchema,
  Type.Object({ key: Type.String({ description: "The secret itself, shown this once" }) }),
])

const reason = Type.String({ enum: Object.keys(rejections), description: "Which rule it was" })

/** A refused request as the API and `--json` show it. */
export const refusalSchema = Type.Object({
  time: time("When it came"),
  path: Type.String({ enum: ["/track", "/identify"], description: "Where it was sent to" }),
  websiteId: Type.Union([Type.Null(), Type.String()], {
    description: "The website that it was for, as it was sent; null: none was named, or several",
  }),
  status: Type.Integer({ description: "What it was answered" }),
  reason,
  events: Type.Union([Type.Null(), Type.Integer()], {
    description: "How many it held; null where the body could not be read, or holds none",
  }),
  names: Type.Array(Type.String(), { description: "Of the events; ten at most, each cut at 64 characters" }),
  keys: Type.Array(Type.String(), {
    description: "Of their properties or the traits; thirty at most, each cut at 64 characters",
  }),
  advice: Type.String({ description: "What to change, for people" }),
})

const bytes = (description: string) => Type.Integer({ minimum: 0, description })

/** What GET /v1/status tells of a running server. */
export const statusSchema = Type.Object({
  version: Type.String({ description: "Of databuddy" }),
  startedAt: time("When the server was started"),
  database: Type.Object({
    bytes: bytes("Size of the file"),
    walBytes: bytes("Size of the -wal beside it"),
    events: Type.Integer({ minimum: 0, description: "Events that are stored, of all websites and of none" }),
  }),
  disk: Type.Object({
    freeBytes: bytes("Room that is left on the database's disk"),
    minFreeBytes: bytes("With less, no events are taken: --min-free"),
  }),
  retain: Type.String({
    description: "How long events are kept where their website does not say, such as 400d, or forever",
  }),
  backups: Type.Union(
    [
      Type.Null(),
      Type.Object({
        everyMs: Type.Integer({ minimum: 1, description: "Time from one to the next, ms" }),
        keep: Type.Integer({ minimum: 1, description: "Newest ones that stay" }),
        newestAt: timeOrNull("When the newest one was begun; null: there is none"),
        newestBytes: Type.Union([Type.Null(), bytes("Its size")], { description: "Its size" }),
        lastFailureAt: timeOrNull("When one failed last since the start; null: none did"),
      }),
    ],
    { description: "Those on a schedule; null: none are made" },
  ),
  durability: Type.Union([Type.Literal("fsync"), Type.Literal("os")], {
    description: "fsync: an event is on disk before it is answered; os: in the kernel",
  }),
})

/** The query of GET /v1/refusals. */
export const refusalFilterSchema = Type.Object(
  {
    website_id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description: "Of this website alone",
        expected: "must be the id of a website",
      }),
    ),
    reason: Type.Optional(
      Type.Union(
        Object.keys(rejections).map((one) => Type.Literal(one)),
        { description: "Of this reason alone", expected: "must be a reason, such as invalid_shape" },
      ),
    ),
    limit: Type.Optional(
      Type.String({
        pattern: "^(?:[1-9]\\d{0,2}|1000)$",
        description: `The newest so many, at most ${keptRefusals}`,
        expected: `must be a whole number from 1 to ${keptRefusals}`,
      }),
    ),
  },
  strict,
)

const profileWebsite = Type.String({
  minLength: 1,
  maxLength: 255,
  description: "The website that they were identified on",
  expected: "must be the id of a website",
})

/** Profiles on a page where nobody says, and at most: each may have 16 KiB of traits. */
export const profilesPerPage = 50
const mostProfiles = 200

/** The query of GET /v1/profiles. */
export const profileSearchSchema = Type.Object(
  {
    website_id: profileWebsite,
    search: Type.Optional(
      Type.String({
        maxLength: 256,
        pattern: noControls,
        description:
          "What the id, email, name, username or a linked anonymous id contains, in either case; of anonymous ids the first 1,000",
        expected: "must be a string of at most 256 characters, none of them a control character",
      }),
    ),
    limit: Type.Optional(
      Type.String({
        pattern: "^(?:[1-9]\\d?|1\\d\\d|200)$",
        description: `Profiles on a page, at most ${mostProfiles}; default: ${profilesPerPage}`,
        expected: `must be a whole number from 1 to ${mostProfiles}`,
      }),
    ),
    page: Type.Optional(
      Type.String({
        pattern: "^[1-9]\\d{0,6}$",
        description: `From 1, the default; with a search within the first ${mostFound} profiles`,
        expected: "must be a whole number from 1 to 9999999",
      }),
    ),
  },
  strict,
)

/** The query of GET /v1/profiles/:id. */
export const profileFilterSchema = Type.Object({ website_id: profileWebsite }, strict)

const textOrNull = (description: string) => Type.Union([Type.Null(), Type.String()], { description })

/** An identified user as the API shows it. */
export const profileSchema = Type.Object({
  profileId: Type.String({ description: "As /identify was told" }),
  email: textOrNull("Of the traits, in lower case"),
  name: textOrNull("Of the traits"),
  username: textOrNull("Of the traits"),
  traits: Type.Object({}, { additionalProperties: true, description: "All that is known" }),
  createdAt: time("When it was first told of"),
  updatedAt: time("When it was last told of"),
  anonymousIds: Type.Array(Type.String(), {
    description: "Visitors that were seen to be them, the newest first; 100 at most",
  }),
})

const bound = (description: string) =>
  Type.Optional(
    Type.String({
      maxLength: 64,
      description,
      expected:
        "must be a date such as 2026-11-01 or 2026-11-01T12:00:00Z, in UTC where it names no zone, or Unix ms",
    }),
  )

/** The query of GET /v1/export. */
export const exportFilterSchema = Type.Object(
  {
    website_id: Type.Optional(
      Type.String({
        minLength: 1,
        maxLength: 255,
        description: "Of this website alone",
        expected: "must be the id of a website",
      }),
    ),
    from: bound("Events that happened then or later: a date as ISO 8601, or Unix ms"),
    to: bound("Events that happened before"),
    profile_id: Type.Optional(
      personId("What forgetting this profile of the website would delete: itself, its links, its events"),
    ),
    anonymous_id: Type.Optional(
      personId("What forgetting this visitor of the website would delete: their links and events"),
    ),
    format: Type.Optional(
      Type.Union(
        formats.map((format) => Type.Literal(format)),
        { description: "Default: ndjson", expected: `must be one of ${formats.join(", ")}` },
      ),
    ),
  },
  strict,
)

export type ProfileJson = Static<typeof profileSchema>
export type StatusJson = Static<typeof statusSchema>
export type RefusalJson = Static<typeof refusalSchema>
export type WebsiteJson = Static<typeof websiteSchema>
export type KeyJson = Static<typeof keySchema>
