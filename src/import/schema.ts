import {
  type Static,
  type TNull,
  type TOptional,
  type TSchema,
  type TString,
  type TUnion,
  Type,
} from "@sinclair/typebox"
import { type EventKind, eventKinds } from "../event-kinds.ts"
import { SchemaCheck } from "../http/validation.ts"
import { eventSchema } from "../ingest/schema.ts"

import { type ContextField, contextFields } from "../store/contexts.ts"

// Schemas of the lines, with the limits of /track. Event fields that other programs might not write are optional.

export const badTime = "must be Unix milliseconds, from 2000-01-01 to an hour from now"
const time = Type.Integer({ expected: badTime })
const { name, namespace, source, anonymousId, sessionId, profileId, path, eventId } = eventSchema.properties
const orNull = <Schema extends TSchema>(schema: Schema) =>
  Type.Union([Type.Null(), schema], { expected: schema.expected })
const optional = <Schema extends TSchema>(schema: Schema) => Type.Optional(orNull(schema))

const websiteId = Type.String({ minLength: 1, maxLength: 255, expected: "must be the ID of a website" })
const required = (limit: number) =>
  Type.String({ minLength: 1, maxLength: limit, expected: `must be a string of 1 to ${limit} characters` })

const strict = { additionalProperties: false }

const firstSchema = Type.Object({ type: Type.Literal("databuddy-export"), version: Type.Integer() }, strict)

const count = Type.Integer({ minimum: 0 })
const endSchema = Type.Object(
  { type: Type.Literal("end"), websites: count, profiles: count, links: count, events: count },
  strict,
)

const websiteSchema = Type.Object(
  {
    type: Type.Literal("website"),
    // Earlier versions allowed ids that a new website cannot have, such as `..`.
    id: Type.String({
      pattern: "^[A-Za-z0-9._-]{1,255}$",
      expected: "must be 1 to 255 characters from A-Z, a-z, 0-9, '.', '_' and '-'",
    }),
    // These fields are validated later, by `parseNewWebsite`.
    domain: Type.Unknown(),
    name: Type.Unknown(),
    allowed_origins: Type.Unknown(),
    anonymize: Type.Unknown(),
    page_identify: Type.Optional(Type.Boolean({ expected: "must be true or false" })),
    lower_is_better: Type.Optional(Type.Array(Type.String())),
    retain_ms: Type.Union([Type.Null(), Type.Integer({ minimum: 0 })], {
      expected: "must be null or a number of milliseconds",
    }),
    created_at: time,
    paused_at: orNull(time),
  },
  strict,
)

const scalar = Type.Union([Type.String(), Type.Number(), Type.Boolean()])
const profileSchema = Type.Object(
  {
    type: Type.Literal("profile"),
    website_id: websiteId,
    profile_id: required(128),
    created_at: time,
    updated_at: time,
    traits: Type.Record(Type.String(), scalar, {
      expected: "must be an object of strings, numbers and booleans",
    }),
    claimed: Type.Optional(Type.Array(Type.String(), { expected: "must be a list of trait names" })),
  },
  strict,
)

const linkSchema = Type.Object(
  {
    type: Type.Literal("link"),
    website_id: websiteId,
    anonymous_id: required(256),
    profile_id: required(128),
    linked_at: time,
    claimed: Type.Optional(Type.Boolean({ expected: "must be true or false" })),
  },
  strict,
)

/** Maximum number of characters in a context field. No endpoint accepts more. */
const maxContextText = 2_048
const contextSchemas = Object.fromEntries(
  contextFields.map((field) => [
    field,
    optional(
      Type.String({
        maxLength: maxContextText,
        expected: `must be a string of at most ${maxContextText} characters`,
      }),
    ),
  ]),
  // The type assertion is needed because Object.fromEntries loses the types of the keys.
) as unknown as Record<ContextField, TOptional<TUnion<[TNull, TString]>>>

const eventLineSchema = Type.Object(
  {
    type: Type.Literal("event"),
    id: optional(Type.Integer({ minimum: 1, expected: "must be a whole number above 0" })),
    website_id: orNull(websiteId),
    name,
    namespace: optional(namespace),
    source: optional(source),
    timestamp: time,
    received_at: optional(time),
    anonymous_id: optional(anonymousId),
    session_id: optional(sessionId),
    profile_id: optional(profileId),
    path: optional(path),
    event_id: optional(eventId),
    credential: optional(
      Type.Union([Type.Literal("key"), Type.Literal("website_id")], {
        expected: 'must be "key" or "website_id"',
      }),
    ),
    crawler: optional(Type.Boolean({ expected: "must be true or false" })),
    kind: optional(
      // The type assertion is needed because Type.Union loses the literal types of a mapped list.
      Type.Union(
        eventKinds.map((kind) => Type.Literal(kind)),
        { expected: 'must be an event kind, such as "page_view"' },
      ) as unknown as TSchema & { static: EventKind },
    ),
    ...contextSchemas,
    properties: optional(
      Type.Object({}, { additionalProperties: true, expected: "must be an object or null" }),
    ),
  },
  strict,
)

export type WebsiteLine = Static<typeof websiteSchema>
export type ProfileLine = Static<typeof profileSchema>
export type LinkLine = Static<typeof linkSchema>
export type EventLine = Static<typeof eventLineSchema>
export type Line =
  | Static<typeof firstSchema>
  | Static<typeof endSchema>
  | WebsiteLine
  | ProfileLine
  | LinkLine
  | EventLine

/** Fields with times. A schema cannot check their range, because it depends on the clock. */
export const times: Partial<Record<Line["type"], readonly string[]>> = {
  website: ["created_at", "paused_at"],
  profile: ["created_at", "updated_at"],
  link: ["linked_at"],
  event: ["timestamp", "received_at"],
}
/** Fields with text that must not contain NUL or lone surrogates. */
export const texts: Partial<Record<Line["type"], readonly string[]>> = {
  profile: ["profile_id"],
  link: ["anonymous_id", "profile_id"],
  event: [
    "name",
    "namespace",
    "source",
    "anonymous_id",
    "session_id",
    "profile_id",
    "path",
    "event_id",
    ...contextFields,
  ],
}

/** Schema checks of lines, by the line's `type`. */
export const checks: ReadonlyMap<string, SchemaCheck<TSchema>> = new Map(
  [firstSchema, endSchema, websiteSchema, profileSchema, linkSchema, eventLineSchema].map((schema) => [
    schema.properties.type.const,
    new SchemaCheck<TSchema>(schema),
  ]),
)
