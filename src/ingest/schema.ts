import { type Static, Type } from "@sinclair/typebox"
import { SchemaCheck } from "../http/validation.ts"

/**
 * Schema of an optional string. `expected` completes the error message "<field> …". Lengths are in UTF-16 code units,
 * as in JavaScript.
 */
function optionalText(limit: number, description: string) {
  return Type.Optional(
    Type.String({
      maxLength: limit,
      description,
      expected: `must be a string of at most ${limit} characters`,
    }),
  )
}

export const eventSchema = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 256,
      description: "What happened",
      expected: "must be a string of 1 to 256 characters",
    }),
    namespace: optionalText(64, "Groups events"),
    timestamp: Type.Optional(
      Type.Union([Type.Number(), Type.String()], {
        description:
          "Time of the event, as Unix ms or an ISO 8601 date (UTC unless it has a zone), from 2000-01-01 to an hour from now. Default: time of receipt",
        expected: "must be Unix milliseconds or a date, from 2000-01-01 to an hour from now",
      }),
    ),
    properties: Type.Optional(
      Type.Object(
        {},
        {
          additionalProperties: true,
          description:
            "Any JSON; keys have at most 128 characters, and all properties together at most 32 KiB serialized",
          expected: "must be an object",
        },
      ),
    ),
    anonymousId: optionalText(256, "Visitor id, created by the client"),
    sessionId: optionalText(256, "Session id"),
    websiteId: optionalText(255, "Website of the event: a UUID, or the id of a registered website"),
    source: optionalText(64, "Sender of the event, such as backend or app"),
    eventId: optionalText(
      512,
      "Idempotency key; if several events have the same key, only the first is stored",
    ),
    profileId: optionalText(128, "Id of an identified user"),
    path: optionalText(2048, "Path of the page"),
    anonymizeVisitorIds: Type.Optional(
      Type.Union([Type.Boolean(), Type.Literal("auto")], {
        description: "Store anonymousId as a hash that changes daily; auto: use the website's setting",
        expected: 'must be true, false or "auto"',
      }),
    ),
  },
  { expected: "must be an object" },
)

export type EventInput = Static<typeof eventSchema>

const traitSchema = Type.Union([Type.String(), Type.Number(), Type.Boolean(), Type.Null()], {
  expected: "must be a string, number, boolean or null",
})

export const traitsSchema = Type.Object(
  {},
  {
    additionalProperties: traitSchema,
    maxProperties: 50,
    description:
      "Facts about the user, which are merged into the stored traits. null removes a trait. At most 2 KiB serialized",
    expected: "must be an object of at most 50 strings, numbers, booleans or nulls",
  },
)

export const identifySchema = Type.Object(
  {
    profileId: Type.String({
      minLength: 1,
      maxLength: 128,
      description: "Id of the identified user",
      expected: "must be a string of 1 to 128 characters",
    }),
    anonymousId: optionalText(256, "Visitor id to link to the user"),
    traits: Type.Optional(traitsSchema),
    websiteId: optionalText(255, "Website of the profile; required here or as ?website_id="),
  },
  { expected: "must be an object" },
)

/** Adds the type of the traits, because TypeBox does not infer the type of additional properties. */
export type IdentifyInput = Omit<Static<typeof identifySchema>, "traits"> & {
  traits?: Record<string, Static<typeof traitSchema>>
}

export const checkEvent = new SchemaCheck(eventSchema)
export const checkIdentify = new SchemaCheck(identifySchema)
